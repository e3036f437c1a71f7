# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The previous release's machines are well."""

from __future__ import annotations

from typing import Any

import requests

testinfra_hosts = ["machines"]


def test_machine_is_well_and_shows_metrics(host: Any) -> None:
    assert host.check_output("systemctl is-system-running") == "running"
    address = host.ansible.get_variables()["peer_address"]
    answer = requests.get(f"http://{address}:9100/metrics", timeout=20)
    assert f'nodename="{host.check_output("hostname")}"' in answer.text
