# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verification looks at. The first line of a test's docstring is what a person reads."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support import odoo
from support.deployment import Cluster, Deployment
from support.odoo import Door


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture(scope="session")
def cluster(deployment: Deployment) -> Cluster:
    return deployment.cluster


@pytest.fixture(scope="session")
def odoo_pods(cluster: Cluster) -> list[str]:
    """Names of the pods that answer web requests."""
    selector = "app.kubernetes.io/name=odoo,app.kubernetes.io/component=web"
    return [pod.metadata.name for pod in cluster.pods("odoo", selector)]


@pytest.fixture(scope="session")
def proxies(deployment: Deployment) -> dict[str, Door]:
    return odoo.proxies(deployment)


@pytest.fixture(scope="session")
def node_door(deployment: Deployment) -> Door:
    return odoo.node_door(deployment)


@pytest.fixture
def pod_doors(cluster: Cluster, odoo_pods: list[str]) -> list[Door]:
    """Each pod by itself."""
    return [Door(cluster.pod_url("odoo", pod, 8069), verify=cluster.ca, cert=cluster.certificate) for pod in odoo_pods]
