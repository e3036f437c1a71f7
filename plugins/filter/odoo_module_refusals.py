# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person cannot ask of single modules of Odoo, found before anything is looked at."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_module_refusals
short_description: Wishes for modules of Odoo that cannot be
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - A module is named in one of the lists alone, and none is removed that the deployment would install again or cannot
    do without.
  - What the database and the image say of modules is not known here; the Job that plans an upgrade asks them.
positional: modules, wide
options:
  _input:
    description:
      - Names of modules by C(install), C(upgrade) and C(remove).
      - What is no list of names is left to P(odoo_deploy.stack.setting_refusals#filter).
    type: dict
    required: true
  modules:
    description: Modules that the deployment installs.
    type: list
    elements: str
    required: true
  wide:
    description: Modules that every process loads, as odoo.conf has them in C(server_wide_modules).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse what cannot be
  ansible.builtin.assert:
    that: >-
      {'remove': ['web']} | odoo_deploy.stack.odoo_module_refusals(['base', 'web', 'bus'], 'base,web') | length == 0
"""

RETURN = r"""
_value:
  description: A line for each wish that is refused, with the variable, the modules, and why.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

BASIC = ("base", "web", "bus")  # as initialise.py has them


def _names(value: Any) -> list[str]:
    return [str(name) for name in value] if isinstance(value, (list, tuple)) else []


def odoo_module_refusals(asked: Mapping[str, Any], modules: Sequence[str], wide: str) -> list[str]:
    """A line for each wish that is refused; see DOCUMENTATION."""
    wishes = {f"odoo_k8s_modules_{wish}": _names(names) for wish, names in asked.items()}
    refused = []
    for (one, names), (other, others) in combinations(wishes.items(), 2):
        both = [name for name in names if name in others]
        if both:
            refused.append(f"{one} and {other} both name {', '.join(both)}: name a module in one of them.")
    remove = _names(asked.get("remove"))
    loaded = [name.strip() for name in str(wide).split(",")]
    for why, kept in (
        ("no deployment works without it", BASIC),
        ("odoo_k8s_modules has it, and the next run would install it again: take it out there first", modules),
        ("every process loads it (server_wide_modules)", loaded),
    ):
        named = [name for name in remove if name in kept]
        remove = [name for name in remove if name not in kept]
        refused += [f"odoo_k8s_modules_remove names {name}: {why}." for name in named]
    return refused


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Name to function."""
        return {"odoo_module_refusals": odoo_module_refusals}
