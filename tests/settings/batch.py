# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that do not depend on each other: what each is set to, and where its effect is read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import requests
from support.deployment import Deployment, Machine
from support.odoo import Odoo


class Live:
    """A deployment at one moment: what is asked twice is asked once."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment, self.odoo = deployment, Odoo(deployment)

    @cached_property
    def web(self) -> Any:
        return self.odoo.web.spec

    @cached_property
    def cron(self) -> Any:
        return self.odoo.cluster.apps.read_namespaced_deployment("odoo-cron", self.odoo.namespace).spec

    @property
    def container(self) -> Any:
        return self.web.template.spec.containers[0]

    @cached_property
    def prometheus(self) -> Any:
        return self.odoo.cluster.workload(self.deployment.name, field_selector="metadata.name=prometheus")

    @cached_property
    def nginx(self) -> str:
        """Everything that the first proxy's nginx reads."""
        return self.deployment.machines("nginx")[0].run("nginx -T -c /etc/nginx/odoo/current/nginx.conf 2> /dev/null")

    @cached_property
    def server(self) -> Machine:
        return self.deployment.machines("postgres")[0]

    @cached_property
    def keeper(self) -> Machine:
        """Who keeps the backups."""
        machines = [*self.deployment.machines("backup"), *self.deployment.machines("postgres")]
        timer = "systemctl is-enabled --quiet postgres-backup-check.timer"
        return next(machine for machine in machines if machine.host.run(timer).rc == 0)

    @cached_property
    def pgbackrest(self) -> str:
        """pgBackRest's files on the keeper, but for the one with secrets."""
        return self.keeper.run("cat /etc/pgbackrest/pgbackrest.conf /etc/pgbackrest/conf.d/10-repository.conf")

    def shown(self, name: str) -> str:
        """A setting of PostgreSQL as the server has it."""
        return self.server.run("runuser -u postgres -- psql -XAtq -c %s", f"SHOW {name}")

    @cached_property
    def metrics(self) -> str:
        return self.server.node_exporter()

    def asked(self, path: str) -> Any:
        """What Prometheus' API answers."""
        namespace = self.prometheus.metadata.namespace
        ports = self.deployment.cluster.node_ports(namespace, "prometheus")
        url = f"http://{next(iter(self.deployment.nodes.values()))}:{ports['http']}/api/v1/{path}"
        login = self.deployment.cluster.login(namespace)
        return requests.get(url, timeout=10, proxies={"http": ""}, auth=login).json()["data"]

    @cached_property
    def alerts(self) -> dict[str, Any]:
        """{name: rule} of what Prometheus has loaded."""
        return {rule["name"]: rule for group in self.asked("rules")["groups"] for rule in group["rules"]}

    @cached_property
    def alertmanager(self) -> str:
        """Alertmanager's configuration."""
        namespace = self.prometheus.metadata.namespace
        data = self.deployment.cluster.core.read_namespaced_secret("alertmanager", namespace).data
        return "".join(base64.b64decode(text).decode() for text in data.values())

    @cached_property
    def secret(self) -> dict[str, str]:
        """The files with secrets that the web pods read."""
        name = next(volume.secret.secret_name for volume in self.web.template.spec.volumes if volume.name == "secret")
        data = self.odoo.cluster.core.read_namespaced_secret(name, self.odoo.namespace).data
        return {file: base64.b64decode(text).decode() for file, text in data.items()}

    @cached_property
    def egress(self) -> list[str]:
        """Where Odoo's pods may connect to."""
        from kubernetes import client

        policy: Any = client.NetworkingV1Api().read_namespaced_network_policy("odoo", self.odoo.namespace)
        peers = [peer for rule in policy.spec.egress for peer in rule.to]
        return [peer.ip_block.cidr for peer in peers if peer.ip_block]

    @cached_property
    def labels(self) -> dict[str, str]:
        """Labels of Odoo's namespace."""
        return dict(self.odoo.cluster.core.read_namespace(self.odoo.namespace).metadata.labels)


