# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""alert_silence and alert_info against an API server's proxy that answers as Alertmanager does."""

from __future__ import annotations

import datetime
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.odoo_deploy.stack.plugins.module_utils.alertmanager import UTC, matcher, plan, stamp, table

Module = Callable[..., dict[str, Any]]

BASE = "/api/v1/namespaces/monitoring/services/alertmanager:9093/proxy/api/v2/"
NOW = datetime.datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


class Alertmanager:
    """Silences by id, and where they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.silences: dict[str, dict[str, Any]] = {}
        self.alerts: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, body: Any = None) -> None:
                text = b"" if body is None else json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self) -> None:
                told = {"silences": [{"id": key, **one} for key, one in outer.silences.items()], "alerts": outer.alerts}
                self.answer(told[self.path.removeprefix(BASE)])

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = f"s{len(outer.silences)}"
                outer.silences[key] = {**sent, "status": {"state": "active"}}
                self.answer({"silenceID": key})

            def do_DELETE(self) -> None:
                outer.silences[self.path.rpartition("/")[2]]["status"]["state"] = "expired"
                self.answer()

            def log_message(self, *_unused: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{self.server.server_port}"
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "c",
                    "clusters": [{"name": "c", "cluster": {"server": address}}],
                    "users": [{"name": "u", "user": {}}],
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                }
            )
        )


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, module: Module) -> Module:
    """A module that finds its module_utils, as Ansible packs them."""
    found = [os.environ.get("ANSIBLE_COLLECTIONS_PATH", ""), *sys.path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, found)))
    return module


@pytest.fixture
def alertmanager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Alertmanager]:
    monkeypatch.setenv("NO_PROXY", "*")
    one = Alertmanager(tmp_path)
    yield one
    one.server.shutdown()


def test_a_silence_is_written_once_and_ended(module: Module, alertmanager: Alertmanager) -> None:
    given: dict[str, Any] = {"name": "upgrade", "kubeconfig": str(alertmanager.kubeconfig)}
    wanted = {**given, "matchers": ["part=~odoo|edge"], "minutes": 20}
    assert module("alert_silence", check=True, **wanted)["changed"] is True
    assert alertmanager.silences == {}
    answer = module("alert_silence", **wanted)
    assert (answer["changed"], answer["reached"]) == (True, True)
    (written,) = alertmanager.silences.values()
    assert written["matchers"] == [{"name": "part", "value": "odoo|edge", "isRegex": True, "isEqual": True}]
    assert (written["comment"], written["createdBy"]) == ("upgrade", "odoo-deploy")
    assert written["endsAt"] == answer["ends"]
    assert module("alert_silence", **wanted)["changed"] is False
    assert module("alert_silence", state="absent", **given)["changed"] is True
    assert [one["status"]["state"] for one in alertmanager.silences.values()] == ["expired"]
    assert module("alert_silence", state="absent", **given)["changed"] is False


def test_work_goes_on_where_nobody_can_be_told(module: Module, alertmanager: Alertmanager, tmp_path: Path) -> None:
    alertmanager.server.shutdown()
    alertmanager.server.server_close()
    for kubeconfig in (alertmanager.kubeconfig, tmp_path / "none"):
        answer = module("alert_silence", name="x", matchers=["a=b"], kubeconfig=str(kubeconfig))
        assert (answer["changed"], answer["reached"]) == (False, False)
        assert "the alerts of x are not silenced" in str(answer["warnings"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"matchers": ["part"]}, "'part' is no matcher"),
        ({"matchers": []}, "matchers is empty"),
        ({"matchers": ["a=b"], "minutes": 0}, "a silence lasts a minute at least"),
    ],
)
def test_a_silence_of_nothing_is_refused(module: Module, arguments: dict[str, Any], message: str) -> None:
    answer = module("alert_silence", name="x", kubeconfig="/none", **arguments)
    assert answer["failed"]
    assert message in answer["msg"]


@pytest.mark.parametrize(
    ("text", "regex", "equal"),
    [("a=b", False, True), ("a!=b", False, False), ("a=~b|c", True, True), ("a!~b", True, False)],
)
def test_matchers(text: str, regex: bool, equal: bool) -> None:
    made = matcher(text)
    assert (made["name"], made["isRegex"], made["isEqual"]) == ("a", regex, equal)


def silence(
    minutes: float, comment: str = "upgrade", state: str = "active", author: str = "odoo-deploy"
) -> dict[str, Any]:
    return {
        "id": f"{comment}{minutes}",
        "matchers": [matcher("part=odoo")],
        "endsAt": stamp(NOW + datetime.timedelta(minutes=minutes)),
        "comment": comment,
        "createdBy": author,
        "status": {"state": state},
    }


def test_what_is_planned() -> None:
    """A silence that is nearly as long stays; one that is shorter or of other alerts is replaced; others' stay."""
    wanted = [matcher("part=odoo")]
    assert plan([silence(29)], "upgrade", wanted, 30, NOW) == (None, [])
    written, ended = plan(
        [silence(5), silence(29, comment="other"), silence(29, author="eve")], "upgrade", wanted, 30, NOW
    )
    assert written is not None
    assert (written["startsAt"], written["endsAt"]) == ("2026-11-27T12:00:00.000Z", "2026-11-27T12:30:00.000Z")
    assert ended == ["upgrade5"]
    assert plan([silence(29, state="expired")], "upgrade", wanted, 30, NOW)[1] == []
    assert plan([silence(300)], "upgrade", wanted, 30, NOW)[1] == ["upgrade300"]
    assert plan([silence(29)], "upgrade", [matcher("part=edge")], 30, NOW)[1] == ["upgrade29"]


def alert(name: str, severity: str, minutes: int, state: str = "active", **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": severity, **labels},
        "annotations": {"summary": f"{name} happened", "next": "./run.py status"},
        "startsAt": stamp(NOW - datetime.timedelta(minutes=minutes)),
        "status": {"state": state},
    }


def test_what_a_person_reads() -> None:
    """The worst first, the oldest of these first; Watchdog is no news."""
    alerts = [
        alert("Slow", "warning", 5, state="suppressed"),
        alert("Watchdog", "none", 900),
        alert("Down", "page", 1, instance="pg1"),
        alert("Gone", "page", 300, instance="nginx1"),
    ]
    assert table(alerts, [silence(90), silence(5, state="expired")], NOW) == [
        "3 alerts fire:",
        "  page Gone nginx1, since 5 h",
        "    Gone happened",
        "    next: ./run.py status",
        "  page Down pg1, since 60 s",
        "    Down happened",
        "    next: ./run.py status",
        "  warning Slow, since 5 min, silenced",
        "    Slow happened",
        "    next: ./run.py status",
        "Silence upgrade of odoo-deploy, for 90 min more: part=odoo",
    ]
    assert table([alerts[1]], [], NOW) == ["No alert fires."]
    assert table(alerts[2:3], [], NOW)[0] == "1 alert fires:"


def test_what_fires(module: Module, alertmanager: Alertmanager, tmp_path: Path) -> None:
    alertmanager.alerts = [alert("Down", "page", 1)]
    answer = module("alert_info", kubeconfig=str(alertmanager.kubeconfig))
    assert answer["changed"] is False
    assert answer["lines"][0] == "1 alert fires:"
    assert answer["alerts"] == alertmanager.alerts
    refused = module("alert_info", kubeconfig=str(tmp_path / "none"))
    assert refused["failed"] and "Nobody tells which alerts fire" in refused["msg"]
