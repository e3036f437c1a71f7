# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Jobs, Deployments and pods are doing, by what kubernetes.core's modules answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

Thing = Mapping[str, Any]


class JobEnd(NamedTuple):
    """end: Complete, Failed, stuck (for the time of a rollout no pod of it has run), gone (somebody removed it), or
    empty: it goes on."""

    end: str
    status: Thing


class Rollout(NamedTuple):
    """done: all pods are new and available; stuck: Deployments that have given up, for want of progress within their
    deadline or because no pod could be made (a quota, a refused pod)."""

    done: bool
    stuck: Sequence[Thing]


def things(answer: Thing, kind: str) -> list[Thing]:
    """Of that kind in the answer of k8s_info, or of k8s: what was applied comes back with its status."""
    if "resources" in answer:
        return [thing for thing in answer["resources"] if thing.get("kind") == kind]
    applied = (one["result"] for one in answer["result"]["results"])
    return [thing for thing in applied if thing.get("kind") == kind]


def holds(thing: Thing, **wanted: str) -> bool:
    """Whether one of its conditions has such a status."""
    conditions = thing.get("status", {}).get("conditions", [])
    return any(wanted.get(condition["type"]) == condition["status"] for condition in conditions)


def job_end(answer: Thing, now: float, patience: int) -> JobEnd:
    """now: seconds of the epoch; patience: seconds of a rollout."""
    jobs = things(answer, "Job")
    if not jobs:
        return JobEnd("gone" if "resources" in answer else "", {})
    status = jobs[0].get("status", {})
    for end in ("Complete", "Failed"):
        if holds(jobs[0], **{end: "True"}):
            return JobEnd(end, status)
    begun = status.get("startTime", "").replace("Z", "+00:00")
    waits = begun and not status.get("ready", 0) and not status.get("failed", 0)
    late = waits and now - datetime.fromisoformat(begun).timestamp() > patience
    return JobEnd("stuck" if late else "", status)


def rollout(answer: Thing) -> Rollout:
    """Of all Deployments in the answer."""
    deployments = things(answer, "Deployment")
    # Before that its status is of what was.
    seen = [
        one
        for one in deployments
        if one.get("status", {}).get("observedGeneration", 0) >= one["metadata"]["generation"]
    ]
    new = [one for one in seen if pods(one) == {one["spec"]["replicas"]}]
    stuck = [one for one in seen if holds(one, Progressing="False", ReplicaFailure="True")]
    return Rollout(bool(deployments) and len(new) == len(deployments), stuck)


def pods(deployment: Thing) -> set[int]:
    """One number if none is old and each is available."""
    return {deployment["status"].get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")}


def ready(pod: Thing) -> bool:
    """By its first container, which is Odoo's; one that waits for a node has none yet."""
    containers = pod["status"].get("containerStatuses") or [{}]
    return bool(containers[0].get("ready"))


def pod_to_show(answer: Thing) -> Thing:
    """The newest of those that neither serve nor have finished, or nothing."""
    bad = [
        pod
        for pod in answer["resources"]
        if pod["status"].get("phase") != "Succeeded" and "deletionTimestamp" not in pod["metadata"] and not ready(pod)
    ]
    bad.sort(key=lambda pod: pod["metadata"].get("creationTimestamp", ""))
    return bad[-1] if bad else {}
