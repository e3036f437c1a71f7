#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_epoch
short_description: Records on a machine who became the primary last
description:
  - Keeps the record in a small file that is on the disk when the module ends, so that after a power cut of all machines
    the survivors know which server was the last primary.
  - A running server shows the record to its peers as the setting C(odoo_deploy.epoch). Works without a server, too.
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
options:
  record:
    description:
      - The record, as the filter P(odoo_deploy.stack.postgres_plan#filter) returns it; without it the machine is only
        asked for the one that it has. It never replaces one with a higher number.
    type: dict
  path:
    description: File that keeps it.
    type: path
    default: /etc/postgresql-common/odoo_deploy/epoch.conf
  lock:
    description: Run that has the lock of M(odoo_deploy.stack.postgres_lock); the act is refused where it has lost it.
    type: str
attributes:
  check_mode:
    description: Says whether it would write the record.
    support: full
  diff_mode:
    description: Shows the record before and after.
    support: full
requirements:
  - Runs as root.
  - Python 3.9 or newer.
"""

EXAMPLES = r"""
- name: Record who is primary
  odoo_deploy.stack.postgres_epoch:
    record: >-
      {{ states | odoo_deploy.stack.postgres_plan('record', members, primary='pg2', timeline=2, moment=moment) }}
"""

RETURN = r"""
record:
  description: The record that the machine has now; null without one.
  returned: success
  type: dict
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_lock import Folder
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_server import Server, read_epoch, write_epoch


def later(before: dict[str, Any] | None, record: dict[str, Any]) -> bool:
    """Whether the machine has a record of a later primary than the one that it is told."""
    return before is not None and before["number"] > record["number"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "record": {"type": "dict"},
            "path": {"type": "path", "default": "/etc/postgresql-common/odoo_deploy/epoch.conf"},
            "lock": {"type": "str"},
        },
        supports_check_mode=True,
    )
    record, path = module.params["record"], Path(module.params["path"])
    try:
        before = read_epoch(path)
    except (RuntimeError, ValueError) as error:
        if not record:
            module.fail_json(msg=str(error))
        before = None
    # One that is later was written by a command which knew more than this one.
    after = record if record and not later(before, record) else before
    try:
        if before != after and not module.check_mode:
            with Folder().acting(module.params["lock"]):
                write_epoch(record, path)
                server = Server(None, "main")
                if server.postmaster() is not None:
                    server.sql("SELECT pg_reload_conf()")
    except (RuntimeError, OSError) as error:
        module.fail_json(msg=f"Cannot record who is the primary: {error}")
    diff = {side: json.dumps(value, sort_keys=True) + "\n" for side, value in (("before", before), ("after", after))}
    module.exit_json(changed=before != after, record=after, diff=diff)


if __name__ == "__main__":
    main()
