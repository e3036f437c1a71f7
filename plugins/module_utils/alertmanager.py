# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alertmanager's silences, as data: which to write, which to end. Talks to nobody."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

UTC = datetime.timezone.utc
# By it a silence of planned work is known from one that a person wrote.
AUTHOR = "odoo-deploy"
MATCHER = re.compile(r"(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)(?P<sign>=~|!~|!=|=)(?P<value>.+)")
SIGNS = {"=": (False, True), "!=": (False, False), "=~": (True, True), "!~": (True, False)}


def matcher(text: str) -> dict[str, Any]:
    """A matcher such as `part=~odoo|edge` in Alertmanager's form; raises ValueError for anything else."""
    found = MATCHER.fullmatch(text.strip())
    if not found:
        raise ValueError(
            f"{text!r} is no matcher: write it as LABEL=VALUE, LABEL=~EXPRESSION, LABEL!=VALUE or LABEL!~EXPRESSION"
        )
    regex, equal = SIGNS[found["sign"]]
    return {"name": found["name"], "value": found["value"], "isRegex": regex, "isEqual": equal}


def stamp(moment: datetime.datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def moment(text: str) -> datetime.datetime:
    """A time of the API; its fractions of a second are left out."""
    return datetime.datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)


def ours(silences: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """Silences of this work that are in force or will be."""
    return [
        one
        for one in silences
        if one.get("createdBy") == AUTHOR and one.get("comment") == name and one["status"]["state"] != "expired"
    ]


def same(one: Mapping[str, Any], matchers: Sequence[Mapping[str, Any]]) -> bool:
    def key(item: Mapping[str, Any]) -> tuple[str, str, bool, bool]:
        return item["name"], item["value"], bool(item["isRegex"]), bool(item.get("isEqual", True))

    return sorted(map(key, one["matchers"])) == sorted(map(key, matchers))


def plan(
    silences: Sequence[Mapping[str, Any]],
    name: str,
    matchers: Sequence[Mapping[str, Any]],
    minutes: int,
    now: datetime.datetime,
) -> tuple[dict[str, Any] | None, list[str]]:
    """(what to write or None, ids to end) so that one silence of this name is in force for so many minutes from now.

    One that lasts for at least nine tenths of that time is left as it is, so that a second run changes nothing.
    """
    end = now + datetime.timedelta(minutes=minutes)
    enough = now + datetime.timedelta(minutes=minutes * 0.9)
    known = ours(silences, name)
    kept = [one for one in known if same(one, matchers) and enough <= moment(one["endsAt"]) <= end]
    if kept:
        return None, [one["id"] for one in known if one is not kept[0]]
    written = {
        "matchers": list(matchers),
        "startsAt": stamp(now),
        "endsAt": stamp(end),
        "createdBy": AUTHOR,
        "comment": name,
    }
    return written, [one["id"] for one in known]


WORST_FIRST = ("page", "critical", "warning")


def ago(began: datetime.datetime, now: datetime.datetime) -> str:
    """`40 s`, `12 min`, `5 h`, `3 d`: how long ago that was."""
    seconds = max(int((now - began).total_seconds()), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def written(one: Mapping[str, Any]) -> str:
    """A matcher as a person writes it."""
    sign = next(sign for sign, form in SIGNS.items() if form == (bool(one["isRegex"]), bool(one.get("isEqual", True))))
    return f"{one['name']}{sign}{one['value']}"


def table(
    alerts: Sequence[Mapping[str, Any]], silences: Sequence[Mapping[str, Any]], now: datetime.datetime
) -> list[str]:
    """What fires, the worst first, each with the command to begin with; then the silences that are in force.

    Watchdog is left out, which fires always.
    """

    def worst(one: Mapping[str, Any]) -> tuple[int, str]:
        severity = one["labels"].get("severity", "")
        rank = WORST_FIRST.index(severity) if severity in WORST_FIRST else len(WORST_FIRST)
        return rank, str(one["startsAt"])

    firing = sorted((one for one in alerts if one["labels"].get("alertname") != "Watchdog"), key=worst)
    lines = [f"{len(firing)} alert{'s fire' if len(firing) > 1 else ' fires'}:" if firing else "No alert fires."]
    for one in firing:
        labels, notes = one["labels"], one.get("annotations", {})
        where = " ".join(labels[name] for name in ("instance", "name", "job") if labels.get(name))
        quiet = {"suppressed": ", silenced"}.get(one.get("status", {}).get("state", ""), "")
        head = f"{labels.get('severity', '-')} {labels.get('alertname', '-')} {where}".rstrip()
        lines.append(f"  {head}, since {ago(moment(one['startsAt']), now)}{quiet}")
        lines += [
            f"    {label}{notes[name]}" for name, label in (("summary", ""), ("next", "next: ")) if notes.get(name)
        ]
    for one in silences:
        if one["status"]["state"] == "active":
            what = ", ".join(map(written, one["matchers"]))
            left = ago(now, moment(one["endsAt"]))
            lines.append(f"Silence {one['comment']} of {one['createdBy']}, for {left} more: {what}")
    return lines
