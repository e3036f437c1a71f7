# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which servers rejoin.yml would bring back, by what the servers said; the playbook's own tasks, without a machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Evaluate = Callable[..., dict[str, Any]]
PLAYBOOK = Path(__file__).resolve().parents[3] / "playbooks" / "rejoin.yml"
DECISION = (
    "Decide which servers are to be brought back",
    "Check that there is one primary to follow",
    "Say what will be done",
)


def server(name: str, role: str, version: str = "15", timeline: int | None = 1, **changes: Any) -> dict[str, Any]:
    """What a server says of itself, as far as a rejoin decides by it."""
    said = {"following": False, "configured": True, "standbys": [], "patroni": False, "upgrading": False}
    return {"name": name, "role": role, "version": version, "timeline": timeline, **said, **changes}


def test_decision(evaluate: Evaluate) -> None:
    """No server is made to follow one of another major version; the message says how the upgrade comes to its end."""
    (play,) = yaml.safe_load(PLAYBOOK.read_text(encoding="utf-8"))
    tasks = {task["name"]: task for task in play["tasks"]}
    for name in DECISION:
        del tasks[name]["run_once"]
    goes_on = "run playbooks/postgres_major_upgrade.yml -e postgres_major_to=15, which goes on where it was cut off."
    cases: dict[str, tuple[list[dict[str, Any]], str, str]] = {
        "same": ([server("pg1", "stopped"), server("pg2", "primary")], "", "Make pg1 follow pg2"),
        "nothing": ([server("pg1", "standby", following=True), server("pg2", "primary")], "", "follows pg2 already"),
        # The upgraded copy serves, the old primary's cluster is not retired yet.
        "older": ([server("pg1", "stopped", "13"), server("pg2", "primary", upgrading=True)], "", goes_on),
        # pg_upgrade begins with the first timeline: a newer one is no reason to keep the old data.
        "older_newer_timeline": ([server("pg1", "stopped", "13", 7), server("pg2", "primary")], "", goes_on),
        "older_named": ([server("pg1", "standby", "13", following=True), server("pg2", "primary")], "pg1", goes_on),
        "older_of_two": ([server("pg1", "primary", "13"), server("pg2", "primary")], "pg1", goes_on),
        "older_among_others": (
            [server("pg1", "stopped", "13"), server("pg2", "primary"), server("pg3", "stopped")],
            "",
            "pg1 has PostgreSQL 13, the primary pg2 has 15",
        ),
        "older_left_out": (
            [server("pg1", "stopped", "13"), server("pg2", "primary"), server("pg3", "stopped")],
            "pg3",
            "Make pg3 follow pg2",
        ),
        # The old primary was put back, the other machine holds a copy that was upgraded.
        "newer": ([server("pg1", "primary", "13"), server("pg2", "stopped")], "", "run pg_dropcluster 15 main on pg2"),
        # Retired already: its next copy is the playbook's that makes servers.
        "retired": ([server("pg1", "absent", "0", None, configured=False), server("pg2", "primary")], "", "already"),
        "retired_named": (
            [server("pg1", "absent", "0", None, configured=False), server("pg2", "primary")],
            "pg1",
            "pg1 holds no cluster: run playbooks/postgres.yml",
        ),
        "newer_timeline": (
            [server("pg1", "stopped", timeline=2), server("pg2", "primary")],
            "",
            "is on a newer timeline",
        ),
        "nobody": ([server("pg1", "stopped", "13"), server("pg2", "stopped")], "", "No server is primary"),
        "two": ([server("pg1", "primary", "13"), server("pg2", "primary")], "", "More than one server accepts writes"),
    }
    hosts = {
        name: {"postgres_common_states": states, "postgres_rejoin": rejoin}
        for name, (states, rejoin, _words) in cases.items()
    }
    told = evaluate(play["vars"], hosts, [tasks[name] for name in DECISION])
    assert set(told) == set(cases)
    for name, (_states, _rejoin, words) in cases.items():
        assert words in told[name], f"{name}: {told[name]}"
        refused = "Make " not in words and "already" not in words
        assert refused != told[name].startswith(("Make", "Every server")), f"{name}: {told[name]}"
