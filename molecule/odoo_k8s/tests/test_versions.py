# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests of every version, with every optional part, go through a real API server's admission (dry run)."""

from __future__ import annotations

import pytest
from conftest import Deployment

# Said to be of no series: the deployment's own database is of Odoo 19, and is refused to all others.
EVERYTHING = """{
  "odoo_k8s_database_series": "", "odoo_image": "odoo.example.com/odoo:%(version)s", "odoo_k8s_version": "%(version)s",
  "odoo_k8s_max_replicas": 9,
  "odoo_k8s_base_url": "https://odoo.example.com", "odoo_k8s_demo": true, "odoo_k8s_log_format": "text",
  "odoo_k8s_ingress_cidrs": ["192.0.2.0/24", "2001:db8::/64"],
  "odoo_k8s_egress": [{"cidr": "203.0.113.25/32", "port": 587}],
  "odoo_k8s_registry_login": {"registry": "odoo.example.com", "username": "pull", "password": "p%%w"},
  "odoo_k8s_image_pull_secrets": ["mine"],
  "odoo_k8s_config": {"workers": 5, "limit_time_real": 600}, "odoo_k8s_secret_config": {"smtp_password": "p%%w: #x"}
}"""


@pytest.mark.parametrize("version", ["14", "15", "16", "17", "18", "19"])
def test_manifests_are_accepted(deployment: Deployment, version: str) -> None:
    """Every object of the version is taken by the server; nothing is changed by it."""
    before = [pod.name for pod in deployment.pods()]
    played = deployment.play("--check", "-e", EVERYTHING % {"version": version})
    assert played.returncode == 0, played.stdout[-3000:]
    # Secrets, configuration and job, deployments and service; and what is remembered, if that is another series.
    assert f"changed={3 if version == '19' else 4}" in played.stdout, played.stdout[-1000:]
    assert [pod.name for pod in deployment.pods()] == before


def test_the_server_does_look(deployment: Deployment) -> None:
    """A manifest that is wrong is refused: the test above can fail."""
    played = deployment.play("--check", "-e", "odoo_k8s_max_replicas=99999999999")
    assert played.returncode != 0
    assert "HorizontalPodAutoscalerSpec.spec.maxReplicas of type int32" in played.stdout, played.stdout[-3000:]


def test_check_mode_on_a_converged_cluster_changes_nothing(deployment: Deployment) -> None:
    """`--check --diff` right after a run tells of no change."""
    played = deployment.play("--check", "--diff")
    assert played.returncode == 0, played.stdout[-3000:]
    assert "changed=0" in played.stdout
