# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines go with which cluster: every cell of the table, what is taken by default, and each refusal."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.platform_choice import platform_choice
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils.platforms import (
    CELLS,
    CLUSTERS,
    DRIVERS,
    PROVIDERS,
    Wish,
    box_problem,
    choose,
    cluster_name,
    host_only_problem,
    libvirt_problem,
    minikube_nodes,
)

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "production.md"
INSTALLED = Wish(minikube_installed=True)


def wish_of(provider: str, cluster: str) -> Wish:
    """What somebody asks for who wants that cell."""
    kind, _space, driver = cluster.partition(" ")
    context = "theirs" if kind == "context" else ""
    return replace(INSTALLED, provider=provider, kind=kind, driver=driver, context=context)


def test_the_table_is_whole() -> None:
    assert set(CELLS) == set(product(PROVIDERS, CLUSTERS))


@pytest.mark.parametrize(("provider", "cluster"), list(product(PROVIDERS, CLUSTERS)))
def test_each_cell(provider: str, cluster: str) -> None:
    """A refused one says why and what to type, and what it says to type is not refused in turn."""
    cell, choice = CELLS[provider, cluster], choose(wish_of(provider, cluster))
    assert cluster_name(choice) == cluster
    if cell.how != "refused":
        assert choice.refusal == ""
        return
    assert cell.why in choice.refusal
    assert choice.refusal.endswith(f"Type: {cell.type_instead}")
    typed = dict(re.findall(r"k8s_cluster_(?:minikube_)?(kind|driver|context)=(\S+)", cell.type_instead))
    kind = typed.get("kind", "minikube")
    assert choose(replace(INSTALLED, provider=provider, **{"kind": kind, **typed})).refusal == ""


def test_the_document_has_the_same_table() -> None:
    rows = {
        (cells[0], cells[1]): cells[2]
        for line in DOCUMENT.read_text(encoding="utf-8").splitlines()
        if (cells := [cell.strip() for cell in line.strip("|").split("|")])[0] in PROVIDERS and len(cells) == 4
    }
    assert rows == {cell: CELLS[cell].how for cell in CELLS}


@pytest.mark.parametrize(
    ("wish", "takes"),
    [
        (Wish(), "docker embedded"),
        (Wish(root=True), "docker embedded"),
        (INSTALLED, "docker minikube docker"),
        (replace(INSTALLED, root=True), "docker embedded"),
        (replace(INSTALLED, root=True, force=True), "docker minikube docker"),
        (replace(INSTALLED, kind="embedded"), "docker embedded"),
        (replace(INSTALLED, context="theirs"), "docker context"),
        (Wish(provider="libvirt"), "libvirt embedded"),
        (replace(INSTALLED, provider="libvirt"), "libvirt minikube docker"),
        (replace(INSTALLED, provider="virtualbox"), "virtualbox minikube virtualbox"),
        (Wish(provider="given", context="theirs"), "given context"),
        (
            replace(INSTALLED, root=True, earlier={"kind": "minikube", "driver": "docker", "force": True}),
            "docker minikube docker",
        ),
        (replace(INSTALLED, earlier={"kind": "embedded", "reason": "then"}), "docker embedded"),
        (Wish(earlier={"kind": "context", "context": "theirs"}), "docker context"),
    ],
)
def test_what_is_taken(wish: Wish, takes: str) -> None:
    choice = choose(wish)
    assert f"{choice.provider} {cluster_name(choice)}" == takes
    assert choice.refusal == ""
    assert choice.reason or wish.earlier


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Wish(provider="vmware"), "vmware makes no machines here"),
        (
            Wish(provider="libvirt", provider_before="docker"),
            "are docker's. Type: VAGRANT_DEFAULT_PROVIDER=docker ./run.py",
        ),
        (Wish(kind="context"), "name it in k8s_cluster_context"),
        (Wish(provider="given"), "name it in k8s_cluster_context"),
        (replace(INSTALLED, kind="minikube", driver="podman"), "there are docker, kvm2, virtualbox, none, ssh"),
        (Wish(kind="minikube"), "minikube is not installed. Type: ./install_dep.sh --minikube"),
        (Wish(provider="virtualbox"), "minikube is not installed"),
        (replace(INSTALLED, kind="minikube", root=True), "Type: -e k8s_cluster_minikube_force=true"),
        (
            Wish(kind="minikube", earlier={"kind": "embedded"}),
            "k8s_cluster_kind is minikube, but this deployment runs on embedded",
        ),
        (
            Wish(context="mine", earlier={"kind": "context", "context": "theirs"}),
            "this deployment runs on context theirs",
        ),
        (
            replace(INSTALLED, driver="kvm2", earlier={"kind": "minikube", "driver": "docker"}),
            "k8s_cluster_minikube_driver is kvm2, but this deployment runs on minikube docker",
        ),
    ],
)
def test_what_is_refused(wish: Wish, says: str) -> None:
    assert says in choose(wish).refusal


