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
    """words: what is typed; does: what the person agrees to; changes: asks first and takes the lock.

    variables: extra variables it always gets, as -e takes them; options: (name, meaning) of those a person may give.
    """

    words: tuple[str, ...]
    playbook: str
    does: str
    changes: bool = True
    variables: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> Path:
        return paths.PLAYBOOKS / self.playbook

    @property
    def label(self) -> str:
        return " ".join(self.words)


AGREED = ("postgres_yes=true",)  # run.py has asked, so the playbook need not

COMMANDS = (
    Command(
        ("switchover",),
        "switchover.yml",
        "Makes a standby the primary and the primary a standby; writes pause for seconds, nothing is lost",
        variables=AGREED,
        options=(("postgres_switchover_to", "server that becomes the primary (default: the furthest standby)"),),
    ),
    Command(
        ("failover",),
        "failover.yml",
        "Fences the primary and promotes a standby; what the primary had not sent is lost to the new one",
        variables=AGREED,
        options=(
            ("postgres_failover_to", "server that becomes the primary (default: the one with the most data)"),
            ("postgres_failover_force", "true: also when the primary answers"),
            ("force_unfenced", "true: although the primary could not be fenced and is known to be off"),
        ),
    ),
    Command(
        ("rejoin",),
        "rejoin.yml",
        "Makes every other server follow the primary again; what only a former primary had is given up",
        variables=AGREED,
        options=(("postgres_rejoin", "server to bring back (default: each that does not follow)"),),
    ),
    Command(("pg", "status"), "status.yml", "Shows role, timeline and lag of each PostgreSQL server", changes=False),
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
