# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Day-2 commands, as data: a command is offered where its playbook exists.

What a playbook's debug tasks say is shown to the person. One that ends with ansible.builtin.set_stats
run_exec (a list: program and arguments) hands the terminal to that program.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import paths


def absolute(word: str) -> str:
    """A path as the person means it; playbooks run in another folder."""
    return str(Path(os.path.expanduser(word)).absolute())  # noqa: PTH111 - Path's own fails if nobody has that name


@dataclass(frozen=True)
class Argument:
    """What is typed after a command and becomes an extra variable of its playbook, as JSON.

    name: as it is shown, FILE for a word, --as for a flag that takes one; many: one or more words, a list;
    default: handed on if nothing is typed (None: the variable is not set); path: of this machine, made absolute.
    Before Python 3.12 argparse refuses choices of many words that need not be typed.
    """

    name: str
    variable: str
    meaning: str
    many: bool = False
    choices: tuple[str, ...] = ()
    default: str | None = None
    path: bool = False
    required: bool = False

    @property
    def is_flag(self) -> bool:
        return self.name.startswith("-")

    @property
    def reads(self) -> Callable[[str], str]:
        """What makes the value of a typed word."""
        return absolute if self.path else str

    def value(self, typed: Any) -> Any:
        """The variable's value; None: it is not set."""
        if typed not in (None, []):
            return typed
        if self.default is None:
            return None
        word = self.reads(self.default)
        return [word] if self.many else word


@dataclass(frozen=True)
class Command:
    """words: what is typed; does: what the person agrees to; changes: asks first and takes the lock.

    Its words may be the beginning of other commands' words; it then takes flags only, as a word names one of those.
    variables: extra variables it always gets, as -e takes them; options: (name, meaning) of those a person may give;
    plans: its playbook shows a plan first if PLANS_plan_only is true (summary, question, steps and digest in set_stats
    run_plan), and is held to the plan of PLANS_digest, which the person agreed to.
    """

    words: tuple[str, ...]
    playbook: str
    does: str
    changes: bool = True
    variables: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    plans: str = ""
    arguments: tuple[Argument, ...] = ()

    @property
    def path(self) -> Path:
        return paths.PLAYBOOKS / self.playbook

    @property
    def label(self) -> str:
        return " ".join(self.words)


AGREED = ("postgres_yes=true",)  # run.py has asked, so the playbook need not

COPY = Argument("NAME", "odoo_k8s_copy_name", "up to 20 of a-z, 0-9 and dashes", required=True)


def changes_modules(what: str, does: str) -> Command:
    """Of Odoo, by their names."""
    names = Argument("NAME", f"odoo_k8s_modules_{what}", "technical name of a module", many=True, required=True)
    return Command(("odoo", "modules", what), "upgrade.yml", does, plans="odoo_k8s", arguments=(names,))


