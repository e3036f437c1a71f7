# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verification looks at. The first line of a test's docstring is what a person reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support import odoo
from support.deployment import Cluster, Deployment
from support.odoo import Door, Odoo, Visitor


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What Prometheus is asked comes last: it sees a machine at its next scrape, and no other test waits for that."""
    items.sort(key=lambda item: "prometheus" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture(scope="session")
def cluster(deployment: Deployment) -> Cluster:
    return deployment.cluster


@pytest.fixture(scope="session")
def app(deployment: Deployment) -> Odoo:
    """Odoo as the cluster runs it."""
    return Odoo(deployment)


@pytest.fixture(scope="session")
def odoo_pods(app: Odoo) -> list[str]:
    """Names of the pods that answer web requests."""
    return [pod.metadata.name for pod in app.pods()]


@pytest.fixture(scope="session")
def visitor(app: Odoo) -> Iterator[Visitor]:
    """Who logs in: a user of the verification's own, with no rights but an employee's, gone at its end."""
    visitor = Visitor(app)
    yield visitor
    visitor.leave()


@pytest.fixture(scope="session")
def proxies(deployment: Deployment) -> dict[str, Door]:
    return odoo.proxies(deployment)


@pytest.fixture(scope="session")
def node_door(deployment: Deployment) -> Door:
    return odoo.node_door(deployment)


@pytest.fixture
def pod_doors(cluster: Cluster, app: Odoo, odoo_pods: list[str]) -> list[Door]:
    """Each pod by itself."""
    urls = [cluster.pod_url(app.namespace, pod, app.port) for pod in odoo_pods]
    return [Door(url, verify=cluster.ca, cert=cluster.certificate) for url in urls]
