# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objectives of availability and speed, as rules that record how far they are missed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: objective_rules
short_description: Recording rules for objectives of availability and speed
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Records for C(pages) and C(files) the share of requests that were errors of the server (C(availability)) or slow
    (C(speed)), over windows from five minutes to three days, as C(odoo:objective_errors:ratio_rateWINDOW).
  - C(odoo_objective_budget) is the share that may be.
options:
  _input:
    description:
      - For C(pages) and C(files) what differs from C(availability) 99.5, C(speed) 99.5 and C(seconds) 2.5 or 1.
      - The first two are percentages.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the rules for pages that are answered within a second
  ansible.builtin.debug:
    msg: "{{ {'pages': {'seconds': 1}} | odoo_deploy.stack.objective_rules }}"
"""

RETURN = r"""
_value:
  description: Groups of rules.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

# Zones of the proxies' log. Longpolling waits by design, maintenance is planned.
ZONES = {"pages": "pages", "files": "static|bundles"}
DEFAULTS: dict[str, dict[str, float]] = {
    "pages": {"availability": 99.5, "speed": 99.5, "seconds": 2.5},
    "files": {"availability": 99.5, "speed": 99.5, "seconds": 1},
}
# Limits of the histogram odoo_edge_request_seconds: slower or faster than another number cannot be told.
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
WINDOWS = ("30m", "1h", "2h", "6h", "1d", "3d")
COUNTED = ("1h", "6h", "1d", "3d")


def completed(objectives: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """The objectives with the defaults for what is not said; raises ValueError for what is none."""
    odd = sorted(set(objectives) - set(DEFAULTS))
    if odd:
        raise ValueError(f"no objective is called {', '.join(odd)}; there are {', '.join(DEFAULTS)}")
    done = {}
    for name, defaults in DEFAULTS.items():
        said = objectives.get(name) or {}
        odd = sorted(set(said) - set(defaults))
        if odd:
            raise ValueError(f"{name} have no {', '.join(odd)}, only {', '.join(defaults)}")
        numbers = {key: float(said.get(key, default)) for key, default in defaults.items()}
        for aspect in ("availability", "speed"):
            if not 0 < numbers[aspect] < 100:
                raise ValueError(f"{aspect} of {name} is {numbers[aspect]:g}: say a percentage between 0 and 100")
        if numbers["seconds"] not in BUCKETS:
            limits = ", ".join(f"{limit:g}" for limit in BUCKETS)
            raise ValueError(f"seconds of {name} are {numbers['seconds']:g}: the proxies count by {limits}")
        done[name] = numbers
    return done


def record(name: str, expr: str, **labels: str) -> dict[str, Any]:
    return {"record": name, "expr": expr, **({"labels": labels} if labels else {})}


def now(name: str, numbers: Mapping[str, float]) -> list[dict[str, Any]]:
    """What happens at present: requests, errors and slow answers a second."""
    zone = f'zone=~"{ZONES[name]}"'
    requests = f"sum(rate(odoo_edge_requests_total{{{zone}}}[5m]))"
    # Not by its count: requests of no measurable time are in no bucket of some releases of mtail, and are in the count.
    every, fast = (
        f'sum(rate(odoo_edge_request_seconds_bucket{{{zone}, le="{limit}"}}[5m]))'
        for limit in ("+Inf", f"{numbers['seconds']:g}")
    )
    errors = f'sum(rate(odoo_edge_requests_total{{{zone}, code=~"5.."}}[5m])) or {requests} * 0'
    rules = [record("odoo:objective_requests:rate5m", requests, objective=name)]
    for aspect, expr in (("availability", errors), ("speed", f"clamp_min({every} - {fast}, 0)")):
        labels = {"objective": name, "aspect": aspect}
        rules.append(record("odoo:objective_errors:rate5m", expr, **labels))
        budget = round((100 - numbers[aspect]) / 100, 9)
        rules.append(record("odoo_objective_budget", f"vector({budget:.9g})", **labels))
    return rules


def groups(objectives: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups of recording rules. Long windows are made of the records of short ones, which are few series."""
    present = [rule for name, numbers in completed(objectives).items() for rule in now(name, numbers)]
    ratio = "odoo:objective_errors:rate5m / on (objective) group_left () (odoo:objective_requests:rate5m > 0)"
    present.append(record("odoo:objective_errors:ratio_rate5m", ratio))
    past = []
    for window in WINDOWS:
        errors, requests = (f"avg_over_time(odoo:objective_{what}:rate5m[{window}])" for what in ("errors", "requests"))
        expr = f"{errors} / on (objective) group_left () ({requests} > 0)"
        past.append(record(f"odoo:objective_errors:ratio_rate{window}", expr))
        if window in COUNTED:
            for name, zones in ZONES.items():
                expr = f'sum(increase(odoo_edge_requests_total{{zone=~"{zones}"}}[{window}]))'
                past.append(record(f"odoo:objective_requests:increase{window}", expr, objective=name))
    return [{"name": "objectives-now", "rules": present}, {"name": "objectives-past", "interval": "1m", "rules": past}]


def objective_rules(objectives: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    try:
        return groups(objectives)
    except (AttributeError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"objective_rules: {problem}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"objective_rules": objective_rules}
