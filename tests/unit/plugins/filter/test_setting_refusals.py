# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that a program on the machine would not read."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.setting_refusals import GRAMMARS, setting_refusals

READ: dict[str, list[Any]] = {
    "nginx_size": ["512m", "1g", "1024", 1024, "8K"],
    "nginx_time": ["7d", "1h30m", "10m", "90", 90, "1y6M", "0"],
    "nginx_rates": [{}, {"login": {"rate": "1r/s", "burst": 30}}, {"rpc": {"rate": "9r/m", "burst": 0, "delay": "50"}}],
    "prometheus_duration": ["15s", "15d", "1h30m", "500ms", "1y2w"],
    "prometheus_size": ["2GB", "512MB", "10B"],
    "quantity": ["100m", "1Gi", "0.5", 2, "1e3", "1.5Gi"],
    "pgbackrest_size": ["4GiB", "1024", "2GB", "3G", "5B"],
    "postgres_size": ["4GB", "512MB", -1, "64"],
    "router_id": [1, "255"],
    "port": [1, 65535, "8080"],
    "user_id": [1, 10001, "1000660000"],
    "count": [1, "7"],
    "seconds": [1, "600"],
    "addresses": [[], ["192.0.2.7", "198.51.100.0/24", "2001:db8::/32"], ["198.51.100.9/24"]],
    "networks": [[], ["198.51.100.0/24", "192.0.2.7/32"]],
    "egress": [
        [],
        [{"cidr": "203.0.113.25/32", "port": 587}, {"cidr": "2001:db8::/32", "port": "53", "protocol": "UDP"}],
    ],
    "unit_words": [[], ["--collector.processes", "--web.max-requests=4"]],
    "modules": [[], ["contacts"], ["l10n_be", "a", "web_responsive_2"]],
}
REFUSED: dict[str, list[Any]] = {
    "nginx_size": ["5q", "1.5g", "", "-1m", "0m", "512 m", True, None, "512m;"],
    "nginx_time": ["10 minutes", "1m1h", "", "1.5h", "5ms", True, ["7d"]],
    "nginx_rates": [
        [],
        {"login": {"rate": "1/s", "burst": 1}},
        {"login": {"rate": "0r/s", "burst": 1}},
        {"login": {"rate": "1r/s"}},
        {"logins": {"rate": "1r/s", "burst": 1}},
        {"login": {"rate": "1r/s", "burst": -1}},
        {"login": {"rate": "1r/s", "burst": 1, "nodelay": True}},
    ],
    "prometheus_duration": ["15 s", "", "1m1h", "1.5h", "0s", 15],
    "prometheus_size": ["2gb", "2", "2GiB", "0GB", "1.5GB"],
    "quantity": ["1GB", "", "100mi", "0", "-1", "one"],
    "pgbackrest_size": ["4 GiB", "4gib", "much", "0", "1.5GiB"],
    "postgres_size": ["4gb", "4 GB", "-2", "4GiB", ""],
    "router_id": [0, 256],
    "port": [0, 65536, "http", True],
    "user_id": [0, 99999999999, "odoo"],
    "count": [0, -1, "many", 1.5],
    "seconds": [0, "5s"],
    "addresses": ["192.0.2.7", ["proxy.example"], ["192.0.2.0/33"]],
    "networks": [["192.0.2.7"], ["198.51.100.9/24"], ["any"], "198.51.100.0/24"],
    "egress": [
        {"cidr": "203.0.113.25/32", "port": 587},
        [{"cidr": "203.0.113.25", "port": 587}],
        [{"cidr": "203.0.113.25/24", "port": 587}],
        [{"cidr": "203.0.113.25/32", "port": 70000}],
        [{"cidr": "203.0.113.25/32"}],
    ],
    "unit_words": ["--one", ["two words"], ['--a="b"'], ["$(id)"]],
    "modules": ["contacts", ["Contacts"], ["hr expense"], ["--all"], ["2fa"], ["crm\n"], [""], [["crm"]], {"crm": 1}],
}


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_what_the_program_reads_passes(grammar: str) -> None:
    for value in READ[grammar]:
        assert setting_refusals({"setting": grammar}, [value]) == []


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_what_it_does_not_read_is_named(grammar: str) -> None:
    """One line: variable, value, what is allowed."""
    for value in REFUSED[grammar]:
        (line,) = setting_refusals({"setting": grammar}, [value])
        assert line == f"setting is {value}: allowed is {GRAMMARS[grammar].allowed}."


def test_each_value_is_held_against_its_own_grammar() -> None:
    """In the order of the variables."""
    (line,) = setting_refusals({"size": "nginx_size", "time": "nginx_time"}, ["1m", "x"])
    assert line.startswith("time is x")
