# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patroni's key of the databases it runs: stale after an upgrade, empty after a bootstrap that was cut off."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.patroni_initialize import patroni_initialize


def store(**told: str) -> dict[str, Any]:
    """As etcdctl writes it: an empty value is left out."""

    def coded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    entries = [{"key": coded(f"/service/odoo/{name}"), "value": coded(value)} for name, value in told.items()]
    return {"header": {}, "kvs": [{key: value for key, value in entry.items() if value} for entry in entries]}


def server(name: str, identifier: str = "") -> dict[str, Any]:
    return {"name": name, "control": {"system_identifier": identifier} if identifier else None}


PAIR = [server("pg1", "71"), server("pg2", "71")]


@pytest.mark.parametrize(
    ("told", "states", "write"),
    [
        ({"header": {}}, PAIR, ""),
        (store(config="{}"), PAIR, ""),
        (store(initialize="71", leader="pg1"), PAIR, ""),
        (store(initialize="70"), PAIR, "71"),
        (store(initialize=""), PAIR, "71"),
        (store(initialize="70", leader=""), [server("pg1", "71"), server("pg2")], "71"),
        # Nobody has data: whatever the key says, no database is made for it.
        (store(initialize="70"), [server("pg1"), server("pg2")], ""),
    ],
)
def test_key_is_mended_if_nobody_runs_what_it_names(told: Any, states: list[Any], write: str) -> None:
    assert patroni_initialize(told, states, "odoo") == {"refusal": "", "write": write}


def test_another_cluster_of_that_name_is_refused() -> None:
    answer = patroni_initialize(store(initialize="70", leader="db9"), PAIR, "odoo")
    assert answer["write"] == ""
    assert answer["refusal"].startswith("db9 leads other databases (70) under the name odoo")
    assert "postgres_patroni_scope" in answer["refusal"]


def test_two_clusters_are_refused() -> None:
    answer = patroni_initialize(store(initialize="71"), [server("pg1", "71"), server("pg2", "70")], "odoo")
    assert answer["write"] == ""
    assert "pg1 holds those of 71; pg2 holds those of 70" in answer["refusal"]
    assert "postgres_rejoin_copy=true" in answer["refusal"]
