# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role k8s_cluster leaves behind, after the node's container was removed and made again."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from kubernetes import client, config

testinfra_hosts = ["local://"]


@pytest.fixture(scope="module")
def api() -> client.CoreV1Api:
    config.load_kube_config(str(Path(os.environ["ODOO_DEPLOY_DIR"]) / "kubeconfig"))
    return client.CoreV1Api()


@pytest.fixture(scope="module")
def node(host: Any) -> Any:
    """Runs a command in the node's container; gives its standard output."""
    return lambda command: host.check_output("docker exec molecule-cluster-node1 sh -c %s", command)


def test_kubeconfig_is_private() -> None:
    """Nobody else reads the administrator's credentials."""
    assert (Path(os.environ["ODOO_DEPLOY_DIR"]) / "kubeconfig").stat().st_mode & 0o777 == 0o600


def test_choice_is_remembered() -> None:
    """A rerun and the teardown take the same kind of cluster."""
    record = json.loads((Path(os.environ["ODOO_DEPLOY_DIR"]) / "cluster.json").read_text())
    assert record["kind"] == "embedded"
    assert record["reason"]


def test_cluster_outlives_its_container(api: client.CoreV1Api) -> None:
    """What was stored before is still there: etcd and the keys are on volumes."""
    assert api.read_namespaced_config_map("kept", "default")
    (node,) = api.list_node().items
    assert node.metadata.name == "node1"


def test_kube_proxy_has_an_identity_of_its_own(node: Any) -> None:
    """kube-proxy is no administrator."""
    encoded = node("sed -n 's/.*client-certificate-data: //p' /etc/kubernetes/kube-proxy.conf")
    certificate = x509.load_pem_x509_certificate(base64.b64decode(encoded))
    assert certificate.subject.rfc4514_string() == "CN=system:kube-proxy"


def test_node_drops_the_capability_it_does_not_need(host: Any) -> None:
    """The container has no CAP_SYS_RESOURCE and is not privileged."""
    described = json.loads(host.check_output("docker inspect molecule-cluster-node1"))[0]["HostConfig"]
    assert described["Privileged"] is False
    assert described["CapDrop"] == ["SYS_RESOURCE"]


def test_no_unit_failed(node: Any) -> None:
    """systemd is 'running' in the node."""
    assert node("systemctl is-system-running --wait") == "running"
