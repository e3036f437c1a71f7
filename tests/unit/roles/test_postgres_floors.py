# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unequal servers: each gets settings with which it can follow any other, and memory is shared out for those."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Evaluate = Callable[..., dict[str, Any]]
ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/postgres_common"
WIRING = yaml.safe_load((ROOT / "inventory/wiring/postgres.yml").read_text())
VARIABLES: dict[str, Any] = {
    **yaml.safe_load((ROLE / "defaults/main.yml").read_text()),
    **yaml.safe_load((ROLE / "vars/main.yml").read_text()),
    "postgres_common_floors": WIRING["postgres_common_floors"].replace("groups['postgres']", "groups['all']"),
    "postgres_common_members": {"small": "192.0.2.1", "large": "192.0.2.2"},
    "postgres_common_address": "192.0.2.1",
    "postgres_common_version": "15",
}


def test_unequal_pair(evaluate: Evaluate) -> None:
    (says,) = [
        task
        for task in yaml.safe_load((ROLE / "tasks/main.yml").read_text())
        if "what the other servers must not have less of" in task["name"]
    ]
    cases = {
        "small": {"postgres_common_memory": 1024, "postgres_common_cores": 2},
        "large": {
            "postgres_common_memory": 65536,
            "postgres_common_cores": 32,
            "postgres_common_max_connections": 200,
            "postgres_common_settings": {"max_locks_per_transaction": 128},
        },
    }
    told = evaluate(VARIABLES, cases, [says, {"ansible.builtin.debug": {"msg": "{{ postgres_common_all_settings }}"}}])
    for settings in told.values():
        assert settings["max_connections"] == 200
        assert settings["max_worker_processes"] == 32
        assert settings["max_locks_per_transaction"] == 128
        assert settings["max_wal_senders"] == 10
        assert "max_prepared_transactions" not in settings
    assert told["small"]["work_mem"] == "1310kB"  # of 768 MiB for 200 connections, not for its own 100
    assert told["small"]["max_parallel_workers"] == 2


def test_one_server_alone(evaluate: Evaluate) -> None:
    cases = {"small": {"postgres_common_memory": 1024, "postgres_common_cores": 2}}
    told = evaluate(VARIABLES, cases, [{"ansible.builtin.debug": {"msg": "{{ postgres_common_all_settings }}"}}])
    assert told["small"]["max_connections"] == 100
    assert told["small"]["max_worker_processes"] == 8
