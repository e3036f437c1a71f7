# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How minikube is started: every time with its driver, network, address and container runtime named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Evaluate = Callable[..., dict[str, Any]]
ROLE = Path(__file__).resolve().parents[3] / "roles" / "k8s_cluster"
VARIABLES: dict[str, Any] = {
    **yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")),
    **yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8")),
    "k8s_cluster_images_dir": str(ROLE.parents[1] / "images"),
    "k8s_cluster_deployment": "shop",
    "k8s_cluster_kind": "minikube",
    "__k8s_cluster_minikube_found": True,
}


def test_start_of_minikube(evaluate: Evaluate, tmp_path: Path) -> None:
    record = tmp_path / "earlier.json"
    earlier = {"kind": "minikube", "driver": "docker", "profile": "old", "reason": "then", "provider": "docker"}
    record.write_text(json.dumps(earlier))
    cases: dict[str, dict[str, Any]] = {
        "docker": {"k8s_cluster_record": str(tmp_path / "none")},
        "forced": {"k8s_cluster_record": str(tmp_path / "none"), "k8s_cluster_minikube_force": "true"},
        "virtualbox": {"k8s_cluster_record": str(tmp_path / "none"), "k8s_cluster_machines": "virtualbox"},
        "remembered": {"k8s_cluster_record": str(record)},
    }
    told = evaluate(VARIABLES, cases, [{"ansible.builtin.debug": {"msg": "{{ __k8s_cluster_minikube_start }}"}}])
    usual = [
        "--container-runtime",
        "containerd",
        "--memory",
        "4096",
        "--cpus",
        "2",
        "--embed-certs",
        "--interactive=false",
    ]
    joined = ["--network", "vagrant_network_192.168.99.0/24", "--static-ip", "192.168.99.100"]
    docker = ["minikube", "start", "--profile", "shop", "--driver", "docker", *usual, *joined]
    assert told["docker"] == docker
    assert told["forced"] == [*docker, "--force"]
    assert told["virtualbox"] == [
        *("minikube", "start", "--profile", "shop", "--driver", "virtualbox", *usual),
        *("--host-only-cidr", "192.168.99.1/24"),
    ]
    assert told["remembered"] == ["old" if word == "shop" else word for word in docker]
