# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person needs after a run: addresses, links, where the password is, what was verified."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runner import paths
from runner.events import Event, clock, passed
from runner.inventory import Host
from runner.steps import Step


def cluster() -> str:
    """Which cluster step 1 took, and why; empty before it chose."""
    taken = _taken()
    return f"{taken['kind']}: {taken['reason']}" if taken else ""


def cluster_kind() -> str:
    """The kind of cluster that step 1 took: embedded, minikube or context; empty before it chose."""
    return _taken().get("kind", "")


def _taken() -> dict[str, str]:
    try:
        taken = json.loads(paths.CLUSTER.read_text(encoding="utf-8"))
        return {"kind": str(taken["kind"]), "reason": str(taken["reason"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def collect(
    steps: Sequence[Step], hosts: Sequence[Host], checks: Sequence[Event], ports: Mapping[str, int]
) -> dict[str, Any]:
    """The report as data: {cluster, hosts, links, credentials, checks}; ports: what the steps' playbooks said."""
    links = [
        {
            "title": link.title.format(name=host.name),
            "url": link.url.format(name=host.name, address=host.address, port=ports.get(link.port)),
        }
        for step in reversed(steps)
        for link in step.links
        for host in hosts
        if link.group in host.groups and (not link.port or link.port in ports)
    ]
    credentials = [
        {"title": title, "path": paths.shown(paths.DEPLOY / path)}
        for step in steps
        for title, path in step.credentials
        if (paths.DEPLOY / path).is_file()
    ]
    shown = [
        {"name": host.name, "address": host.address, "groups": list(host.groups), "state": host.state} for host in hosts
    ]
    return {"cluster": cluster(), "hosts": shown, "links": links, "credentials": credentials, "checks": list(checks)}


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows in columns as wide as their widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def lines(report: dict[str, Any]) -> list[str]:
    """The report as text."""
    text: list[str] = []
    if report["hosts"]:
        text += ["", "Machines"]
        text += table(
            [(host["name"], host["address"], ", ".join(host["groups"]), host["state"]) for host in report["hosts"]]
        )
    if report["cluster"]:
        text += [f"  cluster is {report['cluster']}"]
    opened = [(link["title"], link["url"]) for link in report["links"]]
    opened += [(entry["title"], f"in {entry['path']}") for entry in report["credentials"]]
    if opened:
        text += ["", "Open", *table(opened)]
    if report["checks"]:
        text += ["", "Verified"]
        for check in report["checks"]:
            mark = "✔" if check["result"] == "passed" else "✘"
            text.append(
                f"  {mark} {check['title']}"
                + ("" if check["result"] == "passed" else f": {check['message'] or check['result']}")
            )
    return text


def summary(checks: list[Event], changed: int, seconds: float) -> str:
    """The last line of a run that went well."""
    return f"Done in {clock(seconds)}: changed={changed}, {passed(checks)}."
