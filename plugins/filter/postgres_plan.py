# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a command would do to the PostgreSQL servers, from what they say of themselves."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgres_plan
short_description: What a command would do to the PostgreSQL servers
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Decides which server may be the primary, and what has to be done for it, from the answers of
    M(odoo_deploy.stack.postgres_server_info). Changes nothing.
  - A plan is a refusal that names the next command, or acts on servers in their order.
options:
  _input:
    description: What the servers that answered say of themselves, each with its C(name).
    type: list
    elements: dict
    required: true
  command:
    description: Command to plan; V(record) returns who is to be recorded as the primary, V(known) who was last.
    type: str
    required: true
    choices: [start, switchover, failover, rejoin, status, record, known]
  members:
    description: Names of all servers, also of those that did not answer.
    type: list
    elements: str
    required: true
  records:
    description: Records of the last primary that machines without a server keep; null is one that has none yet.
    type: list
    elements: raw
    default: []
  initial:
    description: For V(start), the server that becomes the primary where none has data.
    type: str
  to:
    description: For V(switchover) and V(failover), the server that becomes the primary; empty chooses it.
    type: str
  max_lag:
    description: For V(switchover), bytes that the server may be behind.
    type: int
  force:
    description: For V(failover), also while the primary answers, or when another server has more data.
    type: bool
  fenced:
    description: For V(failover), silent servers that were powered off by this command.
    type: list
    elements: str
  woken:
    description: For V(failover), servers that this command has tried to start as standbys.
    type: list
    elements: str
  only:
    description: For V(rejoin), the one server to bring back.
    type: str
  voters:
    description: For V(status), voters that do not answer.
    type: list
    elements: str
  primary:
    description: For V(record), the server.
    type: str
  timeline:
    description: For V(record), its timeline.
    type: int
  moment:
    description: For V(record), the time, in UTC.
    type: str
"""

EXAMPLES = r"""
- name: Show what a switchover would do
  ansible.builtin.debug:
    msg: "{{ states | odoo_deploy.stack.postgres_plan('switchover', members=['pg1', 'pg2']) }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusal) is why nothing is done, empty otherwise. C(summary) and C(question) are for a person. C(primary) is the
      server that is the primary in the end. C(on) maps each act to the servers it is done on, C(steps) is the same in
      the order of the acts. C(again) says that the servers have to be asked again after these acts. C(after) is why the
      command fails in the end all the same. C(back) is the server that serves again where a switchover's target cannot
      be promoted; one that goes on has none, since an earlier run may have asked for the promotion. C(permit) is the
      one server that may start as the primary without an answer of its peers. C(digest) differs where two plans do.
      C(taken) is the newest timeline that the databases have, C(timeline) the one that C(primary) will be on.
    - For V(record) and V(known), the record; empty if none is known, or two contradict each other.
  type: dict
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_topology import (
    Epoch,
    Plan,
    State,
    Topology,
    permitted,
    plan_failover,
    plan_rejoin,
    plan_start,
    plan_status,
    plan_switchover,
)

PLANS: dict[str, Callable[..., Plan]] = {
    "start": plan_start,
    "switchover": plan_switchover,
    "failover": plan_failover,
    "rejoin": plan_rejoin,
    "status": plan_status,
}


def postgres_plan(
    states: Sequence[State], command: str, members: Sequence[str], records: Sequence[Epoch | None] = (), **options: Any
) -> dict[str, Any]:
    """The plan of a command as a dict."""
    topology = Topology(list(states), list(members), list(records))
    try:
        if command == "known":
            return dict(topology.epoch or {}) if not topology.disputed else {}
        if command == "record":
            return dict(topology.next_epoch(options["primary"], int(options["timeline"]), options["moment"]))
        if "max_lag" in options:
            options["max_lag"] = int(options["max_lag"])
        if "force" in options:
            options["force"] = str(options["force"]).lower() in ("true", "yes", "on", "1")
        plan = PLANS[command](topology, **options)
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"postgres_plan: cannot plan {command}: {error!r}") from error
    taken = topology.taken(plan.primary) if plan.primary in topology.by_name else 0
    return {
        **plan.as_dict(),
        "permit": permitted(topology, plan),
        "taken": taken,
        "timeline": topology.to_be(plan),
    }


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"postgres_plan": postgres_plan}
