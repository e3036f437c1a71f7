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


def test_what_a_trial_run_has_nothing_to_read_of(evaluate: Evaluate, tmp_path: Path) -> None:
    """A cluster that does not run is named; one that runs, and a given one, are read."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("clusters:\n- cluster:\n    server: https://192.168.99.100:8443\n")
    here = {"k8s_cluster_record": str(tmp_path / "none"), "k8s_cluster_kubeconfig": str(kubeconfig)}
    embedded = {**here, "k8s_cluster_kind": "embedded"}
    skipped, absent = {"skipped": True}, {"exists": False, "container": None}
    running = {"exists": True, "container": {"State": {"Running": True}}}
    stopped = {"exists": True, "container": {"State": {"Running": False}}}
    cases: dict[str, dict[str, Any]] = {
        "embedded_absent": {**embedded, "__k8s_cluster_node_found": absent},
        "embedded_stopped": {**embedded, "__k8s_cluster_node_found": stopped},
        "embedded_running": {**embedded, "__k8s_cluster_node_found": running},
        "minikube_absent": {**here, "__k8s_cluster_node_found": skipped, "__k8s_cluster_minikube_status": {"rc": 85}},
        "minikube_running": {**here, "__k8s_cluster_node_found": skipped, "__k8s_cluster_minikube_status": {"rc": 0}},
        "given": {**here, "k8s_cluster_kind": "context", "k8s_cluster_context": "theirs"},
    }
    told = evaluate(VARIABLES, cases, [{"ansible.builtin.debug": {"msg": "{{ __k8s_cluster_blind_because }}"}}])
    assert told == {
        "embedded_absent": "Container shop-minikube does not run",
        "embedded_stopped": "Container shop-minikube does not run",
        "embedded_running": "",
        "minikube_absent": "minikube profile shop does not run",
        "minikube_running": "",
        "given": "",
    }
