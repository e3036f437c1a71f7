# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that no deployment of the tests can have: rendered by Ansible where the role writes them, with and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

Evaluate = Callable[..., dict[str, Any]]
ROLES = Path(__file__).resolve().parents[3] / "roles"


class Rendered(NamedTuple):
    """A variable, a value that is not its default, the role's expression or template, and what stands there then."""

    variable: str
    value: Any
    where: str
    stands: str


# What a role is told by facts, by its inventory, or by its own tasks before it renders.
TOLD: dict[str, dict[str, Any]] = {
    "k8s_cluster": {
        "role_path": str(ROLES / "k8s_cluster"),
        "k8s_cluster_kind": "minikube",
        "k8s_cluster_machines": "virtualbox",
        "k8s_cluster_images_dir": str(ROLES.parent / "images"),
        "__k8s_cluster_minikube_found": True,
        "__k8s_cluster_version": "v1.34.0",
        "__k8s_cluster_sources_hash": "0123456789abcdef0123",
        "k8s_cluster_record": "/nonexistent",
    },
    "nginx_cache": {
        "nginx_cache_listen_addresses": ["192.0.2.31"],
        "nginx_cache_upstreams": ["192.0.2.100:32242"],
        "nginx_cache_floating_address": "192.0.2.30",
        "nginx_cache_floating_peers": ["192.0.2.31", "192.0.2.32"],
        "nginx_cache_tls_certificate": "a certificate",
        "nginx_cache_tls_key": "a key",
        "ansible_distribution": "Debian",
        "ansible_facts": {"interfaces": []},
    },
    "postgres_patroni": {
        "postgres_common_version": "15",
        "postgres_common_bin": "/usr/lib/postgresql/15/bin",
        "postgres_common_address": "192.0.2.21",
        "postgres_common_private": "/etc/postgresql-common/odoo_deploy",
        "postgres_common_replicator_password": "one",
        "postgres_common_rewind_password": "two",
        "postgres_common_all_settings": {},
        "postgres_common_sync": "off",
    },
    "postgres_etcd": {"postgres_etcd_address": "192.0.2.21", "postgres_etcd_voters": {"pg1": "192.0.2.21"}},
    "postgres_backup": {
        "postgres_backup_address": "192.0.2.21",
        "postgres_backup_version": "15",
        "postgres_backup_memory": 1024,
    },
    "prometheus_k8s": {
        "__prometheus_k8s_nodes_found": {"resources": []},
        "__prometheus_k8s_rules": {"groups": []},
        "prometheus_k8s_machines": {"pg1": "192.0.2.21"},
    },
    "odoo_k8s": {
        "role_path": str(ROLES / "odoo_k8s"),
        "odoo_k8s_image_choice": {"source": "debian"},
        "odoo_k8s_image_package": "https://example.test/19/odoo.deb",
        "odoo_k8s_max_replicas": 9,
        "odoo_k8s_db_hosts": [{"name": "pg1", "address": "192.0.2.21"}],
        "__odoo_k8s_config_hash": "0123456789",
        "__odoo_k8s_image": "odoo:test",
        "__odoo_k8s_init_job": "odoo-init-0123456789",
    },
}

