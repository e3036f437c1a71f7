# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""minikube's profiles on disk, read without running ``minikube``.

Layout (pkg/minikube/config/types.go and pkg/minikube/localpath of minikube)::

    HOME/profiles/PROFILE/config.json   Driver, KubernetesConfig, Nodes[]{Name, IP, ControlPlane, Worker, …}
    HOME/machines/MACHINE/config.json   Driver{IPAddress, SSHUser, SSHPort, SSHKeyPath, …}
    HOME/machines/MACHINE/DRIVER.pid    of drivers that start a program for each machine (qemu2, hyperkit, vfkit, …)

minikube up to 1.6 wrote MachineConfig{VMDriver} and KubernetesConfig{NodeIP, NodeName} instead, of a single node.

HOME is ``~/.minikube``; MINIKUBE_HOME replaces it, with ``/.minikube`` appended unless it ends so already.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .engine import Endpoint
from .files import StateError, mapping, printable, read_json, read_text, subfolders, usable_name

_MAX_JSON = 4 * 1024 * 1024
# Drivers whose machine's 22 is forwarded to a port of this host. Any other driver's port is the machine's own.
_FORWARDED = ("virtualbox", "docker", "podman")
# The node of this driver is this host (minikube's alias: native); Kubernetes names it as the host, not as the profile.
_HOST_DRIVERS = ("none", "native")
# Drivers that start a program for each machine, which keeps its process id beside the machine's file.
_PROGRAMS = {
    "qemu": "qemu.pid",
    "qemu2": "qemu.pid",
    "hyperkit": "hyperkit.pid",
    "vfkit": "vfkit.pid",
    "krunkit": "krunkit.pid",
}
# Drivers whose machines have this user without naming it in their file.
_SSH_USERS = {"docker": "docker", "podman": "docker"}


@dataclass(frozen=True)
class Node:
    """One Kubernetes node.

    ``driver`` is minikube's (empty for any other cluster), ``state`` ready, not_ready or unknown.
    """

    name: str
    address: str
    cluster: str
    kubernetes_version: str
    control_plane: bool
    worker: bool
    source: str
    state: str = "unknown"
    driver: str = ""
    ssh: Endpoint | None = None
    ssh_user: str = ""
    ssh_private_key: str = ""


def home_folder(environ: Mapping[str, str], given: str = "") -> Path:
    """minikube's folder; ``given`` stands for MINIKUBE_HOME where it is not empty."""
    value = given or environ.get("MINIKUBE_HOME") or "~"
    home = Path(value).expanduser()
    return home if home.name == ".minikube" else home / ".minikube"


def profiles(home: Path) -> tuple[str, ...]:
    """Names of all profiles. Raises StateError where the folder cannot be listed."""
    return tuple(name for name in subfolders(home / "profiles") if (home / "profiles" / name / "config.json").exists())


def nodes(home: Path, profile: str) -> tuple[Node, ...]:
    """Nodes of a profile, in its own order.

    Raises StateError for a profile that cannot be used, FileNotFoundError for none.
    """
    if not usable_name(profile):
        raise StateError(f"the minikube profile {printable(profile)} has no usable name")
    path = home / "profiles" / profile / "config.json"
    config = read_json(path, _MAX_JSON)
    kubernetes = mapping(config.get("KubernetesConfig"))
    old = mapping(config.get("MachineConfig"))
    driver = config.get("Driver") or config.get("VMDriver") or old.get("VMDriver")
    listed = config.get("Nodes")
    if listed is None and isinstance(driver, str):
        listed = _old_nodes(kubernetes, path)
    if not isinstance(driver, str) or not isinstance(listed, list) or not listed:
        raise StateError(f"{printable(path)} is not a minikube profile (no Driver or no Nodes)")
    version = kubernetes.get("KubernetesVersion")
    primary = next((node for node in listed if isinstance(node, dict) and node.get("ControlPlane")), listed[0])
    found = []
    for node in listed:
        if not isinstance(node, dict) or not isinstance(node.get("Name", ""), str):
            raise StateError(f"{printable(path)} has a node that is not one")
        name = machine_name(profile, node.get("Name", ""), node is primary)
        if not usable_name(name):
            raise StateError(f"{printable(path)} has a node with an unusable name")
        machine = _machine(home, name)
        address, source = _text(node.get("IP")), f"minikube profile {profile}"
        if not address:
            address, source = _text(machine.get("IPAddress")), f"minikube machine {name}"
        found.append(
            Node(
                name=name,
                address=address,
                cluster=profile,
                kubernetes_version=_text(node.get("KubernetesVersion")) or _text(version),
                control_plane=bool(node.get("ControlPlane")),
                worker=bool(node.get("Worker")),
                source=source,
                driver=driver,
                ssh=_ssh(machine, driver),
                ssh_user=_text(machine.get("SSHUser")) or _SSH_USERS.get(driver, ""),
                ssh_private_key=_text(machine.get("SSHKeyPath")),
            )
        )
    return tuple(found)


