# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which makers of machines go with which Kubernetes clusters, and which of them a deployment takes.

Machines and nodes must share one network: pods reach PostgreSQL, and the proxies reach the nodes. Standard library
only, so that ``run.py`` and the role decide by the same function.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

PROVIDERS = ("docker", "libvirt", "virtualbox", "given")
DRIVERS = ("docker", "kvm2", "virtualbox", "none", "ssh")
#: Clusters as the table of docs/production.md names them.
CLUSTERS = ("embedded", *(f"minikube {driver}" for driver in DRIVERS), "context")
#: minikube's driver that shares a network with a provider's machines.
DRIVER_OF = {"docker": "docker", "libvirt": "docker", "virtualbox": "virtualbox"}

# VirtualBox from 6.1.28 on, and so Vagrant, allows these networks of a host alone unless networks.conf lists others.
NETWORKS_CONF = "/etc/vbox/networks.conf"
_HOST_ONLY = "192.168.56.0/21"
_HOST_ONLY_SINCE = (6, 1, 28)

# Debian's own boxes end here; later releases have none.
_BOXES = ("bullseye", "bookworm")

_BY_CONTEXT = "-e k8s_cluster_kind=context -e k8s_cluster_context=NAME"


@dataclass(frozen=True)
class Cell:
    """One combination. ``how``: tested, supported (no test runs all of it) or refused; ``why`` and what to type."""

    how: str
    why: str
    type_instead: str = ""


def _refused(why: str, type_instead: str) -> Cell:
    return Cell("refused", why, type_instead)


_NO_ADDRESS = "minikube gives this node an address of a network of its own, which the machines do not reach"
_THIS_HOST = "minikube makes a node of a host that it does not own, so such a cluster is one that exists"
_SERVERS = "servers elsewhere do not reach a node on a bridge of this host"
_ROUTED = "the cluster's nodes must reach the machines' network"

#: (provider, cluster) -> Cell, whole.
CELLS: Mapping[tuple[str, str], Cell] = {
    ("docker", "embedded"): Cell("tested", "one docker network"),
    ("docker", "minikube docker"): Cell("supported", "one docker network, a fixed address"),
    ("docker", "minikube kvm2"): _refused(_NO_ADDRESS, "-e k8s_cluster_minikube_driver=docker"),
    ("docker", "minikube virtualbox"): _refused(_NO_ADDRESS, "-e k8s_cluster_minikube_driver=docker"),
    ("docker", "context"): Cell("tested", _ROUTED),
    ("libvirt", "embedded"): Cell("supported", "the virtual machines are on docker's bridge"),
    ("libvirt", "minikube docker"): Cell("supported", "the virtual machines are on docker's bridge"),
    ("libvirt", "minikube kvm2"): _refused(_NO_ADDRESS, "-e k8s_cluster_minikube_driver=docker"),
    ("libvirt", "minikube virtualbox"): _refused(_NO_ADDRESS, "-e k8s_cluster_minikube_driver=docker"),
    ("libvirt", "context"): Cell("supported", _ROUTED),
    ("virtualbox", "embedded"): _refused(
        "docker's bridge and VirtualBox's host-only network would be two networks with the same addresses",
        "-e k8s_cluster_kind=minikube -e k8s_cluster_minikube_driver=virtualbox",
    ),
    ("virtualbox", "minikube docker"): _refused(
        "docker's bridge and VirtualBox's host-only network would be two networks with the same addresses",
        "-e k8s_cluster_minikube_driver=virtualbox",
    ),
    ("virtualbox", "minikube kvm2"): _refused(_NO_ADDRESS, "-e k8s_cluster_minikube_driver=virtualbox"),
    ("virtualbox", "minikube virtualbox"): Cell("supported", "one host-only network"),
    ("virtualbox", "context"): Cell("supported", _ROUTED),
    ("given", "embedded"): _refused(_SERVERS, _BY_CONTEXT),
    ("given", "minikube docker"): _refused(_SERVERS, _BY_CONTEXT),
    ("given", "minikube kvm2"): _refused(_SERVERS, _BY_CONTEXT),
    ("given", "minikube virtualbox"): _refused(_SERVERS, _BY_CONTEXT),
    ("given", "context"): Cell("tested", "the cluster's nodes must reach the servers"),
    **{
        (provider, f"minikube {driver}"): _refused(_THIS_HOST, _BY_CONTEXT)
        for provider in PROVIDERS
        for driver in ("none", "ssh")
    },
}


