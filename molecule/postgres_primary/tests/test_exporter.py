# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's own figures: who reads them, what they say, and what the exporter can do."""

from __future__ import annotations

import http.client
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "roles" / "odoo_k8s" / "files"))

import figures

testinfra_hosts = ["postgres"]

UNIT = "prometheus-postgres-exporter"
QUERIES = Path(__file__).resolve().parents[3] / "roles" / "postgres_exporter" / "files" / "postgres.yml"
ADDRESS = "192.168.123.21"
# What the figures of Odoo's database read, as Odoo 18 has it, and how an Odoo 14 without mails differs.
TABLES = """
CREATE TABLE ir_cron (active bool, nextcall timestamp, failure_count int);
CREATE TABLE mail_mail (state varchar, create_date timestamp, scheduled_date timestamp);
CREATE TABLE queue_job (state varchar);
CREATE TABLE res_users_log (create_uid int, create_date timestamp);
CREATE TABLE bus_presence (user_id int, last_poll timestamp);
CREATE TABLE ir_module_module (state varchar);
INSERT INTO ir_cron SELECT true, now() AT TIME ZONE 'UTC' - interval '1 hour', n FROM generate_series(0, 2) n;
INSERT INTO ir_cron VALUES (false, '2000-01-01', 9), (true, now() + interval '1 day', 0);
INSERT INTO mail_mail VALUES ('outgoing', now() AT TIME ZONE 'UTC' - interval '2 hours'), ('exception', '2000-01-01');
INSERT INTO mail_mail VALUES ('sent', '2000-01-01');
INSERT INTO mail_mail VALUES ('outgoing', '2000-01-01', now() + interval '2 days');
INSERT INTO queue_job VALUES ('failed'), ('done');
INSERT INTO res_users_log VALUES (2, now() AT TIME ZONE 'UTC' - interval '2 hours'), (3, '2000-01-01');
INSERT INTO bus_presence VALUES (2, '2000-01-01'), (4, now() AT TIME ZONE 'UTC');
INSERT INTO ir_module_module VALUES ('installed'), ('to upgrade'), ('to install');
"""
OLDER = """
ALTER TABLE ir_cron DROP COLUMN failure_count;
ALTER TABLE ir_cron ADD COLUMN numbercall int DEFAULT -1;
UPDATE ir_cron SET numbercall = 0;
DROP TABLE mail_mail, queue_job;
"""
DROPPED = """
DROP FUNCTION IF EXISTS odoo_deploy_figures(text);
DROP TABLE IF EXISTS ir_cron, mail_mail, queue_job, res_users_log, bus_presence, ir_module_module;
"""


def page(port: int) -> str:
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=10)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def scrape() -> dict[str, float]:
    """{SERIES: VALUE} of the metrics page, without the exporter's own label."""
    pairs = (line.rsplit(" ", 1) for line in page(9187).splitlines() if line.startswith("pg_"))
    return {series.split("{")[0]: float(value) for series, value in pairs}


def told_by_odoo() -> dict[str, float]:
    """{SERIES: VALUE} of the page about Odoo's database, without the exporter's own label."""
    pairs = (line.rsplit(" ", 1) for line in page(9189).splitlines() if line.startswith("odoo"))
    return {re.sub(r'server="[^"]*",?', "", series).removesuffix("{}"): float(value) for series, value in pairs}


def as_odoo(host: Any, statements: str) -> None:
    """Run statements in Odoo's database as its owner, and let the exporter forget what it knows."""
    script = f"SET client_min_messages = error; SET SESSION AUTHORIZATION odoo;{statements}"
    host.check_output("runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d odoo -c %s", script)
    host.check_output("systemctl restart prometheus-odoo-exporter")
    time.sleep(2)


def settled(seconds: float = 30) -> dict[str, float]:
    """The figures once the server answers the exporter: a scrape at the moment of its restart has none of them."""
    end = time.monotonic() + seconds
    while (figures := scrape()).get("pg_exporter_last_scrape_error") != 0 and time.monotonic() < end:
        time.sleep(1)
    return figures


