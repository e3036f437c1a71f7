# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a Job of Kubernetes ended."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k8s_job
short_description: How a Job of Kubernetes ended
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - The first Job in the answer counts.
options:
  _input:
    description: What M(kubernetes.core.k8s_info) or M(kubernetes.core.k8s) returned.
    type: dict
    required: true
  now:
    description: Seconds of the epoch.
    type: float
    required: true
  patience:
    description: Seconds that a pod may take until it runs.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ (found | odoo_deploy.stack.k8s_job(now().timestamp(), 300)).end }}"
"""

RETURN = r"""
_value:
  description: >-
    C(status) of the Job, and C(end), which is Complete, Failed, stuck (no pod of it has run), gone (somebody removed
    it), or empty, it goes on.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.module_utils.kubernetes_answers import job_end


def k8s_job(answer: Mapping[str, Any], now: float, patience: int) -> dict[str, Any]:
    try:
        return job_end(answer, now, patience)._asdict()
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"k8s_job: this is no answer of kubernetes.core: {problem!r}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"k8s_job": k8s_job}
