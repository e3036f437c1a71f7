# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that are made, and the alerts that then arrive at a person: what each fault causes and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import testinfra
from kubernetes import client, config

testinfra_hosts = ["local://"]

ROOT = Path(__file__).resolve().parents[3]
NAMESPACE = "monitoring"
# Nobody serves Odoo in this scenario. That it is not reached keeps the alerts about single ways quiet.
STANDING = {"OdooNotReachable", "OdooPodsMissing"}


class Inbox:
    """What Alertmanager sent: alerts that fire by name, and when the dead man's switch was last told."""

    def __init__(self) -> None:
        self.firing: set[str] = set()
        self.ever: set[str] = set()
        self.alive = 0.0
        self.lock = threading.Lock()

    def take(self, path: str, sent: dict[str, Any]) -> None:
        with self.lock:
            if path == "/deadman":
                self.alive = time.monotonic()
                return
            for alert in sent["alerts"]:
                name = alert["labels"]["alertname"]
                if alert["status"] == "firing":
                    self.firing.add(name)
                    self.ever.add(name)
                else:
                    self.firing.discard(name)

    def becomes(self, wanted: set[str], seconds: float = 150) -> float:
        """Seconds until exactly these are known to fire."""
        began = time.monotonic()
        while self.firing != wanted:
            assert time.monotonic() - began < seconds, f"{sorted(self.firing)} arrived instead of {sorted(wanted)}"
            time.sleep(0.2)
        return time.monotonic() - began

    def stays(self, wanted: set[str], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.firing == wanted
            time.sleep(0.2)


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    """A receiver on the address that converge.yml names."""
    box = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            box.take(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_unused: Any) -> None:
            pass

    server = ThreadingHTTPServer(("192.168.141.1", 9099), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield box
    server.shutdown()


@pytest.fixture(scope="module")
def kubeconfig() -> str:
    return str(Path(os.environ["ODOO_DEPLOY_DIR"]) / "kubeconfig")


@pytest.fixture(scope="module")
def apps(kubeconfig: str) -> Any:
    config.load_kube_config(kubeconfig)
    return client.AppsV1Api()


@pytest.fixture(scope="module")
def machine() -> Any:
    inventory = ROOT / "inventory" / "demo.vagrant_minikube.yml"
    return testinfra.get_host("ansible://m1", ansible_inventory=str(inventory))


@pytest.fixture
def silence(kubeconfig: str) -> Callable[..., dict[str, Any]]:
    def call(**arguments: Any) -> dict[str, Any]:
        given = {"ANSIBLE_MODULE_ARGS": {"name": "drill", "kubeconfig": kubeconfig, **arguments}}
        done = subprocess.run(
            [sys.executable, "-m", "ansible_collections.odoo_deploy.stack.plugins.modules.alert_silence"],
            env={**os.environ, "PYTHONPATH": str(ROOT / ".deploy" / "collections")},
            input=json.dumps(given), capture_output=True, text=True, check=False,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(done.stdout)
        assert not answer.get("failed"), answer
        return answer

    return call


def exporter(machine: Any, verb: str) -> None:
    with machine.sudo():
        machine.check_output(f"systemctl {verb} prometheus-node-exporter")


def test_what_is_wrong_arrives_and_somebody_hears_that_alerts_work(inbox: Inbox) -> None:
    print("standing alerts after", inbox.becomes(STANDING, seconds=240))
    assert time.monotonic() - inbox.alive < 90


def test_a_machine_that_does_not_answer(inbox: Inbox, machine: Any) -> None:
    inbox.becomes(STANDING, seconds=240)
    exporter(machine, "stop")
    try:
        print("delivered after", inbox.becomes(STANDING | {"MachineDown"}))
    finally:
        exporter(machine, "start")
    print("resolved after", inbox.becomes(STANDING))


def test_a_cadvisor_that_is_away_says_nothing_about_odoo(inbox: Inbox, apps: Any) -> None:
    inbox.becomes(STANDING, seconds=240)
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"nowhere": "true"}}}}}
    apps.patch_namespaced_daemon_set("cadvisor", NAMESPACE, nowhere)
    try:
        print("delivered after", inbox.becomes((STANDING - {"OdooPodsMissing"}) | {"TargetsMissing"}))
    finally:
        nowhere["spec"]["template"]["spec"]["nodeSelector"]["nowhere"] = None  # type: ignore[assignment]
        apps.patch_namespaced_daemon_set("cadvisor", NAMESPACE, nowhere)
    print("resolved after", inbox.becomes(STANDING, seconds=240))


def test_planned_work_is_silent_and_ends(inbox: Inbox, machine: Any, silence: Callable[..., dict[str, Any]]) -> None:
    inbox.becomes(STANDING, seconds=240)
    matchers = ["alertname=MachineDown"]
    answer = silence(matchers=matchers, minutes=5)
    assert (answer["changed"], answer["reached"]) == (True, True)
    assert silence(matchers=matchers, minutes=5)["changed"] is False
    exporter(machine, "stop")
    try:
        inbox.stays(STANDING, seconds=45)
        assert silence(state="absent")["changed"] is True
        print("delivered after", inbox.becomes(STANDING | {"MachineDown"}))
    finally:
        exporter(machine, "start")
    inbox.becomes(STANDING)


def test_nothing_else_ever_arrived(inbox: Inbox) -> None:
    assert inbox.ever == STANDING | {"MachineDown", "TargetsMissing"}
