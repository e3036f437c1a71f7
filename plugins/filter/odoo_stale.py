# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configurations and Jobs of Odoo that no pod will ever need."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_stale
short_description: Configurations and Jobs of Odoo that no pod will ever need
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Those that nothing names and that are older than a Job may take. A younger one may be of another run that is still
    at work.
options:
  _input:
    description: ConfigMaps, Secrets and Jobs, as M(kubernetes.core.k8s_info) returns them.
    type: list
    elements: dict
    required: true
  configs:
    description: Hashes of the configurations in use, of which C(odoo-HASH) and C(odoo-HASH-scripts) stay.
    type: list
    elements: str
    required: true
  job:
    description: Name of the Job that stays.
    type: str
    required: true
  now:
    description: Seconds of the epoch.
    type: float
    required: true
  age:
    description: Seconds that a Job may take.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Show what can be removed
  ansible.builtin.debug:
    msg: "{{ found | odoo_deploy.stack.odoo_stale(['0a1b2c'], 'odoo-init-1', now().timestamp(), 1800) }}"
"""

RETURN = r"""
_value:
  description: The objects, in their order.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible.errors import AnsibleFilterError

Thing = Mapping[str, Any]


def created(thing: Thing) -> float:
    """In seconds of the epoch."""
    return datetime.fromisoformat(thing["metadata"]["creationTimestamp"].replace("Z", "+00:00")).timestamp()


def odoo_stale(things: Sequence[Thing], configs: Sequence[str], job: str, now: float, age: int) -> list[Thing]:
    kept = {job} | {f"odoo-{config}{end}" for config in configs for end in ("", "-scripts")}
    try:
        unnamed = [thing for thing in things if thing["metadata"]["name"] not in kept]
        # The cluster counts whole seconds.
        return [thing for thing in unnamed if created(thing) < int(now) - age]
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"odoo_stale: these are no objects of Kubernetes: {problem!r}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., list[Thing]]]:
        return {"odoo_stale": odoo_stale}