Reading = Callable[[Live], object]


@dataclass(frozen=True)
class Setting:
    """A variable, a value that is not its default, where the effect is read, and what is read there with that value."""

    variable: str
    value: object
    read: Reading
    seen: object
    # Roles' variables that get it by the wiring, so that this proves them too.
    proves: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.variable


def nginx(pattern: str) -> Reading:
    """What the pattern's groups find in nginx's configuration; each different one once."""
    return lambda live: sorted(set(re.findall(pattern, live.nginx)))


def backup(option: str) -> Reading:
    """Every value of an option in pgBackRest's files, doubled ones too."""
    return lambda live: re.findall(rf"^{option}=(.*)$", live.pgbackrest, re.MULTILINE)


def timer(unit: str, line: str) -> Reading:
    """A line of a timer as systemd has loaded it."""
    return lambda live: re.findall(rf"^{line}=(.*)$", live.keeper.run("systemctl cat %s", unit), re.MULTILINE)


def scraped(line: str) -> Reading:
    """A line of the configuration that Prometheus runs by."""

    def read(live: Live) -> object:
        text = live.asked("status/config")["yaml"]
        return sorted(set(re.findall(rf"^  {line}: (.*)$", text, re.MULTILINE)))

    return read


def argument(name: str) -> Reading:
    """An argument that Prometheus was started with."""
    return lambda live: next(
        word.partition("=")[2]
        for word in live.prometheus.spec.template.spec.containers[0].args
        if word.startswith(f"{name}=")
    )


def node_port(name: str) -> Reading:
    """Odoo's NodePort, and the ports that the proxies ask."""

    def read(live: Live) -> object:
        port = live.odoo.cluster.node_ports(live.odoo.namespace, "odoo")[name]
        return port, str(port) in re.findall(r"server [0-9.]+:([0-9]+)", live.nginx)

    return read


def prometheus_port(live: Live) -> object:
    return live.deployment.cluster.node_ports(live.prometheus.metadata.namespace, "prometheus")["http"]


def pod_variable(name: str) -> Reading:
    """A variable in the environment of the cron pod, which has all of them."""
    return lambda live: {entry.name: entry.value for entry in live.cron.template.spec.containers[0].env}.get(name)


def listens(port: int) -> Reading:
    """Whether the first proxy listens on a port of its loopback."""
    return lambda live: f"127.0.0.1:{port}" in live.deployment.machines("nginx")[0].listening()


def verifies(role: str, password: str) -> Reading:
    """Whether PostgreSQL lets a role in by a password: what it keeps is made of it."""

    def read(live: Live) -> object:
        sql = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'"
        kept = live.server.run("runuser -u postgres -- psql -XAtq -c %s", sql)
        rounds, salt, stored = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):.*", kept).groups()  # type: ignore[union-attr]
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
        key = hmac.digest(salted, b"Client Key", "sha256")
        return hashlib.sha256(key).digest() == base64.b64decode(stored)

    return read


def service(option: str) -> Reading:
    """Every value of an option in the pods' pg_service.conf, each different one once."""
    return lambda live: sorted(set(re.findall(rf"^{option}=(.*)$", live.secret["pg_service.conf"], re.MULTILINE)))


def targets(job: str) -> Reading:
    """Ports that Prometheus asks a job's targets at."""

    def read(live: Live) -> object:
        active = live.asked("targets?state=active")["activeTargets"]
        return sorted({urlsplit(found["scrapeUrl"]).port for found in active if found["labels"]["job"] == job})

    return read


LOGIN = {
    "login": {"rate": "2r/s", "burst": 31},
    "login_page": {"rate": "11r/s", "burst": 61, "delay": 31},
    "signup": {"rate": "21r/m", "burst": 11},
    "rpc": {"rate": "21r/s", "burst": 101, "delay": 51},
}

# Two workers that may print, one for websockets, and the master (filter odoo_pod_memory).
WEB_LIMIT = 2 * (1100 + 600) + 1100 + 256

