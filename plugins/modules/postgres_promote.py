#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_promote
short_description: Makes a PostgreSQL standby the primary once it has everything
description:
  - Waits until the standby has replayed beyond the positions at which other servers ended, promotes it, waits until it
    accepts writes, and makes a checkpoint, so that its control file has the new timeline before a power cut can come.
  - A promotion that was asked for is never taken back. RV(called) says whether it was, when the module fails, and
    O(record) tells a later command that it may still happen.
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
options:
  version:
    description: Major version, as in C(/etc/postgresql/VERSION); the newest that is configured when omitted.
    type: str
  cluster:
    description: Name of the cluster, as in C(/etc/postgresql/VERSION/CLUSTER).
    type: str
    default: main
  after:
    description: Answers of M(odoo_deploy.stack.postgres_demote) from the servers that were stopped for this.
    type: list
    elements: dict
    default: []
  taken:
    description:
      - The newest timeline that a server, or an archive, has of these databases. Where it is newer than the standby's
        own, its numbers are marked as used, so that the promotion begins one that nobody had.
      - A second promotion from the same ancestor would have the number of the first, and archives refuse that.
    type: int
    default: 0
  record:
    description: What M(odoo_deploy.stack.postgres_epoch) keeps on this server before the promotion is asked for.
    type: dict
  replay_timeout:
    description: Seconds that the standby gets to replay what it needs.
    type: int
    default: 30
  timeout:
    description: Seconds that the promotion may take.
    type: int
    default: 120
  lock:
    description: Run that has the lock of M(odoo_deploy.stack.postgres_lock); the act is refused where it has lost it.
    type: str
attributes:
  check_mode:
    description: Says whether it would promote the server.
    support: full
  diff_mode:
    description: There is nothing to show a difference of.
    support: none
requirements:
  - Runs as root.
  - Python 3.9 or newer.
"""

EXAMPLES = r"""
- name: Promote the standby once it has everything
  odoo_deploy.stack.postgres_promote:
    after: "{{ [hostvars['pg1'].stopped] }}"
"""

RETURN = r"""
called:
  description: Whether the promotion was asked for, now or before.
  returned: always
  type: bool
timeline:
  description: Timeline that the server is on.
  returned: success
  type: int
"""

import os
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_lock import Folder
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_server import (
    EPOCH,
    Server,
    lsn_number,
    read_epoch,
    write_epoch,
)

# The loop is the server's: a client that is killed here leaves nothing behind that would promote.
WAIT = """
DO $wait$
BEGIN
  FOR attempt IN 1..{attempts} LOOP
    EXIT WHEN pg_last_wal_replay_lsn() > '{needed}'::pg_lsn;
    PERFORM pg_sleep(0.02);
  END LOOP;
  IF pg_last_wal_replay_lsn() > '{needed}'::pg_lsn THEN
    RETURN;
  END IF;
  RAISE EXCEPTION 'this standby replayed up to %, the old primary ended at {needed}', pg_last_wal_replay_lsn();
END $wait$
"""


TIMELINE = """
SELECT greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT max(received_tli) FROM pg_stat_wal_receiver))
"""


def mark_used(wal: Path, own: int, taken: int) -> list[str]:
    """Gives each timeline between the standby's own and those that are taken a history, by which PostgreSQL skips it.

    Each forked off before anything that this standby has, so no server takes it for a continuation. Followers fetch
    the histories of all numbers up to their primary's.
    """
    made = []
    for number in range(own + 1, taken + 1):
        path = wal / f"{number:08X}.history"
        if path.exists():
            continue
        owner = wal.stat()
        with path.open("w", encoding="ascii") as file:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fchmod(file.fileno(), 0o600)
            file.write(f"{own}\t0/1\tused by another server\n")
            file.flush()
            os.fsync(file.fileno())
        made.append(path.name)
    return made


def needed(after: list[dict[str, Any]]) -> str:
    """The furthest end of the servers that were stopped; raises RuntimeError where a primary did not end cleanly."""
    for stopped in after:
        if not stopped.get("clean") and not stopped.get("standby"):
            raise RuntimeError("the old primary did not shut down cleanly")
    return max(
        (stopped["lsn"] for stopped in after if stopped.get("lsn")), key=lambda lsn: lsn_number(lsn) or 0, default=""
    )


def promise(record: dict[str, Any] | None, path: Path = EPOCH) -> None:
    """Puts the record on the disk, unless it is there: the promotion may happen after this was killed."""
    known = read_epoch(path)
    if record and (known is None or known["number"] < record["number"]):
        write_epoch(record, path)


def in_recovery(server: Server) -> bool:
    return server.sql("SELECT pg_is_in_recovery()") == "t"


def promote(server: Server, timeout: int) -> None:
    """Asks for the promotion until it has happened; raises RuntimeError with the last answer."""
    end, answer = time.monotonic() + timeout, "it is still in recovery"
    while True:
        try:
            server.sql("SELECT pg_reload_conf(); SELECT pg_promote(true, 10)")
            if not in_recovery(server):
                return
        except RuntimeError as error:  # it may have been promoted by an earlier call, or not answer for a while
            answer = str(error)
        if time.monotonic() > end:
            raise RuntimeError(f"the promotion takes longer than {timeout} s ({answer})")
        time.sleep(0.2)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str"},
            "cluster": {"type": "str", "default": "main"},
            "after": {"type": "list", "elements": "dict", "default": []},
            "taken": {"type": "int", "default": 0},
            "record": {"type": "dict"},
            "replay_timeout": {"type": "int", "default": 30},
            "timeout": {"type": "int", "default": 120},
            "lock": {"type": "str"},
        },
        supports_check_mode=True,
    )
    asked = module.params
    called = False
    try:
        server = Server(asked["version"], asked["cluster"])
        standby = in_recovery(server)
        called = not standby
        if module.check_mode:
            module.exit_json(changed=standby, called=called)
        with Folder().acting(asked["lock"]):
            if standby:
                end = needed(asked["after"])
                if end:
                    seconds = asked["replay_timeout"]
                    server.sql(WAIT.format(needed=end, attempts=seconds * 50), seconds + 10)
                own = int(server.sql(TIMELINE))
                mark_used(server.data / "pg_wal", own, asked["taken"])
                promise(asked["record"])
                called = True
                promote(server, asked["timeout"])
            server.sql("CHECKPOINT", asked["timeout"])
        timeline = server.sql("SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int")
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        module.fail_json(msg=f"Cannot promote the PostgreSQL server: {error}", called=called)
    module.exit_json(changed=standby, called=called, timeline=int(timeline))


if __name__ == "__main__":
    main()
