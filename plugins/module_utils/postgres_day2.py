# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade of PostgreSQL or a restore would do, decided from what the servers said of themselves. Pure.

A plan that is refused says why and what to do instead; then its other fields count for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

State = Mapping[str, Any]

UNTOUCHED = "Nothing was changed."
MAJORS = range(14, 19)  # what the roles install


def named(states: Iterable[State]) -> list[str]:
    """Names of servers, in their order."""
    return [str(state["name"]) for state in states]


def primaries(states: Iterable[State]) -> list[str]:
    """Servers that accept writes."""
    return named(state for state in states if state["role"] == "primary")


def control(state: State) -> str:
    """What the control file says of a server, such as ``shut down``."""
    return str((state.get("control") or {}).get("state", ""))


def first_broken(rules: Iterable[tuple[object, str]]) -> str:
    """The message of the first rule that is broken, or nothing."""
    return next((" ".join(message.split()) for broken, message in rules if broken), "")


@dataclass(frozen=True)
class Major:
    """A major upgrade.

    step: ``start``; ``resume`` with the old primary stopped; ``finish`` with an upgraded copy; ``undo`` where the old
        primary serves beside a copy; ``done``.
    source: the old primary, whose data is the way back.
    copy: the server whose data is upgraded, and which is primary in the end.
    old: the version that the servers come from.
    """

    refusal: str
    step: str = ""
    source: str = ""
    copy: str = ""
    old: str = ""
    summary: str = ""
    question: str = ""


def _major_step(states: Sequence[State], members: Sequence[str], target: str, unfinished: bool) -> Major:
    """Where an upgrade begins or goes on, if every server answered."""
    upgraded = named(state for state in states if state["configured"] and state["version"] == target)
    copies = [name for name in named(state for state in states if state["upgrading"]) if name not in upgraded]
    serving = primaries(states)
    # What the primary of a run that was cut off looks like; its standbys are further down in recovery.
    stopped = named(
        state
        for state in states
        if state["role"] == "stopped"
        and state["standby_signal"]
        and control(state) in ("shut down", "shutting down", "in production")
    )
    if len(upgraded) == len(members) and not unfinished:
        step = "done"
    elif upgraded:
        step = "finish"
    elif serving:
        step = "undo" if copies else "start"
    else:
        step = "resume" if len(stopped) == 1 else "lost"
    others = [state for state in states if state["role"] != "primary" and state["name"] not in stopped]
    others.sort(key=lambda state: (state["timeline"] or 0, state["lsn_number"] or 0), reverse=True)
    return Major(
        refusal="",
        step=step,
        source=next(iter(serving + stopped), ""),
        copy=next(iter([*(name for name in serving if name in upgraded), *upgraded, *copies, *named(others)]), ""),
        old=next((state["version"] for state in states if state["version"] != target), target),
    )


def plan_major(
    states: Sequence[State],
    members: Sequence[str],
    *,
    to: str,
    unfinished: bool = False,
    wanted: str = "",
    patroni: bool = False,
    saved: bool = True,
) -> Major:
    """A major upgrade, made of a standby's data.

    unfinished: a server has the mark of an upgrade that was cut off.
    wanted: the version that the variables name, if they name one.
    patroni: Patroni is to run the servers.
    saved: a backup can be taken first, or a person does without.
    """
    whole = len(states) == len(members)
    plan = _major_step(states, members, to, unfinished) if whole else Major("")
    upgraded = named(state for state in states if state["configured"] and state["version"] == to)
    serving = primaries(states)
    astray = named(state for state in states if state["role"] != "primary" and not state.get("following"))
    newest = max((int(state["version"]) for state in states if state["version"]), default=0)
    number = int(to) if to.isdigit() else 0
    old_serving = [name for name in serving if name not in upgraded]
    held = ", ".join(upgraded)
    refusal = first_broken(
        [
            (number not in MAJORS, "Say to which version: -e postgres_major_to=17 (14 to 18)."),
            (
                not whole,
                f"Not every server was reached: a major upgrade needs all of them; see status.yml. {UNTOUCHED}",
            ),
            (
                newest > number,
                f"The servers have PostgreSQL {newest}, which cannot become {to}. {UNTOUCHED}",
            ),
            (
                len(members) < 2,
                f"""A major upgrade is made of a standby's data, so that the primary's stays the way back: add a
                standby first. {UNTOUCHED}""",
            ),
            (
                wanted not in ("", to),
                f"""postgres_common_version is {wanted} in the variables, so that postgres.yml would refuse the
                upgraded servers: take it out, then they keep what they have. {UNTOUCHED}""",
            ),
            (
                patroni,
                f"""Patroni would start the servers that are to stay stopped: a major upgrade wants
                postgres_ha_mode: manual. {UNTOUCHED}""",
            ),
            (
                plan.step == "finish" and old_serving,
                f"""{" and ".join(serving)} accepts writes with the old version, and {held} holds a copy that was
                upgraded before. To keep the former, run pg_dropcluster {to} main on {held}, then rejoin.yml.""",
            ),
            (len(serving) > 1, f"{' and '.join(serving)} both accept writes: see status.yml."),
            (
                plan.step == "start" and astray,
                f"""{", ".join(astray)} follows nobody: every standby must follow the primary first; see
                status.yml. {UNTOUCHED}""",
            ),
            (
                plan.step == "lost",
                """No server is primary, and none was stopped to be upgraded: see status.yml; switchover.yml or
                failover.yml decides which one is to be.""",
            ),
            (
                plan.step == "start" and not saved,
                f"""Backups are switched off (postgres_backup_enabled), so none can be taken first. The old
                primary's data is kept, but nothing else is: switch them on, or take the risk by -e
                postgres_major_unsaved=true. {UNTOUCHED}""",
            ),
        ]
    )
    source, copy = plan.source, plan.copy
    rest = f"upgrade the copy on {copy} from PostgreSQL {plan.old} to {to} and make it the primary,"
    rest += " then copy the others from it."
    kept = f"The data of {source} is kept."
    summary = {
        "done": f"Every server has PostgreSQL {to} already.",
        "undo": f"Clear up after an upgrade that did not happen: {source} serves, {copy} is copied anew.",
        "finish": f"Go on with an upgrade that was cut off: {copy} has PostgreSQL {to} and becomes or is the primary,"
        " the others are copied from it.",
        "resume": f"Go on with an upgrade that was cut off: {source} is stopped, {rest} {kept}",
        "start": f"Take a backup, check, then stop {source}, {rest} {kept}",
    }.get(plan.step, "")
    question = "" if plan.step == "done" else "Writes are refused while the copy is upgraded. Go on?"
    return Major(refusal, plan.step, source, copy, plan.old, summary, question)


