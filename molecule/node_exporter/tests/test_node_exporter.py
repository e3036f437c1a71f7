# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exporter runs, tells, and can do nothing else."""

from __future__ import annotations

import http.client
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

testinfra_hosts = ["machines"]

UNIT = "prometheus-node-exporter"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def address(host: Any) -> str:
    """The address other machines reach this one by."""
    address: str = host.ansible.get_variables()["peer_address"]
    return address


@pytest.fixture
def metrics(address: str) -> str:
    """One scrape of the metrics page."""
    connection = http.client.HTTPConnection(address, 9100, timeout=10)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200
    return answer.read().decode()


def test_unit_is_enabled_and_stays_up(host: Any, metrics: str) -> None:
    """The unit is enabled, runs, and a scrape did not make it start anew."""
    service = host.service(UNIT)
    assert service.is_enabled
    assert service.is_running
    with host.sudo():
        assert host.check_output(f"systemctl show --property=NRestarts --value {UNIT}") == "0"


def test_listens_on_the_peer_address_alone(host: Any, address: str) -> None:
    """Port 9100 is bound there and nowhere else."""
    with host.sudo():
        listening = [line.split()[3] for line in host.check_output("ss -Hlnt").splitlines()]
    assert [entry for entry in listening if entry.endswith(":9100")] == [f"{address}:9100"]


def test_tells_its_own_name_and_the_units(host: Any, metrics: str) -> None:
    """Figures are this machine's; the states of systemd's units are among them."""
    assert f'nodename="{host.check_output("hostname")}"' in metrics
    assert f'node_systemd_unit_state{{name="{UNIT}.service",state="active",type="exec"}} 1' in metrics
    for name in (
        "node_cpu_seconds_total",
        "node_memory_MemAvailable_bytes",
        "node_filesystem_avail_bytes",
        "node_network_receive_bytes_total",
    ):
        assert f"\n{name}" in metrics


def test_runs_unprivileged_in_a_sandbox(host: Any) -> None:
    """Not root, no capability, a read-only file system, and systemd's measure of exposure low."""
    with host.sudo():
        pid = host.check_output(f"systemctl show --property=MainPID --value {UNIT}")
        assert host.check_output(f"ps -o user= -p {pid}") == "prometheus"
        assert "CapBnd:\t0000000000000000" in host.file(f"/proc/{pid}/status").content_string
        assert host.run(f"nsenter --target {pid} --mount touch /var/lib/x").rc != 0
        score = host.check_output(f"systemd-analyze security --no-pager {UNIT} | tail -1")
        assert float(score.split(":")[1].split()[0]) < 2.5, score


def test_alert_rules(host: Any, metrics: str) -> None:
    """Prometheus' own tool takes the rules, they say what their tests want, and the exporter has their figures."""
    rules = (ROOT / "roles" / "prometheus_k8s" / "files" / "alerts.yml").read_text(encoding="utf-8")
    tests = Path(__file__).with_name("alerts_test.yml").read_text(encoding="utf-8")
    with host.sudo():
        host.check_output("cd /var/tmp && apt-get -qq download prometheus && dpkg -x prometheus_*.deb prometheus")
        for name, text in (("alerts.yml", rules), ("alerts_test.yml", tests)):
            host.check_output("printf %%s %s > /tmp/%s", text, name)
        host.check_output("/var/tmp/prometheus/usr/bin/promtool check rules /tmp/alerts.yml")
        done = host.run("/var/tmp/prometheus/usr/bin/promtool test rules /tmp/alerts_test.yml")
    assert done.rc == 0, done.stdout + done.stderr
    for name in set(re.findall(r"\bnode_[a-z_]+", rules)):
        assert f"\n{name}{{" in metrics, name
    for alert in [rule for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]:
        assert alert["annotations"]["next"].startswith(("./run.py ", "vagrant ssh ")), alert["alert"]
