# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether Deployments of Kubernetes are rolled out."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k8s_rollout
short_description: Whether Deployments of Kubernetes are rolled out
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - All Deployments in the answer count.
options:
  _input:
    description: What M(kubernetes.core.k8s_info) or M(kubernetes.core.k8s) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ (found | odoo_deploy.stack.k8s_rollout).done }}"
"""

RETURN = r"""
_value:
  description: C(done), whether all pods are new and available; C(stuck), the Deployments that have given up.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.module_utils.kubernetes_answers import rollout


def k8s_rollout(answer: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return rollout(answer)._asdict()
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"k8s_rollout: this is no answer of kubernetes.core: {problem!r}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"k8s_rollout": k8s_rollout}
