# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told, and which alert keeps which others quiet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.alertmanager_config import INHIBITIONS, alertmanager_config

ALERTS = Path(__file__).resolve().parents[4] / "roles" / "prometheus_k8s" / "files" / "alerts.yml"
MAIL = {"to": "ops@example.com", "from": "odoo@example.com", "smarthost": "mail.example.com:587"}


def receiver(name: str, receivers: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in alertmanager_config(receivers)["receivers"] if one["name"] == name)


def test_people_get_alerts_and_the_dead_mans_switch_gets_the_watchdog() -> None:
    made = alertmanager_config({})
    routes = {route["receiver"]: route["matchers"] for route in made["route"]["routes"]}
    assert routes["deadman"] == ["alertname = Watchdog"]
    assert routes["nobody"] == ["severity = none"]
    assert routes["people"] == ["severity = page"]
    assert made["route"]["receiver"] == "people"


@pytest.mark.parametrize("patience", [0.1, 1.0, 3.0])
def test_the_dead_mans_switch_hears_something_at_each_interval(patience: float) -> None:
    """Alertmanager looks once in an interval, and sends again what was sent longer ago than the repetition."""
    (route,) = [one for one in alertmanager_config({}, patience)["route"]["routes"] if one["receiver"] == "deadman"]
    interval, repetition = (int(route[key].rstrip("s")) for key in ("group_interval", "repeat_interval"))
    assert interval == round(60 * patience)
    assert repetition < interval


def test_receivers_hold_what_was_given() -> None:
    given = {"mail": MAIL, "webhook": {"url": "https://a.example.com"}, "deadman": {"url": "https://b.example.com"}}
    assert receiver("people", given) == {
        "name": "people",
        "email_configs": [{"send_resolved": True, **MAIL}],
        "webhook_configs": [{"send_resolved": True, "url": "https://a.example.com"}],
    }
    assert receiver("deadman", given)["webhook_configs"] == [{"send_resolved": False, "url": "https://b.example.com"}]
    assert receiver("people", {}) == {"name": "people"}


def test_patience_shortens_what_is_gathered() -> None:
    assert alertmanager_config({}, patience="0.1")["route"]["group_wait"] == "6s"
    assert alertmanager_config({})["route"]["group_wait"] == "60s"


@pytest.mark.parametrize(
    ("receivers", "message"),
    [
        ({"pager": {}}, "no receiver is called pager; there are deadman, mail, webhook"),
        ({"mail": {"to": "a@example.com"}}, "the receiver mail has no from, smarthost"),
        ({"webhook": {"url": ""}}, "the receiver webhook has no url"),
        ("mail", "no receiver is called"),
    ],
)
def test_a_receiver_that_is_not_whole_is_named(receivers: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        alertmanager_config(receivers)


def test_inhibitions_name_alerts_that_there_are_and_none_keeps_itself_quiet() -> None:
    names = {rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}
    for source, targets, _labels in INHIBITIONS:
        assert source in names
        for target in targets.split("|"):
            assert any(re.fullmatch(target, name) for name in names), target
        assert not re.fullmatch(targets, source)
