# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs, Deployments and pods by what the cluster says of them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.k8s_job import k8s_job
from ansible_collections.odoo_deploy.stack.plugins.filter.k8s_pod_to_show import k8s_pod_to_show
from ansible_collections.odoo_deploy.stack.plugins.filter.k8s_rollout import k8s_rollout
from ansible_collections.odoo_deploy.stack.plugins.module_utils.kubernetes_answers import job_end, pod_to_show, rollout

BEGAN = datetime(2026, 11, 28, 12, tzinfo=timezone.utc).timestamp()
START = {"startTime": "2026-11-28T12:00:00Z"}


def asked(*things: dict[str, Any]) -> dict[str, Any]:
    return {"resources": list(things)}


def applied(*things: dict[str, Any]) -> dict[str, Any]:
    return {"result": {"results": [{"result": thing} for thing in ({"kind": "ConfigMap"}, *things)]}}


def job(**status: Any) -> dict[str, Any]:
    return {"kind": "Job", "status": status}


def condition(kind: str, status: str = "True") -> dict[str, Any]:
    return {"conditions": [{"type": "Suspended", "status": "False"}, {"type": kind, "status": status}]}


@pytest.mark.parametrize(
    ("answer", "after", "end"),
    [
        (asked(job(**condition("Complete"))), 0, "Complete"),
        (applied(job(**condition("Failed"), **START)), 999, "Failed"),
        (asked(job(**condition("Failed", "False"), **START)), 10, ""),
        (asked(job(**START)), 300, ""),
        (asked(job(**START)), 301, "stuck"),
        (asked(job(**START, ready=1)), 301, ""),
        (asked(job(**START, failed=1)), 301, ""),  # its next pod is on its way
        (asked(job()), 9999, ""),
        (asked(), 0, "gone"),
        (applied({"kind": "Job"}), 0, ""),
        (applied(), 0, ""),  # nothing was applied: it is not known to be gone
    ],
)
def test_how_a_job_ended(answer: dict[str, Any], after: int, end: str) -> None:
    assert job_end(answer, BEGAN + after, 300).end == end


def test_the_status_of_the_job_is_told() -> None:
    assert k8s_job(asked(job(ready=1)), BEGAN, 300) == {"end": "", "status": {"ready": 1}}


def deployment(name: str = "odoo", generation: int = 2, **status: Any) -> dict[str, Any]:
    all_of_them = {"observedGeneration": 2, "updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}
    metadata = {"name": name, "generation": generation}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 3}, "status": all_of_them | status}


@pytest.mark.parametrize(
    ("things", "done", "stuck"),
    [
        ([deployment()], True, []),
        ([deployment(), deployment("odoo-cron", availableReplicas=2)], False, []),
        ([deployment(replicas=4)], False, []),  # an old pod is there
        ([deployment(updatedReplicas=2, **condition("Progressing", "False"))], False, ["odoo"]),
        ([deployment(availableReplicas=0, **condition("ReplicaFailure"))], False, ["odoo"]),
        ([deployment(**condition("Progressing"))], True, []),
        ([deployment(generation=3, **condition("Progressing", "False"))], False, []),  # said of what was before
        ([], False, []),
    ],
)
def test_a_rollout(things: list[dict[str, Any]], done: bool, stuck: list[str]) -> None:
    for answer in (asked(*things), applied(*things)):
        found = rollout(answer)
        assert (found.done, [one["metadata"]["name"] for one in found.stuck]) == (done, stuck)
    none = rollout(asked(deployment(updatedReplicas=0, replicas=0, availableReplicas=0) | {"spec": {"replicas": 0}}))
    assert none.done


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="k8s_rollout: this is no answer"):
        k8s_rollout({"result": []})
    with pytest.raises(AnsibleFilterError, match="k8s_job: this is no answer"):
        k8s_job({}, 0, 0)


def pod(name: str, minute: int, phase: str = "Running", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "creationTimestamp": f"2026-11-28T12:{minute:02}:00Z"}
    return {"kind": "Pod", "metadata": metadata, "status": {"phase": phase, **more}}


def containers(*ready: bool) -> dict[str, Any]:
    return {"containerStatuses": [{"ready": each} for each in ready]}


GOING = pod("going", 9, **containers(False))
GOING["metadata"]["deletionTimestamp"] = "2026-11-28T13:00:00Z"


@pytest.mark.parametrize(
    ("pods", "name"),
    [
        ([pod("old", 1, **containers(False)), pod("new", 2, **containers(False))], "new"),
        ([pod("new", 2, **containers(False)), pod("old", 1, **containers(False))], "new"),
        ([pod("one", 1, **containers(False)), pod("two", 1, **containers(False))], "two"),
        ([pod("bad", 1, **containers(False)), pod("serves", 2, **containers(True))], "bad"),
        ([pod("bad", 1, **containers(False, True)), pod("serves", 2, **containers(True, False))], "bad"),
        ([pod("failed", 1, "Failed", **containers(False)), pod("done", 2, "Succeeded", **containers(False))], "failed"),
        ([pod("waits", 1, "Pending"), GOING], "waits"),  # for a node: it has no container yet
        ([pod("waits", 1, "Pending", containerStatuses=[])], "waits"),
        ([pod("serves", 2, **containers(True)), GOING], ""),
        ([], ""),
    ],
)
def test_the_pod_to_show(pods: list[dict[str, Any]], name: str) -> None:
    found = pod_to_show(asked(*pods))
    assert (found["metadata"]["name"] if found else "") == name
    assert k8s_pod_to_show(asked(*pods)) == found


def test_no_answer_has_no_pod() -> None:
    for answer in ({}, asked({"kind": "Pod"}), {"resources": None}):
        with pytest.raises(AnsibleFilterError, match="k8s_pod_to_show: this is no answer"):
            k8s_pod_to_show(answer)
