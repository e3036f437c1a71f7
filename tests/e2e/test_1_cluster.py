# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 1: the Kubernetes cluster."""

import pytest
from support.deployment import Cluster, Deployment, eventually

pytestmark = pytest.mark.cluster


def test_nodes_are_ready(cluster: Cluster) -> None:
    """Every node of the cluster is Ready"""
    nodes = cluster.core.list_node().items
    assert nodes
    for node in nodes:
        conditions = {condition.type: condition.status for condition in node.status.conditions}
        assert conditions["Ready"] == "True", f"{node.metadata.name}: {conditions}"


def test_system_pods_run(cluster: Cluster) -> None:
    """The control plane and the DNS of the cluster run"""

    def check() -> None:
        for pod in cluster.pods("kube-system", ""):
            ready = {condition.type: condition.status for condition in pod.status.conditions or []}.get("Ready")
            assert ready == "True" or pod.status.phase == "Succeeded", f"{pod.metadata.name}: {pod.status.phase}"

    eventually(check, seconds=60)


def test_inventory_knows_the_nodes(deployment: Deployment, cluster: Cluster) -> None:
    """The inventory names every node with the address its peers use"""
    known = {
        node.metadata.name: next(address.address for address in node.status.addresses if address.type == "InternalIP")
        for node in cluster.core.list_node().items
    }
    assert deployment.nodes == known
