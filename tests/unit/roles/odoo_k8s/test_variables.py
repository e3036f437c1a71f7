# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role reads in the cluster's answers: the pod to show, what to remove; and which passwords it refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

Evaluate = Callable[..., dict[str, Any]]
ROLE = Path(__file__).resolve().parents[4] / "roles" / "odoo_k8s"
VARIABLES: dict[str, Any] = {
    name: value
    for file in [ROLE / "defaults" / "main.yml", *sorted((ROLE / "vars").rglob("*.yml"))]
    for name, value in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).items()
}


def pod(name: str, age: int, phase: str = "Running", ready: bool | None = None, **metadata: Any) -> dict[str, Any]:
    """ready: of its container, None where it has none yet."""
    status = {"phase": phase} if ready is None else {"phase": phase, "containerStatuses": [{"ready": ready}]}
    created = f"2026-11-28T12:{59 - age}:00Z"
    return {"kind": "Pod", "metadata": {"name": name, "creationTimestamp": created, **metadata}, "status": status}


def test_the_pod_that_is_shown(evaluate: Evaluate) -> None:
    """The newest that neither serves nor has finished nor is going."""
    cases = {
        "newest": [pod("new", 2, ready=False), pod("old", 5, ready=False), pod("serves", 1, ready=True)],
        "finished": [pod("done", 1, "Succeeded", False), pod("failed", 9, "Failed", False)],
        "going": [pod("gone", 1, ready=False, deletionTimestamp="2026-11-28T13:00:00Z"), pod("waits", 3, "Pending")],
        "fine": [pod("serves", 1, ready=True), pod("done", 2, "Succeeded", False)],
        "none": [],
    }
    hosts = {name: {"__odoo_k8s_pods": {"resources": pods}} for name, pods in cases.items()}
    asked = [{"ansible.builtin.debug": {"msg": "{{ __odoo_k8s_bad_pod }}"}}]
    told = evaluate(VARIABLES, hosts, asked)
    assert told["newest"] == cases["newest"][0]
    names = {name: found and found["metadata"]["name"] for name, found in told.items()}
    assert names == {"newest": "new", "finished": "failed", "going": "waits", "fine": {}, "none": {}}


def test_what_is_removed(evaluate: Evaluate) -> None:
    """What no ReplicaSet names and is older than a Job may take; never what this run made."""

    def thing(kind: str, name: str, age: int = 1900) -> dict[str, Any]:
        created = (datetime.now(timezone.utc) - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"kind": kind, "metadata": {"name": name, "creationTimestamp": created}}

    def replica_set(**labels: str) -> dict[str, Any]:
        return {"spec": {"template": {"metadata": {"labels": {"app": "odoo", **labels}}}}}

    configs = [thing("ConfigMap", f"odoo-{name}") for name in ("a1", "a1-scripts", "b2", "c3", "c3-scripts", "d4")]
    secrets = [thing("Secret", "odoo-c3"), thing("Secret", "odoo-e5", 1700), thing("Secret", "odoo-a1x")]
    jobs = [thing("Job", "odoo-init-1"), thing("Job", "odoo-init-0"), thing("Job", "odoo-init-2", 1700)]
    known = {
        "__odoo_k8s_replica_sets": {
            "resources": [
                replica_set(**{"odoo-deploy/config": "a1"}),
                replica_set(**{"odoo-deploy/config": "b2"}),
                replica_set(),
            ]
        },
        "__odoo_k8s_found": {"results": [{"resources": found} for found in (configs, secrets, jobs)]},
        "__odoo_k8s_config_hash": "d4",
        "__odoo_k8s_init_job": "odoo-init-1",
    }
    cases = {"now": known, "later": {**known, "odoo_k8s_job_timeout": "2000"}}
    names = "{{ __odoo_k8s_stale | map(attribute='metadata.name') | list }}"
    told = evaluate(VARIABLES, cases, [{"ansible.builtin.debug": {"msg": names}}])
    assert told == {
        "now": ["odoo-c3", "odoo-c3-scripts", "odoo-c3", "odoo-a1x", "odoo-init-0"],
        "later": [],
    }


def test_a_password_is_one_line_that_is_not_empty(evaluate: Evaluate) -> None:
    """It is told by its name."""
    (check, *_more) = yaml.safe_load((ROLE / "tasks" / "check.yml").read_text(encoding="utf-8"))
    names = [f"odoo_k8s_{name}_password" for name in ("db", "session_db", "admin", "master")]
    right = dict.fromkeys(names, "seven words: é'\" #{}")
    cases: dict[str, dict[str, Any]] = {"right": right, "empty": dict.fromkeys(names, "")}
    cases |= {name.removeprefix("odoo_k8s_"): right | {name: "two\nlines"} for name in names}
    cases |= {"end": right | {names[0]: "one\n"}, "return": right | {names[1]: "one\r"}}
    asked = {"ansible.builtin.debug": {"msg": "{{ __odoo_k8s_bad_secrets }}"}, "vars": check["vars"]}
    told = evaluate(VARIABLES, cases, [asked])
    assert told == {
        **{"right": [], "empty": names, "end": names[:1], "return": names[1:2]},
        **{name.removeprefix("odoo_k8s_"): [name] for name in names},
    }
