# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exporter runs, tells, and can do nothing else."""

from __future__ import annotations

import base64
import http.client
import io
import re
import tarfile
from pathlib import Path
from typing import Any

import alert_cases
import pytest
import yaml

testinfra_hosts = ["machines"]

UNIT = "prometheus-node-exporter"
RULES = Path(__file__).resolve().parents[3] / "roles" / "prometheus_k8s" / "files" / "alerts.yml"


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
    """Prometheus' own tool takes the rules, each case fires what it should, and the exporter has the rules' figures."""
    cases = yaml.safe_load(Path(__file__).with_name("alert_cases.yml").read_text(encoding="utf-8"))
    files = {"rules.yml": alert_cases.rule_file(RULES, cases["wanted"]), **alert_cases.documents("rules.yml")}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    promtool = "/var/tmp/prometheus/usr/bin/promtool"
    with host.sudo():
        host.check_output("cd /var/tmp && apt-get -qq download prometheus && dpkg -x prometheus_*.deb prometheus")
        host.check_output("mkdir -p /var/tmp/rules && echo %s | base64 -d | tar -xzC /var/tmp/rules",
                          base64.b64encode(packed.getvalue()).decode())  # fmt: skip
        host.check_output(f"{promtool} check rules /var/tmp/rules/rules.yml")
        done = host.run(f"cd /var/tmp/rules && {promtool} test rules case_*.yml")
    assert done.rc == 0, done.stdout + done.stderr
    named = set(re.findall(r"\bnode_[a-zA-Z_]+", RULES.read_text(encoding="utf-8")))
    # Only where a folder of such files is given.
    for name in named - {"node_textfile_scrape_error"}:
        assert f"\n{name}" in metrics, name
