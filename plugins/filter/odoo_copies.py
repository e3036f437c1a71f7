# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Staging copies of Odoo, a line for each."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_copies
short_description: Staging copies of Odoo, a line for each
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description: Puts together what M(odoo_deploy.stack.odoo_copy) saw on the servers and what is in the cluster.
positional: database, namespaces, cluster
options:
  _input:
    description: What V(look) of M(odoo_deploy.stack.odoo_copy) returned, of each server that answers.
    type: list
    elements: dict
    required: true
  database:
    description: Name of production's database.
    type: str
    required: true
  namespaces:
    description: Namespaces that the deployment has made for copies, as M(kubernetes.core.k8s_info) returns them.
    type: list
    elements: dict
    required: true
  cluster:
    description: C(deployments) of Odoo in all namespaces, and all C(services), likewise.
    type: dict
    required: true
  now:
    description: Seconds since 1970.
    type: float
    required: true
  address:
    description: Address of a node.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: List them
  ansible.builtin.debug:
    msg: "{{ seen | odoo_deploy.stack.odoo_copies('odoo', spaces, cluster, now=now().timestamp()) }}"
"""

RETURN = r"""
_value:
  description: A line for each copy, with its state, the age of its data, the size of its database and its address.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_backup import size
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_copy import Copy, Thing, copies

UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"))


def age(taken: str, now: float) -> str:
    """Such as ``3 hours``; empty: nobody wrote it down."""
    try:
        moment = datetime.strptime(taken, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return ""
    seconds = max(0, int(now - moment.timestamp()))
    for length, unit in UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"


def state(copy: Copy) -> str:
    again = f"./run.py odoo copy make {copy.name} mends it, odoo copy drop {copy.name} removes it"
    if copy.ending:
        return "is being removed"
    if not copy.whole:
        return f"made in part: {again}"
    if copy.wanted == 0:
        return f"stopped: {again}"
    return "ready" if copy.ready >= copy.wanted else f"{copy.ready} of {copy.wanted} pods ready"


def line(copy: Copy, now: float, address: str) -> str:
    old = age(copy.taken, now)
    told = [
        state(copy),
        f"data of {old} ago" if old else "",
        size(copy.bytes) if copy.bytes is not None else "no database",
        f"http://{address}:{copy.ports[0]}" if copy.ports else "",
    ]
    return f"{copy.name}: " + ", ".join(text for text in told if text)


def odoo_copies(
    seen: Sequence[Thing],
    database: str,
    namespaces: Sequence[Thing],
    cluster: Mapping[str, Any],
    now: float,
    address: str = "",
) -> list[str]:
    """A line for each; see RETURN. A standby may lag behind: the primary is asked if it answers."""
    if not seen:
        return ["No PostgreSQL server answers. ./run.py pg status shows what they are."]
    asked = min(seen, key=lambda server: bool(server["standby"]))
    found = copies(database, namespaces, cluster, asked)
    return [line(copy, float(now), address) for copy in found.values()] or [
        "There are none. ./run.py odoo copy make NAME makes one of what production has now."
    ]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"odoo_copies": odoo_copies}
