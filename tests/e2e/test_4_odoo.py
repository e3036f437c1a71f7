# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 4: three Odoo pods that behave as one."""

from __future__ import annotations

import base64
import os
import re
import uuid

import pytest
from support.deployment import Cluster, Deployment
from support.odoo import Door

pytestmark = pytest.mark.odoo

WEB = "app.kubernetes.io/name=odoo,app.kubernetes.io/component=web"


@pytest.fixture(scope="module")
def admin(node_door: Door, deployment: Deployment) -> Door:
    node_door.log_in("admin", deployment.secret("odoo_admin_password"))
    return node_door


def test_three_pods_are_ready(cluster: Cluster) -> None:
    """Three Odoo pods are ready, of one image"""
    (web,) = cluster.apps.list_namespaced_deployment("odoo", label_selector=WEB).items
    assert web.spec.replicas == web.status.ready_replicas == web.status.updated_replicas == 3
    pods = cluster.pods("odoo", WEB)
    assert len({pod.status.container_statuses[0].image_id for pod in pods}) == 1


def test_login_page(node_door: Door) -> None:
    """The login page answers on NodePort 32242"""
    assert node_door.get("/web/login").status_code == 200


def test_session_works_on_every_pod(admin: Door, pod_doors: list[Door]) -> None:
    """A session opened at the node's port is known to each pod by address"""
    uid = admin.user_id()
    assert uid
    for door in pod_doors:
        door.session_id = admin.session_id
        assert door.user_id() == uid, door.url


def test_logout_reaches_every_pod(deployment: Deployment, pod_doors: list[Door]) -> None:
    """A session closed on one pod is closed on the others"""
    first, *others = pod_doors
    first.log_in("admin", deployment.secret("odoo_admin_password"))
    for door in others:
        door.session_id = first.session_id
        assert door.user_id(), door.url
    first.log_out()
    for door in pod_doors:
        assert not door.user_id(), door.url


def test_attachment_is_on_every_pod(admin: Door, pod_doors: list[Door]) -> None:
    """An attachment uploaded through one pod is downloaded byte-identical from the others"""
    content = os.urandom(65536)
    first, *others = pod_doors
    for door in pod_doors:
        door.session_id = admin.session_id
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
    pages = {tuple(sorted(bundles(door.get("/web/login").text))) for door in pod_doors}
    assert len(pages) == 1
    assert pages.pop()


def bundles(page: str) -> set[str]:
    return {
        match[0].rsplit("/web/", 1)[1] for match in re.finditer(r"/web/(?:content|assets)/[^\"' ]+\.(?:js|css)", page)
    }


def test_no_secret_in_configmaps(cluster: Cluster, deployment: Deployment) -> None:
    """No secret stands in a ConfigMap, a pod's specification or a pod's log"""
    assert {"odoo_admin_password"} <= set(deployment.secrets)
    texts = {
        f"ConfigMap {item.metadata.name}": str(item.data)
        for item in cluster.core.list_namespaced_config_map("odoo").items
    }
    for pod in cluster.core.list_namespaced_pod("odoo").items:
        texts[f"specification of {pod.metadata.name}"] = str(pod.spec)
        if pod.status.phase != "Pending":
            texts[f"log of {pod.metadata.name}"] = cluster.core.read_namespaced_pod_log(
                pod.metadata.name, "odoo", tail_lines=5000
            )
    for where, text in texts.items():
        leaked = [name for name, secret in deployment.secrets.items() if secret in text]
        assert not leaked, f"{where} holds {leaked}"


def test_pods_are_restricted(cluster: Cluster) -> None:
    """Odoo's pods run as nobody special: no root, no capability, no token, a read-only root"""
    pods = cluster.pods("odoo", "app.kubernetes.io/name=odoo")
    assert pods
    for pod in pods:
        assert pod.spec.automount_service_account_token is False, pod.metadata.name
        for container in pod.spec.containers:
            security = container.security_context
            assert security.read_only_root_filesystem and not security.allow_privilege_escalation, pod.metadata.name
            assert security.capabilities.drop == ["ALL"], pod.metadata.name
            assert security.run_as_non_root or pod.spec.security_context.run_as_non_root, pod.metadata.name
