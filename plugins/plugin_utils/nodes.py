# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and validate ``nodes.yml``, the one list of a deployment's machines.

Needs the standard library and PyYAML only, so ``run.py`` can read the same file with the same rules as the inventory.

Shape::

    deployment: odoo             # prefix of containers and volumes: letter first, a-z 0-9 -, at most 32 characters
    network: 192.168.99.0/24     # IPv4; its first address is the provider's gateway
    suite: bookworm              # Debian release of the machines' image or box
    machines:
      pg1: {address: 192.168.99.21, groups: [postgres_primary], memory: 1024, cpus: 2}   # MiB; whole CPUs
    cluster: {name: minikube, address: 192.168.99.100}   # optional
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

# The C loader reads a thousand machines ten times faster; PyYAML is sometimes built without it.
_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: A DNS label that starts with a letter (RFC 1123 section 2.1 allows a digit too, which YAML may take for a number).
HOSTNAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_DEPLOYMENT = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
_SUITE = re.compile(r"[a-z][a-z0-9]*", re.ASCII)
# Ansible's own rule for a group that needs no transformation (TRANSFORM_INVALID_GROUP_CHARS).
_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# Groups that the inventory fills by itself: in nodes.yml they would put a machine where it cannot be.
_RESERVED_GROUPS = ("all", "ungrouped", "kubernetes")
_RESERVED_NAMES = (*_RESERVED_GROUPS, "localhost", "machines")
_MAX_BYTES = 4 * 1024 * 1024
_MIN_MEMORY = 128
_MAX_DEPTH = 100
# Signs that open a level of YAML in a byte or two; any other way takes as many bytes more as the level is deep.
_OPENERS = (b"[", b"{", b"- ", b"? ")


class NodesError(ValueError):
    """What is wrong with a nodes file.

    Attributes: ``path`` of the file, ``key`` (dotted, empty for the whole file), ``problem``, ``remedy`` (what to do).
    """

    def __init__(self, path: Path, key: str, problem: str, remedy: str) -> None:
        self.path, self.key, self.problem, self.remedy = path, key, problem, remedy
        super().__init__(": ".join(part for part in (str(path), key, problem) if part) + f". {remedy}")


@dataclass(frozen=True)
class Machine:
    """One virtual machine. ``memory`` is in MiB, ``cpus`` are whole CPUs, ``groups`` are its initial roles."""

    name: str
    address: str
    groups: tuple[str, ...]
    memory: int
    cpus: int


@dataclass(frozen=True)
class Cluster:
    """The Kubernetes cluster's name and its (first) node's address."""

    name: str
    address: str


@dataclass(frozen=True)
class Deployment:
    """A validated nodes file; ``machines`` keeps the file's order."""

    path: Path
    name: str
    network: str
    suite: str
    machines: tuple[Machine, ...]
    cluster: Cluster | None

    def addresses(self) -> dict[str, str]:
        """Declared address of each machine, by name."""
        return {machine.name: machine.address for machine in self.machines}

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Machines of each group, by group, both in the file's order."""
        groups: dict[str, list[str]] = {}
        for machine in self.machines:
            for group in machine.groups:
                groups.setdefault(group, []).append(machine.name)
        return {group: tuple(names) for group, names in groups.items()}

    def variables(self) -> dict[str, Any]:
        """What the file declares, as variables of the inventory: plain values that JSON has too."""
        return {
            "deployment_name": self.name,
            "deployment_network": self.network,
            "deployment_suite": self.suite,
            "deployment_machines_declared": {
                machine.name: {
                    "address": machine.address,
                    "groups": list(machine.groups),
                    "memory": machine.memory,
                    "cpus": machine.cpus,
                }
                for machine in self.machines
            },
            "deployment_groups_declared": {group: list(names) for group, names in self.groups().items()},
            "deployment_cluster_declared": (
                {"name": self.cluster.name, "address": self.cluster.address} if self.cluster else {}
            ),
        }