@dataclass(frozen=True)
class Upgrade:
    """A minor upgrade: servers whose packages are due, in the order in which they are upgraded."""

    refusal: str
    primary: str = ""
    standbys: list[str] = field(default_factory=list)
    switch: bool = False
    last: str = ""
    summary: str = ""
    question: str = ""


def plan_upgrade(
    states: Sequence[State],
    members: Sequence[str],
    *,
    newer: Mapping[str, str] | None = None,
    silent: Sequence[str] = (),
    paused: bool = False,
) -> Upgrade:
    """A minor upgrade: the standbys, a switchover, the old primary.

    newer: what apt would do on each server; without it only the refusal counts.
    silent: voters of Patroni that do not answer.
    paused: Patroni's maintenance mode is on.
    """
    serving = primaries(states)
    astray = [state for state in states if state["role"] != "primary" and not state.get("following")]
    patroni = any(state["patroni"] for state in states)
    unmanaged = ", ".join(named(state for state in states if not state["patroni"]))
    refusal = first_broken(
        [
            (
                len(states) != len(members) or len(serving) != 1 or astray,
                """Every server must answer, one be the primary and the others follow it before any is upgraded; see
                status.yml.""",
            ),
            (
                patroni and unmanaged,
                f"""Patroni does not run {unmanaged} yet: run playbooks/postgres.yml first, which hands every
                server over. {UNTOUCHED}""",
            ),
            (
                patroni and silent,
                f"""{", ".join(silent)} does not vote, and where one more is away nobody is primary: bring it back
                (playbooks/postgres.yml) before any server is upgraded. {UNTOUCHED}""",
            ),
            (
                patroni and paused,
                f"""Patroni is paused, so a server that does not come back would stay away: end that by
                patronictl -c /etc/patroni/config.yml resume, on any server. {UNTOUCHED}""",
            ),
        ]
    )
    if refusal:
        return Upgrade(refusal)
    primary = serving[0]
    # A server that still runs what an earlier, killed run or somebody else replaced is restarted, too.
    found = newer or {}
    due = [
        state["name"]
        for state in states
        if state.get("replaced_files")
        or any(line.startswith("Inst ") for line in found.get(state["name"], "").splitlines())
    ]
    standbys = [name for name in due if name != primary]
    alone = len(members) == 1
    if not due:
        return Upgrade("", primary, summary="Every server is up to date.")
    if primary not in due:
        summary = f"Upgrade {', '.join(standbys)}."
    elif alone:
        summary = f"Upgrade {primary}, which has no standby: writes are refused while it restarts."
    else:
        summary = f"Upgrade {', then '.join([*standbys, 'switch over', primary])}."
    last = primary if primary in due else ""
    question = f"Upgrade {', '.join(due)}? Writes are refused for a moment"
    return Upgrade("", primary, standbys, bool(last) and not alone, last, summary, question)


@dataclass(frozen=True)
class Restore:
    """A restore.

    host: where the backup is restored.
    kind, target: what pgBackRest is asked for.
    wanted: the same for a person.
    saves: a backup of what is there now is taken first.
    """

    refusal: str
    host: str = ""
    kind: str = "latest"
    target: str = ""
    wanted: str = ""
    saves: bool = False
    summary: str = ""
    question: str = ""


