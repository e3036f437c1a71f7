# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines a list of machines declares in a group, running or not."""

from __future__ import annotations

DOCUMENTATION = r"""
name: declared_in
short_description: Names and addresses of the machines that are declared in groups
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Picks the machines of one or several groups from C(deployment_machines_declared), which the inventory plugin
    P(odoo_deploy.stack.vagrant_minikube#inventory) sets. A machine that is off is missing from the inventory, but it
    is declared all the same, and could come back.
positional: _groups
options:
  _input:
    description: What is declared, a dictionary with C(address) and C(groups) of each machine by its name.
    type: dict
    required: true
  _groups:
    description: Names of groups; a machine in any of them is picked. Without a name every machine is.
    type: list
    elements: str
"""

EXAMPLES = r"""
# {'pg1': '192.168.99.21', 'pg2': '192.168.99.22'}
servers: "{{ deployment_machines_declared | odoo_deploy.stack.declared_in('postgres_primary', 'postgres_replica') }}"
"""

RETURN = r"""
_value:
  description: The address of each machine by its name, in the order in which they are declared.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def declared_in(machines: Mapping[str, Mapping[str, Any]], *groups: str) -> dict[str, str]:
    """Return {name: address} of the machines that are in one of the groups, or of all where none is named."""
    if not isinstance(machines, Mapping):
        raise AnsibleFilterError(f"declared_in wants a mapping of machines, not {type(machines).__name__}")
    return {
        name: machine["address"]
        for name, machine in machines.items()
        if not groups or set(groups) & set(machine["groups"])
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"declared_in": declared_in}
