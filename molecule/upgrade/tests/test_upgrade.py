# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the previous release left is still there, and this release works on it."""

from __future__ import annotations

import time
from typing import Any

import pytest


def sql(host: Any, statement: str, database: str = "postgres") -> str:
    with host.sudo("postgres"):
        done = host.run("psql -XAtq -v ON_ERROR_STOP=1 -d %s -c %s", database, statement)
    assert done.rc == 0, done.stderr
    return str(done.stdout).strip()


@pytest.mark.testinfra_hosts("postgres")
def test_stored_rows_are_there_on_the_same_server(host: Any) -> None:
    """The row written before, the same data directory, the same timeline: nothing was made anew or failed over."""
    now = "SELECT system_identifier::text, timeline_id FROM pg_control_system(), pg_control_checkpoint()"
    assert sql(host, "TABLE upgrade", "odoo") == sql(host, now)


@pytest.mark.testinfra_hosts("postgres_primary")
def test_standby_streams(host: Any) -> None:
    deadline = time.monotonic() + 30
    while sql(host, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != "1":
        assert time.monotonic() < deadline, sql(host, "TABLE pg_stat_replication")
        time.sleep(0.5)


@pytest.mark.testinfra_hosts("nginx")
def test_proxy_caches(host: Any) -> None:
    address = host.ansible.get_variables()["peer_address"]
    ask = "curl -sS -o /dev/null -w '%%header{x-cache-status}' http://%s/web/static/src/js/upgrade.js"
    host.check_output(ask, address)
    assert host.check_output(ask, address) == "HIT"


@pytest.mark.testinfra_hosts("machines")
def test_machine_is_well_and_shows_metrics(host: Any) -> None:
    assert host.check_output("systemctl is-system-running") == "running"
    address = host.ansible.get_variables()["peer_address"]
    assert f'nodename="{host.check_output("hostname")}"' in host.check_output(
        "curl -sS http://%s:9100/metrics", address
    )
