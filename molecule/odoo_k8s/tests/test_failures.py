# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong stops early, says which pod and why, and leaves the old pods serving."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import NAMESPACE, Deployment, eventually, sql

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
        ["-e", '{"odoo_k8s_config": {"log_handler": "odoo:handlers"}}'],
        ["Job odoo-init-", "TypeError: Level not an integer or a valid string"],
    ),
    "a secret in the ConfigMap": (
        ["-e", '{"odoo_k8s_config": {"smtp_password": "x"}}'],
        ["odoo_k8s_config: smtp_password: ", "move it to odoo_k8s_secret_config"],
    ),
    "an option of the role in the Secret": (
        ["-e", '{"odoo_k8s_secret_config": {"workers": 9, "data_dir": "/data"}}'],
        ["odoo_k8s_secret_config: workers: the pods are made for its value", "odoo_k8s_secret_config: data_dir: "],
    ),
    "options that a pod cannot have": (
        ["-e", '{"odoo_k8s_config": {"data_dir": "/data", "workers": 0, "limit_memory_hard": "much"}}'],
        [
            "odoo_k8s_config: data_dir is /data: ",
            "odoo_k8s_config: workers is 0; allowed is ",
            "limit_memory_hard is much",
        ],
    ),
    "another series than the database's": (
        ["-e", "odoo_k8s_version=14"],
        ["odoo_k8s_version is 14, but the database odoo is of Odoo 19", "Leave odoo_k8s_version out"],
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


@pytest.fixture
def full_disk(host) -> Iterator[None]:
    """What Odoo makes anew in its database goes to a disk of 4 MiB that is full; what is there stays where it is."""
    place = "/var/lib/postgresql/proof_full"
    host.check_output(f"mkdir -p {place} && mount -t tmpfs -o size=4m,uid=$(id -u postgres),mode=0700 tmpfs {place}")
    try:
        sql(host, "postgres", f"CREATE TABLESPACE proof_full LOCATION '{place}'")
        sql(host, "postgres", "GRANT CREATE ON TABLESPACE proof_full TO odoo")
        sql(host, "postgres", "ALTER ROLE odoo IN DATABASE odoo SET default_tablespace = proof_full")
        assert host.run(f"dd if=/dev/zero of={place}/filler bs=4k").rc == 1
        yield
    finally:
        sql(host, "postgres", "ALTER ROLE odoo IN DATABASE odoo RESET default_tablespace")
        # The last connection that had one of its files open may still be at work.
        eventually(
            lambda: host.run("runuser -u postgres -- psql -qc 'DROP TABLESPACE IF EXISTS proof_full'").rc == 0,
            30,
            "nothing is left on the disk",
        )
        host.check_output(f"umount {place} && rmdir {place}")


def test_a_full_disk_stops_the_rollout_and_pods_may_restart(deployment: Deployment, host, full_disk: None) -> None:
    """A module has no room for its tables: the job's pod and the disk are named; pods serve, and new ones may start."""
    before = [pod.name for pod in deployment.pods()]
    played = deployment.play("-e", '{"odoo_k8s_modules": ["base", "web", "bus", "resource"]}')
    assert played.returncode != 0
    said = played.stdout[played.stdout.rindex("failed; old web pods were not touched") :]
    assert "No space left on device" in said, played.stdout[-3000:]
    assert "Pod odoo-init-" in said
    assert [pod.name for pod in deployment.pods()] == before
    assert all(pod.request("GET", "/web/login")[0] == 200 for pod in deployment.pods())
    assert sql(host, "odoo", "SELECT value FROM ir_config_parameter WHERE key = 'odoo_deploy.state'") == "ready"
    assert sql(host, "odoo", "SELECT count(*) FROM ir_module_module WHERE state LIKE 'to %'") == "0"


def test_two_deployments_at_once_both_end_well(deployment: Deployment) -> None:
    """Two people apply different settings in the same moment: both succeed, three pods run one of the two."""
    settings = [json.dumps({"odoo_k8s_config": {"limit_request": number}}) for number in (8100, 8200)]
    with ThreadPoolExecutor(2) as pool:
        for played in pool.map(lambda text: deployment.play("-e", text), settings):
            assert played.returncode == 0, played.stdout[-3000:]
    eventually(lambda: len(deployment.pods()) == 3 and all(p.ready() for p in deployment.pods()), 120, "three pods")
    limits = {pod.run("grep", "limit_request", "/tmp/odoo-deploy/odoo.conf").strip() for pod in deployment.pods()}
    assert len(limits) == 1
    assert limits <= {"limit_request = 8100", "limit_request = 8200"}


# The last one: it goes back to the settings of the scenario.
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