class _Loader(_BaseLoader):  # type: ignore[misc]
    """A safe YAML loader for which a key given twice is an error (PyYAML takes the last one without a word)."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: dict[str, Any] = {}
        for key, _value in getattr(node, "value", ()):
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen[key.value] = key
        return super().construct_mapping(node, deep)


def load(path: Path) -> Deployment:
    """Read the nodes file at ``path``.

    Raises NodesError for a file that cannot be read or is not valid, FileNotFoundError where there is none.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NodesError(path, "", f"cannot be read ({error.strerror})", "Make it a file that you may read.") from error
    if len(data) > _MAX_BYTES:
        raise NodesError(path, "", f"is larger than {_MAX_BYTES // 1024 // 1024} MiB", "Is it a list of machines?")
    return parse(data, path)


def parse(data: bytes | str, path: Path) -> Deployment:
    """Validate the text of a nodes file; ``path`` is for messages only. Raises NodesError for the first thing wrong."""
    try:
        document = load_yaml(data, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise NodesError(path, "", f"is not valid YAML ({_yaml_problem(error)})", "Correct that line.") from error
    return _Parser(path).deployment(document)


def load_yaml(data: bytes | str, loader: Any = _BaseLoader) -> Any:
    """The document in ``data``. Raises yaml.YAMLError, or ValueError for bad values and for deep nesting.

    How PyYAML refuses deep nesting depends on its version and on how it was built: not at all up to 6.0.3 (the C loader
    recurses until the process ends, the Python loader until RecursionError), with a ScannerError at 1000 levels since.
    """
    too_deep = f"it is nested deeper than {_MAX_DEPTH} levels"
    try:
        if _is_deep(data.encode() if isinstance(data, str) else data):
            raise ValueError(too_deep)
        return yaml.load(data, Loader=loader)
    except RecursionError:
        raise ValueError(too_deep) from None
    except yaml.scanner.ScannerError as error:
        if "nesting" in (error.problem or ""):
            raise ValueError(too_deep) from None
        raise


def _is_deep(data: bytes) -> bool:
    """Whether ``data`` has so many levels that the C loader's recursion could end the process."""
    if sum(data.count(sign) for sign in _OPENERS) < 5000:
        return False
    depth = 0
    for event in yaml.parse(data, Loader=_BaseLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                return True
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return False


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    text = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {text}" if mark else text


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", type(None): "empty"}
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else names.get(type(value), type(value).__name__)


class _Parser:
    def __init__(self, path: Path) -> None:
        self.path = path

    def fail(self, key: str, problem: str, remedy: str) -> NoReturn:
        raise NodesError(self.path, key, problem, remedy)

    def mapping(
        self, value: Any, key: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        known = (*required, *optional)
        if not isinstance(value, Mapping):
            self.fail(key, f"is {_kind(value)}, not a mapping", f"Give it the keys {', '.join(known)}.")
        prefix = f"{key}." if key else ""
        for name in value:
            if name not in known:
                self.fail(f"{prefix}{name}", "unknown key", f"Known here: {', '.join(known)}.")
        for name in required:
            if name not in value:
                self.fail(f"{prefix}{name}", "is missing", f"Add it; required here: {', '.join(required)}.")
        return dict(value)

    def matching(self, value: Any, key: str, pattern: re.Pattern[str], rule: str) -> str:
        if not isinstance(value, str):
            self.fail(key, f"is {_kind(value)} ({value!r:.60}), not a string", "Quote it if it is meant as a name.")
        if not pattern.fullmatch(value):
            self.fail(key, f"{value!r:.90} is not valid", f"Use {rule}.")
        return value

    def number(self, value: Any, key: str, least: int, unit: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self.fail(
                key, f"is {_kind(value)} ({value!r:.60}), not a whole number", f"Give it in {unit}, without a suffix."
            )
        if value < least:
            self.fail(key, f"{value} is too small", f"Give at least {least} {unit}.")
        return value

    def network(self, value: Any) -> ipaddress.IPv4Network:
        example = "Write it as for example 192.168.99.0/24."
        if not isinstance(value, str):
            self.fail("network", f"is {_kind(value)}, not a string", example)
        try:
            network = ipaddress.IPv4Network(value, strict=False)
        except ValueError:
            self.fail("network", f"{value!r:.60} is not an IPv4 network", example)
        if "/" not in value:
            self.fail("network", f"{value} has no prefix length", example)
        if str(network) != value:
            self.fail("network", f"{value} is not the network's own address", f"Write {network}.")
        if network.num_addresses < 4:
            self.fail("network", f"{value} has no room for machines", "Use a /29 or larger.")
        if network.is_loopback or network.is_multicast or network.is_link_local or network.is_unspecified:
            self.fail(
                "network", f"{value} is not a network for machines", "Use a private one, for example 192.168.99.0/24."
            )
        return network

    def address(self, value: Any, key: str, network: ipaddress.IPv4Network, taken: dict[str, str]) -> str:
        free = f"Use a free address of {network}."
        if not isinstance(value, str):
            self.fail(key, f"is {_kind(value)}, not a string", free)
        try:
            address = ipaddress.IPv4Address(value)
        except ValueError:
            self.fail(key, f"{value!r:.60} is not an IPv4 address", free)
        if address not in network:
            self.fail(key, f"{value} is outside the network {network}", free)
        for special, what in (
            (network.network_address, "network's own"),
            (network.broadcast_address, "network's broadcast"),
            (network.network_address + 1, "provider's gateway"),
        ):
            if address == special:
                self.fail(key, f"{value} is the {what} address", free)
        if value in taken:
            self.fail(key, f"{value} is also the address of {taken[value]}", "Give each its own.")
        taken[value] = key
        return value

    def machine(self, name: Any, value: Any, network: ipaddress.IPv4Network, taken: dict[str, str]) -> Machine:
        key = f"machines.{name}"
        self.matching(name, key, HOSTNAME, "a host name: a-z, 0-9 and -, a letter first, at most 63 characters")
        if name in _RESERVED_NAMES:
            self.fail(key, "is a reserved name", "Name the machine otherwise.")
        fields = self.mapping(value, key, ("address", "groups", "memory", "cpus"))
        groups = fields["groups"]
        if not isinstance(groups, list):
            self.fail(f"{key}.groups", f"is {_kind(groups)}, not a list", "Write it as [group, …].")
        for index, group in enumerate(groups):
            where = f"{key}.groups[{index}]"
            self.matching(group, where, _GROUP, "letters, digits and _, no digit first")
            if group in _RESERVED_GROUPS:
                self.fail(where, f"{group} is filled by the inventory itself", "Take it out of the list.")
        return Machine(
            name=name,
            address=self.address(fields["address"], f"{key}.address", network, taken),
            groups=tuple(dict.fromkeys(groups)),
            memory=self.number(fields["memory"], f"{key}.memory", _MIN_MEMORY, "MiB"),
            cpus=self.number(fields["cpus"], f"{key}.cpus", 1, "CPUs"),
        )

    def deployment(self, document: Any) -> Deployment:
        fields = self.mapping(document, "", ("deployment", "network", "suite", "machines"), ("cluster",))
        network = self.network(fields["network"])
        machines = fields["machines"]
        if not isinstance(machines, Mapping):
            self.fail(
                "machines", f"is {_kind(machines)}, not a mapping", "Write one entry a machine: NAME: {address: …}."
            )
        taken: dict[str, str] = {}
        parsed = tuple(self.machine(name, value, network, taken) for name, value in machines.items())
        groups = {group for machine in parsed for group in machine.groups}
        for machine in parsed:
            if machine.name in groups:
                self.fail(f"machines.{machine.name}", "is also the name of a group", "Name one of the two otherwise.")
        cluster = None
        if fields.get("cluster") is not None:
            cluster = self.cluster(fields["cluster"], network, taken, {m.name for m in parsed} | groups)
        return Deployment(
            path=self.path,
            name=self.matching(
                fields["deployment"], "deployment", _DEPLOYMENT, "a-z, 0-9 and -, a letter first, at most 32 characters"
            ),
            network=str(network),
            suite=self.matching(fields["suite"], "suite", _SUITE, "a Debian release's name, for example bookworm"),
            machines=parsed,
            cluster=cluster,
        )

    def cluster(self, value: Any, network: ipaddress.IPv4Network, taken: dict[str, str], names: set[str]) -> Cluster:
        fields = self.mapping(value, "cluster", ("name", "address"))
        name = self.matching(
            fields["name"],
            "cluster.name",
            HOSTNAME,
            "a host name: a-z, 0-9 and -, a letter first, at most 63 characters",
        )
        if name in names or name in _RESERVED_NAMES:
            self.fail("cluster.name", f"{name} is also a machine, a group or a reserved name", "Name it otherwise.")
        return Cluster(name=name, address=self.address(fields["address"], "cluster.address", network, taken))
