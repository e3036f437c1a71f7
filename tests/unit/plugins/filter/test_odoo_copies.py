# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ./run.py odoo copy list shows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_copies import age, odoo_copies

NOW = 1_795_860_000.0  # 2026-11-28 10:00 UTC


def space(**metadata: Any) -> dict[str, Any]:
    taken = {"odoo-deploy.copied": "2026-11-28T07:00:00Z"}
    return {"metadata": {"name": "odoo-copy-a", "labels": {"odoo-deploy.copy": "a"}, "annotations": taken, **metadata}}


def workload(name: str, wanted: int = 1, ready: int = 1) -> dict[str, Any]:
    status = {"readyReplicas": ready} if ready else {}
    return {
        "metadata": {"namespace": "odoo-copy-a", "name": name},
        "spec": {"replicas": wanted},
        "status": status,
    }


SERVICE = {
    "metadata": {"namespace": "odoo-copy-a", "name": "odoo"},
    "spec": {"ports": [{"nodePort": 32250}, {"nodePort": 32251}]},
}
LOOKED: dict[str, Any] = {"standby": False, "copies": {"odoo_copy_a": 1_200_000_000}, "roles": ["odoo_copy_a"]}


def shown(looked: dict[str, Any] | None = None, space_: dict[str, Any] | None = None, *pods: dict[str, Any]) -> str:
    cluster = {"deployments": pods or [workload("odoo"), workload("odoo-cron")], "services": [SERVICE]}
    seen = [{**LOOKED, "standby": True, "copies": {}, "roles": []}, {**LOOKED, **(looked or {})}]
    (line,) = odoo_copies(seen, "odoo", [space_ or space()], cluster, now=NOW, address="192.0.2.9")
    return line


def test_a_copy_that_serves() -> None:
    assert shown() == "a: ready, data of 3 hours ago, 1.2 GB, http://192.0.2.9:32250"


@pytest.mark.parametrize(
    ("looked", "space_", "pods", "state"),
    [
        ({}, None, [workload("odoo", ready=0), workload("odoo-cron")], "1 of 2 pods ready"),
        (
            {},
            None,
            [workload("odoo", 0, 0), workload("odoo-cron", 0, 0)],
            "stopped: ./run.py odoo copy make a mends it",
        ),
        ({}, None, [workload("odoo")], "made in part: ./run.py odoo copy make a mends it, odoo copy drop a removes it"),
        ({"copies": {}}, None, [], "made in part"),
        ({"copies": {}, "roles": []}, None, [], "made in part"),
        ({}, space(deletionTimestamp="2026-11-28T10:00:00Z"), [], "is being removed"),
    ],
)
def test_a_copy_that_does_not(
    looked: dict[str, Any], space_: dict[str, Any] | None, pods: list[dict[str, Any]], state: str
) -> None:
    line = shown(looked, space_, *pods)
    assert line.startswith(f"a: {state}")
    assert ("no database" in line) == ("copies" in looked)


def test_none_and_nobody_who_knows() -> None:
    cluster: dict[str, Any] = {"deployments": [], "services": []}
    nothing = {**LOOKED, "copies": {}, "roles": []}
    assert odoo_copies([nothing], "odoo", [], cluster, now=NOW) == [
        "There are none. ./run.py odoo copy make NAME makes one of what production has now."
    ]
    assert "No PostgreSQL server answers" in odoo_copies([], "odoo", [], cluster, now=NOW)[0]


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("2026-11-28T09:59:30Z", "30 seconds"),
        ("2026-11-28T09:58:00Z", "2 minutes"),
        ("2026-11-28T08:30:00Z", "90 minutes"),
        ("2026-11-26T10:00:00Z", "2 days"),
        ("2026-11-28T10:00:05Z", "0 seconds"),
        ("", ""),
        ("yesterday", ""),
    ],
)
def test_ages(taken: str, said: str) -> None:
    assert age(taken, NOW) == said
