# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the previous release's servers held is there, and they work together as before."""

from __future__ import annotations

import time
from typing import Any

testinfra_hosts = ["postgres_primary"]


def sql(host: Any, statement: str, database: str = "postgres") -> str:
    with host.sudo("postgres"):
        done = host.run("psql -XAtq -v ON_ERROR_STOP=1 -d %s -c %s", database, statement)
    assert done.rc == 0, done.stderr
    return str(done.stdout).strip()


def test_stored_rows_are_there_on_the_same_server(host: Any) -> None:
    """The row written before, the same data directory, the same timeline: nothing was made anew or failed over."""
    now = "SELECT system_identifier::text, timeline_id FROM pg_control_system(), pg_control_checkpoint()"
    assert sql(host, "TABLE upgrade", "odoo") == sql(host, now)


def test_standby_streams(host: Any) -> None:
    deadline = time.monotonic() + 30
    while (
        sql(host, "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pg2' AND state = 'streaming'")
        != "1"
    ):
        assert time.monotonic() < deadline, sql(host, "TABLE pg_stat_replication")
        time.sleep(0.5)
