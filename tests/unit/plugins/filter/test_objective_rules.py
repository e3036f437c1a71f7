# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objectives as recording rules; promtool proves their alerts in molecule/node_exporter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.objective_rules import BUCKETS, objective_rules

ROOT = Path(__file__).resolve().parents[4]


def expressions(objectives: dict[str, Any], name: str) -> dict[tuple[str, str], str]:
    """{(objective, aspect): expression} of what is recorded by one name."""
    rules = [rule for group in objective_rules(objectives) for rule in group["rules"] if rule["record"] == name]
    found = {
        (rule.get("labels", {}).get("objective"), rule.get("labels", {}).get("aspect")): rule["expr"] for rule in rules
    }
    assert len(found) == len(rules)
    return found


def test_what_may_be_missed() -> None:
    budget = expressions({"pages": {"availability": 99.9}, "files": {"speed": "99"}}, "odoo_objective_budget")
    assert budget == {
        ("pages", "availability"): "vector(0.001)",
        ("pages", "speed"): "vector(0.005)",
        ("files", "availability"): "vector(0.005)",
        ("files", "speed"): "vector(0.01)",
    }


def test_what_is_slow_and_what_is_an_error() -> None:
    errors = expressions({"pages": {"seconds": 10}}, "odoo:objective_errors:rate5m")
    assert 'zone=~"pages", le="10"' in errors["pages", "speed"]
    assert 'zone=~"static|bundles", le="1"' in errors["files", "speed"]
    assert 'zone=~"pages", code=~"5.."' in errors["pages", "availability"]
    assert not [expr for expr in errors.values() if re.search("maintenance|longpolling", expr)]


def test_every_window_that_an_alert_reads_is_recorded() -> None:
    text = (ROOT / "roles/prometheus_k8s/files/alerts.yml").read_text()
    read = set(re.findall(r"odoo:\w+:\w+", text))
    recorded = {rule["record"] for group in objective_rules({}) for rule in group["rules"]}
    assert len(read) == 11
    assert read <= recorded


def test_the_limits_are_those_of_the_proxies() -> None:
    (program,) = (ROOT / "roles/nginx_cache/templates/mtail").iterdir()
    found = re.search(r"odoo_edge_request_seconds by zone, cache buckets (.*)", program.read_text())
    assert found
    assert tuple(float(number) for number in found[1].split(", ")) == BUCKETS


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ({"page": {}}, "no objective is called page; there are pages, files"),
        ({"pages": {"quality": 1}}, "pages have no quality, only availability, speed, seconds"),
        ({"pages": {"speed": 100}}, "speed of pages is 100: say a percentage between 0 and 100"),
        ({"pages": {"speed": "much"}}, "could not convert"),
        ({"files": {"seconds": 2}}, "seconds of files are 2: the proxies count by 0.001, .* 60"),
        ("99.9", "no objective is called"),
    ],
)
def test_a_wrong_objective_is_named(objectives: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        objective_rules(objectives)
