# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""minikube's profiles on disk, read without running ``minikube``.

Layout (pkg/minikube/config/types.go and pkg/minikube/localpath of minikube)::

    HOME/profiles/PROFILE/config.json   Driver, KubernetesConfig, Nodes[]{Name, IP, ControlPlane, Worker, …}
    HOME/machines/MACHINE/config.json   Driver{IPAddress, SSHUser, SSHPort, SSHKeyPath}

HOME is ``~/.minikube``; MINIKUBE_HOME replaces it, with ``/.minikube`` appended unless it ends so already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .engine import Endpoint
from .files import StateError, mapping, printable, read_json, subfolders, usable_name

_MAX_JSON = 4 * 1024 * 1024
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
    driver = config.get("Driver") or config.get("VMDriver")
    listed = config.get("Nodes")
    if not isinstance(driver, str) or not isinstance(listed, list) or not listed:
        raise StateError(f"{printable(path)} is not a minikube profile (no Driver or no Nodes)")
    version = mapping(config.get("KubernetesConfig")).get("KubernetesVersion")
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
                ssh=_ssh(machine),
                ssh_user=_text(machine.get("SSHUser")) or _SSH_USERS.get(driver, ""),
                ssh_private_key=_text(machine.get("SSHKeyPath")),
            )
        )
    return tuple(found)


def machine_name(profile: str, node: str, primary: bool) -> str:
    """The machine's (and Kubernetes node's) name: the profile's for the primary control plane, else PROFILE-NODE."""
    return profile if primary or not node else f"{profile}-{node}"


def merged(api: Sequence[Node], profile: Sequence[Node]) -> tuple[Node, ...]:
    """Nodes as the API gave them, with the driver and ssh endpoint of the profile's node of that name and address."""
    known = {(node.name, node.address): node for node in profile}
    return tuple(
        replace(node, driver=own.driver, ssh=own.ssh, ssh_user=own.ssh_user, ssh_private_key=own.ssh_private_key)
        if (own := known.get((node.name, node.address)))
        else node
        for node in api
    )


def _machine(home: Path, name: str) -> dict[str, Any]:
    """The driver's part of a machine's file; empty where there is none that can be read: it only adds ssh to a node."""
    try:
        return mapping(read_json(home / "machines" / name / "config.json", _MAX_JSON).get("Driver"))
    except (FileNotFoundError, StateError):
        return {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _ssh(machine: Mapping[str, Any]) -> Endpoint | None:
    address, port = machine.get("IPAddress"), machine.get("SSHPort")
    if not isinstance(address, str) or not address or not isinstance(port, int) or not 0 < port < 65536:
        return None
    # VirtualBox forwards a port of the host to the guest's 22; every other driver answers at its own address.
    return Endpoint(address if port == 22 else "127.0.0.1", port, "minikube machine")
