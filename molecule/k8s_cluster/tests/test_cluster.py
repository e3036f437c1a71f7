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


def test_ended_certificates_were_renewed(node: Any) -> None:
    """The next run renews what had ended, for a year, and the kubeconfig outside has the new ones."""
    month = 30 * 24 * 3600
    files = "/etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt /var/lib/kubelet/pki/kubelet-client-current.pem"
    node(f"for file in {files}; do openssl x509 -noout -checkend {11 * month} -in $file || exit 1; done")
    here = (Path(os.environ["ODOO_DEPLOY_DIR"]) / "kubeconfig").read_text()
    assert here.strip() == node("cat /etc/kubernetes/admin.conf").strip()


def test_timer_renews_without_a_run(node: Any) -> None:
    """The node looks every day; a unit of its own does it, and finds nothing to renew now."""
    period, config = (
        "s/^certificateValidityPeriod: .*/certificateValidityPeriod: 87600h0m0s/",
        "/etc/kubernetes/kubeadm.yaml",
    )
    assert node("systemctl is-active node-renew.timer") == "active"
    before = node("sha256sum /etc/kubernetes/admin.conf")
    node("systemctl start node-renew.service")
    assert node("sha256sum /etc/kubernetes/admin.conf") == before
    node(f"sed -i.kept '{period}' {config} && systemctl start node-renew.service && mv {config}.kept {config}")
    assert node("sha256sum /etc/kubernetes/admin.conf") != before
    node("/usr/local/sbin/node-initialise")  # waits for the API server


def test_pods_resolve_names_outside(node: Any) -> None:
    """By the engine's resolver: it knows this container's name, the cluster does not."""
    kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace kube-system"
    server = node(f"{kubectl} get pod --selector k8s-app=kube-dns --output jsonpath={{.items[0].status.podIP}}")
    asks = "mount --bind /tmp/resolv.conf /etc/resolv.conf && getent ahostsv4 molecule-cluster-node1"
    answer = node(f"echo nameserver {server} > /tmp/resolv.conf && unshare --mount sh -c '{asks}'")
    assert "192.168.126.100" in answer


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