COMMANDS = (
    Command(
        ("switchover",),
        "switchover.yml",
        "Makes a standby the primary and the primary a standby; writes pause for seconds, nothing is lost",
        variables=AGREED,
        plans="postgres_ha",
        options=(("postgres_switchover_to", "server that becomes the primary (default: the furthest standby)"),),
    ),
    Command(
        ("failover",),
        "failover.yml",
        "Fences the primary and promotes a standby; what the primary had not sent is lost to the new one",
        variables=AGREED,
        plans="postgres_ha",
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
        plans="postgres_ha",
        options=(("postgres_rejoin", "server to bring back (default: each that does not follow)"),),
    ),
    Command(
        ("pg", "status"),
        "status.yml",
        "Shows role, timeline and lag of each PostgreSQL server, and the last backup",
        changes=False,
    ),
    Command(
        ("pg", "upgrade"),
        "postgres_upgrade.yml",
        "Brings PostgreSQL's packages up to date: the standbys, a switchover, the old primary; nothing is lost",
        variables=AGREED,
        options=(("postgres_upgrade_all", "true: every package of the machines"),),
    ),
    Command(
        ("pg", "major"),
        "postgres_major_upgrade.yml",
        "Upgrades PostgreSQL to another major version on the standby's copy, which becomes the primary; writes pause",
        variables=AGREED,
        options=(
            ("postgres_major_to", "major version, such as 17"),
            ("postgres_major_packages", "packages of extensions for it, as a list in JSON"),
            ("postgres_major_unsaved", "true: although backups are switched off"),
        ),
    ),
    Command(
        ("pg", "certificates"),
        "renew_certificates.yml",
        "Renews certificates of the PostgreSQL servers and their backups that end soon; no connection is dropped",
        variables=AGREED,
        options=(
            ("postgres_renew_all", "true: also those that are good for long"),
            ("postgres_renew_authority", "true: the authority's own too; its key stays, and so what trusts it"),
        ),
    ),
    Command(
        ("backup",),
        "backup.yml",
        "Takes a backup of the databases now, from whichever server is primary",
        options=(("postgres_backup_type", "full, diff or incr (default: incr, what changed since the last backup)"),),
    ),
    Command(
        ("pg", "drill"),
        "backup.yml",
        "Restores the newest backup into a scratch cluster, checks every table and index, and removes it",
        variables=("postgres_backup_drill=true",),
    ),
    Command(
        ("restore",),
        "restore.yml",
        "Restores a backup into a scratch cluster beside the databases, or in their place where that is typed",
        variables=AGREED,
        options=(
            (
                "postgres_backup_to",
                "moment with its offset, such as '2026-11-23 02:34:29+00:00' (default: the newest state)",
            ),
            ("postgres_backup_set", "label of a backup, as ./run.py pg status shows it"),
            ("postgres_backup_restore_in_place", "name of the deployment: REPLACES the databases"),
            ("postgres_backup_remove", "true: removes the scratch cluster again"),
        ),
    ),
    Command(("upgrade",), "upgrade.yml", "Rolls the deployment to the versions of this checkout", plans="odoo_k8s"),
    Command(("drill",), "drill.yml", "Breaks one part after the other and checks that the system survives"),
    Command(
        ("alerts",),
        "alerts.yml",
        "Shows which alerts fire, since when and what to do next, and what is silenced",
        changes=False,
        options=(
            ("alerts_silence", "silences what matches, such as alertname=MachineDown or part=~odoo|edge"),
            ("alerts_minutes", "how long at most (default: 60)"),
            ("alerts_listen", "true: ends that silence"),
        ),
    ),
    Command(
        ("logs", "odoo"),
        "odoo_logs.yml",
        "Shows the newest log lines of each Odoo pod",
        changes=False,
        options=(
            ("odoo_k8s_logs_lines", "lines of each pod (default: 20)"),
            ("odoo_k8s_logs_only", "only lines that hold this text, such as an X-Request-Id"),
        ),
    ),
    Command(
        ("odoo", "modules"),
        "odoo_modules.yml",
        "Shows which modules are installed, due for an update, or missing in the image",
        changes=False,
        arguments=(
            Argument(
                "--match", "odoo_k8s_modules_match", "only names that hold this or fit it, also of those not installed"
            ),
        ),
    ),
    changes_modules(
        "install",
        "Installs modules with what they need, the way of an upgrade: maintenance page, dump, and back if it fails",
    ),
    changes_modules("upgrade", "Updates modules, also if their files did not change, the way of an upgrade"),
    changes_modules(
        "remove", "Uninstalls modules with what depends on them and all their records, the way of an upgrade"
    ),
    Command(
        ("odoo", "export"),
        "odoo_export.yml",
        "Writes a backup that the database manager of any Odoo of this series restores, read from a standby",
        changes=False,
        arguments=(
            Argument(
                "FILE",
                "odoo_k8s_export_file",
                "zip that is written; it must not be there yet",
                path=True,
                required=True,
            ),
        ),
    ),
    Command(
        ("odoo", "import"),
        "odoo_import.yml",
        "Brings a backup of Odoo in, in the place of today's database, which is kept; pages are away for half a minute",
        plans="odoo_k8s",
        arguments=(
            Argument(
                "FILE",
                "odoo_k8s_import_file",
                "zip, folder or dump of an Odoo of this series",
                path=True,
                required=True,
            ),
            Argument(
                "--as",
                "odoo_k8s_import_as",
                "what it becomes; staging is neutralised",
                choices=("production", "staging"),
                default="production",
            ),
            Argument(
                "--filestore", "odoo_k8s_import_filestore", "folder or tar of the filestore beside a dump", path=True
            ),
        ),
        options=(("odoo_k8s_import_incomplete", "true: although files of it, or modules in the image, are missing"),),
    ),
    Command(
        ("odoo", "copy", "make"),
        "odoo_copy.yml",
        "Makes a neutralised copy of production beside it, or replaces what is in one; production goes on",
        variables=("odoo_copy_act=make",),
        plans="odoo_k8s",
        arguments=(
            COPY,
            Argument("--image", "odoo_k8s_copy_image", "image of the copy (default: the one that production runs)"),
        ),
    ),
    Command(
        ("odoo", "copy", "list"),
        "odoo_copy.yml",
        "Shows the copies of production: state, age of the data, size, address",
        changes=False,
        variables=("odoo_copy_act=list",),
    ),
    Command(
        ("odoo", "copy", "drop"),
        "odoo_copy.yml",
        "Removes a copy of production with its database and what was done in it",
        variables=("odoo_copy_act=drop",),
        plans="odoo_k8s",
        arguments=(COPY,),
    ),
    Command(("shell", "odoo"), "odoo_shell.yml", "Opens an Odoo shell in a running pod", changes=False),
    Command(
        ("psql",),
        "psql.yml",
        "Opens psql on the primary",
        changes=False,
        options=(("psql_database", "database to open (default: odoo)"),),
    ),
    Command(
        ("maintenance", "on"),
        "maintenance.yml",
        "Has the proxies answer pages with a note that Odoo is being updated",
        variables=("maintenance=true",),
    ),
    Command(
        ("maintenance", "off"),
        "maintenance.yml",
        "Has the proxies pass pages on again",
        variables=("maintenance=false",),
    ),
    Command(("cache", "purge"), "cache_purge.yml", "Empties the static-file cache of each proxy"),
)


def offered() -> tuple[Command, ...]:
    """The commands this checkout can run."""
    return tuple(command for command in COMMANDS if command.path.is_file())
