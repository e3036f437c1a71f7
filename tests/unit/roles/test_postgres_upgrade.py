# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When postgres_upgrade.yml touches nothing, by what servers and Patroni said; its own tasks, without a machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Evaluate = Callable[..., dict[str, Any]]
PLAYBOOK = Path(__file__).resolve().parents[3] / "playbooks" / "postgres_upgrade.yml"
CHECKS = ("Check that every server is well", "Check that Patroni can restart the servers and switch over")


def pair(pg1: bool = True, pg2: bool = True, **pg2_says: Any) -> list[dict[str, Any]]:
    """Two servers, whether Patroni runs each, and what the standby says."""
    standby = {"name": "pg2", "role": "standby", "following": True, "patroni": pg2, **pg2_says}
    return [{"name": "pg1", "role": "primary", "following": False, "patroni": pg1}, standby]


def test_refusals(evaluate: Evaluate) -> None:
    """A server that is away or not handed over, a silent voter, a paused Patroni: each is told in its words."""
    plays = yaml.safe_load(PLAYBOOK.read_text(encoding="utf-8"))
    tasks = {task["name"]: task for task in plays[0]["tasks"]}
    checks = [tasks[name] for name in CHECKS]
    for check in checks:
        del check["run_once"]
    goes_on = {"name": "Go on", "ansible.builtin.debug": {"msg": "goes on"}}
    listed = "+ Cluster: main +"
    cases: dict[str, tuple[list[dict[str, Any]], list[str], str, str]] = {
        "manual": (pair(False, False), [], "", "goes on"),
        "patroni": (pair(), [], listed, "goes on"),
        "half_handed_over": (pair(pg2=False), [], listed, "Patroni does not run pg2 yet: run playbooks/postgres.yml"),
        "silent_voter": (pair(), ["vote1"], listed, "vote1 does not vote"),
        "paused": (pair(), [], f"{listed} Maintenance mode: on", "Patroni is paused"),
        "not_following": (pair(following=False), [], listed, "Every server must answer"),
        "two_primaries": (pair(role="primary"), [], listed, "Every server must answer"),
        "one_away": (pair()[:1], [], listed, "Every server must answer"),
    }
    hosts = {
        name: {
            "postgres_common_states": states,
            "postgres_common_members": {"pg1": "192.0.2.1", "pg2": "192.0.2.2"},
            "postgres_patroni_silent": silent,
            "postgres_patroni_list": {"stdout": stdout},
        }
        for name, (states, silent, stdout, _words) in cases.items()
    }
    told = evaluate({}, hosts, [*checks, goes_on])
    assert set(told) == set(cases)
    for name, (_states, _silent, _stdout, words) in cases.items():
        assert words in told[name], f"{name}: {told[name]}"
