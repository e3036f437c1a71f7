# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL has room for the connections of as many processes as Odoo is told to have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


def connections(**variables: object) -> tuple[int, int]:
    """What clients may open, and the server's limit, with these variables in the deployment's inventory."""
    command = [
        str(Path(sys.executable).with_name("ansible")), "db1", "-i", "inventory/production.example.yml",
        "-i", "inventory/wiring.example.yml",
        "-m", "ansible.builtin.debug", "-e", json.dumps(variables),
        "-a", "msg='{{ postgres_common_client_connections }} {{ postgres_common_max_connections }}'",
    ]  # fmt: skip
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    clients, limit = done.stdout.split("msg: ")[1].split()[:2]
    return int(clients.strip("'\"")), int(limit.strip("'\""))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        # (web processes + cron's) x db_maxconn, one more of each web process for sessions, and none of copies
        ({}, (3 * 3 + 2) * 16 + 3 * 3),
        ({"odoo_k8s_replicas": 5}, (5 * 3 + 2) * 16 + 5 * 3),
        ({"odoo_k8s_max_replicas": 6}, (6 * 3 + 2) * 16 + 6 * 3),
        ({"odoo_k8s_workers": 4}, (3 * 5 + 2) * 16 + 3 * 5),
        ({"odoo_k8s_cron_threads": 3}, (3 * 3 + 4) * 16 + 3 * 3),
        ({"odoo_k8s_db_maxconn": 8}, (3 * 3 + 2) * 8 + 3 * 3),
        ({"odoo_k8s_config": {"workers": 4, "db_maxconn": 8}}, (3 * 5 + 2) * 8 + 3 * 5),
        ({"odoo_k8s_copies_max": 2}, (3 * 3 + 2) * 16 + 3 * 3 + 50),
        ({"odoo_k8s_copies_max": 3, "odoo_k8s_copy_connections": 30}, (3 * 3 + 2) * 16 + 3 * 3 + 90),
    ],
)
def test_connections_follow_odoos_processes(variables: dict[str, object], expected: int) -> None:
    """A change of any of them is a change of the budget; the server keeps 15 for itself and for people."""
    assert connections(**variables) == (expected, expected + 15)


def test_counts_stand_in_one_place() -> None:
    """The deployment's figures are in all/odoo.yml, and what they are is what the role would do alone."""
    deployment = yaml.safe_load((ROOT / "inventory/wiring/all/odoo.yml").read_text())
    role = yaml.safe_load((ROOT / "roles/odoo_k8s/defaults/main.yml").read_text())
    names = ("replicas", "max_replicas", "workers", "cron_threads", "db_maxconn", "copies_max", "copy_connections")
    assert {n: deployment[f"odoo_k8s_{n}"] for n in names} == {n: role[f"odoo_k8s_{n}"] for n in names}
    wiring = (ROOT / "inventory/wiring/postgres.yml").read_text()
    assert not [name for name in names if f"odoo_k8s_{name}" in wiring]
