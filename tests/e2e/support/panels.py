# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the dashboards of a deployment have figures?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Ask = Callable[..., Any]  # ask("query_range", query=…) gives what Prometheus has as data


def series(ask: Ask, expression: str, end: float, seconds: int = 900, step: int = 15) -> dict[str, list[float]]:
    """{instance: finite values} of an expression over the last seconds; series without that label are one."""
    text = expression.replace("$rate", "2m")
    found = ask("query_range", query=text, start=str(end - seconds), end=str(end), step=str(step))["result"]
    values: dict[str, list[float]] = {}
    for one in found:
        kept = values.setdefault(one["metric"].get("instance", ""), [])
        kept += [float(value) for _moment, value in one["values"] if math.isfinite(float(value))]
    return values


def problems(ask: Ask, page: Mapping[str, Any], end: float, wanted: Callable[[str], list[str]]) -> list[str]:
    """What is wrong with panels, each with its place. wanted: the names of the machines of a group."""
    found = []
    for board in page["dashboards"]:
        if board.get("when") and not ask("query", query=board["when"])["result"]:
            continue
        for panel in board["panels"]:
            where = f"{board['id']}: {panel['title']}"
            instances: set[str] = set()
            for query in panel["queries"]:
                values = series(ask, query["expr"], end)
                instances |= {name for name, finite in values.items() if finite}
                if not any(values.values()):
                    found.append(f"{where}: {query['legend']} has no finite value")
            missing = sorted(set(wanted(panel["of"])) - instances) if panel.get("of") else []
            if missing:
                found.append(f"{where}: there is none of {', '.join(missing)}")
    return found
