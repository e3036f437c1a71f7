# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert is whole, has a case that makes it fire, and a section that tells what to do."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
sys.path.insert(0, str(ROOT / "molecule" / "node_exporter" / "tests"))

import alert_cases  # noqa: E402
from support.promql import metrics  # noqa: E402

GROUPS = yaml.safe_load((ROOT / "roles/prometheus_k8s/files/alerts.yml").read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
CASES = yaml.safe_load((ROOT / "molecule/node_exporter/tests/alert_cases.yml").read_text())


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_happened_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"page", "warning", "none"}
    assert set(rule["annotations"]) == {"summary", "next"}
    assert rule["annotations"]["next"].startswith(("./run.py ", "on {{ $labels.instance }}: "))
    assert not rule["annotations"]["summary"].endswith(".")


@pytest.mark.parametrize("name", sorted(set(ALERTS) - {"Watchdog"}))
def test_a_case_makes_it_fire(name: str) -> None:
    """promtool runs the cases in molecule/node_exporter."""
    assert any(name in names for case in CASES["cases"] for names in case["fires"].values())


def test_a_threshold_is_in_its_expression() -> None:
    for name, rule in ALERTS.items():
        assert ("threshold" in rule) is ("$threshold" in rule["expr"]), name


def test_cases_name_alerts_that_there_are() -> None:
    named = {name for case in CASES["cases"] for names in case["fires"].values() for name in names}
    assert named <= set(ALERTS)
    names = [case["name"] for case in CASES["cases"]]
    assert len(names) == len(set(names))


def test_what_is_well_has_a_series_of_each_metric_that_a_rule_reads() -> None:
    """Else a rule that reads a misspelt metric would look well in every case."""
    series = {re.split(r"[{ ]", name)[0] for name in CASES["well"]} | {record["name"] for record in CASES["wanted"]}
    records = [rule for group in alert_cases.loaded("objective_rules")({}) for rule in group["rules"]]
    read = {name for rule in [*ALERTS.values(), *records] for name in metrics(rule["expr"].replace("$threshold", "0"))}
    assert read <= series | {rule["record"] for rule in records}


def test_each_part_and_alert_has_its_section() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == list(ALERTS)
    parts = [group["name"] for group in GROUPS]
    assert [part for part in re.findall(r"^## (\w+)$", text, re.MULTILINE) if part in parts] == parts


def test_a_course_in_promtools_notation() -> None:
    assert alert_cases.samples("1, 1m: 0, 2m: gone", 15, 150) == "1x3 0x3 stale _x2"
    assert alert_cases.samples("0+10", 60, 120) == "0+10x2"
    assert alert_cases.samples("absent, 60s: now", 30, 90) == "_x2 60+30x1"
    with pytest.raises(ValueError, match="a part is shorter than 60 s"):
        alert_cases.samples("1, 30s: 0", 60, 120)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (job) (rate(a_total{b="c"}[5m])) / on (job) group_left () d > 0.5', {"a_total", "d"}),
        ("x_wanted unless on (job) (count by (job) (up) >= on (job) x_wanted)", {"x_wanted", "up"}),
        ("time() - max(last_over_time(t_seconds[2d])) < 2 * 86400 and up == 1e9", {"t_seconds", "up"}),
        ('histogram_quantile(0.9, sum by (le) (rate(s_bucket{z=~"a|b{"}[10m])))', {"s_bucket"}),
    ],
)
def test_the_metrics_of_an_expression(expression: str, names: set[str]) -> None:
    assert metrics(expression) == names