BATCH = (
    # Odoo
    Setting(
        "odoo_k8s_replicas",
        4,
        lambda live: (
            live.web.replicas,
            len(live.odoo.pods()),
            live.asked("query?query=odoo_pods_wanted")["result"][0]["value"][1],
        ),
        (4, 4, "5"),
        proves=("prometheus_k8s_odoo_pods",),
    ),
    Setting("odoo_k8s_node_port", 31242, node_port("http"), (31242, True)),
    Setting("odoo_k8s_longpolling_node_port", 31243, node_port("longpolling"), (31243, True)),
    Setting(
        "odoo_k8s_drain_seconds",
        9,
        lambda live: live.container.lifecycle.pre_stop._exec.command,
        ["sleep", "9"],
    ),
    Setting("odoo_k8s_cron_overdue", 1900, pod_variable("ODOO_CRON_OVERDUE"), "1900"),
    Setting(
        "odoo_k8s_process_memory_mib",
        121,
        lambda live: live.container.resources.requests["memory"],
        f"{121 * 4}Mi",
    ),
    Setting("odoo_k8s_cpu_request", "110m", lambda live: live.container.resources.requests["cpu"], "110m"),
    Setting(
        "odoo_k8s_scratch_size",
        "1100Mi",
        lambda live: {volume.empty_dir.size_limit for volume in live.web.template.spec.volumes if volume.empty_dir},
        {"1100Mi"},
    ),
    Setting("odoo_k8s_rollout_timeout", 240, lambda live: live.web.progress_deadline_seconds, 240),
    Setting(
        "odoo_k8s_worker_memory_mib", 1100, lambda live: live.container.resources.limits["memory"], f"{WEB_LIMIT}Mi"
    ),
    Setting(
        "odoo_k8s_report_memory_mib",
        600,
        lambda live: live.container.resources.limits["memory"],
        f"{WEB_LIMIT}Mi",
    ),
    Setting("odoo_k8s_uid", 10002, lambda live: live.web.template.spec.security_context.run_as_user, 10002),
    Setting("odoo_k8s_image_pull_policy", "Never", lambda live: live.container.image_pull_policy, "Never"),
    Setting(
        "odoo_k8s_pod_security", "baseline", lambda live: live.labels["pod-security.kubernetes.io/enforce"], "baseline"
    ),
    Setting("odoo_k8s_dns_cidrs", ["192.0.2.53/32"], lambda live: "192.0.2.53/32" in live.egress, True),
    Setting("odoo_k8s_db_connect_timeout", 4, service("connect_timeout"), ["4"]),
    Setting("odoo_k8s_db_sslmode", "verify-ca", service("sslmode"), ["verify-ca"]),
    Setting(
        "odoo_master_password",
        "the-other-master-password",
        lambda live: "admin_passwd = the-other-master-password\n" in live.secret["odoo.conf"],
        True,
        proves=("odoo_k8s_master_password",),
    ),
    # Passwords of the databases' users: the pods and the standby log in by them, or the run does not verify
    Setting(
        "postgres_odoo_password",
        "another-odoo-password",
        verifies("odoo", "another-odoo-password"),
        True,
        proves=("odoo_k8s_db_password", "postgres_primary_databases"),
    ),
    Setting(
        "postgres_session_db_password",
        "another-session-password",
        verifies("session_db", "another-session-password"),
        True,
        proves=("odoo_k8s_session_db_password",),
    ),
    Setting(
        "postgres_replicator_password",
        "another-replicator-password",
        verifies("replicator", "another-replicator-password"),
        True,
        proves=("postgres_common_replicator_password",),
    ),
    Setting(
        "postgres_rewind_password",
        "another-rewind-password",
        verifies("rewind", "another-rewind-password"),
        True,
        proves=("postgres_common_rewind_password",),
    ),
    Setting(
        "postgres_monitor_password",
        "another-monitor-password",
        verifies("monitor", "another-monitor-password"),
        True,
        proves=("postgres_common_monitor_password",),
    ),
    # Proxies
    Setting("nginx_cache_path", "/var/cache/nginx-odoo", nginx(r"proxy_cache_path (\S+)"), ["/var/cache/nginx-odoo"]),
    Setting(
        "nginx_cache_tls_redirect",
        True,
        lambda live: (
            requests.get(
                f"http://{live.deployment.machines('nginx')[0].address}/web/login", allow_redirects=False, timeout=30
            ).status_code
        ),
        308,
    ),
    Setting("nginx_cache_hsts_max_age", 600, nginx(r"max-age=(600)"), ["600"]),
    Setting("nginx_metrics_port", 3904, targets("nginx"), [3904], proves=("nginx_cache_metrics_port",)),
    Setting("nginx_cache_max_size", "500m", nginx(r"max_size=(\S+)"), ["500m"]),
    Setting("nginx_cache_min_free", "120m", nginx(r"min_free=(\S+)"), ["120m"]),
    Setting("nginx_cache_inactive", "6d", nginx(r"inactive=(\S+) use_temp_path"), ["6d"]),
    Setting("nginx_cache_static_valid", "11m", nginx(r"proxy_cache_valid 200 (\d+m);"), ["11m"]),
    Setting("nginx_cache_bundle_valid", "2d", nginx(r"proxy_cache_valid 200 (\d+d);"), ["2d"]),
    Setting("nginx_cache_client_max_body_size", "131m", nginx(r"client_max_body_size (\S+);"), ["131m"]),
    Setting("nginx_cache_connect_timeout", 6, nginx(r"proxy_connect_timeout (\S+);"), ["6s"]),
    Setting("nginx_cache_read_timeout", 721, nginx(r"proxy_send_timeout (\S+);"), ["721s"]),
    Setting("nginx_cache_connections_per_address", 301, nginx(r"limit_conn address (\d+);"), ["301"]),
    Setting("nginx_cache_rpc_connections_per_address", 5, nginx(r"limit_conn rpc_address (\d+);"), ["5"]),
    Setting(
        "nginx_cache_rate_limits",
        LOGIN,
        nginx(r"zone=(\w+):4m rate=(\S+);"),
        sorted((name, str(limit["rate"])) for name, limit in LOGIN.items()),
    ),
    Setting("nginx_cache_trusted_proxies", ["192.0.2.7"], nginx(r"set_real_ip_from (\S+);"), ["192.0.2.7"]),
    Setting(
        "nginx_cache_security_headers",
        {"Referrer-Policy": "no-referrer"},
        lambda live: requests.get(
            f"https://{live.deployment.machines('nginx')[0].address}/web/login", verify=False, timeout=30
        ).headers["Referrer-Policy"],
        "no-referrer",
    ),
    Setting("nginx_cache_status_port", 8091, listens(8091), True),
    Setting("nginx_cache_compress_port", 8092, listens(8092), True),
    Setting("nginx_cache_brotli", False, nginx(r"brotli (on|off);"), []),
    # Prometheus
    Setting("prometheus_k8s_node_port", 31090, prometheus_port, 31090),
    Setting("prometheus_k8s_scrape_interval", "14s", scraped("scrape_interval"), ["14s"]),
    Setting("prometheus_k8s_retention", "14d", argument("--storage.tsdb.retention.time"), "14d"),
    Setting("prometheus_k8s_retention_size", "1GB", argument("--storage.tsdb.retention.size"), "1GB"),
    Setting("prometheus_k8s_alerts_disabled", ["OdooPagesSlow"], lambda live: "OdooPagesSlow" in live.alerts, False),
    Setting(
        "prometheus_k8s_alerts_changed",
        {"OdooOutOfMemory": {"severity": "critical"}},
        lambda live: live.alerts["OdooOutOfMemory"]["labels"]["severity"],
        "critical",
    ),
    Setting(
        "prometheus_k8s_alerts_extra",
        [{"name": "mine", "rules": [{"alert": "Mine", "expr": "vector(0) == 1"}]}],
        lambda live: "Mine" in live.alerts,
        True,
    ),
    Setting(
        "prometheus_k8s_runbook",
        "https://example.test/runbook",
        lambda live: live.alerts["MachineDown"]["annotations"]["runbook"].split("#")[0],
        "https://example.test/runbook",
    ),
    Setting(
        "prometheus_k8s_alertmanager_config",
        {"route": {"receiver": "nobody", "group_wait": "31s"}, "receivers": [{"name": "nobody"}]},
        lambda live: "31s" in live.alertmanager,
        True,
    ),
    Setting("prometheus_k8s_shell", "ssh", lambda live: "vagrant" in json.dumps(live.alerts), False),
    Setting("postgres_metrics_port", 9188, targets("postgres"), [9188], proves=("postgres_exporter_port",)),
    # PostgreSQL and its machines
    Setting("postgres_common_settings", {"log_statement": "ddl"}, lambda live: live.shown("log_statement"), "ddl"),
    Setting("postgres_common_disk", "hdd", lambda live: live.shown("random_page_cost"), "4"),
    Setting("postgres_common_archive_timeout", 301, lambda live: live.shown("archive_timeout"), "301s"),
    Setting("postgres_common_max_slot_wal_keep_size", "3GB", lambda live: live.shown("max_slot_wal_keep_size"), "3GB"),
    Setting(
        "node_exporter_disabled_collectors",
        ["zfs"],
        lambda live: 'node_scrape_collector_success{collector="arp"}' in live.metrics,
        True,
    ),
    Setting(
        "node_exporter_extra_options",
        ["--collector.processes"],
        lambda live: "node_processes_threads " in live.metrics,
        True,
    ),
    Setting("node_exporter_port", 9101, targets("node"), [9101], proves=("prometheus_k8s_node_exporter_port",)),
    Setting(
        "postgres_exporter_extra_options",
        ["--log.level=warn"],
        lambda live: (
            "--log.level=warn" in live.server.run("systemctl show --property=ExecStart prometheus-postgres-exporter")
        ),
        True,
    ),
    # Backups
    Setting("postgres_backup_options", {"start-fast": "n", "compress-level": 2}, backup("start-fast"), ["n"]),
    Setting("postgres_backup_compress", "lz4", backup("compress-type"), ["lz4"]),
    Setting("postgres_backup_processes", 1, backup("process-max"), ["1"]),
    Setting("postgres_backup_retention_full", 3, backup("repo1-retention-full"), ["3"]),
    Setting("postgres_backup_retention_diff", 6, backup("repo1-retention-diff"), ["6"]),
    Setting("postgres_backup_queue_max", "3GiB", backup("archive-push-queue-max"), ["3GiB"]),
    Setting(
        "postgres_backup_schedule_full",
        "Sat *-*-* 02:00",
        timer("postgres-backup@full.timer", "OnCalendar"),
        ["Sat *-*-* 02:00"],
    ),
    Setting(
        "postgres_backup_schedule_diff",
        "Sun,Mon..Fri *-*-* 02:00",
        timer("postgres-backup@diff.timer", "OnCalendar"),
        ["Sun,Mon..Fri *-*-* 02:00"],
    ),
    Setting(
        "postgres_backup_schedule_drill",
        "Sat *-*-* 05:00",
        timer("postgres-backup-drill.timer", "OnCalendar"),
        ["Sat *-*-* 05:00"],
    ),
    Setting("postgres_backup_jitter", "20min", timer("postgres-backup@full.timer", "RandomizedDelaySec"), ["20min"]),
    Setting("postgres_backup_check_every", "6min", timer("postgres-backup-check.timer", "OnUnitInactiveSec"), ["6min"]),
    Setting(
        "postgres_backup_scratch_port",
        5533,
        lambda live: json.loads(live.keeper.run("cat /etc/pgbackrest/postgres-backup.json"))["port"],
        5533,
    ),
)