def machine_name(profile: str, node: str, primary: bool) -> str:
    """The machine's (and Kubernetes node's) name: the profile's for the primary control plane, else PROFILE-NODE."""
    return profile if primary or not node else f"{profile}-{node}"


def merged(api: Sequence[Node], profile: Sequence[Node]) -> tuple[Node, ...]:
    """Nodes as the API gave them, with the driver and ssh endpoint of the same machine in the profile; then the rest.

    The rest is what the profile has and the API has not. A node of the same name is not listed a second time.
    """
    known = {_key(node): node for node in profile}
    joined = []
    for node in api:
        own = known.get((node.name, node.address)) or known.get(("", node.address))
        if own:
            node = replace(
                node, driver=own.driver, ssh=own.ssh, ssh_user=own.ssh_user, ssh_private_key=own.ssh_private_key
            )
        joined.append(node)
    taken = {key for node in api for key in ((node.name, node.address), ("", node.address))}
    names = {node.name for node in api}
    return (*joined, *(node for node in profile if _key(node) not in taken and node.name not in names))


def _key(node: Node) -> tuple[str, str]:
    """What identifies a profile's node among the API's: on the host itself the name is the host's, so the address."""
    return ("" if node.driver in _HOST_DRIVERS else node.name, node.address)


def stopped_program(home: Path, node: Node) -> bool:
    """Whether the node's machine is a program of this host that does not run (qemu2, hyperkit, vfkit, krunkit)."""
    name = _PROGRAMS.get(node.driver)
    if name is None:
        return False
    try:
        pid = int(read_text(home / "machines" / node.name / name, 64))
        if pid <= 0:
            return True
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return True
    except (StateError, ValueError, OverflowError, PermissionError):
        return False
    return False


def _old_nodes(kubernetes: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """The one node of a profile that minikube 1.6 or older wrote. Raises StateError where its address is not there."""
    address = _text(kubernetes.get("NodeIP"))
    if not address:
        raise StateError(
            f"{printable(path)} has no Nodes: a minikube that is too old (1.6 or older) wrote it. "
            "Update minikube and start the profile again, or delete it"
        )
    return [{"Name": "", "IP": address, "ControlPlane": True, "Worker": True}]


def _machine(home: Path, name: str) -> dict[str, Any]:
    """The driver's part of a machine's file; empty where there is none that can be read: it only adds ssh to a node."""
    try:
        return mapping(read_json(home / "machines" / name / "config.json", _MAX_JSON).get("Driver"))
    except (FileNotFoundError, StateError):
        return {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _ssh(machine: Mapping[str, Any], driver: str) -> Endpoint | None:
    address, port = machine.get("IPAddress"), machine.get("SSHPort")
    if not isinstance(address, str) or not address or not isinstance(port, int) or not 0 < port < 65536:
        return None
    forwarded = driver in _FORWARDED and port != 22
    return Endpoint("127.0.0.1" if forwarded else address, port, "minikube machine")
