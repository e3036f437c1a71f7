# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How minikube is started, and what its nodes are made of. Standard library only."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

#: Where the node's image, crictl and Kubernetes' images come from; auto: the vendor where it answers, else built here.
PARTS = ("auto", "vendor", "built")
#: Beginning of the name of a node's image that was built here.
BUILT = "odoo-deploy/minikube"


@dataclass(frozen=True)
class Wish:
    """What is asked for, and what this host has.

    ``network``: of machines and nodes, in CIDR form; ``image``: the node's image and ``kubernetes`` the version in it
    once they were built here; ``image_before``: of a profile that exists, None without one; ``vendor_answers``: None
    before it was asked; ``version``: minikube's, ``tested``: the one that parts are built for.
    """

    profile: str
    driver: str
    network: str
    gateway: str
    address: str
    force: bool = False
    memory: int = 4096
    cpus: int = 2
    nodes: int = 1
    parts: str = "auto"
    image: str = ""
    kubernetes: str = ""
    image_before: str | None = None
    vendor_answers: bool | None = None
    version: str = ""
    tested: str = ""


@dataclass(frozen=True)
class Plan:
    """``parts``: vendor, built, or empty while that depends on whether the vendor answers."""

    parts: str
    refusal: str = ""
    argv: list[str] = field(default_factory=list)


def plan(wish: Wish) -> Plan:
    """How to start minikube; ``refusal`` says in one sentence why it would not come up, with the cure."""
    parts = _parts(wish)
    return Plan(parts, _refusal(wish, parts), _argv(wish, parts))


def _parts(wish: Wish) -> str:
    if wish.driver != "docker":
        return "vendor"
    if wish.parts != "auto":
        return wish.parts
    if wish.image_before is not None:
        return "built" if wish.image_before.startswith(BUILT) else "vendor"
    if wish.vendor_answers is None:
        return ""
    return "vendor" if wish.vendor_answers else "built"


def _refusal(wish: Wish, parts: str) -> str:
    several = wish.driver == "docker" and wish.nodes > 1
    first = str(ipaddress.ip_address(wish.gateway) + 1) if several else wish.address
    if wish.address != first:
        return (
            f"k8s_cluster_minikube_nodes is {wish.nodes}, and minikube gives several nodes the addresses from {first} "
            f"on; the first one's is {wish.address} here. Set cluster.address in nodes.yml to {first}, and leave "
            f"{wish.nodes} addresses from there to them"
        )
    if parts == "built" and wish.version != wish.tested:
        return (
            f"minikube's downloads do not answer, and what its node needs is built here for {wish.tested} alone; "
            f"installed is {wish.version}. Remove it from PATH and type: ./install_dep.sh --minikube"
        )
    return ""


def _argv(wish: Wish, parts: str) -> list[str]:
    argv = ["minikube", "start", "--profile", wish.profile, "--driver", wish.driver]
    argv += ["--container-runtime", "containerd", "--memory", str(wish.memory), "--cpus", str(wish.cpus)]
    argv += ["--embed-certs", "--interactive=false"]
    if wish.nodes > 1:
        argv += ["--nodes", str(wish.nodes)]
    if wish.driver == "docker":
        argv += ["--network", f"vagrant_network_{wish.network}"]
        # minikube would give every node this one address.
        argv += [] if wish.nodes > 1 else ["--static-ip", wish.address]
    if wish.driver == "virtualbox":  # which gives its network a range of addresses
        argv += ["--host-only-cidr", f"{wish.gateway}/{wish.network.partition('/')[2]}"]
    if parts == "built":
        argv += ["--base-image", wish.image, "--kubernetes-version", wish.kubernetes]
        # Addons' images are nowhere here. One node's network needs no image, that of several was built.
        argv += ["--cni", "kindnet" if wish.nodes > 1 else "bridge", "--install-addons=false"]
    # Without it, minikube looks on the internet for a Kubernetes that came out after itself.
    if wish.force or parts == "built":
        argv += ["--force"]
    return argv
