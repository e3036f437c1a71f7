# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards: one description, checked, and what is made of it.

roles/prometheus_k8s/files/dashboards.yml says how it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What a panel's unit is called by Grafana.
UNITS = {
    "per_second": "reqps",
    "bytes": "bytes",
    "bytes_per_second": "Bps",
    "seconds": "s",
    "share": "percentunit",
    "cores": "none",
    "number": "none",
    "state": "bool",
    "time": "dateTimeFromNow",
}
KINDS = ("lines", "latest")
NEEDED = {"title", "unit", "queries"}
ALLOWED = NEEDED | {"kind", "of", "alert", "limit"}
RANGE = re.compile(r"\[([^\]:]+)(?::[^\]]*)?\]")


def thresholds(groups: Iterable[Mapping[str, Any]], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """{ALERT: NUMBER} of the alerts that compare with one number, as changed."""
    found = {}
    for group in groups:
        for rule in group["rules"]:
            number = changes.get(rule.get("alert"), {}).get("threshold", rule.get("threshold"))
            if number is not None:
                found[rule["alert"]] = float(number)
    return found


def check_query(query: Mapping[str, Any], where: str) -> None:
    """Raises ValueError where a query is not whole."""
    if set(query) != {"expr", "legend"}:
        raise ValueError(f"{where}: a query has expr and legend, not {', '.join(sorted(query))}")
    expr, legend = str(query["expr"]), str(query["legend"])
    for opening, closing in ("()", "{}", "[]"):
        if expr.count(opening) != expr.count(closing):
            raise ValueError(f"{where}: {opening} and {closing} are not as many in {expr!r}")
    for width in RANGE.findall(expr):
        if width != "$rate" and not re.fullmatch(r"[0-9]+[smhdw]", width):
            raise ValueError(f"{where}: [{width}] is no time; write [$rate] or [5m]")
    if not legend or re.search(r"[{}]", re.sub(r"\{\{\w+\}\}", "", legend)):
        raise ValueError(f"{where}: {legend!r} names a label otherwise than {{{{label}}}}")


def check_panel(panel: Mapping[str, Any], where: str, parts: Mapping[str, Iterable[str]]) -> None:
    """Raises ValueError where a panel is not whole. parts: the alerts that there are, by their group."""
    odd = (set(panel) - ALLOWED) | (NEEDED - set(panel))
    if odd:
        raise ValueError(f"{where}: {', '.join(sorted(odd))} is missing or unknown")
    if panel["unit"] not in UNITS:
        raise ValueError(f"{where}: {panel['unit']!r} is no unit; there are {', '.join(UNITS)}")
    if panel.get("kind", "lines") not in KINDS:
        raise ValueError(f"{where}: {panel['kind']!r} is no kind; there are {', '.join(KINDS)}")
    if "alert" in panel and not any(panel["alert"] in names for names in parts.values()):
        raise ValueError(f"{where}: no alert is called {panel['alert']}")
    if panel.get("limit") and "alert" not in panel:
        raise ValueError(f"{where}: a limit is an alert's, and no alert is named")
    if not panel["queries"]:
        raise ValueError(f"{where}: there is no query")
    for query in panel["queries"]:
        check_query(query, where)
    if panel.get("of") and not any(shows_instance(query) for query in panel["queries"]):
        raise ValueError(f"{where}: the series of {panel['of']} have to have the label instance")


def shows_instance(query: Mapping[str, Any]) -> bool:
    """The series of a query keep their label instance, as far as one can read."""
    grouped = re.findall(r"\bby\s*\(([^)]*)\)", str(query["expr"]))
    return all("instance" in labels for labels in grouped)


def checked(source: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The description itself; raises ValueError that names the place of what is wrong. groups: of the alerts."""
    parts = {group["name"]: {rule.get("alert", "") for rule in group["rules"]} for group in groups}
    seen: set[str] = set()
    shown: list[str] = []
    for board in source["dashboards"]:
        name = str(board.get("id", ""))
        if not re.fullmatch(r"[a-z]+", name) or name in seen:
            raise ValueError(f"{name!r} is no dashboard's id, or another one's too: lower case letters")
        seen.add(name)
        titles = [panel.get("title") for panel in board["panels"]]
        double = sorted({str(title) for title in titles if titles.count(title) > 1})
        if double:
            raise ValueError(f"{name}: two panels are called {', '.join(double)}")
        shown += board.get("parts", [])
        for panel in board["panels"]:
            check_panel(panel, f"{name}: {panel.get('title')}", parts)
    odd = sorted(set(parts) ^ set(shown)) or sorted({part for part in shown if shown.count(part) > 1})
    if odd:
        raise ValueError(f"each group of alerts belongs to one dashboard: {', '.join(odd)}")
    for mark in source["marks"]:
        check_query({"expr": mark.get("expr"), "legend": mark.get("title")}, "marks")
    return source


def limit(panel: Mapping[str, Any], numbers: Mapping[str, float]) -> float | None:
    """Where a panel draws its alert's threshold; raises ValueError where the alert compares with none."""
    if not panel.get("limit"):
        return None
    if panel["alert"] not in numbers:
        raise ValueError(f"{panel['title']}: the alert {panel['alert']} has no threshold to draw")
    return numbers[panel["alert"]]


def page(
    source: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], changes: Mapping[str, Any], **facts: Any
) -> dict[str, Any]:
    """What the page at /user/ reads: the dashboards with their limits, and facts of the deployment."""
    numbers = thresholds(groups, changes)
    boards = [
        {
            **board,
            "panels": [{"kind": "lines", **panel, "limit": limit(panel, numbers)} for panel in board["panels"]],
        }
        for board in checked(source, groups)["dashboards"]
    ]
    return {**facts, "marks": source["marks"], "dashboards": boards}


DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def grafana_panel(panel: Mapping[str, Any], number: int, line: float | None) -> dict[str, Any]:
    """A panel as Grafana has it, three in a row of 24 columns."""
    latest = panel.get("kind") == "latest"
    date = panel["unit"] == "time"
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel["unit"] == "state":
        steps = [{"color": "red", "value": None}, {"color": "green", "value": 1}]
    if line is not None:
        steps.append({"color": "red", "value": line})
    custom = {
        "fillOpacity": 5,
        "showPoints": "never",
        "thresholdsStyle": {"mode": "line" if line is not None else "off"},
    }
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if latest:
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name", "colorMode": "value"}
    return {
        "id": number + 1,
        "title": panel["title"],
        "type": "stat" if latest else "timeseries",
        "datasource": DATASOURCE,
        "gridPos": {"x": number % 3 * 8, "y": number // 3 * 8, "w": 8, "h": 8},
        "fieldConfig": {
            "defaults": {
                "unit": UNITS[panel["unit"]],
                "custom": {} if latest else custom,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": DATASOURCE,
                # Grafana counts milliseconds since 1970.
                "expr": ("({}) * 1000" if date else "{}").format(query["expr"].replace("$rate", "$__rate_interval")),
                "legendFormat": query["legend"],
                "instant": latest,
                "range": not latest,
            }
            for place, query in enumerate(panel["queries"])
        ],
    }


def grafana(
    source: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], changes: Mapping[str, Any], deployment: str
) -> dict[str, dict[str, Any]]:
    """{FILE: DASHBOARD} for Grafana, which lets a person choose the Prometheus."""
    numbers = thresholds(groups, changes)
    made = {}
    for board in checked(source, groups)["dashboards"]:
        made[f"{deployment}-{board['id']}.json"] = {
            "uid": f"{deployment}-{board['id']}"[:40],
            "title": f"{deployment}: {board['title']}",
            "tags": [deployment, "odoo"],
            "editable": False,
            "schemaVersion": 39,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
            "annotations": {"list": [grafana_mark(mark) for mark in source["marks"]]},
            "links": [{"type": "dashboards", "tags": [deployment], "title": "Dashboards", "keepTime": True}],
            "panels": [
                grafana_panel(panel, number, limit(panel, numbers)) for number, panel in enumerate(board["panels"])
            ],
        }
    return made


def grafana_mark(mark: Mapping[str, Any]) -> dict[str, Any]:
    """An annotation at each time that the expression gives."""
    return {
        "name": mark["title"],
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": f"({mark['expr']}) * 1000",
        "titleFormat": mark["title"],
        "useValueForTime": "on",
    }
