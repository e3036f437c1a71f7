# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network interface that has an address."""

from __future__ import annotations

DOCUMENTATION = r"""
name: interface_of
short_description: The network interface that has an address
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Looks at the first IPv4 address of each interface, in the order of the facts.
options:
  _input:
    description: Facts of the host.
    type: dict
    required: true
  address:
    description: Its IPv4 address.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show eth1
  ansible.builtin.debug:
    msg: "{{ ansible_facts | odoo_deploy.stack.interface_of('192.168.99.31') }}"
"""

RETURN = r"""
_value:
  description: Name of the interface as the kernel has it; empty where none has the address.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any


def first_address(fact: Any) -> Any:
    """Of an interface; not every fact is one, nor has each an address."""
    ipv4 = fact.get("ipv4") if isinstance(fact, Mapping) else None
    return ipv4.get("address") if isinstance(ipv4, Mapping) else None


def interface_of(facts: Mapping[str, Any], address: str) -> str:
    # No fact has a dash in its name.
    named = (facts.get(name.replace("-", "_"), {}) for name in facts.get("interfaces", []))
    return next((str(fact["device"]) for fact in named if first_address(fact) == address), "")


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"interface_of": interface_of}
