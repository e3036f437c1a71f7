# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which objects in a namespace of others the roles of this collection applied."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k8s_applied
short_description: Objects that nobody but the roles of this collection applied
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Keeps the objects that only the field manager C(odoo-deploy) wrote to, the cluster itself apart.
options:
  _input:
    description: Objects as M(kubernetes.core.k8s_info) returns them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Name what a teardown removes from a namespace of others
  ansible.builtin.debug:
    msg: "{{ found.resources | odoo_deploy.stack.k8s_applied | map(attribute='metadata.name') }}"
"""

RETURN = r"""
_value:
  description: The objects that were applied by the roles alone.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.odoo_deploy.stack.plugins.filter.k8s_ownership import CLUSTER, MANAGER, managers


def k8s_applied(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the objects that nobody else wrote to."""
    return [item for item in items if managers(item).difference(CLUSTER) == {MANAGER}]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"k8s_applied": k8s_applied}
