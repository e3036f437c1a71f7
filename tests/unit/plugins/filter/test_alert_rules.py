# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that are completed for one deployment."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.alert_rules import alert_rules, command, seconds

ALERT: dict[str, Any] = {
    "alert": "DiskFull",
    "expr": "free < 1",
    "for": "10m",
    "labels": {"severity": "page"},
    "annotations": {"summary": "full", "next": "on {{ $labels.instance }}: df -h"},
}
RECORD = {"record": "free", "expr": "a - b"}
GROUPS = [{"name": "machines", "rules": [ALERT, RECORD]}, {"name": "edge", "rules": [{**ALERT, "alert": "Slow"}]}]


def alert(name: str = "DiskFull", **options: Any) -> dict[str, Any]:
    groups = alert_rules(GROUPS, **options)["groups"]
    return next(rule for group in groups for rule in group["rules"] if rule.get("alert") == name)


def test_an_alert_gets_its_part_and_its_section() -> None:
    made = alert(runbook="https://example.com/m")
    assert made["labels"] == {"severity": "page", "part": "machines"}
    assert made["annotations"]["runbook"] == "https://example.com/m#diskfull"
    assert (made["expr"], made["for"]) == ("free < 1", "10m")


@pytest.mark.parametrize(
    ("shell", "text", "made"),
    [
        ("vagrant", "on {{ $labels.instance }}: df -h", "vagrant ssh {{ $labels.instance }} -c 'df -h'"),
        ("ssh", "on {{ $labels.instance }}: df -h | tail", "ssh {{ $labels.instance }} 'df -h | tail'"),
        ("ssh", "on pg1: df", "ssh pg1 'df'"),
        ("vagrant", "./run.py status", "./run.py status"),
    ],
)
def test_a_command_is_for_the_machines_that_there_are(shell: str, text: str, made: str) -> None:
    assert command(text, shell) == made


def test_a_command_that_would_end_its_quotes_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no quote"):
        command("on pg1: echo 'x'", "ssh")


def test_wanted_counts_come_first() -> None:
    wanted = [{"name": "pods_wanted", "value": "4", "labels": {"namespace": "erp"}}, {"name": "limit", "value": 2**32}]
    group = alert_rules(GROUPS, wanted=wanted)["groups"][0]
    assert group == {
        "name": "wanted",
        "rules": [
            {"record": "pods_wanted", "expr": "vector(4)", "labels": {"namespace": "erp"}},
            {"record": "limit", "expr": "vector(4294967296)"},
        ],
    }


def test_rules_are_left_out_changed_and_added() -> None:
    extra = [{"name": "own", "rules": [RECORD]}]
    groups = alert_rules(GROUPS, disabled=["Slow"], extra=extra)["groups"]
    assert [group["name"] for group in groups] == ["machines", "own"]
    made = alert(changes={"DiskFull": {"expr": "free < 2", "for": "0s", "severity": "warning"}})
    assert made["expr"] == "free < 2"
    assert made["labels"]["severity"] == "warning"
    assert "for" not in made


def test_a_threshold_is_changed_by_itself() -> None:
    groups = [{"name": "machines", "rules": [{**ALERT, "expr": "free < $threshold", "threshold": 1e9}]}]

    def made(**change: Any) -> dict[str, Any]:
        return dict(alert_rules(groups, changes={"DiskFull": change})["groups"][0]["rules"][0])

    assert made()["expr"] == "free < 1000000000"
    assert made(threshold="0.2")["expr"] == "free < 0.2"
    assert made(threshold=3, expr="busy > $threshold")["expr"] == "busy > 3"
    assert "threshold" not in made()


def test_the_panels_are_named_where_their_page_is_known() -> None:
    assert alert(page="http://w:30090/user/")["annotations"]["panel"] == "http://w:30090/user/#machines"
    assert "panel" not in alert()["annotations"]


def test_patience_shortens_every_wait() -> None:
    assert alert(patience=0.1)["for"] == "60s"
    assert alert(patience=0.0001)["for"] == "1s"
    assert alert(patience="0.5")["for"] == "300s"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"disabled": ["Disk"]}, "no alert is called Disk; there are DiskFull, Slow"),
        ({"changes": {"Disk": {}}}, "no alert is called Disk"),
        ({"changes": {"DiskFull": {"labels": {}}}}, "labels of DiskFull cannot be changed"),
        ({"changes": {"DiskFull": {"for": "ten"}}}, "'ten' is no duration"),
        ({"changes": {"DiskFull": {"threshold": 2}}}, "DiskFull compares with no threshold: change its expr"),
        (
            {"changes": {"DiskFull": {"threshold": "x", "expr": "a < $threshold"}}},
            "threshold of DiskFull is 'x', which is no number",
        ),
        ({"shell": "telnet"}, "shell must be one of ssh, vagrant"),
        ({"wanted": [{"name": "pods", "value": "many"}]}, "pods is 'many', which is no number"),
        ({"wanted": [{"name": "pods wanted", "value": 1}]}, "'pods wanted' is no name of a metric"),
        ({"patience": "slow"}, "could not convert"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        alert_rules(GROUPS, **options)


def test_durations() -> None:
    assert [seconds(text) for text in ("90s", "1h30m", "250ms", "0s")] == [90, 5400, 0.25, 0]


def test_what_it_is_given_stays_as_it_is() -> None:
    before = repr(GROUPS)
    alert_rules(GROUPS, shell="vagrant", patience=0.1, changes={"DiskFull": {"severity": "none"}})
    assert repr(GROUPS) == before