def test_every_query_has_its_figures(host: Any) -> None:
    """Of a primary without a standby: no slot."""
    figures = settled()
    queries = yaml.safe_load(QUERIES.read_text(encoding="utf-8"))
    names = {f"pg_{name}" for metric in queries["pg"]["metrics"] for name in metric}
    assert names <= set(figures), names - set(figures)
    assert (figures["pg_up"], figures["pg_in_recovery"], figures["pg_standbys_streaming"]) == (1, 0, 0)
    assert figures["pg_max_connections"] > figures["pg_connections"] > 0
    assert figures["pg_initialized_timestamp_seconds"] == pytest.approx(time.time(), abs=86400)
    assert figures["pg_exporter_last_scrape_error"] == 0


def test_a_server_that_is_stopped_is_told_and_so_is_its_return(host: Any) -> None:
    with host.sudo():
        host.check_output("systemctl stop postgresql@17-main")
        assert scrape()["pg_up"] == 0
        host.check_output("systemctl start postgresql@17-main")
        assert settled()["pg_up"] == 1


def test_listens_on_one_address_as_nobody_special(host: Any) -> None:
    with host.sudo():
        listening = [line.split()[3] for line in host.check_output("ss -Hlnt").splitlines()]
        pid = host.check_output(f"systemctl show --property=MainPID --value {UNIT}")
        assert host.check_output(f"ps -o user= -p {pid}") == "prometheus"
        score = host.check_output(f"systemd-analyze security --no-pager {UNIT} | tail -1")
        assert "password" not in host.file(f"/proc/{pid}/environ").content_string
    assert [entry for entry in listening if entry.endswith(":9187")] == [f"{ADDRESS}:9187"]
    assert float(score.split(":")[1].split()[0]) < 2.5, score


def test_the_unix_user_is_taken_as_this_role_and_no_other(host: Any) -> None:
    with host.sudo("prometheus"):
        assert host.check_output("psql -XAtd postgres -U monitor -c 'SELECT current_user'") == "monitor"
        for other in ("postgres", "odoo", "replicator"):
            assert host.run(f"psql -XAtd postgres -U {other} -c 'SELECT 1'").rc != 0, other


def test_odoos_database_tells_what_is_in_it(host: Any) -> None:
    """By the function that the init Job makes; of what an Odoo does not have there is no series."""
    try:
        as_odoo(host, DROPPED + TABLES + figures.function())
        told = told_by_odoo()
        late, oldest = told.pop("odoo_cron_overdue_seconds"), told.pop("odoo_mail_oldest_outgoing_seconds")
        assert (late, oldest) == (pytest.approx(3600, abs=60), pytest.approx(7200, abs=60))
        assert {series: value for series, value in told.items() if value} == {
            "odoo_cron_failing": 2,
            'odoo_mails{state="outgoing"}': 2,
            'odoo_mails{state="exception"}': 1,
            'odoo_queue_jobs{state="failed"}': 1,
            'odoo_users_active{within="5m"}': 1,
            'odoo_users_active{within="24h"}': 2,
            "odoo_modules_pending": 2,
        }
        assert 'odoo_queue_jobs{state="pending"}' in told
        as_odoo(host, OLDER)
        assert {series: value for series, value in told_by_odoo().items() if "users" not in series} == {
            "odoo_cron_overdue_seconds": 0,
            "odoo_modules_pending": 2,
        }
    finally:
        as_odoo(host, DROPPED)
    assert told_by_odoo() == {}


def test_who_reads_the_figures_reads_no_table(host: Any) -> None:
    try:
        as_odoo(host, DROPPED + TABLES + figures.function())
        with host.sudo("prometheus"):
            ask = "psql -XAtd odoo -U figures -c %s"
            assert host.check_output(ask, "SELECT value FROM odoo_deploy_figures('modules_pending')") == "2"
            for statement in ("SELECT * FROM ir_cron", "CREATE TEMPORARY TABLE own ()", "SELECT pg_ls_waldir()"):
                assert "permission denied" in host.run(ask, statement).stderr, statement
            assert host.run("psql -XAtd postgres -U figures -c 'SELECT 1'").rc != 0
    finally:
        as_odoo(host, DROPPED)


def test_nothing_but_the_queries_is_measured() -> None:
    """The program's own measurements cost, and need rights that the role of Odoo's figures has not."""
    for port in (9187, 9189):
        assert "pg_up 1" in page(port)
        assert "pg_scrape_collector_success" not in page(port)
