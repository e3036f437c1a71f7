# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot be changed of a volume claim that exists."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k8s_claim_refusals
short_description: What cannot be changed of a volume claim that exists
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Kubernetes refuses another StorageClass and a smaller size of a PersistentVolumeClaim, once other objects of the
    same change were applied. A role asks this filter first.
options:
  _input:
    description: The claim as M(kubernetes.core.k8s_info) returns it, in a list; empty where there is none.
    type: list
    elements: dict
    required: true
  storage_class:
    description: The StorageClass that is wanted.
    type: str
    required: true
  size:
    description: The size that is wanted, a quantity of Kubernetes.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse what cannot be changed
  ansible.builtin.assert:
    that: found.resources | odoo_deploy.stack.k8s_claim_refusals('fast', '8Gi') | length == 0
"""

RETURN = r"""
_value:
  description: What differs and cannot, C(storage class) or C(size), each with its value in force.
  type: list
  elements: str
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

SUFFIXES: dict[str, Decimal] = {"": Decimal(1), "m": Decimal("0.001")}
SUFFIXES |= {letter: Decimal(1000**power) for power, letter in enumerate("kMGTPE", 1)}
SUFFIXES |= {f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGTPE", 1)}


def quantity(text: str) -> Decimal:
    """The number that a quantity of Kubernetes stands for."""
    found = re.fullmatch(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)", text)
    if not found or found[2] not in SUFFIXES:
        raise ValueError(f"{text!r} is no quantity of Kubernetes")
    return Decimal(found[1]) * SUFFIXES[found[2]]


def k8s_claim_refusals(claims: Sequence[Mapping[str, Any]], storage_class: str, size: str) -> list[str]:
    """What differs from the claim that exists and cannot; nothing where there is no claim."""
    refused = []
    for spec in (claim["spec"] for claim in claims):
        has = spec.get("storageClassName") or ""
        asked = spec["resources"]["requests"]["storage"]
        if has != storage_class:
            refused.append(f"storage class {has or 'none'}")
        if quantity(size) < quantity(asked):
            refused.append(f"size {asked}")
    return refused


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Name to function."""
        return {"k8s_claim_refusals": k8s_claim_refusals}
