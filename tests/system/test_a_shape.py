# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment is where nobody sets anything: the verification asks each deployment what it is instead."""

from __future__ import annotations

from support.deployment import Deployment
from support.odoo import Odoo


def test_what_is_there_by_default(deployment: Deployment) -> None:
    """Three pods on the ports that the documentation names, two servers, two proxies"""
    odoo = Odoo(deployment)
    assert odoo.namespace == "odoo"
    assert odoo.web.spec.replicas == len(odoo.pods()) == 3
    assert odoo.node_ports == {"http": 32242, "longpolling": 32243}
    assert odoo.environment["ODOO_LOG_FORMAT"] == "json"
    assert deployment.cluster.node_ports("monitoring", "prometheus") == {"http": 30090}
    assert deployment.names("postgres") == ["pg1", "pg2"]
    assert deployment.names("nginx") == ["nginx1", "nginx2"]
