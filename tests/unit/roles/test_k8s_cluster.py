# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How minikube is started, and what a trial run knows of a cluster."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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
    "k8s_cluster_choice": "{{ __k8s_cluster_choice }}",  # a fact, by tasks/choice.yml
}


def test_start_of_minikube(evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the role knows reaches the plan."""
    monkeypatch.setenv("MINIKUBE_HOME", str(tmp_path))
    record = tmp_path / "earlier.json"
    earlier = {"kind": "minikube", "driver": "docker", "profile": "old", "reason": "then", "provider": "docker"}
    record.write_text(json.dumps(earlier))
    none = {"k8s_cluster_record": str(tmp_path / "none")}
    answers = {"__k8s_cluster_minikube_vendor": {"status": 200}}
    cases: dict[str, dict[str, Any]] = {
        "unasked": none,
        "docker": {**none, **answers, "k8s_cluster_minikube_memory": 3000, "k8s_cluster_minikube_force": "true"},
        "several": {**none, **answers, "k8s_cluster_minikube_nodes": "2", "k8s_cluster_node_address": "192.168.99.2"},
        "virtualbox": {**none, "k8s_cluster_machines": "virtualbox"},
        "remembered": {"k8s_cluster_record": str(record), **answers},
        "built": {
            **none,
            "__k8s_cluster_minikube_vendor": {"status": -1},
            "__k8s_cluster_minikube_version": {"stdout": "v1.38.1"},
            "__k8s_cluster_minikube_images": {"node": "odoo-deploy/minikube-node:1"},
        },
        "other": {
            **none,
            "k8s_cluster_minikube_parts": "built",
            "__k8s_cluster_minikube_version": {"stdout": "v1.37.0"},
        },
    }
    told = evaluate(VARIABLES, cases, [{"ansible.builtin.debug": {"msg": "{{ __k8s_cluster_minikube_plan }}"}}])
    assert {name: plan["parts"] for name, plan in told.items()} == {
        **{"unasked": "", "docker": "vendor", "several": "vendor", "virtualbox": "vendor"},
        **{"remembered": "vendor", "built": "built", "other": "built"},
    }
    assert {name for name, plan in told.items() if plan["refusal"]} == {"other"}
    assert told["docker"]["argv"] == [
        *("minikube", "start", "--profile", "shop", "--driver", "docker", "--container-runtime", "containerd"),
        *("--memory", "3000", "--cpus", "2", "--embed-certs", "--interactive=false"),
        *("--network", "vagrant_network_192.168.99.0/24", "--static-ip", "192.168.99.100", "--force"),
    ]
    assert told["several"]["argv"][-4:-2] == ["--nodes", "2"]
    assert told["virtualbox"]["argv"][-1] == "192.168.99.1/24"
    assert told["remembered"]["argv"][3] == "old"
    kubernetes = told["built"]["argv"].index("--kubernetes-version")
    assert told["built"]["argv"][kubernetes + 1].startswith("v1.")
    assert "odoo-deploy/minikube-node:1" in told["built"]["argv"]
    assert told["docker"]["home"] == str(tmp_path / ".minikube")


def test_what_is_built_is_where_minikube_looks(evaluate: Evaluate, tmp_path: Path) -> None:
    """The folder has the name that install_dep.sh gives it; another image makes another tarball."""
    programs = {name: f"odoo-deploy/kube-{name}:1" for name in ("programs", "coredns", "pause", "cadvisor")}
    cases = {
        number: {
            "k8s_cluster_record": str(tmp_path / "none"),
            "k8s_cluster_cache_dir": "/cache",
            "__k8s_cluster_programs": programs,
            "__k8s_cluster_minikube_images": {"node": f"node:{number}", "proxy": "proxy:1", "kindnet": "net:1"},
        }
        for number in ("1", "2")
    }
    asked = ", ".join(f"__k8s_cluster_minikube_{name}" for name in ("dir", "links", "names"))
    told = evaluate(VARIABLES, cases, [{"ansible.builtin.debug": {"msg": f"{{{{ [{asked}] }}}}"}}])
    (folder, links, names), (_same, other, _names) = told["1"], told["2"]
    assert [name.partition(":")[0].rpartition("/")[2] for name in names] == ["storage-provisioner", "kindnetd"]
    text = (ROLE.parents[1] / "install_dep.sh").read_text(encoding="utf-8")
    function = next(line for line in text.splitlines() if line.startswith("minikube_build()"))
    named = subprocess.run(
        ["bash", "-c", f"cache_dir=/cache; {function}; minikube_build"],
        cwd=ROLE.parents[1], check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert folder == named.stdout.strip()
    programs_there = {path.rpartition("/")[2] for path, target in links.items() if target.endswith("/kube")}
    assert programs_there == {"kubeadm", "kubelet", "kubectl"}
    tarball = next(path for path in links if "preloaded-tarball" in path)
    assert re.fullmatch(r".*/preloaded-images-k8s-v18-v1\.\d+\.\d+-containerd-overlay2-\w+\.tar\.lz4", tarball)
    assert links[tarball] != other[tarball]


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


def test_each_of_kubernetes_images_is_known_by_its_names(evaluate: Evaluate) -> None:
    """One executable serves all but two, under many names; kube-proxy's is nobody's, the node has it itself."""
    asked = [f"registry.k8s.io/{name}" for name in ("kube-apiserver:v1.34.0", "kube-proxy:v1.34.0", "etcd:3.6.4-0")]
    asked += ["registry.k8s.io/coredns/coredns:v1.12.1", "registry.k8s.io/pause:3.10.1", "registry.test/pauses:1"]
    known = {
        "__k8s_cluster_programs": {"programs": "kube-programs:1", "coredns": "kube-coredns:1", "pause": "kube-pause:1"},
        "__k8s_cluster_image_list": {"stdout_lines": asked},
    }
    told = evaluate(
        VARIABLES, {"node": known}, [{"ansible.builtin.debug": {"msg": "{{ __k8s_cluster_control_plane_images }}"}}]
    )
    assert told["node"] == {
        "kube-programs:1": [asked[0], asked[2], asked[5]],
        "kube-coredns:1": [asked[3]],
        "kube-pause:1": [asked[4]],
    }


def test_what_is_wrong_with_a_given_cluster(evaluate: Evaluate) -> None:
    """In words that end with what to do about it."""
    cases: dict[str, dict[str, Any]] = {
        name: {"__k8s_cluster_answer": answer}
        for name, answer in {
            "refused": {"msg": "(401) Reason: Unauthorized"},
            "both": {"msg": "Max retries exceeded, the last with 401"},
            "silent": {"msg": "HTTPSConnectionPool: Max retries exceeded with url: /version"},
            "other": {"msg": "Invalid kube-config file"},
            "nothing": {},
        }.items()
    }
    told = evaluate(VARIABLES, cases, [{"ansible.builtin.debug": {"msg": "{{ __k8s_cluster_problem }}"}}])
    assert told == {
        "refused": "the cluster refuses its credentials (401). Renew them",
        "both": "the cluster refuses its credentials (401). Renew them",
        "silent": "the cluster does not answer. Start it",
        "other": "Invalid kube-config file. Correct it",
        "nothing": "it cannot be read. Correct it",
    }
