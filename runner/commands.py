# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Day-2 commands, as data: a command is offered where its playbook exists.

What a playbook's debug tasks say is shown to the person. One that ends with ansible.builtin.set_stats
run_exec (a list: program and arguments) hands the terminal to that program.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner import paths


@dataclass(frozen=True)
class Command:
    """words: what is typed; does: what the person agrees to; changes: asks first and takes the lock."""

    words: tuple[str, ...]
    playbook: str
    does: str
    changes: bool = True

    @property
    def path(self) -> Path:
        return paths.PLAYBOOKS / self.playbook

    @property
    def label(self) -> str:
        return " ".join(self.words)


COMMANDS = (
    Command(
        ("switchover",),
        "switchover.yml",
        "Makes the standby the primary and the primary the standby; writes pause for seconds",
    ),
    Command(("failover",), "failover.yml", "Fences the primary and promotes the standby"),
    Command(("rejoin",), "rejoin.yml", "Brings the former primary back as a standby; what only it had is set aside"),
    Command(
        ("pg", "status"), "status.yml", "Shows role, timeline and replication lag of each server", changes=False
    ),
    Command(("backup",), "backup.yml", "Takes a backup of the databases now"),
    Command(("restore",), "restore.yml", "Replaces the databases by those of a backup"),
    Command(("upgrade",), "upgrade.yml", "Rolls the deployment to the versions of this checkout"),
    Command(("drill",), "drill.yml", "Breaks one part after the other and checks that the system survives"),
    Command(("logs", "odoo"), "odoo_logs.yml", "Shows the newest log lines of each Odoo pod", changes=False),
    Command(("shell", "odoo"), "odoo_shell.yml", "Opens an Odoo shell in a running pod", changes=False),
    Command(("psql",), "psql.yml", "Opens psql on the primary", changes=False),
    Command(("cache", "purge"), "cache_purge.yml", "Empties the static-file cache of each proxy"),
)


def offered() -> tuple[Command, ...]:
    """The commands this checkout can run."""
    return tuple(command for command in COMMANDS if command.path.is_file())
