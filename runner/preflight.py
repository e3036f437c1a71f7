# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold on this host before anything starts. Each check is a pure function of what was seen."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import docker, paths, platform_choice
from runner.exits import Exit, Failure
from runner.journal import Journal
from runner.nodes import Nodes

GIB = 1024**3
MIB = 1024**2
# Measured on Debian 12 with the embedded cluster: images and their copies, Go's build cache, the environment.
DISK_FIRST_RUN = {"engine": 8 * GIB, "cache": 4 * GIB, "checkout": 2 * GIB}
DISK_LATER = {"engine": GIB, "cache": 0, "checkout": GIB // 4}
CLUSTER_MEMORY = 2560 * MIB  # control plane and three Odoo pods: 1.6 GiB, and room for Prometheus
ELSEWHERE = "choose another network and addresses in"
VAGRANT_PORTS = range(2200, 2251)  # Vagrant picks ssh ports from these


@dataclass(frozen=True)
class Finding:
    """What is in the way; reason is its stable name."""

    reason: str
    message: str
    advice: str


@dataclass(frozen=True)
class Route:
    """A line of the host's routing table."""

    network: ipaddress.IPv4Network
    device: str
    direct: bool  # no gateway: the host is on it


def gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"


def disk(needs: Iterable[tuple[Path, int]]) -> Finding | None:
    """Enough room for all needs (folder, bytes), those on one file system added up."""
    together: dict[int, tuple[Path, int]] = {}
    for folder, need in needs:
        while not folder.exists():
            folder = folder.parent
        device = folder.stat().st_dev
        first, sum_so_far = together.get(device, (folder, 0))
        together[device] = (first, sum_so_far + need)
    for folder, need in together.values():
        free = shutil.disk_usage(folder).free
        if free < need:
            return Finding(
                "DISK_FULL",
                f"the disk of {folder} has {gib(free)} free, {gib(need)} are needed",
                "make room there, then run again",
            )
    return None


def memory(available: int, machines: int, cluster: int, reserved: bool) -> Finding | None:
    """Enough memory, in bytes, for the machines and the cluster that are not there yet.

    reserved: a hypervisor takes a machine's memory whole; a container's is a limit, of which half is used.
    """
    need = machines // (1 if reserved else 2) + cluster
    if available >= need:
        return None
    return Finding(
        "MEMORY_SHORT",
        f"{gib(available)} of memory are available, {gib(need)} are needed",
        "stop other programs, or give the machines less memory in nodes.yml",
    )


def routes(table: Sequence[Mapping[str, Any]]) -> list[Route]:
    """Routes of `ip -j -4 route show table all`, without defaults, broadcasts and this host's own addresses."""
    found = []
    for line in table:
        if line["dst"] == "default" or line.get("type", "unicast") != "unicast":
            continue
        direct = "gateway" not in line and "via" not in line
        found.append(Route(ipaddress.IPv4Network(line["dst"], strict=False), line.get("dev", ""), direct))
    return found


def subnet(network: ipaddress.IPv4Network, table: Sequence[Route], ours: set[str]) -> Finding | None:
    """Nobody else on this host uses the network; ours: devices that are the deployment's own.

    A wider route through a gateway (a VPN, say) is no obstacle: the narrower network wins.
    """
    for route in table:
        hypervisor = route.network == network and re.match(r"vboxnet|virbr", route.device)
        if route.device in ours or hypervisor or not route.network.overlaps(network):
            continue
        if route.direct or route.network.subnet_of(network):
            return Finding(
                "SUBNET_TAKEN",
                f"{network} is in use on this host: {route.network} is on {route.device or 'a gateway'}",
                f"{ELSEWHERE} {paths.shown(paths.nodes_file())}",
            )
    return None


def docker_networks(network: ipaddress.IPv4Network, ours: str, found: Sequence[Mapping[str, Any]]) -> Finding | None:
    """No docker network but ours (by name) overlaps the deployment's."""
    for entry in found:
        if entry["Name"] == ours:
            continue
        for config in entry.get("IPAM", {}).get("Config") or []:
            if ":" not in config.get("Subnet", ":") and ipaddress.ip_network(config["Subnet"]).overlaps(network):
                return Finding(
                    "SUBNET_TAKEN",
                    f"{network} is in use on this host: docker's network {entry['Name']} is {config['Subnet']}",
                    f"{ELSEWHERE} {paths.shown(paths.nodes_file())}, or: docker network rm {entry['Name']}",
                )
    return None


def neighbours(deployment: str, network: str, found: Sequence[Mapping[str, Any]]) -> Finding | None:
    """No container of anybody else is on the deployment's network."""
    for container in found:
        owner = container["Labels"].get(docker.LABEL)
        if network in container["Networks"] and owner != deployment and docker.MINIKUBE not in container["Labels"]:
            whose = f"deployment {owner}" if owner else "nobody we know"
            return Finding(
                "SUBNET_TAKEN",
                f"{network.rpartition('_')[2]} is in use on this host: container {container['Names']}, of {whose}",
                f"{ELSEWHERE} {paths.shown(paths.nodes_file())}",
            )
    return None


def strangers(
    deployment: str, machines: Iterable[str], known: Mapping[str, str], found: Sequence[Mapping[str, Any]]
) -> Finding | None:
    """No container has the name of a machine that Vagrant (known: machine -> id) did not make here."""
    names = {f"{deployment}-{machine}": machine for machine in machines}
    for container in found:
        machine = names.get(container["Names"])
        if machine and known.get(machine) != container["ID"]:
            return Finding(
                "MACHINE_FOREIGN",
                f"container {container['Names']} exists, but this checkout did not make it",
                "another checkout's? Choose another `deployment` in nodes.yml. A lost one's? ./teardown.sh removes it",
            )
    return None


def ports(listening: set[int], wanted: int) -> Finding | None:
    """Vagrant finds a free ssh port for each machine it has yet to make."""
    free = sum(port not in listening for port in VAGRANT_PORTS)
    if free >= wanted:
        return None
    span = f"{VAGRANT_PORTS.start}-{VAGRANT_PORTS.stop - 1}"
    return Finding(
        "PORTS_TAKEN",
        f"{wanted} free ports are needed within {span} for ssh, {free} are free",
        "stop what listens there: ss -tlnp",
    )


def moved(journal: Mapping[str, Any], deployment: str, network: str) -> Finding | None:
    """nodes.yml still describes the deployment that runs here."""
    before = (journal.get("deployment", deployment), journal.get("network", network))
    if before == (deployment, network) or not journal.get("steps"):
        return None
    return Finding(
        "DEPLOYMENT_MOVED",
        f"this checkout runs deployment {before[0]} on {before[1]}, nodes.yml now says {deployment} on {network}",
        "put nodes.yml back, or run ./teardown.sh first",
    )


def listening_ports(tables: Iterable[str]) -> set[int]:
    """Local TCP ports in state LISTEN (0A) of /proc/net/tcp and tcp6."""
    found = set()
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def machine_ids() -> dict[str, str]:
    """Vagrant's machines of this checkout: name -> id; those without an id do not exist."""
    found = {}
    for file in paths.vagrant_dir().glob("machines/*/*/id"):
        identity = file.read_text().strip()
        if identity:
            found[file.parent.parent.name] = identity
    return found


def available_memory() -> int:
    """Bytes the kernel would give without swapping."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _bridge(network: Mapping[str, Any]) -> str:
    return str((network.get("Options") or {}).get("com.docker.network.bridge.name") or f"br-{network['Id'][:12]}")


def platform(problem: str) -> Finding | None:
    """What makes machines and nodes can do so here; a problem is one sentence, then `Type: ` and what to type."""
    if not problem:
        return None
    message, _dot, line = problem.partition(". Type: ")
    return Finding("PLATFORM_UNSUPPORTED", message, f"type: {line}" if line else "correct it")


def run(nodes: Nodes, journal: Journal, extra_vars: Sequence[str]) -> tuple[int, str]:
    """Looks at this host; returns how many checks passed and what the deployment runs on.

    Raises Failure (exit 4) at the first finding.
    """
    choice = platform_choice.look(extra_vars)
    unsupported = platform(choice.refusal or platform_choice.host_problem(choice, nodes.network, nodes.suite))
    if unsupported:
        raise _failure(unsupported)
    try:
        engine_dir = docker.docker("info", "--format", "{{.DockerRootDir}}").strip()
        networks, containers = docker.networks(), docker.containers()
    except docker.DockerError as error:
        raise _failure(
            Finding(
                "DOCKER_DOWN", f"the docker engine does not answer: {error}", "./install_dep.sh installs and starts it"
            )
        ) from error
    network, ours = ipaddress.IPv4Network(nodes.network), f"vagrant_network_{nodes.network}"
    made, first_run = machine_ids(), not paths.CLUSTER.exists()
    room = DISK_FIRST_RUN if first_run else DISK_LATER
    to_make = [machine for machine in nodes.machines if machine.name not in made]
    table = json.loads(
        subprocess.run(
            ["ip", "-j", "-4", "route", "show", "table", "all"], capture_output=True, text=True, check=True
        ).stdout
        or "[]"
    )
    findings = [
        moved(journal.data, nodes.name, nodes.network),
        disk([(Path(engine_dir), room["engine"]), (paths.cache_dir(), room["cache"]), (paths.ROOT, room["checkout"])]),
        memory(
            available_memory(),
            sum(machine.memory for machine in to_make) * MIB,
            CLUSTER_MEMORY if first_run else 0,
            reserved=choice.provider != "docker",
        ),
        docker_networks(network, ours, networks),
        neighbours(nodes.name, ours, containers),
        subnet(network, routes(table), {_bridge(entry) for entry in networks if entry["Name"] == ours}),
        strangers(nodes.name, (machine.name for machine in nodes.machines), made, containers),
        ports(listening_ports(path.read_text() for path in Path("/proc/net").glob("tcp*")), len(to_make)),
    ]
    for finding in findings:
        if finding:
            raise _failure(finding)
    cluster = platform_choice.PLATFORMS.cluster_name(choice)
    runs_on = f"{choice.provider}'s machines, cluster {cluster}, because {choice.reason}"
    return len(findings) + 3, runs_on  # nodes.yml was read, docker answered, the platform is a supported one


def _failure(finding: Finding) -> Failure:
    return Failure(Exit.PREFLIGHT, finding.reason, finding.message, advice=f"{finding.advice}; nothing was changed")
