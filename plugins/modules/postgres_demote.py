#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_demote
short_description: Stops a PostgreSQL server so that it cannot accept writes again
description:
  - Stops the server, then puts C(standby.signal) into its data directory, so that any later start is read-only.
  - A planned stop is a fast shutdown, which hands the last WAL record to each connected standby before it ends.
  - It is the demoting half of a switchover and the fence of a failover; running it twice changes nothing.
version_added: 1.0.0
author: Odoo Deploy contributors (@odoo-deploy)
options:
  version:
    description: Major version, as in C(/etc/postgresql/VERSION); the newest that is configured when omitted.
    type: str
  cluster:
    description: Name of the cluster, as in C(/etc/postgresql/VERSION/CLUSTER).
    type: str
    default: main
  timeout:
    description: Seconds a fast shutdown may take.
    type: int
    default: 60
  force:
    description:
      - Kill every process of the server when the fast shutdown takes longer than O(timeout).
      - Without it the module fails, and the server is left shutting down.
    type: bool
    default: false
  signal:
    description: Put C(standby.signal) into the data directory; false only stops the server.
    type: bool
    default: true
  lock:
    description: Run that has the lock of M(odoo_deploy.stack.postgres_lock); the act is refused where it has lost it.
    type: str
attributes:
  check_mode:
    description: Says whether it would stop or fence the server.
    support: full
  diff_mode:
    description: There is nothing to show a difference of.
    support: none
requirements:
  - Runs as root.
  - Python 3.9 or newer.
"""

EXAMPLES = r"""
- name: Stop the old primary
  odoo_deploy.stack.postgres_demote:
    version: "15"
  register: stopped
"""

RETURN = r"""
clean:
  description: Whether the control file tells of a clean shutdown, so nothing acknowledged is only in memory.
  returned: always
  type: bool
lsn:
  description: WAL location of the shutdown checkpoint's record; a standby has everything once it replayed beyond this.
  returned: when there is a data directory
  type: str
  sample: 0/5000148
standby:
  description: Whether the control file is a standby's.
  returned: always
  type: bool
timeline:
  description: Timeline the server was on.
  returned: when there is a data directory
  type: int
"""

import os
import pwd
import signal
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_lock import Folder
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_server import OS_USER, Server

PERMIT = Path("/run/postgresql-start-alone")  # roles/postgres_common: whoever was demoted may not use an old one


def systemctl(*words: str) -> None:
    """Tells systemd; what became of it is asked of the process table."""
    subprocess.run(["systemctl", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def wait_stopped(server: Server, seconds: int) -> bool:
    """True once neither systemd nor the process table knows a postmaster."""
    end = time.monotonic() + seconds
    while server.postmaster() is not None or server.unit_state() not in ("inactive", "failed"):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def stop(server: Server, timeout: int, force: bool) -> None:
    """Stops through systemd, which also ends its automatic restarts. Raises RuntimeError when the server stays."""
    systemctl("stop", "--no-block", server.unit)
    if wait_stopped(server, timeout):
        return
    if not force:
        raise RuntimeError(
            f"the fast shutdown of {server.unit} takes longer than {timeout} s; see its log, then run this again"
        )
    systemctl("kill", "--signal=KILL", server.unit)
    pid = server.postmaster()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    if not wait_stopped(server, 10):
        raise RuntimeError(f"{server.unit} is still there after SIGKILL: power the machine off")


def put_signal(server: Server) -> None:
    """Creates standby.signal so that it survives a power cut."""
    owner = pwd.getpwnam(OS_USER)
    descriptor = os.open(server.standby_signal, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.fchown(descriptor, owner.pw_uid, owner.pw_gid)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    folder = os.open(server.data, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str"},
            "cluster": {"type": "str", "default": "main"},
            "timeout": {"type": "int", "default": 60},
            "force": {"type": "bool", "default": False},
            "signal": {"type": "bool", "default": True},
            "lock": {"type": "str"},
        },
        supports_check_mode=True,
    )
    server = Server(module.params["version"], module.params["cluster"])
    try:
        stopping = server.postmaster() is not None or server.unit_state() not in ("inactive", "failed")
        signalling = module.params["signal"] and not server.empty() and not server.standby_signal.exists()
        if not module.check_mode:
            with Folder().acting(module.params["lock"]):
                if stopping:
                    stop(server, module.params["timeout"], module.params["force"])
                if module.params["signal"]:
                    PERMIT.unlink(missing_ok=True)
                if signalling:
                    put_signal(server)
        control = server.control() or {}
    except (RuntimeError, OSError, KeyError) as error:
        module.fail_json(msg=f"Cannot stop the PostgreSQL server: {error}")
    module.exit_json(
        changed=stopping or signalling,
        standby="in recovery" in control.get("state", "") or "archive recovery" in control.get("state", ""),
        clean=control.get("state") in ("shut down", "shut down in recovery"),
        lsn=control.get("checkpoint"),
        timeline=control.get("timeline"),
    )


if __name__ == "__main__":
    main()
