# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of an ACME authority. The last test: it changes both proxies for good."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

testinfra_hosts = ["nginx"]

PLAYBOOK = Path(__file__).resolve().parents[1] / "acme.yml"
NAMES = {"one.example.com", "two.example.com"}


def play(*arguments: str) -> str:
    """What ansible-playbook prints, without colours."""
    tool = Path(sys.executable).with_name("ansible-playbook")
    inventory = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "inventory" / "demo.vagrant_minikube.yml"
    done = subprocess.run(
        [str(tool), "-i", str(inventory), str(PLAYBOOK), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout


@pytest.fixture(scope="module")
def tried() -> str:
    """What a trial run says while neither certbot nor a certificate is there."""
    return play("--check", "--skip-tags", "authority")


@pytest.fixture(scope="module")
def ordered(tried: str) -> str:
    """Both proxies have ordered from the authority."""
    return play()


@pytest.fixture
def address(host: Any) -> str:
    return str(host.ansible.get_variables()["peer_address"])


@pytest.fixture
def authority(host: Any, tmp_path: Path) -> Path:
    """Pebble makes a root of its own at each start; it tells it where only a test asks."""
    pebble = host.ansible.get_variables()["peer_address"].rpartition(".")[0] + ".32"
    root = tmp_path / "root.pem"
    trusted = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "tls" / "ca.crt"
    root.write_text(requests.get(f"https://{pebble}:15000/roots/0", verify=str(trusted), timeout=10).text)
    return root


def test_a_trial_run_tells_and_installs_nothing(tried: str, ordered: str) -> None:
    """What it would install is installed by the run after it."""
    for output in (tried, ordered):
        assert re.findall(r"Install nginx\] \*+\nchanged: \[(nginx\d)\]", output)[:2] == ["nginx1", "nginx2"]
        assert len(re.findall(r"Order the certificate, or renew it\] \*+\n(?:changed|skipping): ", output)) == 2


def test_each_proxy_serves_the_authoritys_certificate(ordered: str, address: str, authority: Path) -> None:
    """For both names, though the question for one of them reached the other proxy."""
    context = ssl.create_default_context(cafile=str(authority))
    for name in sorted(NAMES):
        with context.wrap_socket(socket.create_connection((address, 443), timeout=10), server_hostname=name) as tls:
            found = {value for kind, value in tls.getpeercert()["subjectAltName"] if kind == "DNS"}  # type: ignore[index]
            assert found == NAMES


def test_a_second_run_orders_nothing(ordered: str) -> None:
    """The certificates are good for years; nothing else changes either."""
    recap = play("--skip-tags", "authority")
    assert re.findall(r"^(nginx\d) .* changed=(\d+) ", recap, re.MULTILINE) == [("nginx1", "0"), ("nginx2", "0")]


def test_renewal_reaches_nginx_without_a_play(ordered: str, host: Any, address: str, authority: Path) -> None:
    """What certbot's timer runs, forced: a new certificate is served, and the timer is on."""

    def serial() -> str:
        context = ssl.create_default_context(cafile=str(authority))
        connection = socket.create_connection((address, 443), timeout=10)
        with context.wrap_socket(connection, server_hostname="one.example.com") as tls:
            return str(tls.getpeercert()["serialNumber"])  # type: ignore[index]

    before = serial()
    with host.sudo():
        host.check_output("certbot renew --force-renewal --no-random-sleep-on-renew --quiet")
        assert host.check_output("systemctl is-enabled certbot.timer") == "enabled"
        assert host.check_output("systemctl is-active certbot.timer") == "active"
    # The hook asks nginx to reload and returns; its old workers answer until the new ones are there.
    deadline = time.monotonic() + 10
    while serial() == before:
        assert time.monotonic() < deadline, "nginx still serves the certificate from before the renewal"
        time.sleep(0.2)


def test_nobodys_question_goes_round(ordered: str, address: str) -> None:
    """What no proxy holds is 404 after one turn, and everything else is sent to HTTPS."""
    for path, status in (("/.well-known/acme-challenge/nothing", 404), ("/web/login", 308)):
        answer = requests.get(
            f"http://{address}{path}", headers={"Host": "one.example.com"}, timeout=10, allow_redirects=False
        )
        assert answer.status_code == status