@dataclass(frozen=True)
class Wish:
    """What was asked for, what is known from before, and what this host is.

    ``provider`` and ``provider_before``: who makes the machines, ``given`` for nobody; ``kind``: auto, embedded,
    minikube or context; ``earlier``: the choice that step 1 wrote down, empty before.
    """

    provider: str = "docker"
    provider_before: str = ""
    kind: str = "auto"
    context: str = ""
    driver: str = ""
    force: bool = False
    root: bool = False
    minikube_installed: bool = False
    earlier: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Choice:
    """What the deployment runs on, and why; ``refusal`` says in one sentence why it cannot, with the line to type.

    ``force``: root has agreed to minikube's docker driver, in this run or in an earlier one.
    """

    provider: str
    kind: str
    driver: str = ""
    context: str = ""
    force: bool = False
    reason: str = ""
    refusal: str = ""


def choose(wish: Wish) -> Choice:
    """The provider and cluster of a deployment. The first thing in the way is the refusal."""
    earlier = dict(wish.earlier or {})
    kind, reason = _kind(wish, earlier)
    driver = ""
    if kind == "minikube":
        driver = wish.driver or earlier.get("driver", "") or DRIVER_OF.get(wish.provider, "docker")
    context = (earlier.get("context", "") or wish.context) if kind == "context" else ""
    force = kind == "minikube" and bool(wish.force or earlier.get("force"))
    choice = Choice(wish.provider, kind, driver, context, force, reason)
    return replace(choice, refusal=_refusal(wish, choice, earlier))


def _kind(wish: Wish, earlier: Mapping[str, Any]) -> tuple[str, str]:
    if earlier.get("kind"):
        return earlier["kind"], earlier.get("reason", "")
    if wish.kind != "auto":
        return wish.kind, "k8s_cluster_kind asks for it"
    if wish.context:
        return "context", "k8s_cluster_context names one"
    if wish.provider == "given":
        return "context", "the machines are given"
    if wish.provider == "virtualbox":
        return "minikube", "the machines are VirtualBox's, and so is minikube's node"
    if wish.driver:
        return "minikube", "k8s_cluster_minikube_driver names its driver"
    if not wish.minikube_installed:
        return "embedded", "no context is named and minikube is not installed"
    if wish.root and not wish.force:
        return "embedded", "no context is named and minikube refuses its docker driver to root"
    return "minikube", "no context is named and minikube is installed"


def _refusal(wish: Wish, choice: Choice, earlier: Mapping[str, Any]) -> str:
    if wish.provider not in PROVIDERS:
        return (
            f"{wish.provider} makes no machines here; there are {', '.join(PROVIDERS[:-1])}. "
            "Type: VAGRANT_DEFAULT_PROVIDER=docker ./run.py"
        )
    if wish.provider_before and wish.provider_before != wish.provider:
        return (
            f"the machines are asked of {wish.provider}, but those of this deployment are {wish.provider_before}'s. "
            f"Type: VAGRANT_DEFAULT_PROVIDER={wish.provider_before} ./run.py, or ./teardown.sh first"
        )
    changed = _changed(wish, earlier)
    if changed:
        return changed
    if choice.kind == "context":
        if not choice.context:
            return (
                "the cluster is one that exists: name it in k8s_cluster_context. Type: kubectl config get-contexts, "
                "which lists them"
            )
        return ""
    if choice.kind == "minikube" and choice.driver not in DRIVERS:
        return (
            f"k8s_cluster_minikube_driver is {choice.driver}; there are {', '.join(DRIVERS)}. "
            f"Type: -e k8s_cluster_minikube_driver={DRIVER_OF.get(wish.provider, 'docker')}"
        )
    cell = CELLS[wish.provider, cluster_name(choice)]
    if cell.how == "refused":
        machines = "given machines" if wish.provider == "given" else f"{wish.provider}'s machines"
        return f"{machines} do not go with cluster {cluster_name(choice)}: {cell.why}. Type: {cell.type_instead}"
    if choice.kind == "minikube" and not wish.minikube_installed:
        return "minikube is not installed. Type: ./install_dep.sh --minikube, or -e k8s_cluster_kind=embedded"
    if choice.kind == "minikube" and choice.driver == "docker" and wish.root and not choice.force:
        return (
            "minikube refuses its docker driver to root. Type: -e k8s_cluster_minikube_force=true, "
            "or run ./run.py as a user"
        )
    return ""


