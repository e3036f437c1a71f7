#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_lock
short_description: One command at a time may change which PostgreSQL server is the primary
description:
  - Takes, renews or gives back a server's lock for the running C(ansible-playbook).
  - A lock whose holder does not renew it for its lifetime is free, as is one whose holder ran on the same controller
    and is dead. A holder's act that is still being carried out on the server is waited for.
  - Never fails because the lock is another's; RV(granted) says so, and RV(message) what to do.
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
options:
  state:
    description:
      - V(taken) takes the lock, or renews it where this run has it. V(renewed) renews it, and is not granted where this
        run has it no longer. V(free) gives it back if O(command) took it. V(seen) only looks.
    type: str
    choices: [taken, renewed, free, seen]
    default: taken
  command:
    description: Name of the command, for people, and for V(free).
    type: str
    required: true
  server:
    description: Name of the server, for the message.
    type: str
    required: true
  lifetime:
    description:
      - Seconds without a renewal after which the lock is free; 900 where it is taken, and what it has where it is
        renewed, when omitted.
    type: int
  gone:
    description: Run whose lock is taken over, since a person knows that it is dead.
    type: str
  wait:
    description: Seconds to wait for the end of an act that is being carried out on the server.
    type: int
    default: 60
  path:
    description: Folder that keeps the lock.
    type: path
    default: /run/postgres-ha
  run:
    description: Identity of the run; the controller's part of this module fills it in.
    type: str
  owner:
    description: Who runs it and where, for people; filled in likewise.
    type: str
  place:
    description: Kernel and namespace that the run's process is in; filled in likewise.
    type: str
  process:
    description: The process and its start; filled in likewise.
    type: str
attributes:
  check_mode:
    description: Looks, and takes nothing.
    support: full
  diff_mode:
    description: There is none, since nothing is left behind.
    support: none
notes:
  - A lock is given back when the command ends, so that V(changed) is always false.
requirements:
  - Runs as root.
  - Python 3.9 or newer.
"""

EXAMPLES = r"""
- name: Take the lock
  odoo_deploy.stack.postgres_lock:
    command: switchover
    server: "{{ inventory_hostname }}"
  register: lock

- name: Check that it is ours
  ansible.builtin.assert:
    that: lock.granted
    fail_msg: "{{ lock.message }}"
"""

RETURN = r"""
granted:
  description: Whether this run has the lock, or with V(free) has given it back.
  returned: success
  type: bool
run:
  description: Identity of this run.
  returned: success
  type: str
holder:
  description: Who has the lock now.
  returned: success
  type: dict
message:
  description: Why it is not granted, and what to do; or from whom it was taken over.
  returned: success
  type: str
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_lock import (
    LIFETIME,
    Decision,
    Folder,
    Holder,
    Refused,
    clock,
    give_back,
    refusal,
    renew,
    spoken,
    take,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["taken", "renewed", "free", "seen"], "default": "taken"},
            "command": {"type": "str", "required": True},
            "server": {"type": "str", "required": True},
            "lifetime": {"type": "int"},
            "gone": {"type": "str"},
            "wait": {"type": "int", "default": 60},
            "path": {"type": "path", "default": "/run/postgres-ha"},
            "run": {"type": "str"},
            "owner": {"type": "str"},
            "place": {"type": "str"},
            "process": {"type": "str"},
        },
        supports_check_mode=True,
    )
    asked = module.params
    if not asked["run"]:
        module.fail_json(msg="run is missing: the action plugin of the same name fills it in")
    server, now = asked["server"], clock()
    asker = Holder(
        asked["run"],
        asked["owner"] or asked["run"],
        asked["command"],
        asked["place"] or "",
        asked["process"] or "",
        asked["lifetime"] or LIFETIME,
    )
    folder = Folder(Path(asked["path"]))
    looks = module.check_mode or asked["state"] == "seen"
    try:
        if looks:
            decision = take(folder.read(), asker, now, asked["gone"] or "")
            after = decision.other
        else:
            with folder.alone(asked["wait"]):
                held = folder.read()
                if asked["state"] == "taken":
                    decision = take(held, asker, now, asked["gone"] or "")
                elif asked["state"] == "renewed":
                    decision = renew(held, asker.run, now, asked["lifetime"] or 0)
                else:
                    decision = give_back(held, asker.run, asker.command)
                after = folder.settle(decision).after
    except Refused as error:
        decision, after = Decision(False, None), None
        module.exit_json(changed=False, granted=False, run=asker.run, holder=None, message=f"{server}: {error}.")
    except OSError as error:
        module.fail_json(msg=f"Cannot keep a lock on {server}: {error}")
    message = ""
    if decision.granted and decision.other and not looks:
        was = decision.other
        message = (
            f"Took over the lock on {server} of {was.owner}, {was.command}, taken {spoken(was.age(now))} ago:"
            f" {decision.why}."
        )
    elif not decision.granted and decision.other:
        message = refusal(server, decision.other, now)
    elif not decision.granted and asked["state"] == "renewed":
        message = f"This command has lost the lock on {server}, which was given back: run it again."
    module.exit_json(
        changed=False,
        granted=decision.granted,
        run=asker.run,
        holder=asdict(after) if after else None,
        message=message,
    )


if __name__ == "__main__":
    main()
