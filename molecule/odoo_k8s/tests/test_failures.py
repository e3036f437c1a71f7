# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong stops early, says which pod and why, and leaves the old pods serving."""

from __future__ import annotations

import pytest
from conftest import NAMESPACE, Deployment

WRONG = {
    "a module that does not exist": (
        ["-e", '{"odoo_k8s_modules": ["base", "web", "bus", "no_such_module"]}'],
        ["the image has no module named no_such_module", "old web pods were not touched"],
    ),
    "an image that does not exist": (
        ["-e", "odoo_image=odoo-deploy/nowhere:1", "-e", "odoo_k8s_rollout_timeout=20"],
        ["odoo-deploy/nowhere:1", "ImagePull"],
    ),
    "an option that Odoo refuses": (
        ["-e", '{"odoo_k8s_config": {"db_sslmode": "nonsense"}}'],
        ["db_sslmode: invalid choice: 'nonsense'"],
    ),
    "a secret in the ConfigMap": (
        ["-e", '{"odoo_k8s_config": {"smtp_password": "x"}}'],
        ["Move that to odoo_k8s_secret_config"],
    ),
    "a version that nobody knows": (["-e", "odoo_k8s_version=13"], ["13"]),
}


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_deployment_stops_and_old_pods_serve(
    deployment: Deployment, arguments: list[str], says: list[str]
) -> None:
    """Exit code not zero, the reason in the output, the same three pods as before."""
    before = [pod.name for pod in deployment.pods()]
    played = deployment.play(*arguments)
    assert played.returncode != 0
    for text in says:
        assert text in played.stdout, played.stdout[-3000:]
    assert [pod.name for pod in deployment.pods()] == before
    assert all(pod.request("GET", "/web/login")[0] == 200 for pod in deployment.pods())


def test_a_quota_stops_the_rollout_with_its_name(deployment: Deployment) -> None:
    """No pod can be made: the quota is named, the old pods serve; without the quota the next run goes through."""
    pods = len(deployment.core.list_namespaced_pod(NAMESPACE, field_selector="status.phase=Running").items)
    quota = {"metadata": {"name": "tight"}, "spec": {"hard": {"pods": str(pods)}}}
    deployment.core.create_namespaced_resource_quota(NAMESPACE, quota)
    change = ["-e", '{"odoo_k8s_config": {"limit_request": 8000}}', "-e", "odoo_k8s_rollout_timeout=30"]
    try:
        played = deployment.play(*change)
        assert played.returncode != 0
        assert "exceeded quota: tight" in played.stdout, played.stdout[-3000:]
        assert all(pod.request("GET", "/web/login")[0] == 200 for pod in deployment.pods())
    finally:
        deployment.core.delete_namespaced_resource_quota("tight", NAMESPACE)
    assert deployment.play(*change).returncode == 0
    assert deployment.play().returncode == 0
