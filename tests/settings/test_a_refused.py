# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program would not read is refused before anything is changed; the batch comes after, and ends at changed=0."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT
from support.deployment import Deployment

# Step, settings that it does not take, and what is said of each.
CASES: dict[str, tuple[int, dict[str, object], list[str]]] = {
    "prometheus": (
        2,
        {"prometheus_k8s_retention": "15 days", "prometheus_k8s_retention_size": "2gb", "prometheus_k8s_node_port": 0},
        [
            "prometheus_k8s_retention is 15 days: allowed is whole numbers with y, w, d",
            "prometheus_k8s_retention_size is 2gb: allowed is a whole number and B, KB",
            "prometheus_k8s_node_port is 0: allowed is a port",
        ],
    ),
    "a namespace": (
        2,
        {"prometheus_k8s_namespace": "odoo-e2e-other"},
        [
            "prometheus_k8s_namespace is odoo-e2e-other, but this deployment's Prometheus runs in",
            "Set it back; or remove the old",
        ],
    ),
    "a namespace of Odoo": (
        4,
        {"odoo_k8s_namespace": "odoo-e2e-other"},
        ["odoo_k8s_namespace is odoo-e2e-other, but this deployment's Odoo runs in", "Set it back; or remove the old"],
    ),
    "the databases of Odoo": (
        4,
        {"odoo_k8s_db_name": "other", "odoo_k8s_session_db_user": "another"},
        [
            "odoo_k8s_db_name is other, but Odoo's data is in",
            "odoo_k8s_session_db_user is another, but what is in the sessions' database belongs to",
            "Set it back; or remove the old Odoo first (kubectl delete namespace",
        ],
    ),
    # PostgreSQL's step would make the other one, and close Odoo's own to it.
    "the databases of Odoo in PostgreSQL": (
        3,
        {"odoo_k8s_db_user": "another", "odoo_k8s_session_db_name": "other"},
        [
            "odoo_k8s_db_user is another, but what is in Odoo's database belongs to",
            "odoo_k8s_session_db_name is other, but the sessions are in",
        ],
    ),
    "encryption": (
        3,
        {"postgres_backup_encrypted": True},
        ["To change it, make a new repository: give"],
    ),
    "postgres": (
        3,
        {
            "postgres_common_settings": {"work_mem": "much", "no_such_setting": 1},
            "postgres_common_max_slot_wal_keep_size": "4 GB",
        },
        [
            'postgres_common_settings: invalid value for parameter "work_mem": "much"',
            'postgres_common_settings: unrecognized configuration parameter "no_such_setting"',
            "postgres_common_max_slot_wal_keep_size is 4 GB: allowed is a whole number and kB",
        ],
    ),
    "backup": (
        3,
        {
            "postgres_backup_schedule_diff": "Sun..Fri *-*-* 02:00",
            "postgres_backup_jitter": "soon",
            "postgres_backup_processes": 0,
        },
        [
            "postgres_backup_schedule_diff is Sun..Fri *-*-* 02:00: allowed is a time as systemd",
            "postgres_backup_jitter is soon: allowed is a span of time as systemd",
            "postgres_backup_processes is 0: allowed is a whole number, 1 to 1000000",
        ],
    ),
    "options of pgBackRest": (
        3,
        {
            "postgres_backup_options": {
                "compres-level": 2,
                "type": "full",
                "repo1-path": "/elsewhere",
                "compress-level": 2,
            }
        },
        [
            "postgres_backup_options has compres-level: pgBackRest takes no such option in its files, but compress",
            "postgres_backup_options has type: pgBackRest takes no such option in its files",
            "postgres_backup_options has repo1-path: give postgres_backup_repository",
        ],
    ),
    "odoo": (
        4,
        {
            "odoo_k8s_cpu_request": "100 m",
            "odoo_k8s_scratch_size": "1GB",
            "odoo_k8s_dns_cidrs": ["192.0.2.53"],
            "odoo_k8s_egress": [{"cidr": "203.0.113.25/24", "port": 587}],
        },
        [
            "odoo_k8s_cpu_request is 100 m: allowed is a number and perhaps m",
            "odoo_k8s_scratch_size is 1GB: allowed is a number and perhaps m",
            "odoo_k8s_dns_cidrs is ['192.0.2.53']: allowed is a list of networks",
            "odoo_k8s_egress is [{'cidr': '203.0.113.25/24', 'port': 587}]: allowed is a list of networks and ports",
        ],
    ),
    "nginx": (
        5,
        {
            "nginx_cache_max_size": "5q",
            "nginx_cache_inactive": "7 days",
            "nginx_cache_rate_limits": {"login": {"rate": "1"}},
        },
        [
            "nginx_cache_max_size is 5q: allowed is a whole number and k, m or g",
            "nginx_cache_inactive is 7 days: allowed is whole numbers with y, M, w",
            "nginx_cache_rate_limits is {'login': {'rate': '1'}}: allowed is a rate such as",
        ],
    ),
    "exporter": (
        5,
        {"node_exporter_extra_options": ["--no-such-option"]},
        ["node_exporter_extra_options on nginx1: "],
    ),
}


def refused(tmp_path: Path, step: int, settings: dict[str, object]) -> str:
    """What a run says that is refused by a step, and changes nothing; its lines may be folded."""
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    done = subprocess.run(
        ["./run.py", "--yes", "--steps", str(step), "-e", f"@{file}"],
        cwd=ROOT, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode != 0, done.stdout
    assert set(re.findall(r"changed=(\d+)", done.stdout)) == {"0"}, done.stdout
    return " ".join(done.stdout.split())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("deployment")
def test_what_would_not_be_read_is_refused(case: str, tmp_path: Path) -> None:
    """Every one in a line of its own, at once, and nothing is changed."""
    step, settings, lines = CASES[case]
    said = refused(tmp_path, step, settings)
    assert [line for line in lines if line not in said] == [], said


def test_a_volume_that_cannot_be_changed(deployment: Deployment, tmp_path: Path) -> None:
    """Another StorageClass and less room for the readings, of a claim that is there."""
    (namespace,) = {
        service.metadata.namespace
        for service in deployment.cluster.core.list_service_for_all_namespaces(
            field_selector="metadata.name=prometheus"
        ).items
    } & set(deployment.cluster.namespaces(deployment.name))
    spec = {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "first", "resources": {"requests": {"storage": "4Gi"}},
    }  # fmt: skip
    core = deployment.cluster.core
    core.create_namespaced_persistent_volume_claim(namespace, {"metadata": {"name": "prometheus"}, "spec": spec})
    try:
        wanted: dict[str, object] = {"prometheus_k8s_storage_class": "second", "prometheus_k8s_storage_size": "1Gi"}
        said = refused(tmp_path, 2, wanted)
    finally:
        core.delete_namespaced_persistent_volume_claim("prometheus", namespace)
    assert "prometheus_k8s_storage_class is second and prometheus_k8s_storage_size is 1Gi" in said
    assert "has storage class first and size 4Gi" in said
    assert "delete deployment/prometheus pvc/prometheus" in said