def _changed(wish: Wish, earlier: Mapping[str, Any]) -> str:
    """What is asked for differs from what the deployment runs on."""
    if not earlier.get("kind"):
        return ""
    named = {"kind": "", "driver": wish.driver, "context": wish.context}
    named["kind"] = "" if wish.kind == "auto" else wish.kind
    # A record of before the driver was named has none.
    differ = {key: value for key, value in named.items() if value and value != earlier.get(key, value)}
    if not differ:
        return ""
    names = {"kind": "k8s_cluster_kind", "driver": "k8s_cluster_minikube_driver", "context": "k8s_cluster_context"}
    asked = ", ".join(f"{names[key]} is {value}" for key, value in differ.items())
    runs_on = " ".join(filter(None, (earlier["kind"], earlier.get("driver"), earlier.get("context"))))
    return f"{asked}, but this deployment runs on {runs_on}. Run ./teardown.sh first, or leave them as they were"


def cluster_name(choice: Choice) -> str:
    """The cluster as CLUSTERS name it."""
    return f"minikube {choice.driver}" if choice.kind == "minikube" else choice.kind


def host_only_problem(version: str, networks_conf: str | None, network: str) -> str:
    """Why VirtualBox would refuse a host-only network, with the line to type.

    ``networks_conf`` is the file's text, None without that file.
    """
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if not numbers or numbers < _HOST_ONLY_SINCE:
        return ""
    wanted = ipaddress.IPv4Network(network)
    ranges = [_HOST_ONLY] if networks_conf is None else _listed(networks_conf)
    for text in ranges:
        try:
            allowed = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        if allowed.version == 4 and wanted.subnet_of(allowed):  # type: ignore[arg-type]
            return ""
    return (
        f"VirtualBox {version} allows host-only networks within {', '.join(ranges) or 'nothing'} alone, "
        f"and the machines are on {network}. "
        f"Type: sudo mkdir -p /etc/vbox && echo '* {network}' | sudo tee -a {NETWORKS_CONF}"
    )


def _listed(networks_conf: str) -> Sequence[str]:
    lines = (line.strip() for line in networks_conf.splitlines())
    return [text for line in lines if line.startswith("*") for text in line[1:].split()]


def box_problem(suite: str, named: str, there: bool) -> str:
    """Why Vagrant has no box of a release; ``named`` is another box, ``there``: Debian's was added."""
    if named or there or suite in _BOXES:
        return ""
    return (
        f"Debian publishes no Vagrant box of {suite}. "
        "Type: ODOO_DEPLOY_BOX=NAME ./run.py with a box of that release, or set suite: bookworm in nodes.yml"
    )


def libvirt_problem(connects: bool, plugins: str) -> str:
    """Why Vagrant cannot make machines of libvirt's; ``plugins`` is what `vagrant plugin list` prints."""
    if "vagrant-libvirt" not in plugins:
        return "Vagrant has no plugin for libvirt. Type: ./install_dep.sh --libvirt"
    if not connects:
        return "libvirt does not answer on qemu:///system. Type: ./install_dep.sh --libvirt, which starts it"
    return ""


def minikube_nodes(status: str) -> list[tuple[str, str]]:
    """Name and state of each node, of what `minikube status --output json` prints; empty for anything else."""
    try:
        listed = json.loads(status)
    except ValueError:
        return []
    found = []
    for node in listed if isinstance(listed, list) else [listed]:
        if not isinstance(node, dict) or not node.get("Host"):
            return []
        programs = [(key, str(node.get(key) or "")) for key in ("Kubelet", "APIServer")]
        told = [f"{key} {state}" for key, state in programs if state not in ("", "Running", "Irrelevant")]
        state = str(node["Host"])
        if state == "Running" and told:
            state = f"{state}, {', '.join(told)}"
        found.append((str(node.get("Name") or ""), state))
    return found
