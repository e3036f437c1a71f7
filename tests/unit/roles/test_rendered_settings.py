# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that no deployment of the tests can have: rendered by Ansible where a role writes them, with and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

Evaluate = Callable[..., dict[str, Any]]
ROLES = Path(__file__).resolve().parents[3] / "roles"


class Rendered(NamedTuple):
    """A variable, a value that is not its default, where it is read, and what stands there then.

    It is read in an expression or a template of the role, or in an argument of a task, FILE#NAME OF THE TASK#ARGUMENT;
    the argument "when" is the task's condition, True or False.
    """

    variable: str
    value: Any
    where: str
    stands: str


# What a server without data answers.
EMPTY = {"role": "empty", "configured": False, "patroni": False, "epoch": None, "control": None, "timeline": 0}

# What a role is told by facts, by its inventory, or by its own tasks before it renders.
TOLD: dict[str, dict[str, Any]] = {
    "alert_watcher": {"__alert_watcher_timer": {"stat": {"exists": True}}},
    "k8s_cluster": {
        "role_path": str(ROLES / "k8s_cluster"),
        "k8s_cluster_kind": "minikube",
        "k8s_cluster_machines": "virtualbox",
        "k8s_cluster_images_dir": str(ROLES.parent / "images"),
        "__k8s_cluster_minikube_found": True,
        "__k8s_cluster_version": "v1.34.0",
        "__k8s_cluster_sources_hash": "0123456789abcdef0123",
        "k8s_cluster_record": "/nonexistent",
        "__k8s_cluster_image": "odoo-deploy/odoo:1",
    },
    "nginx_cache": {
        "nginx_cache_listen_addresses": ["192.0.2.31"],
        "nginx_cache_upstreams": ["192.0.2.100:32242"],
        "nginx_cache_acme_names": ["shop.test"],
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
    "container_image": {
        "container_image_base": "debian:12",
        "container_image_context": "/srv/context",
        "__container_image_here": {"images": [{"Id": "sha256:0a"}]},
    },
    "node_exporter": {"ansible_default_ipv4": {"address": "192.0.2.21"}},
    "postgres_common": {
        "postgres_common_version": "15",
        "postgres_common_members": {"pg1": "192.0.2.21", "pg2": "192.0.2.22"},
        "postgres_common_states": [EMPTY | {"name": "pg1"}, EMPTY | {"name": "pg2"}],
        "postgres_common_records": [],
    },
    "postgres_ha": {},
    "postgres_replica": {},
    "prometheus_k8s": {
        "__prometheus_k8s_nodes_found": {"resources": []},
        "__prometheus_k8s_rules": {"groups": []},
        "prometheus_k8s_machines": {"pg1": "192.0.2.21"},
    },
    "odoo_k8s": {
        "role_path": str(ROLES / "odoo_k8s"),
        "__odoo_k8s_visitor_answer": {"stdout_lines": ['{"login": "visitor"}']},
        "odoo_k8s_image_choice": {"source": "debian"},
        "odoo_k8s_image_package": "https://example.test/19/odoo.deb",
        "odoo_k8s_max_replicas": 9,
        "odoo_k8s_db_hosts": [{"name": "pg1", "address": "192.0.2.21"}],
        "__odoo_k8s_config_hash": "0123456789",
        "__odoo_k8s_image": "odoo:test",
        "__odoo_k8s_init_job": "odoo-init-0123456789",
        "odoo_k8s_copy_name": "test",
        "__odoo_k8s_copy_spaces": {"resources": []},
        "__odoo_k8s_copy_deployed": {"resources": []},
        "__odoo_k8s_copy_services": {"resources": []},
    },
}

MMDEBSTRAP = "base.yml#Make the base image from Debian's packages#cmd"
BACKUP = "tls.yml#Issue the machine's certificate"
SERVER = "tls.yml#Issue the server's certificate"
VOTER = "tls.yml#Have the voter's certificate"
CONTEXT = "context.yml#Copy the Dockerfiles, fetch the wheels and take the addons out of their repositories"
WARM = "warm.yml#Ask for the files of Odoo's first pages"

CASES = (
    Rendered(
        "alert_watcher_receivers",
        {"webhook": {"url": "https://chat.test"}},
        "alert-watcher.json.j2",
        "https://chat.test",
    ),
    Rendered("alert_watcher_receivers", {"mail": {"to": "a@b.test"}}, "__alert_watcher_refusals", "no mail.smarthost"),
    Rendered(
        "alert_watcher_receivers", {"mail": {}}, "main.yml#Have no watcher, since nobody could be told#when", "False"
    ),
    Rendered("alert_watcher_urls", ["http://192.0.2.101:30090"], "alert-watcher.json.j2", "http://192.0.2.101:30090"),
    Rendered("alert_watcher_user", "reader", "alert-watcher.json.j2", '"user": "reader"'),
    Rendered("alert_watcher_password", "fifth", "alert-watcher.json.j2", '"password": "fifth"'),
    Rendered("alert_watcher_deployment", "shop", "alert-watcher.json.j2", '"deployment": "shop"'),
    Rendered("alert_watcher_deployment", "shop", "alert-watcher.service.j2", "alerts of shop"),
    Rendered("alert_watcher_runbook", "https://wiki.test", "alert-watcher.json.j2", '"runbook": "https://wiki.test"'),
    Rendered("k8s_cluster_minikube_memory", 6144, "__k8s_cluster_minikube_wish.memory", "6144"),
    Rendered("k8s_cluster_minikube_cpus", 3, "__k8s_cluster_minikube_wish.cpus", "3"),
    Rendered("k8s_cluster_minikube_profile", "shop", "__k8s_cluster_profile", "shop"),
    Rendered("k8s_cluster_network_gateway", "192.168.99.9", "__k8s_cluster_minikube_wish.gateway", "192.168.99.9"),
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
    # A Job that was done before is not done again when this is set back.
    Rendered("odoo_k8s_job_timeout", 1700, "job.yaml.j2", "activeDeadlineSeconds: 1700"),
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
    Rendered(
        "container_image_mirror", "http://near.test/debian", MMDEBSTRAP, "'deb http://near.test/debian bookworm main'"
    ),
    Rendered(
        "container_image_security_mirror", "http://near.test/sec", MMDEBSTRAP, "deb http://near.test/sec bookworm-sec"
    ),
    # The name of a context is read in place of its files.
    Rendered("container_image_key", "0123abcd", "__container_image_contents", "0123abcd"),
    Rendered("container_image_key", "0123abcd", "main.yml#Read what the image is made of#when", "False"),
    Rendered("container_image_refresh", True, "main.yml#Pull the base image#when", "True"),
    Rendered("container_image_pockets", ["bookworm-backports"], MMDEBSTRAP, " bookworm-backports main"),
    Rendered(
        "k8s_cluster_base_image", "debian:12", "embedded.yml#Build the node's image#container_image_base", "debian:12"
    ),
    Rendered(
        "k8s_cluster_registry",
        "registry.test",
        "load_images.yml#Push the images to the cluster's registry#repository",
        "registry.test/",
    ),
    Rendered("k8s_cluster_timeout", 77, "bring_up.yml#Wait until the nodes are ready#wait_timeout", "77"),
    Rendered(
        "nginx_cache_acme_email",
        "a@shop.test",
        "acme.yml#Order the certificate, or renew it#argv",
        "'--email', 'a@shop.test'",
    ),
    Rendered("nginx_cache_purge_paths", ["/shop/*"], "purge.yml#Remove the stored answers#paths", "/shop/*"),
    Rendered("nginx_cache_warm_names", ["shop.test"], f"{WARM}#names", "shop.test"),
    Rendered("nginx_cache_warm_login", "reader", f"{WARM}#login", "reader"),
    Rendered("nginx_cache_warm_password", "fourth", f"{WARM}#password", "fourth"),
    Rendered("node_exporter_binary_checksum", "sha256:0a", "binary.yml#Download the release#checksum", "sha256:0a"),
    Rendered(
        "postgres_common_repository",
        "https://pg.test/apt",
        "install.yml#Add the repository#uris",
        "https://pg.test/apt",
    ),
    Rendered(
        "postgres_common_repository_key",
        "https://pg.test/key",
        "install.yml#Add the repository#signed_by",
        "https://pg.test/key",
    ),
    Rendered("postgres_common_initial_primary", "pg2", "__postgres_common_plan.on", "'create': ['pg2']"),
    Rendered("postgres_patroni_wait", 77, "adopt.yml#Wait until the standby streams#following_within", "77"),
    Rendered(
        "postgres_replica_wait",
        77,
        "follow.yml#Wait until the standby streams#__postgres_common_following_within",
        "77",
    ),
    Rendered("postgres_replica_clone_timeout", 77, "clone.yml#Copy the primary's data#SECONDS_ALLOWED", "77"),
    Rendered("prometheus_k8s_timeout", 77, "main.yml#Apply the objects and wait until the pods run#wait_timeout", "77"),
    Rendered("odoo_k8s_context", "shop", "namespace.yml#Look for the namespace#context", "shop"),
    Rendered(
        "odoo_k8s_debian_mirror",
        "http://near.test",
        "packages.yml#Fetch the package of Odoo#mirror",
        "http://near.test",
    ),
    Rendered("odoo_k8s_registry_timeout", 77, "source.yml#Ask the registry of the official image#timeout", "77"),
    Rendered(
        "odoo_k8s_addons_folders", ["/srv/addons"], "context.yml#Read what the addons are made of#paths", "/srv/addons"
    ),
    Rendered(
        "odoo_k8s_image_dir",
        str(ROLES / "odoo_k8s" / "meta"),
        f"{CONTEXT}#cmd",
        "odoo_k8s/meta/argument_specs.yml",
    ),
    Rendered("odoo_k8s_image_dir", str(ROLES / "odoo_k8s" / "meta"), "__odoo_k8s_context_sources", "argument_specs:"),
    Rendered("odoo_k8s_backup_dir", "/srv/dumps", "upgrade_dump.yml#Dump the database#folder", "/srv/dumps"),
    Rendered("odoo_k8s_visitor_remove", True, "visitor.yml#Keep what the user logs in by#odoo_k8s_visitor", "{}"),
    Rendered("odoo_k8s_shell_node", "shop-minikube", "__odoo_k8s_shell_kubectl", "shop-minikube"),
    Rendered("nginx_cache_certificate_days", 90, "certificate.yml#Have the proxy's certificate#certificate_days", "90"),
    Rendered("postgres_backup_certificate_days", 90, f"{BACKUP}#certificate_days", "90"),
    Rendered("postgres_backup_certificate", "/srv/c.crt", f"{BACKUP}#certificate_given", "/srv/c.crt"),
    Rendered("postgres_backup_key", "/srv/c.key", f"{BACKUP}#certificate_given_key", "/srv/c.key"),
    Rendered("postgres_common_certificate_days", 90, f"{SERVER}#certificate_days", "90"),
    Rendered("postgres_common_certificate", "/srv/c.crt", f"{SERVER}#certificate_given", "/srv/c.crt"),
    Rendered("postgres_common_key", "/srv/c.key", f"{SERVER}#certificate_given_key", "/srv/c.key"),
    Rendered("postgres_etcd_certificate_days", 90, f"{VOTER}#certificate_days", "90"),
    Rendered("postgres_etcd_certificate_renew_days", 9, f"{VOTER}#certificate_renew_days", "9"),
    Rendered("postgres_ha_force", True, "failover.yml#Make the plan#__postgres_ha_options", "'force': 'True'"),
    Rendered("postgres_ha_max_lag", 77, "switchover.yml#Make the plan#__postgres_ha_options", "'max_lag': '77'"),
    Rendered("odoo_k8s_build_dir", "/srv/build", "__odoo_k8s_clone_dir", "/srv/build/git"),
    Rendered("odoo_k8s_copy_name", "other", "__odoo_k8s_copy_password_file", "/odoo_copy_other_password"),
    Rendered("odoo_k8s_copies_secrets_dir", "/srv/secrets", "__odoo_k8s_copy_password_file", "/srv/secrets/odoo_copy_"),
    Rendered("odoo_k8s_copy_image", "odoo:next", "__odoo_k8s_copy_facts", "'image': 'odoo:next'"),
    Rendered("odoo_k8s_copies_max", 5, "__odoo_k8s_copy_facts", "'most': 5"),
    Rendered("odoo_k8s_client_connections", 275, "__odoo_k8s_copy_facts", "'connections': 275"),
    Rendered("odoo_k8s_copies_address", "192.0.2.9", "__odoo_k8s_copy_facts", "'address': '192.0.2.9'"),
    Rendered("odoo_k8s_copies_group", "staging", "copy_look.yml#Ask which copies the server has#group", "staging"),
    Rendered("odoo_k8s_copy_connections", 9, "copy_fill.yml#Give the copy a role of its own#connections", "9"),
)


def argument(role: str, where: str) -> str:
    """The text of an argument of a task, wherever it stands: of its module, its variables, its environment, or when."""
    file, name, key = where.split("#")

    def tasks(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for item in items:
            yield item
            yield from tasks(item.get("block", []))

    (task,) = (
        task for task in tasks(yaml.safe_load((ROLES / role / "tasks" / file).read_text())) if task.get("name") == name
    )
    if key == "when":
        conditions = task[key] if isinstance(task[key], list) else [task[key]]
        return f"{{{{ ({') and ('.join(conditions)}) | string }}}}"
    (found,) = (options[key] for options in task.values() if isinstance(options, dict) and key in options)
    return str(found)


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
    for number, case in enumerate(wanted):
        file = ROLES / role / "templates" / case.where
        if "#" in case.where:
            reading = argument(role, case.where)
        elif case.where.endswith(".j2"):
            reading = f"{{{{ lookup('ansible.builtin.template', '{file}') }}}}"
        else:
            reading = f"{{{{ {case.where} | string }}}}"
        hosts[f"before-{number}"] = {"reading": reading}
        hosts[f"set-{number}"] = {"reading": reading, case.variable: case.value}
    told = evaluate(variables(role), hosts, [{"ansible.builtin.debug": {"msg": "{{ reading }}"}}])
    assert wanted
    for number, case in enumerate(wanted):
        assert case.stands in str(told[f"set-{number}"]), told[f"set-{number}"]
        assert case.stands not in str(told[f"before-{number}"]), case.variable


def test_every_setting_is_of_a_role_that_is_rendered() -> None:
    """None is left out for want of what its role is told."""
    assert [case.variable for case in CASES if not case.variable.startswith(tuple(f"{role}_" for role in TOLD))] == []
