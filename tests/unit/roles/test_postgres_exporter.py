# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the exporter's own measurements are left out: those that its release has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles" / "postgres_exporter"
OLD = """
      --collector.database       Enable the database collector (default:
                                 enabled).
      --collector.bgwriter       Enable the bgwriter collector (default:
      --disable-default-metrics  Do not include default metrics.
"""
NEW = """
      --[no-]collector.wal       Enable the wal collector (default: enabled).
      --[no-]collector.long_running_transactions
                                 Enable the long_running_transactions collector
      --[no-]collector.stat_statements
                                 Enable the stat_statements collector
      --[no-]collector.stat_statements.include_query
                                 Enable selecting statement query together
      --collector.stat_statements.limit=100
"""


def test_the_measurements_of_a_release(evaluate: Callable[..., dict[str, Any]]) -> None:
    cases = {
        "old": {"__postgres_exporter_help": {"stdout": "", "stderr": OLD}},
        "new": {"__postgres_exporter_help": {"stdout": NEW, "stderr": ""}},
        "not-there-yet": {"__postgres_exporter_help": {"skipped": True}},
    }
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    told = evaluate(
        variables, cases, [{"ansible.builtin.debug": {"msg": "{{ __postgres_exporter_collectors | join(' ') }}"}}]
    )
    assert told == {
        "old": "bgwriter database",
        "new": "long_running_transactions stat_statements wal",
        "not-there-yet": "",
    }