def plan_restore(
    states: Sequence[State],
    members: Sequence[str],
    *,
    stanza: str,
    scratch: str,
    drill_host: str,
    hosts: Sequence[str],
    enabled: bool = True,
    to: str = "",
    backup: str = "",
    in_place: str = "",
    server: str = "",
    unsaved: bool = False,
    remove: bool = False,
) -> Restore:
    """A restore beside the databases, or in their place.

    stanza: the cluster's name, which a person types to replace its databases.
    scratch: folder of the cluster beside; drill_host: the machine that has it.
    hosts: machines of the inventory.
    to, backup: a moment, or the label of a backup.
    in_place: what a person typed; server: where, if no server is primary.
    unsaved: without a backup of what is there now.
    remove: remove the cluster beside instead.
    """
    serving = primaries(states)
    # An earlier restore that was cut off: its shutdown was clean, so the archive has everything.
    stopped = named(
        state
        for state in states
        if state["role"] == "stopped" and not state["standby_signal"] and control(state) == "shut down"
    )
    host = (server or next(iter(serving + stopped), "")) if in_place else drill_host
    both = " and ".join(serving)
    refusal = first_broken(
        [
            (not enabled, "Backups are switched off (postgres_backup_enabled)."),
            (to and backup, "Give a time (postgres_backup_to) or a backup (postgres_backup_set), not both."),
            (
                in_place not in ("", stanza),
                f"""This would replace the databases. To say that it is meant, type the cluster's name:
                -e postgres_backup_restore_in_place={stanza}. {UNTOUCHED}""",
            ),
            (
                in_place and any(state["patroni"] for state in states),
                """Patroni would elect another server while this one is restored: take the servers back first
                (docs/postgres.md, Patroni), restore, then hand them over again. A restore beside the databases
                needs none of that.""",
            ),
            (len(serving) > 1, f"{both} both accept writes: see status.yml."),
            (
                in_place and not host,
                "No server is primary; name the one to restore on by -e postgres_backup_restore_server=NAME.",
            ),
            (
                in_place and serving and host not in serving,
                f"{next(iter(serving), '')} is the primary: a restore in place is done there.",
            ),
            (
                in_place and host not in serving + stopped and not unsaved,
                """No server accepts writes, so no backup of what is there now can be taken first. A standby that
                is whole loses less: failover.yml. To restore all the same, -e
                postgres_backup_restore_unsaved=true; the data is kept beside.""",
            ),
            (host and host not in hosts, f"{host} is not in the inventory: start that machine."),
        ]
    )
    wanted = to or backup or "as new as the archive has it"
    saves = bool(in_place and serving and not unsaved)
    back = ", ".join(name for name in members if name != host) or "nobody"
    if remove:
        summary = f"Remove the restored cluster {scratch} on {host}."
    elif not in_place:
        summary = f"Restore {stanza} ({wanted}) into {scratch} on {host} and check it. The servers are not touched."
    else:
        summary = (
            f"REPLACE the databases of {stanza} on {host} by {wanted}: {'take a backup, ' if saves else ''}stop the"
            f" server, restore beside, check, exchange the folders, start; then take back {back}. The old data is kept"
            " beside."
        )
    lost = "Writes are refused meanwhile, and everything after the restored moment is lost. " if in_place else ""
    kind = "time" if to else "set" if backup else "latest"
    return Restore(refusal, host, kind, to or backup, wanted, saves, summary, f"{lost}Go on?")


@dataclass(frozen=True)
class Backup:
    """A backup or a drill by hand: the machine, and its unit."""

    refusal: str
    host: str = ""
    unit: str = ""
    summary: str = ""


def plan_backup(
    states: Sequence[State],
    members: Sequence[str],
    *,
    repository: str,
    drill_host: str,
    hosts: Sequence[str],
    enabled: bool = True,
    kind: str = "incr",
    drill: bool = False,
) -> Backup:
    """A backup, or a restore of the newest one into a cluster beside that is checked and removed.

    repository: the machine that keeps it, and takes backups; beside an object store the primary does.
    drill_host: the machine that drills; hosts: machines of the inventory.
    """
    host = drill_host if drill else repository or next(iter(primaries(states)), "")
    refusal = first_broken(
        [
            (not enabled, "Backups are switched off: set postgres_backup_enabled to true and run postgres.yml."),
            (kind not in ("full", "diff", "incr"), f"postgres_backup_type is {kind}: full, diff or incr."),
            (not host, "No server is primary: see status.yml."),
            (host not in hosts, f"{host}, which keeps the repository, is not in the inventory: start that machine."),
        ]
    )
    if drill:
        summary = f"Restore the newest backup into a scratch cluster on {host}, check it, remove it."
    else:
        summary = f"Take a backup of type {kind} on {host}, from whichever server is primary."
    unit = "postgres-backup-drill.service" if drill else f"postgres-backup@{kind}.service"
    return Backup(refusal, host, unit, summary)
