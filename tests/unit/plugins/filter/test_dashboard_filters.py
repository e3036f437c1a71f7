# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards: one description, checked, and what is made of it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.dashboard_page import dashboard_page
from ansible_collections.odoo_deploy.stack.plugins.filter.grafana_dashboards import grafana_dashboards

FILES = Path(__file__).resolve().parents[4] / "roles" / "prometheus_k8s" / "files"
SOURCE: dict[str, Any] = yaml.safe_load((FILES / "dashboards.yml").read_text())
ALERTS: list[dict[str, Any]] = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"]
PANELS = [(board["id"], panel) for board in SOURCE["dashboards"] for panel in board["panels"]]
GROUPS = {"machines", "postgres", "nginx"}


def made(**options: Any) -> dict[str, Any]:
    return dashboard_page(options.pop("source", SOURCE), alerts=ALERTS, deployment="odoo", **options)


def test_every_part_is_shown() -> None:
    page = made()
    assert [board["id"] for board in page["dashboards"]] == [
        "overview", "edge", "odoo", "postgres", "backups", "machines",
    ]  # fmt: skip
    assert len(PANELS) >= 50
    assert page["deployment"] == "odoo"
    assert {panel["of"] for _board, panel in PANELS if panel.get("of")} == GROUPS


def test_most_alerts_have_a_panel() -> None:
    """Those that have none are of the monitoring itself, or of a moment."""
    shown = {panel.get("alert") for _board, panel in PANELS}
    groups = (group["rules"] for group in ALERTS if group["name"] in {"machines", "postgres", "odoo"})
    names = {rule["alert"] for rules in groups for rule in rules}
    assert names - shown <= {
        "MachineDown", "PostgresServerDown", "PostgresStandbyBehind", "PostgresSlotLost", "PostgresCertificateEnds",
    }  # fmt: skip


def test_a_limit_is_the_alerts_threshold() -> None:
    def limits(**options: Any) -> dict[str, float]:
        panels = [panel for board in made(**options)["dashboards"] for panel in board["panels"]]
        return {panel["title"]: panel["limit"] for panel in panels if panel["limit"] is not None}

    assert limits()["Disk left"] == 0.1
    assert limits(changes={"DiskNearlyFull": {"threshold": 0.2}})["Disk left"] == 0.2
    assert "Connections to PostgreSQL" not in limits()


def test_seconds_between_scrapes() -> None:
    assert made(scrape="1m")["scrape"] == 60


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("unit", "miles", "overview: Requests: 'miles' is no unit"),
        ("kind", "pie", "'pie' is no kind"),
        ("alert", "Nothing", "no alert is called Nothing"),
        ("limit", True, "no alert is named"),
        ("colour", "red", "colour is missing or unknown"),
        ("of", "nginx", "have to have the label instance"),
        ("queries", [], "there is no query"),
        ("queries", [{"expr": "up"}], "a query has expr and legend, not expr"),
        ("queries", [{"expr": "rate(a[$rate]", "legend": "a"}], "are not as many"),
        ("queries", [{"expr": "rate(a[$range])", "legend": "a"}], r"\[\$range\] is no time"),
        ("queries", [{"expr": "a", "legend": "{{a"}], "names a label otherwise"),
        ("title", "Alerts that fire", "two panels are called Alerts that fire"),
    ],
)
def test_a_wrong_panel_is_named(place: str, value: Any, message: str) -> None:
    source = deepcopy(SOURCE)
    panel = next(one for one in source["dashboards"][0]["panels"] if one["title"] == "Requests")
    panel[place] = value
    with pytest.raises(AnsibleFilterError, match=message):
        made(source=source)


def test_a_limit_needs_a_threshold() -> None:
    source = deepcopy(SOURCE)
    source["dashboards"][0]["panels"][3] |= {"alert": "MachineDown", "limit": True}
    with pytest.raises(AnsibleFilterError, match="MachineDown has no threshold to draw"):
        made(source=source)


def test_each_part_of_the_alerts_belongs_to_one_dashboard() -> None:
    source = deepcopy(SOURCE)
    source["dashboards"][1]["parts"] = []
    with pytest.raises(AnsibleFilterError, match="belongs to one dashboard: edge"):
        made(source=source)
    source["dashboards"][1]["parts"] = ["edge", "odoo"]
    with pytest.raises(AnsibleFilterError, match="belongs to one dashboard: odoo"):
        made(source=source)
    source["dashboards"][1]["id"] = "odoo"
    with pytest.raises(AnsibleFilterError, match="'odoo' is no dashboard's id"):
        made(source=source)


def test_grafana_reads_the_same() -> None:
    boards = grafana_dashboards(SOURCE, alerts=ALERTS, deployment="erp")
    assert sorted(boards) == sorted(f"erp-{board['id']}.json" for board in SOURCE["dashboards"])
    targets = [target for board in boards.values() for panel in board["panels"] for target in panel["targets"]]
    assert len(targets) == sum(len(panel["queries"]) for _board, panel in PANELS)
    assert not [target for target in targets if "$rate]" in target["expr"]]
    assert len({board["uid"] for board in boards.values()}) == len(boards)
    for board in boards.values():
        places = [tuple(sorted(panel["gridPos"].items())) for panel in board["panels"]]
        assert len(set(places)) == len(places)
        assert {panel["type"] for panel in board["panels"]} <= {"stat", "timeseries"}
        assert all(panel["datasource"]["uid"] == "${datasource}" for panel in board["panels"])
        assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource"]
    newest = next(panel for panel in boards["erp-backups.json"]["panels"] if panel["title"] == "Newest backups")
    assert newest["targets"][0]["expr"].endswith(") * 1000")  # Grafana's dates are milliseconds
    disk = next(panel for panel in boards["erp-machines.json"]["panels"] if panel["title"] == "Disk left")
    assert disk["fieldConfig"]["defaults"]["thresholds"]["steps"][-1] == {"color": "red", "value": 0.1}
