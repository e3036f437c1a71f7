# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pod of Kubernetes that tells why something failed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k8s_pod_to_show
short_description: The pod of Kubernetes that tells why something failed
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Of those that are not ready, have not succeeded and are not being removed, the newest.
options:
  _input:
    description: What M(kubernetes.core.k8s_info) returned for pods.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show its name
  ansible.builtin.debug:
    msg: "{{ (pods | odoo_deploy.stack.k8s_pod_to_show).metadata.name | default('none') }}"
"""

RETURN = r"""
_value:
  description: The pod; empty where there is none.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.module_utils.kubernetes_answers import pod_to_show


def k8s_pod_to_show(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return pod_to_show(answer)
    except (AttributeError, KeyError, TypeError) as problem:
        raise AnsibleFilterError(f"k8s_pod_to_show: this is no answer of kubernetes.core: {problem!r}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"k8s_pod_to_show": k8s_pod_to_show}
