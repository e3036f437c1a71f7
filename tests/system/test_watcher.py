# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody watches the watcher: with Prometheus away the proxies tell people, and tell them when it is back."""

from __future__ import annotations

import ipaddress
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from support.deployment import Deployment, Machine, eventually

pytestmark = pytest.mark.slow  # minutes each; CI leaves them out

PORT = 9098


class Inbox:
    """What the watchers sent: (proxy, status) in the order of arrival. What Alertmanager sends is left out."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.summaries: set[str] = set()

    def take(self, sent: dict[str, Any]) -> None:
        for alert in sent["alerts"]:
            if alert["labels"]["alertname"] == "MonitoringSilent":
                self.told.append((alert["labels"]["instance"], alert["status"]))
                self.summaries.add(alert["annotations"]["summary"])


@pytest.fixture(scope="module")
def address(deployment: Deployment) -> str:
    """This host's address on the machines' network."""
    machine = deployment.machines("nginx")[0]
    return str(ipaddress.ip_network(machine.variables["deployment_network"])[1])


@pytest.fixture(scope="module")
def inbox(address: str) -> Iterator[Inbox]:
    box = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            box.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_unused: Any) -> None:
            pass

    with ThreadingHTTPServer((address, PORT), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield box
        server.shutdown()


@pytest.fixture(scope="module")
def proxies(deployment: Deployment) -> list[Machine]:
    return deployment.machines("nginx")


def heard(proxy: Machine) -> dict[str, Any]:
    """What the watcher's last look left."""
    found: dict[str, Any] = json.loads(proxy.run("cat /var/lib/alert-watcher/state.json"))
    return found


def test_prometheus_killed(
    deployment: Deployment, proxies: list[Machine], inbox: Inbox, address: str, run: Run, tmp_path: Path
) -> None:
    """Both proxies tell it within three minutes, once, and then that it is over. Without receivers nothing is left."""
    variables = tmp_path / "variables.json"
    variables.write_text(
        json.dumps({"prometheus_k8s_receivers": {"webhook": {"url": f"http://{address}:{PORT}/people"}}})
    )
    deploy = ("./run.py", "--yes", "--steps", "2,5")
    scale = deployment.cluster.apps.patch_namespaced_deployment_scale
    names = {proxy.name for proxy in proxies}
    try:
        done = run(*deploy, "-e", f"@{variables}")
        assert done.returncode == 0, done.stdout[-4000:]
        again = run(*deploy, "-e", f"@{variables}")
        assert again.returncode == 0, again.stdout[-4000:]
        assert ": changed=0, " in again.stdout, again.stdout[-4000:]

        def all_is_well() -> None:
            for proxy in proxies:
                assert time.time() - heard(proxy)["looked"] < 40, proxy.name
                assert heard(proxy)["began"] is None, proxy.name

        # A new login reaches Prometheus when its node next reads the Secret; a fresh machine waits for three minutes.
        eventually(all_is_well, seconds=240)
        for proxy in proxies:
            assert proxy.run("stat -c '%a %U' /etc/alert-watcher.json") == "600 alert-watcher"
            assert proxy.run("systemctl show --value -p Result alert-watcher.service") == "success"
        assert inbox.told == []

        scale("prometheus", "monitoring", {"spec": {"replicas": 0}})
        began = time.monotonic()
        try:

            def all_told() -> None:
                assert set(inbox.told) == {(name, "firing") for name in names}

            eventually(all_told, seconds=180)
            print("told after", round(time.monotonic() - began), "s:", *sorted(inbox.summaries))
        finally:
            scale("prometheus", "monitoring", {"spec": {"replicas": 1}})
        began = time.monotonic()

        def all_resolved() -> None:
            assert {(name, "resolved") for name in names} <= set(inbox.told)

        eventually(all_resolved, seconds=180)
        print("resolved after", round(time.monotonic() - began), "s")
        assert sorted(inbox.told) == sorted((name, status) for name in names for status in ("firing", "resolved"))
        for proxy in proxies:
            assert proxy.run("systemctl show --value -p Result alert-watcher.service") == "success"
    finally:
        back = run(*deploy)
    assert back.returncode == 0, back.stdout[-4000:]
    for proxy in proxies:
        left = proxy.host.run("find /etc /usr/local /var/lib -name 'alert-watcher*' -not -path '/var/lib/systemd/*'")
        assert left.stdout == "", proxy.name
        assert not proxy.host.user("alert-watcher").exists
        proxy.assert_running()
