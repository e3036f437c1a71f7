# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How minikube is started, what its nodes are made of, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.minikube_plan import make_plan
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils.minikube_plan import Wish, plan

WISH = Wish("shop", "docker", "192.168.99.0/24", "192.168.99.1", "192.168.99.100", tested="v1.38.1", version="v1.38.1")


@pytest.mark.parametrize(
    ("wish", "parts"),
    [
        (WISH, ""),
        (replace(WISH, vendor_answers=True), "vendor"),
        (replace(WISH, vendor_answers=False), "built"),
        (replace(WISH, parts="built", vendor_answers=True), "built"),
        (replace(WISH, parts="vendor", vendor_answers=False), "vendor"),
        (replace(WISH, image_before="odoo-deploy/minikube-node:1", vendor_answers=True), "built"),
        (replace(WISH, image_before="gcr.io/k8s-minikube/kicbase:v0.0.50@sha256:eb", vendor_answers=False), "vendor"),
        (replace(WISH, image_before="", vendor_answers=False), "vendor"),
        (replace(WISH, driver="virtualbox", vendor_answers=False), "vendor"),
    ],
)
def test_where_the_parts_come_from(wish: Wish, parts: str) -> None:
    assert plan(wish).parts == parts
    assert plan(wish).refusal == ""


def test_only_what_is_built_is_named() -> None:
    vendor = plan(replace(WISH, vendor_answers=True)).argv
    built = plan(replace(WISH, vendor_answers=False, image="odoo-deploy/minikube-node:1", kubernetes="v1.35.4")).argv
    assert built == [
        *vendor,
        *("--base-image", "odoo-deploy/minikube-node:1", "--kubernetes-version", "v1.35.4"),
        *("--cni", "bridge", "--install-addons=false", "--force"),
    ]


def test_several_nodes_have_an_address_each() -> None:
    """minikube gives a static address to every node, so several must do without."""
    several = replace(WISH, nodes=3)
    assert "192.168.99.100" in plan(WISH).argv
    assert "cluster.address in nodes.yml to 192.168.99.2" in plan(several).refusal
    first = plan(replace(several, address="192.168.99.2"))
    assert first.refusal == ""
    assert "--static-ip" not in first.argv
    assert first.argv[first.argv.index("--nodes") + 1] == "3"
    assert plan(replace(several, driver="virtualbox")).refusal == ""
    assert "bridge" in plan(replace(WISH, parts="built")).argv  # whose pods of two nodes would not meet
    assert "kindnet" in plan(replace(several, parts="built")).argv


def test_parts_are_built_for_one_version() -> None:
    other = replace(WISH, version="v1.37.0")
    assert plan(replace(other, vendor_answers=True)).refusal == ""
    refusal = plan(replace(other, vendor_answers=False)).refusal
    assert "v1.38.1 alone; installed is v1.37.0" in refusal
    assert refusal.endswith("type: ./install_dep.sh --minikube")


@pytest.mark.parametrize(
    ("config", "exists", "parts"),
    [
        (None, False, ""),
        ({"KicBaseImage": "odoo-deploy/minikube-node:1"}, True, "built"),
        ({}, True, "vendor"),
    ],
)
def test_profile_that_exists(
    config: dict[str, str] | None, exists: bool, parts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIKUBE_HOME", str(tmp_path))
    if config is not None:
        (tmp_path / ".minikube/profiles/shop").mkdir(parents=True)
        (tmp_path / ".minikube/profiles/shop/config.json").write_text(json.dumps(config))
    options: dict[str, Any] = {"driver": "docker", "network": WISH.network, "gateway": WISH.gateway}
    options |= {"address": WISH.address, "vendor_answers": ""}
    made = make_plan("shop", **options)
    assert (made["exists"], made["parts"], made["home"]) == (exists, parts, str(tmp_path / ".minikube"))
    with pytest.raises(AnsibleFilterError, match="colour"):
        make_plan("shop", **options, colour="red")
    with pytest.raises(AnsibleFilterError, match=r"192\.168\.99\.0/25"):
        make_plan("shop", **{**options, "gateway": "192.168.99.0/25"}, nodes="2")
