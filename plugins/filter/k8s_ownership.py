# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which objects of a cluster a deployment made, and which were there before."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k8s_ownership
short_description: Which objects of a cluster a deployment made
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Sorts objects by their label C(odoo-deploy.deployment), by the annotation C(odoo-deploy.created), which is written
    when an object is made, and, without it, by who wrote to them (C(metadata.managedFields)).
  - An object without the label is V(foreign). With the label it is V(created) where it has the annotation or nobody but
    the field manager C(odoo-deploy) wrote to it; else V(adopted), as somebody else made it.
options:
  _input:
    description: Objects as M(kubernetes.core.k8s_info) returns them.
    type: list
    elements: dict
    required: true
  deployment:
    description: Name of the deployment.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Remove what this deployment made
  kubernetes.core.k8s:
    state: absent
    definition: "{{ (found.resources | odoo_deploy.stack.k8s_ownership('odoo')).created }}"
"""

RETURN = r"""
_value:
  description: The objects, in the lists C(created), C(adopted) and C(foreign).
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

LABEL = "odoo-deploy.deployment"
MANAGER = "odoo-deploy"
# Names who made an object, written once, when it is made.
CREATED = "odoo-deploy.created"
# Who writes to every object, whoever made it.
CLUSTER = ("kube-controller-manager", "kube-apiserver", "kube-scheduler")


def managers(item: Mapping[str, Any]) -> set[str]:
    """Who wrote to the object, its status apart."""
    entries = item["metadata"].get("managedFields") or []
    return {entry.get("manager", "") for entry in entries if not entry.get("subresource")}


def ownership(item: Mapping[str, Any], deployment: str) -> str:
    """``created``, ``adopted`` or ``foreign``."""
    metadata = item["metadata"]
    if (metadata.get("labels") or {}).get(LABEL) != deployment:
        return "foreign"
    if (metadata.get("annotations") or {}).get(CREATED) == deployment:
        return "created"
    # Objects of releases that wrote no annotation.
    return "created" if managers(item).difference(CLUSTER) == {MANAGER} else "adopted"


def k8s_ownership(items: Sequence[Mapping[str, Any]], deployment: str) -> dict[str, list[Mapping[str, Any]]]:
    """The objects by who made them."""
    sorted_items: dict[str, list[Mapping[str, Any]]] = {"created": [], "adopted": [], "foreign": []}
    for item in items:
        sorted_items[ownership(item, deployment)].append(item)
    return sorted_items


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"k8s_ownership": k8s_ownership}
