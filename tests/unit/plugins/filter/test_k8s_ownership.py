# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a teardown may remove from a cluster that others use too."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.k8s_applied import k8s_applied
from ansible_collections.odoo_deploy.stack.plugins.filter.k8s_ownership import k8s_ownership

OURS, MARK = {"odoo-deploy.deployment": "odoo"}, {"odoo-deploy.created": "odoo"}


def item(labels: Any = None, annotations: Any = None, managers: tuple[str, ...] = ("odoo-deploy",)) -> dict[str, Any]:
    fields = [{"manager": name, "operation": "Apply"} for name in managers]
    fields.append({"manager": "whoever", "operation": "Update", "subresource": "status"})
    return {"metadata": {"name": "n", "labels": labels, "annotations": annotations, "managedFields": fields}}


@pytest.mark.parametrize(
    ("found", "owner"),
    [
        (item(OURS, MARK), "created"),
        # Somebody labelled it later.
        (item(OURS, MARK, ("odoo-deploy", "kubectl-label")), "created"),
        # Made by a release that wrote no annotation.
        (item(OURS), "created"),
        (item(OURS, None, ("odoo-deploy", "kube-controller-manager")), "created"),
        # Somebody else made it, and a deployment put its label on it.
        (item(OURS, None, ("kubectl-create", "odoo-deploy")), "adopted"),
        (item(OURS, None, ("kubectl-create",)), "adopted"),
        (item(OURS, {"odoo-deploy.created": "another"}, ("odoo-deploy", "kubectl-create")), "adopted"),
        (item(OURS, None, ()), "adopted"),
        # Another team's deployment, or nobody's.
        (item({"odoo-deploy.deployment": "another"}, {"odoo-deploy.created": "another"}), "foreign"),
        (item(), "foreign"),
        (item({}, MARK), "foreign"),
        ({"metadata": {"name": "n"}}, "foreign"),
    ],
)
def test_who_made_an_object(found: dict[str, Any], owner: str) -> None:
    sorted_items = k8s_ownership([found], "odoo")
    assert {name for name, items in sorted_items.items() if items} == {owner}


def test_in_a_namespace_of_others_only_what_was_applied_here_goes() -> None:
    ours, theirs, both = item(), item(managers=("helm",)), item(managers=("helm", "odoo-deploy"))
    assert k8s_applied([ours, theirs, both, {"metadata": {}}]) == [ours]
