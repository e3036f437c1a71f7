# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wiring joins the roles to a static inventory, and whatever a person sets wins over it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a proxy of the production example gets, with settings on every level that a person may use."""
    folder = tmp_path_factory.mktemp("operator")
    inventory = folder / "inventory"
    (inventory / "group_vars" / "all").mkdir(parents=True)
    (inventory / "host_vars").mkdir()
    hosts = (ROOT / "inventory" / "production.example.yml").read_text()
    (inventory / "hosts.yml").write_text(hosts.replace("  vars:\n", "  vars:\n    nginx_tls: false\n", 1))
    (inventory / "wiring.yml").write_text((ROOT / "inventory" / "wiring.example.yml").read_text())
    (inventory / "group_vars" / "all" / "settings.yml").write_text(
        "odoo_k8s_node_port: 31000\nnginx_cache_health_path: /mine\nprometheus_k8s_namespace: watch\n"
        "prometheus_k8s_receivers: {webhook: {url: http://a.test}, mail: {}, deadman: {url: http://b.test}}\n"
    )
    (inventory / "host_vars" / "proxy1.yml").write_text("nginx_metrics_port: 4000\n")
    names = [
        "odoo_k8s_node_port", "nginx_cache_upstreams", "nginx_cache_health_path", "nginx_cache_metrics_port",
        "nginx_tls", "prometheus_k8s_namespace", "odoo_k8s_namespace", "nginx_cache_server_names",
        "alert_watcher_receivers", "alert_watcher_urls", "alert_watcher_password", "prometheus_k8s_logins",
    ]  # fmt: skip
    said = "{{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} }}"
    command = [
        str(Path(sys.executable).with_name("ansible")), "proxy1", "-i", str(inventory), "-m", "ansible.builtin.debug",
        "-e", "prometheus_k8s_namespace=extra", "-a", f'msg="{said}"',
    ]  # fmt: skip
    environment = {
        **os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ODOO_DEPLOY_DIR": str(folder / "deploy"),
    }  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    message: dict[str, Any] = found["plays"][0]["tasks"][0]["hosts"]["proxy1"]["msg"]
    return message


def test_a_static_inventory_is_wired(told: dict[str, Any]) -> None:
    """What nobody set is there, made of the inventory's hosts."""
    assert told["odoo_k8s_namespace"] == "odoo"
    assert set(told["nginx_cache_server_names"]) >= {"192.0.2.31", "192.0.2.32", "proxy1", "localhost"}


def test_whatever_a_person_sets_wins(told: dict[str, Any]) -> None:
    """In the inventory's file, in group_vars of all (also over what is wired for one group), in host_vars, by -e."""
    assert told["odoo_k8s_node_port"] == 31000
    assert told["nginx_cache_upstreams"] == [f"192.0.2.{host}:31000" for host in (101, 102, 103)]
    assert told["nginx_cache_health_path"] == "/mine"
    assert told["nginx_cache_metrics_port"] == 4000
    assert told["nginx_tls"] is False
    assert told["prometheus_k8s_namespace"] == "extra"


def test_the_proxies_tell_the_same_people(told: dict[str, Any]) -> None:
    """When Prometheus is silent, which they ask by any node with their own login. A dead man's switch is nobody."""
    assert told["alert_watcher_receivers"] == {"webhook": {"url": "http://a.test"}}
    assert told["alert_watcher_urls"] == [f"http://192.0.2.{host}:30090" for host in (101, 102, 103)]
    assert told["prometheus_k8s_logins"] == {"watcher": told["alert_watcher_password"]}
    assert len(told["alert_watcher_password"]) == 32


def test_a_person_owns_values_only() -> None:
    """The settings that come with the collection compute nothing, and are few enough to be read."""
    files = sorted((ROOT / "inventory" / "group_vars").rglob("*.yml"))
    text = "".join(file.read_text() for file in files)
    assert 20 < len(text.splitlines()) < 60
    assert "{{" not in text