CASES = (
    Rendered("k8s_cluster_minikube_memory", 6144, "__k8s_cluster_minikube_start", "'--memory', '6144'"),
    Rendered("k8s_cluster_minikube_cpus", 3, "__k8s_cluster_minikube_start", "'--cpus', '3'"),
    Rendered("k8s_cluster_minikube_profile", "shop", "__k8s_cluster_minikube_start", "'--profile', 'shop'"),
    Rendered("k8s_cluster_network_gateway", "192.168.99.9", "__k8s_cluster_minikube_start", "'192.168.99.9/24'"),
    Rendered("k8s_cluster_cache_dir", "/var/cache/other", "__k8s_cluster_build_dir", "/var/cache/other/kube-"),
    Rendered("k8s_cluster_node_name", "node9", "kubeadm.yaml.j2", "name: node9"),
    Rendered("k8s_cluster_certificate_hours", 99, "kubeadm.yaml.j2", "certificateValidityPeriod: 99h0m0s"),
    Rendered("nginx_cache_https_port", 8443, "conf.d/servers.conf.j2", "listen 192.0.2.31:8443 ssl"),
    Rendered("nginx_cache_floating_router_id", 77, "keepalived.conf.j2", "virtual_router_id 77"),
    Rendered("nginx_cache_floating_interface", "eth7", "keepalived.conf.j2", "interface eth7"),
    Rendered("nginx_cache_maintenance_flag", "/run/other", "snippets/odoo.conf.j2", "if (-f /run/other)"),
    Rendered("postgres_patroni_ttl", 30, "__postgres_patroni_store", "'ttl': 30"),
    Rendered("postgres_patroni_loop_wait", 3, "__postgres_patroni_store", "'loop_wait': 3"),
    Rendered("postgres_patroni_retry_timeout", 7, "__postgres_patroni_store", "'retry_timeout': 7"),
    Rendered("postgres_patroni_start_timeout", 60, "__postgres_patroni_store", "'primary_start_timeout': 60"),
    Rendered("postgres_patroni_maximum_lag", 99, "__postgres_patroni_store", "'maximum_lag_on_failover': 99"),
    Rendered("postgres_patroni_scope", "shop", "config.yml.j2", 'scope: "shop"'),
    Rendered("postgres_patroni_password", "third", "config.yml.j2", 'password: "third"'),
    Rendered("postgres_etcd_token", "shop", "etcd.j2", "ETCD_INITIAL_CLUSTER_TOKEN=shop"),
    Rendered("postgres_backup_scratch", "/srv/scratch", "settings.json.j2", '"/srv/scratch"'),
    Rendered("prometheus_k8s_containerd_dir", "/run/k3s/containerd", "cadvisor.yaml.j2", "path: /run/k3s/containerd"),
    Rendered("prometheus_k8s_alertmanager", False, "__prometheus_k8s_unwanted", "'name': 'alertmanager'"),
    Rendered("prometheus_k8s_odoo_namespace", "shop", "__prometheus_k8s_wanted", "'namespace': 'shop'"),
    Rendered("prometheus_k8s_node_exporter_port", 9101, "prometheus.yaml.j2", "192.0.2.21:9101"),
    Rendered("prometheus_k8s_storage_class", "fast", "prometheus.yaml.j2", "storageClassName: fast"),
    Rendered("odoo_k8s_db_port", 6432, "__odoo_k8s_service_file", "port=6432"),
    Rendered("odoo_k8s_db_user", "shop", "__odoo_k8s_service_file", "user=shop"),
    Rendered("odoo_k8s_session_db_user", "shop", "__odoo_k8s_service_file", "user=shop"),
    Rendered("odoo_k8s_session_db_name", "shop", "serve.yaml.j2", "postgresql:///shop?service"),
    Rendered("odoo_k8s_data_claim", "files", "serve.yaml.j2", "claimName: files"),
    Rendered("odoo_k8s_attachment_storage", "file", "job.yaml.j2", "ODOO_ATTACHMENT_STORAGE, value: file"),
    Rendered("odoo_k8s_image_languages", ["fr", "de"], "__odoo_k8s_debian_args", "'LANGUAGES': 'fr de'"),
    Rendered("odoo_k8s_image_pdf", False, "__odoo_k8s_debian_args", "'PDF': '0'"),
    Rendered(
        "odoo_k8s_image_wkhtmltopdf",
        "/srv/wkhtmltox.deb",
        "__odoo_k8s_package_files",
        "'wkhtmltox': '/srv/wkhtmltox.deb'",
    ),
    Rendered("odoo_k8s_package_dir", "/srv/packages", "__odoo_k8s_image_package", "/srv/packages/odoo.deb"),
    Rendered(
        "odoo_k8s_image_official",
        "registry.test/odoo:19",
        "__odoo_k8s_image_facts",
        "'official': 'registry.test/odoo:19'",
    ),
    Rendered("odoo_k8s_record", str(ROLES / "odoo_k8s" / "meta" / "main.yml"), "__odoo_k8s_recorded", "True"),
    Rendered(
        "odoo_k8s_addons_wheels", ["odoo-addon-shop==19.0.1"], "__odoo_k8s_context_sources", "odoo-addon-shop==19.0.1"
    ),
    Rendered("odoo_k8s_autoscale_cpu_percent", 55, "serve.yaml.j2", "averageUtilization: 55"),
    Rendered("odoo_k8s_build_dir", "/srv/build", "__odoo_k8s_clone_dir", "/srv/build/git"),
)


def variables(role: str) -> dict[str, Any]:
    """The role's defaults and variables, and what it is told."""
    found: dict[str, Any] = {}
    for file in [ROLES / role / "defaults" / "main.yml", *sorted((ROLES / role / "vars").rglob("*.yml"))]:
        found |= yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return found | TOLD[role]


@pytest.mark.parametrize("role", TOLD)
def test_a_setting_stands_where_its_role_writes_it(evaluate: Evaluate, role: str) -> None:
    """It is not there without the setting, so the test sees a wire that is cut."""
    wanted = [case for case in CASES if case.variable.startswith(f"{role}_")]
    hosts: dict[str, dict[str, Any]] = {}
    for case in wanted:
        file = ROLES / role / "templates" / case.where
        reading = f"lookup('ansible.builtin.template', '{file}')" if case.where.endswith(".j2") else case.where
        hosts[f"{case.variable}-before"] = {"reading": f"{{{{ {reading} | string }}}}"}
        hosts[case.variable] = {"reading": f"{{{{ {reading} | string }}}}", case.variable: case.value}
    told = evaluate(variables(role), hosts, [{"ansible.builtin.debug": {"msg": "{{ reading }}"}}])
    assert wanted
    for case in wanted:
        assert case.stands in str(told[case.variable]), told[case.variable]
        assert case.stands not in str(told[f"{case.variable}-before"]), case.variable
