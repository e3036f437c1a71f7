# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pytest plugin that tells runner/verify.py how each verification went, as JSON lines on a descriptor."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from typing import Any

import pytest


def title(item: pytest.Item) -> str:
    """The first line of the test's docstring, with the parameters' id; its name where it has none."""
    function = getattr(item, "function", None)
    lines = (getattr(function, "__doc__", None) or item.name).strip().splitlines()
    callspec = getattr(item, "callspec", None)
    return lines[0].rstrip(".") + (f" [{callspec.id}]" if callspec and lines[0] != item.name else "")


def tell(kind: str, **fields: Any) -> None:
    data = json.dumps({"kind": kind, **fields}).encode() + b"\n"
    while data:
        data = data[os.write(int(os.environ["ODOO_DEPLOY_EVENTS_FD"]), data) :]


def pytest_runtest_logstart(nodeid: str, location: tuple[str, int | None, str]) -> None:
    tell("started", id=nodeid)


def pytest_collection_finish(session: pytest.Session) -> None:
    tell("collected", tests={item.nodeid: title(item) for item in session.items})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        message = str(call.excinfo.value).strip().splitlines()[0:1] if call.excinfo else []
        tell(
            "finished",
            id=item.nodeid,
            title=title(item),
            result=report.outcome,
            seconds=round(report.duration, 3),
            message="".join(message),
        )
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        tell("broken", id=report.nodeid, message=str(report.longrepr).strip().splitlines()[-1])
