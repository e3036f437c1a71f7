# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that are there and not wanted any more."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k8s_leftovers
short_description: Objects of Kubernetes that are there and not wanted
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Compares objects by kind, namespace and name.
options:
  _input:
    description: Objects that are there, as M(kubernetes.core.k8s_info) returns them.
    type: list
    elements: dict
    required: true
  wanted:
    description: Objects that stay.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the probes that are not wanted
  ansible.builtin.debug:
    msg: "{{ found.resources | odoo_deploy.stack.k8s_leftovers(wanted=objects) }}"
"""

RETURN = r"""
_value:
  description: C(api), C(kind) and C(name) of each.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError


def identity(thing: Mapping[str, Any]) -> tuple[str, str, str]:
    return thing["kind"], thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def k8s_leftovers(there: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    try:
        kept = {identity(thing) for thing in wanted}
        return [
            {"api": thing["apiVersion"], "kind": thing["kind"], "name": thing["metadata"]["name"]}
            for thing in there
            if identity(thing) not in kept
        ]
    except (AttributeError, KeyError, TypeError) as problem:
        raise AnsibleFilterError(f"k8s_leftovers: these are no objects of Kubernetes: {problem!r}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"k8s_leftovers": k8s_leftovers}