def test_every_driver_has_a_row() -> None:
    assert {f"minikube {driver}" for driver in DRIVERS} < set(CLUSTERS)


@pytest.mark.parametrize(
    ("version", "conf", "network", "fine"),
    [
        ("6.1.26r145957", None, "192.168.99.0/24", True),
        ("6.1.28", None, "192.168.99.0/24", False),
        ("7.0.20r163906", None, "192.168.99.0/24", False),
        ("7.0.20", None, "192.168.57.0/24", True),
        ("7.0.20", "", "192.168.57.0/24", False),  # the file takes the place of what is allowed without it
        ("7.0.20", "# * 192.168.99.0/24\n", "192.168.99.0/24", False),
        ("7.0.20", "* 10.0.0.0/8 192.168.0.0/16\n", "192.168.99.0/24", True),
        ("7.0.20", "* ten/8 fe80::/10\n  * 192.168.99.0/24", "192.168.99.0/24", True),
        ("", None, "192.168.99.0/24", True),
    ],
)
def test_host_only_networks(version: str, conf: str | None, network: str, fine: bool) -> None:
    problem = host_only_problem(version, conf, network)
    assert (problem == "") == fine
    if not fine:
        assert problem.endswith(f"echo '* {network}' | sudo tee -a /etc/vbox/networks.conf")


@pytest.mark.parametrize(
    ("suite", "named", "there", "fine"),
    [
        ("bookworm", "", False, True),
        ("trixie", "", False, False),
        ("trixie", "generic/debian13", False, True),
        ("trixie", "", True, True),
    ],
)
def test_boxes(suite: str, named: str, there: bool, fine: bool) -> None:
    assert (box_problem(suite, named, there) == "") == fine


def test_libvirt() -> None:
    assert libvirt_problem(True, "vagrant-libvirt (0.11.2, system)") == ""
    assert "no plugin" in libvirt_problem(True, "")
    assert "does not answer" in libvirt_problem(False, "vagrant-libvirt (0.11.2, system)")


@pytest.mark.parametrize(
    ("status", "nodes"),
    [
        ('{"Name": "a", "Host": "Running", "Kubelet": "Running", "APIServer": "Running"}', [("a", "Running")]),
        ('{"Name": "a", "Host": "Stopped", "Kubelet": "Stopped"}', [("a", "Stopped")]),
        (
            '[{"Name": "a", "Host": "Running", "Kubelet": "Stopped", "APIServer": "Paused"},'
            ' {"Name": "a-m02", "Host": "Running", "Kubelet": "Running", "APIServer": "Irrelevant"}]',
            [("a", "Running, Kubelet Stopped, APIServer Paused"), ("a-m02", "Running")],
        ),
        ('* Profile "a" not found', []),
        ("[3]", []),
        ('{"Name": "a"}', []),
        ("", []),
    ],
)
def test_status_of_minikube(status: str, nodes: list[tuple[str, str]]) -> None:
    assert minikube_nodes(status) == nodes


def test_filter() -> None:
    choice: dict[str, Any] = platform_choice("docker", kind="minikube", root="false", minikube_installed="yes")
    assert (choice["kind"], choice["driver"], choice["refusal"]) == ("minikube", "docker", "")
    with pytest.raises(AnsibleFilterError, match="colour"):
        platform_choice("docker", colour="red")
