# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever asks the cluster's nodes asks those that there are, and the declared one only before there are any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DECLARED = {"deployment_nodes": {"cluster": {"name": "node1", "address": "192.0.2.200"}}}


def told(expression: str, **variables: object) -> str:
    """What a variable of the wiring is on a proxy of the example's inventory."""
    command = [
        str(Path(sys.executable).with_name("ansible")), "nginx[0]", "-i", "inventory/production.example.yml",
        "-i", "inventory/wiring.example.yml",
        "-m", "ansible.builtin.debug", "-e", json.dumps(variables), "-a", f"msg='{{{{ {expression} | join(chr) }}}}'",
        "-e", json.dumps({"chr": ","}),
    ]  # fmt: skip
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        return done.stdout + done.stderr
    return done.stdout.split("msg: ")[1].split()[0].strip("'\"")


@pytest.mark.parametrize("variable", ["deployment_node_addresses", "nginx_odoo_nodes", "postgres_client_nodes"])
def test_nodes_that_there_are(variable: str) -> None:
    """A given cluster beside a list of machines that still declares one."""
    assert told(variable, **DECLARED) == told(variable)
    assert "192.0.2.200" not in told(variable, **DECLARED)


@pytest.mark.parametrize("variable", ["deployment_node_addresses", "nginx_odoo_nodes", "postgres_client_nodes"])
def test_the_declared_one_before(variable: str) -> None:
    assert told(variable, deployment_nodes_there=[], **DECLARED) == "192.0.2.200"


@pytest.mark.parametrize("variable", ["nginx_odoo_nodes", "postgres_client_nodes"])
def test_none_at_all_is_told(variable: str) -> None:
    said = told(variable, deployment_nodes_there=[], deployment_nodes={"cluster": {}})
    assert "name the nodes of the cluster in group kubernetes" in said
