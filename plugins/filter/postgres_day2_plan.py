# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade, a backup or a restore of PostgreSQL would do, from what the servers say of themselves."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgres_day2_plan
short_description: What an upgrade, a backup or a restore of PostgreSQL would do
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Decides from the answers of M(odoo_deploy.stack.postgres_server_info). Changes nothing.
  - P(odoo_deploy.stack.postgres_plan#filter) does the same for the commands that decide who is primary.
positional: command, members
options:
  _input:
    description: What the servers that answered say of themselves, each with its C(name).
    type: list
    elements: dict
    required: true
  command:
    description: Command to plan; V(upgrade) is within a major version.
    type: str
    required: true
    choices: [backup, major, restore, upgrade]
  members:
    description: Names of all servers, also of those that did not answer.
    type: list
    elements: str
    required: true
  to:
    description: For V(major), the version; for V(restore), a moment with its offset from UTC.
    type: str
  unfinished:
    description: For V(major), whether a server has the mark of an upgrade that was cut off.
    type: bool
  wanted:
    description: For V(major), the version that the variables name, if they do.
    type: str
  patroni:
    description: For V(major), whether Patroni is to run the servers.
    type: bool
  saved:
    description: For V(major), whether a backup can be taken first, or a person does without.
    type: bool
  newer:
    description: For V(upgrade), what apt would do on each server.
    type: dict
  silent:
    description: For V(upgrade), voters of Patroni that do not answer.
    type: list
    elements: str
  paused:
    description: For V(upgrade), whether Patroni is paused.
    type: bool
  repository:
    description: For V(backup), the machine that keeps the repository; empty beside an object store.
    type: str
  kind:
    description: For V(backup), its type.
    type: str
    choices: [full, diff, incr]
  drill:
    description: For V(backup), whether to drill a restore instead.
    type: bool
  stanza:
    description: For V(restore), the name of the cluster.
    type: str
  scratch:
    description: For V(restore), the folder of a cluster beside.
    type: str
  drill_host:
    description: For V(restore) and V(backup), the machine that drills restores, and restores beside.
    type: str
  hosts:
    description: For V(restore) and V(backup), the machines of the inventory.
    type: list
    elements: str
  enabled:
    description: For V(restore) and V(backup), whether there are backups.
    type: bool
  backup:
    description: For V(restore), the label of a backup.
    type: str
  in_place:
    description: For V(restore), the name that was typed to replace the databases.
    type: str
  server:
    description: For V(restore), where, if no server is primary.
    type: str
  unsaved:
    description: For V(restore), whether to take no backup of what is there now.
    type: bool
  remove:
    description: For V(restore), whether to remove the cluster beside instead.
    type: bool
"""

EXAMPLES = r"""
- name: Show what an upgrade to PostgreSQL 17 would do
  ansible.builtin.debug:
    msg: "{{ states | odoo_deploy.stack.postgres_day2_plan('major', ['pg1', 'pg2'], to='17') }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusal) is why nothing is done, empty otherwise. C(summary) and C(question) are for a person; without a
      question there is nothing to do. The other keys say on which servers what is done.
  type: dict
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_day2 import (
    State,
    plan_backup,
    plan_major,
    plan_restore,
    plan_upgrade,
)

PLANS: dict[str, Callable[..., Any]] = {
    "backup": plan_backup,
    "major": plan_major,
    "restore": plan_restore,
    "upgrade": plan_upgrade,
}
SWITCHES = ("drill", "unfinished", "patroni", "saved", "paused", "enabled", "unsaved", "remove")
TEXTS = ("kind", "repository", "to", "wanted", "backup", "in_place", "server")


def postgres_day2_plan(states: Sequence[State], command: str, members: Sequence[str], **options: Any) -> dict[str, Any]:
    """The plan of a command as a dict."""
    given = {
        name: boolean(value, strict=False)
        if name in SWITCHES
        else ("" if value is None else str(value))
        if name in TEXTS
        else value
        for name, value in options.items()
    }
    try:
        return asdict(PLANS[command](list(states), list(members), **given))
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"postgres_day2_plan: cannot plan {command}: {error!r}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"postgres_day2_plan": postgres_day2_plan}
