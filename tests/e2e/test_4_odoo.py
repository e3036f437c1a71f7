# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 4: Odoo's pods, as many as there are, that behave as one."""

from __future__ import annotations

import base64
import os
import uuid

import pytest
from support.deployment import Cluster, Deployment
from support.odoo import BUNDLE, LOGIN_PAGE, NAME, Door, Odoo, Visitor, references

pytestmark = pytest.mark.odoo


@pytest.fixture(scope="module")
def user(node_door: Door, visitor: Visitor) -> Door:
    return visitor.enter(node_door)


def test_pods_are_ready(app: Odoo, cluster: Cluster) -> None:
    """Every Odoo pod that is wanted is ready, of one image"""
    workloads = cluster.apps.list_namespaced_deployment(app.namespace, label_selector=NAME).items
    assert {workload.metadata.labels["app.kubernetes.io/component"] for workload in workloads} == {"web", "cron"}
    for workload in workloads:
        wanted, status = workload.spec.replicas, workload.status
        counts = [status.replicas, status.ready_replicas, status.updated_replicas]
        assert wanted and counts == [wanted] * 3, f"{workload.metadata.name}: {counts} of {wanted}"
    pods = app.pods(NAME + ",app.kubernetes.io/component in (web, cron)")
    assert len({pod.status.container_statuses[0].image_id for pod in pods}) == 1


def test_login_page(node_door: Door) -> None:
    """The login page answers on the nodes' port"""
    assert node_door.follow(LOGIN_PAGE).status_code == 200


def test_session_works_on_every_pod(user: Door, pod_doors: list[Door]) -> None:
    """A session opened at the node's port is known to each pod by address"""
    uid = user.user_id()
    assert uid
    for door in pod_doors:
        door.session_id = user.session_id
        assert door.user_id() == uid, door.url


def test_logout_reaches_every_pod(visitor: Visitor, pod_doors: list[Door]) -> None:
    """A session closed on one pod is closed on the others"""
    first, *others = pod_doors
    visitor.enter(first)
    for door in others:
        door.session_id = first.session_id
        assert door.user_id(), door.url
    first.log_out()
    for door in pod_doors:
        assert not door.user_id(), door.url


def test_attachment_is_on_every_pod(user: Door, pod_doors: list[Door]) -> None:
    """An attachment uploaded through one pod is downloaded byte-identical from the others"""
    content = os.urandom(65536)
    first, *others = pod_doors
    for door in pod_doors:
        door.session_id = user.session_id
    values = {
        "name": f"verify-{uuid.uuid4().hex}.bin",
        "datas": base64.b64encode(content).decode(),
        "mimetype": "application/octet-stream",
    }
    attachment = first.call("ir.attachment", "create", values)
    attachment = attachment[0] if isinstance(attachment, list) else attachment
    try:
        for door in others:
            answer = door.get(f"/web/content/{attachment}?download=1")
            assert answer.status_code == 200, f"{door.url} answered {answer.status_code}"
            assert answer.content == content, door.url
    finally:
        first.call("ir.attachment", "unlink", [attachment])


def test_bundles_are_the_same_on_every_pod(pod_doors: list[Door], node_door: Door) -> None:
    """Every pod names the same asset bundles"""
    pages = {tuple(sorted(references(door.follow(LOGIN_PAGE).text, BUNDLE))) for door in pod_doors}
    assert len(pages) == 1
    assert pages.pop()


def test_no_secret_in_configmaps(cluster: Cluster, app: Odoo, deployment: Deployment) -> None:
    """No secret stands in a ConfigMap, a pod's specification or a pod's log"""
    assert deployment.secrets
    texts = {
        f"ConfigMap {item.metadata.name}": str(item.data)
        for item in cluster.core.list_namespaced_config_map(app.namespace).items
    }
    for pod in cluster.core.list_namespaced_pod(app.namespace).items:
        texts[f"specification of {pod.metadata.name}"] = str(pod.spec)
        if pod.status.phase != "Pending":
            texts[f"log of {pod.metadata.name}"] = app.log(pod.metadata.name, lines=5000)
    for where, text in texts.items():
        leaked = [name for name, secret in deployment.secrets.items() if secret in text]
        assert not leaked, f"{where} holds {leaked}"


def test_pods_are_restricted(app: Odoo) -> None:
    """Odoo's pods run as nobody special: no root, no capability, no token, a read-only root"""
    pods = app.pods(NAME)
    assert pods
    for pod in pods:
        assert pod.spec.automount_service_account_token is False, pod.metadata.name
        for container in pod.spec.containers:
            security = container.security_context
            assert security.read_only_root_filesystem and not security.allow_privilege_escalation, pod.metadata.name
            assert security.capabilities.drop == ["ALL"], pod.metadata.name
            assert security.run_as_non_root or pod.spec.security_context.run_as_non_root, pod.metadata.name
