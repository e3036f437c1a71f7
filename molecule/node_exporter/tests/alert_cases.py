# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes unit tests of `promtool test rules` from alert_cases.yml, which says how its cases are written."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
HERE = Path(__file__).parent
FILTERS = HERE.parents[2] / "plugins" / "filter"


def seconds(text: str) -> int:
    """A duration of one unit, such as 90s or 2h."""
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if not found:
        raise ValueError(f"{text!r} is no duration")
    return int(found[1]) * UNITS[found[2]]


def segments(text: str) -> list[tuple[int, str]]:
    """[(SECOND, VALUE)] of a course such as `1, 10m: 0, 20m: gone`."""
    found = []
    for part in text.split(","):
        start, colon, value = part.strip().rpartition(":")
        found.append((seconds(start) if colon else 0, value.strip()))
    return found


def samples(text: str, step: int, length: int) -> str:
    """The course of one series in promtool's notation: a sample every step seconds until length has passed."""
    parts = segments(text)
    notes = []
    for (start, value), (end, _next) in zip(parts, [*parts[1:], (length + step, "")], strict=True):
        count = (end - start) // step
        if count < 1:
            raise ValueError(f"{text!r}: a part is shorter than {step} s")
        if value == "gone":
            notes += ["stale"] + ([f"_x{count - 1}"] if count > 1 else [])
        elif value == "absent":
            notes.append(f"_x{count}")
        elif value == "now":
            notes.append(f"{start}+{step}x{count - 1}")
        else:
            begin, plus, growth = value.partition("+")
            notes.append(f"{begin}+{growth}x{count - 1}" if plus else f"{begin}x{count - 1}")
    return " ".join(notes)


def document(cases: dict[str, Any], case: dict[str, Any], rules: str) -> dict[str, Any]:
    """The promtool test of one case. rules: the rule file."""
    step = seconds(case.get("step", "15s"))
    courses = {**cases["well"], **case.get("instead", {})}
    starts = [start for course in courses.values() for start, _value in segments(str(course))]
    length = max(starts + [seconds(moment) for moment in case["fires"]])
    series = [
        {"series": name, "values": samples(str(course), step, length)}
        for name, course in courses.items()
        if course is not None
    ]
    checks = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing", alertname!="Watchdog"})',
            "eval_time": moment,
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": count} for name, count in fired.items()],
        }
        for moment, fired in ((moment, counted(names)) for moment, names in case["fires"].items())
    ]
    return {
        "rule_files": [rules],
        "evaluation_interval": f"{step}s",
        "tests": [{"name": case["name"], "interval": f"{step}s", "input_series": series, "promql_expr_test": checks}],
    }


def counted(names: list[str]) -> dict[str, int]:
    return {name: names.count(name) for name in names}


def documents(rules: str) -> dict[str, str]:
    """{FILE: TEXT}, one for each case."""
    cases = yaml.safe_load((HERE / "alert_cases.yml").read_text(encoding="utf-8"))
    return {
        f"case_{number:02}.yml": yaml.safe_dump(document(cases, case, rules), width=10000)
        for number, case in enumerate(cases["cases"])
    }


def rule_file(source: Path, wanted: list[dict[str, Any]]) -> str:
    """The rules as the role gives them to Prometheus."""
    groups = yaml.safe_load(source.read_text(encoding="utf-8"))["groups"]
    options = {"wanted": wanted, "shell": "vagrant", "extra": loaded("objective_rules")({})}
    return yaml.safe_dump(loaded("alert_rules")(groups, **options), width=10000)


def loaded(name: str) -> Callable[..., Any]:
    """A filter of the collection, which itself cannot be imported here."""
    spec = importlib.util.spec_from_file_location(name, FILTERS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)
