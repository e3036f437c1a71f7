# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's own figures: who reads them, what they say, and what the exporter can do."""

from __future__ import annotations

import http.client
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

testinfra_hosts = ["postgres"]

UNIT = "prometheus-postgres-exporter"
QUERIES = Path(__file__).resolve().parents[3] / "roles" / "postgres_exporter" / "files" / "queries.yml"
ADDRESS = "192.168.123.21"


def scrape() -> dict[str, float]:
    """{SERIES: VALUE} of the metrics page, without the exporter's own label."""
    connection = http.client.HTTPConnection(ADDRESS, 9187, timeout=10)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("pg_"))
    return {series.split("{")[0]: float(value) for series, value in pairs}


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
