# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers and clusters that people bring need: other releases of a package, pods with addresses of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Evaluate = Callable[..., dict[str, Any]]
ROOT = Path(__file__).resolve().parents[3]

# The beginnings of lines of `prometheus-node-exporter --help`: 1.3.1 of Ubuntu 22.04, 1.5.0 of Debian 12.
JAMMY = """
      --collector.arp            Enable the arp collector (default: enabled).
      --collector.xfs            Enable the xfs collector (default: enabled).
      --collector.zfs            Enable the zfs collector (default: enabled).
      --collector.disable-defaults
"""
BOOKWORM = """
      --[no-]collector.arp       Enable the arp collector (default: enabled).
      --[no-]collector.selinux   Enable the selinux collector (default: enabled).
      --[no-]collector.xfs       Enable the xfs collector (default: enabled).
"""


def test_collectors_that_a_release_lacks_are_not_named(evaluate: Evaluate) -> None:
    """It would not start: `unknown long flag '--no-collector.selinux'`."""
    role = ROOT / "roles" / "node_exporter"
    variables = yaml.safe_load((role / "vars" / "main.yml").read_text(encoding="utf-8"))
    variables |= {"node_exporter_binary_url": "", "node_exporter_disabled_collectors": ["arp", "selinux", "xfs"]}
    cases = {
        "jammy": {"__node_exporter_help": {"stdout": "", "stderr": JAMMY}},
        "bookworm": {"__node_exporter_help": {"stdout": BOOKWORM, "stderr": ""}},
        "trial_run": {"__node_exporter_help": {"skipped": True}},
    }
    told = evaluate(variables, cases, [{"ansible.builtin.debug": {"msg": "{{ __node_exporter_switched_off }}"}}])
    assert told == {
        "jammy": ["arp", "xfs"],
        "bookworm": ["arp", "selinux", "xfs"],
        "trial_run": ["arp", "selinux", "xfs"],
    }


def test_clients_of_postgresql(evaluate: Evaluate) -> None:
    """The nodes that the inventory or the list names, and the networks that somebody adds."""
    wiring: dict[str, Any] = {}
    for part in ("deployment", "postgres"):
        wiring |= yaml.safe_load((ROOT / f"inventory/wiring/all/{part}.yml").read_text(encoding="utf-8"))
    variables = {
        name: value for name, value in wiring.items() if name.startswith(("postgres_client_", "deployment_node"))
    }
    variables |= {"deployment_nodes": {"cluster": {"address": "192.168.99.100"}}}
    cases: dict[str, Any] = {"listed": {}, "with_pods": {"postgres_client_networks": ["10.20.0.0/16"]}}
    told = evaluate(variables, cases, [{"ansible.builtin.debug": {"msg": "{{ postgres_client_addresses }}"}}])
    assert told == {"listed": ["192.168.99.100/32"], "with_pods": ["192.168.99.100/32", "10.20.0.0/16"]}


def test_what_was_on_a_server_before_is_refused(evaluate: Evaluate) -> None:
    """A cluster of somebody else's would be taken for the primary, its pg_hba.conf and settings be replaced."""
    role = ROOT / "roles" / "postgres_common"
    checks = yaml.safe_load((role / "vars" / "main.yml").read_text(encoding="utf-8"))["__postgres_common_checks"]
    state = {"foreign": False, "port_taken": False, "version": "17", "data_directory": "/var/lib/postgresql/17/main"}
    cases = {
        "nothing": {"postgres_common_state": state},
        "cluster": {"postgres_common_state": state | {"foreign": True}},
        "port": {"postgres_common_state": state | {"port_taken": True}},
    }
    about = [check for check in checks if "foreign" in check["broken"] or "port_taken" in check["broken"]]
    words = "{{ about | selectattr('broken') | map(attribute='message') | join('\n') }}"
    told = evaluate({"about": about}, cases, [{"ansible.builtin.debug": {"msg": words}}])
    assert told["nothing"] == ""
    assert "cluster has a PostgreSQL that this deployment did not make" in told["cluster"]
    assert "`pg_dropcluster --stop 17 main`" in told["cluster"]
    assert "On port something else listens on port 5432" in told["port"]


def test_trial_run_where_the_package_is_and_no_cluster(evaluate: Evaluate) -> None:
    """The folder for a certificate is made by the run; a trial run makes none."""
    tasks = yaml.safe_load((ROOT / "roles/postgres_common/tasks/main.yml").read_text(encoding="utf-8"))
    (task,) = (task for task in tasks if task["name"] == "Give the server its certificate")
    asked = " and ".join(f"({one})" for one in task["when"]).replace("ansible_check_mode", "trial")
    cases: dict[str, Any] = {
        "package": {"trial": True, "postgres_common_state": {"installed": True, "configured": False}},
        "cluster": {"trial": True, "postgres_common_state": {"installed": True, "configured": True}},
        "run": {"trial": False, "postgres_common_state": {"installed": True, "configured": False}},
    }
    variables = {"__postgres_common_certificate_due": True}
    told = evaluate(variables, cases, [{"ansible.builtin.debug": {"msg": "{{ (" + asked + ") | bool }}"}}])
    assert told == {"package": False, "cluster": True, "run": True}
