# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which databases Patroni's store names, and whether they are those that the servers hold."""

from __future__ import annotations

DOCUMENTATION = r"""
name: patroni_initialize
short_description: Whether Patroni's store names the databases that the servers hold
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Patroni keeps the system identifier of its databases under the key C(initialize), and ends where a server has
    another one, such as after a major upgrade. Where its bootstrap was cut off the key is empty, and everybody waits.
  - Decides from the store and the servers' answers, before any server is stopped. Changes nothing.
options:
  _input:
    description: What C(etcdctl get --prefix --write-out json) says of the keys of these servers.
    type: dict
    required: true
  states:
    description: What M(odoo_deploy.stack.postgres_server_info) says of the servers, each with its C(name).
    type: list
    elements: dict
    required: true
  scope:
    description: Name of the servers in the store.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Check that the store is about these databases
  ansible.builtin.assert:
    that: (store.stdout | from_json | odoo_deploy.stack.patroni_initialize(states, scope='odoo')).refusal | length == 0
"""

RETURN = r"""
_value:
  description: C(refusal) is why Patroni may not run these servers, C(write) what the key is to get; both may be empty.
  type: dict
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def keys(store: Mapping[str, Any], scope: str) -> dict[str, str]:
    """Names below the scope, and their values."""
    told = {}
    for entry in store.get("kvs", []):
        name, value = (base64.b64decode(entry.get(part, "")).decode() for part in ("key", "value"))
        told[name.removeprefix(f"/service/{scope}/")] = value
    return told


def patroni_initialize(store: Mapping[str, Any], states: Sequence[Mapping[str, Any]], scope: str) -> dict[str, str]:
    """See DOCUMENTATION."""
    held: dict[str, list[str]] = {}
    for state in states:
        identifier = (state.get("control") or {}).get("system_identifier")
        if identifier:
            held.setdefault(identifier, []).append(state["name"])
    told = keys(store, scope)
    if len(held) > 1:
        who = "; ".join(f"{', '.join(names)} holds those of {identifier}" for identifier, names in held.items())
        return _answer(
            f"The servers hold different databases ({who}), of which Patroni runs one: give the others' up by"
            " rejoin.yml -e postgres_rejoin=NAME -e postgres_rejoin_copy=true. Nothing was changed."
        )
    known, own = told.get("initialize"), next(iter(held), "")
    if not own or known in (None, own):
        return _answer()
    if told.get("leader"):
        return _answer(
            f"{told['leader']} leads other databases ({known or 'being made'}) under the name {scope} in Patroni's"
            f" store, and these servers hold {own}: give them another name by postgres_patroni_scope, or stop that"
            " Patroni first. Nothing was changed."
        )
    # Nobody runs what the key is about: databases before an upgrade or a restore, or a bootstrap that was cut off.
    return _answer(write=own)


def _answer(refusal: str = "", write: str = "") -> dict[str, str]:
    return {"refusal": refusal, "write": write}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"patroni_initialize": patroni_initialize}
