# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What upgrades and restores decide, by what the servers say."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.postgres_day2_plan import postgres_day2_plan
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_day2 import (
    plan_backup,
    plan_major,
    plan_restore,
    plan_upgrade,
)

MEMBERS = ["pg1", "pg2"]


def says(name: str, role: str, **different: Any) -> dict[str, Any]:
    """A server's answer: PostgreSQL 15, whole, not of Patroni."""
    answer = {
        "name": name,
        "role": role,
        "version": "15",
        "configured": True,
        "upgrading": False,
        "following": role == "standby",
        "standby_signal": role == "standby",
        "patroni": False,
        "replaced_files": [],
        "timeline": 1,
        "lsn_number": 100,
        "control": {"state": "in production"},
    }
    return answer | different


PRIMARY, STANDBY = says("pg1", "primary"), says("pg2", "standby")
# The old primary as an upgrade leaves it when it is killed: stopped for good, as a standby.
STOPPED = says("pg1", "stopped", standby_signal=True, control={"state": "shut down"})
DEMOTED = says("pg2", "stopped", standby_signal=True, control={"state": "shut down in recovery"})


@pytest.mark.parametrize(
    ("states", "unfinished", "step", "source", "copy"),
    [
        ([PRIMARY, STANDBY], False, "start", "pg1", "pg2"),
        ([PRIMARY, STANDBY], True, "start", "pg1", "pg2"),
        ([STOPPED, STANDBY], True, "resume", "pg1", "pg2"),
        ([STOPPED, DEMOTED], True, "resume", "pg1", "pg2"),
        ([STOPPED, DEMOTED | {"upgrading": True}], True, "resume", "pg1", "pg2"),
        ([PRIMARY, DEMOTED | {"upgrading": True}], True, "undo", "pg1", "pg2"),
        ([STOPPED, says("pg2", "stopped", version="17")], True, "finish", "pg1", "pg2"),
        ([STOPPED, says("pg2", "primary", version="17")], True, "finish", "pg2", "pg2"),
        ([says("pg1", "standby", version="17"), says("pg2", "primary", version="17")], True, "finish", "pg2", "pg2"),
        ([says("pg1", "standby", version="17"), says("pg2", "primary", version="17")], False, "done", "pg2", "pg2"),
    ],
)
def test_where_a_major_upgrade_begins(states: list[Any], unfinished: bool, step: str, source: str, copy: str) -> None:
    """At the start, or where an earlier run was cut off; it asks if there is something to do."""
    plan = plan_major(states, MEMBERS, to="17", unfinished=unfinished)
    assert (plan.refusal, plan.step, plan.source, plan.copy) == ("", step, source, copy)
    assert plan.summary
    assert bool(plan.question) == (step != "done")


def test_the_furthest_standby_is_upgraded() -> None:
    states = [PRIMARY, says("pg2", "standby", lsn_number=99), says("pg3", "standby")]
    plan = plan_major(states, ["pg1", "pg2", "pg3"], to="17")
    assert (plan.copy, plan.old) == ("pg3", "15")
    assert plan.summary == (
        "Take a backup, check, then stop pg1, upgrade the copy on pg3 from PostgreSQL 15 to 17 and make it the primary,"
        " then copy the others from it. The data of pg1 is kept."
    )


@pytest.mark.parametrize(
    ("states", "options", "words"),
    [
        ([PRIMARY, STANDBY], {"to": ""}, "Say to which version: -e postgres_major_to=17 (14 to 18)."),
        ([PRIMARY, STANDBY], {"to": "99"}, "14 to 18"),
        ([PRIMARY, STANDBY], {"to": "17.2"}, "14 to 18"),
        ([PRIMARY], {}, "Not every server was reached"),
        ([PRIMARY, STANDBY], {"to": "14"}, "The servers have PostgreSQL 15, which cannot become 14."),
        ([PRIMARY, STANDBY], {"wanted": "15"}, "postgres_common_version is 15 in the variables"),
        ([PRIMARY, STANDBY], {"patroni": True}, "wants postgres_ha_mode: manual"),
        ([PRIMARY, says("pg2", "primary")], {}, "pg1 and pg2 both accept writes"),
        ([PRIMARY, STANDBY | {"following": False}], {}, "pg2 follows nobody"),
        ([STANDBY | {"name": "pg1"}, STANDBY], {}, "No server is primary, and none was stopped"),
        ([STOPPED | {"standby_signal": False}, STANDBY], {}, "No server is primary, and none was stopped"),
        ([STOPPED, STOPPED | {"name": "pg2"}], {}, "No server is primary, and none was stopped"),
        ([PRIMARY, STANDBY], {"saved": False}, "Backups are switched off (postgres_backup_enabled), so none"),
        ([PRIMARY, says("pg2", "stopped", version="17")], {}, "run pg_dropcluster 17 main on pg2, then rejoin.yml."),
    ],
)
def test_a_major_upgrade_is_refused(states: list[Any], options: dict[str, Any], words: str) -> None:
    assert words in plan_major(states, MEMBERS, **({"to": "17"} | options)).refusal


def test_one_server_has_no_standby_to_upgrade() -> None:
    assert "add a standby first" in plan_major([PRIMARY], ["pg1"], to="17").refusal


NEWER = "NOTE\nInst postgresql-15 [15.1] (15.2 Debian)\n"


@pytest.mark.parametrize(
    ("states", "newer", "standbys", "switch", "last", "summary"),
    [
        ([PRIMARY, STANDBY], {}, [], False, "", "Every server is up to date."),
        ([PRIMARY, STANDBY], {"pg2": NEWER}, ["pg2"], False, "", "Upgrade pg2."),
        ([PRIMARY, STANDBY], {"pg1": NEWER}, [], True, "pg1", "Upgrade switch over, then pg1."),
        (
            [PRIMARY, STANDBY],
            {"pg1": NEWER, "pg2": NEWER},
            ["pg2"],
            True,
            "pg1",
            "Upgrade pg2, then switch over, then pg1.",
        ),
        ([PRIMARY, STANDBY | {"replaced_files": ["postgres"]}], {"pg1": "Remv x"}, ["pg2"], False, "", "Upgrade pg2."),
    ],
)
def test_which_servers_are_upgraded(
    states: list[Any], newer: dict[str, str], standbys: list[str], switch: bool, last: str, summary: str
) -> None:
    plan = plan_upgrade(states, MEMBERS, newer=newer)
    assert (plan.refusal, plan.primary, plan.standbys, plan.switch, plan.last) == ("", "pg1", standbys, switch, last)
    assert plan.summary == summary
    assert bool(plan.question) == bool(standbys or last)


def test_a_server_alone_is_upgraded_without_a_switchover() -> None:
    plan = plan_upgrade([PRIMARY], ["pg1"], newer={"pg1": NEWER})
    assert (plan.switch, plan.last) == (False, "pg1")
    assert "has no standby" in plan.summary


@pytest.mark.parametrize(
    ("first", "second", "options", "words"),
    [
        ({}, None, {}, "Every server must answer"),
        ({}, {"following": False}, {}, "Every server must answer"),
        ({}, {"role": "primary"}, {}, "Every server must answer"),
        ({"patroni": True}, {}, {}, "Patroni does not run pg2 yet: run playbooks/postgres.yml"),
        ({"patroni": True}, {"patroni": True}, {"silent": ["vote1"]}, "vote1 does not vote"),
        ({"patroni": True}, {"patroni": True}, {"paused": True}, "Patroni is paused"),
        ({"patroni": True}, {"patroni": True}, {}, ""),
        ({}, {}, {"silent": ["vote1"], "paused": True}, ""),
    ],
)
def test_an_upgrade_is_refused(
    first: dict[str, Any], second: dict[str, Any] | None, options: dict[str, Any], words: str
) -> None:
    """By a server that is away or not handed over, a silent voter, a paused Patroni; without Patroni nobody votes."""
    states = [PRIMARY | first, *([STANDBY | second] if second is not None else [])]
    refusal = plan_upgrade(states, MEMBERS, **options).refusal
    assert words in refusal
    assert bool(words) == bool(refusal)


def restore(states: list[Any], **options: Any) -> Any:
    given = {"stanza": "odoo", "scratch": "/scratch", "drill_host": "pg2", "hosts": MEMBERS} | options
    return plan_restore(states, MEMBERS, **given)


CLEAN = says("pg1", "stopped", control={"state": "shut down"})


@pytest.mark.parametrize(
    ("states", "options", "host", "kind", "saves", "words"),
    [
        (
            [PRIMARY, STANDBY],
            {},
            "pg2",
            "latest",
            False,
            "Restore odoo (as new as the archive has it) into /scratch on pg2",
        ),
        ([], {"backup": "1F"}, "pg2", "set", False, "Restore odoo (1F) into"),
        ([PRIMARY, STANDBY], {"remove": True}, "pg2", "latest", False, "Remove the restored cluster /scratch on pg2."),
        (
            [PRIMARY, STANDBY],
            {"in_place": "odoo", "to": "now"},
            "pg1",
            "time",
            True,
            "on pg1 by now: take a backup, stop",
        ),
        ([PRIMARY], {"in_place": "odoo", "unsaved": True}, "pg1", "latest", False, "has it: stop the server, restore"),
        ([CLEAN, STANDBY], {"in_place": "odoo"}, "pg1", "latest", False, "then take back pg2."),
        ([STANDBY], {"in_place": "odoo", "server": "pg2", "unsaved": True}, "pg2", "latest", False, "take back pg1."),
    ],
)
def test_what_a_restore_does(
    states: list[Any], options: dict[str, Any], host: str, kind: str, saves: bool, words: str
) -> None:
    plan = restore(states, **options)
    assert (plan.refusal, plan.host, plan.kind, plan.saves) == ("", host, kind, saves)
    assert words in plan.summary
    assert ("is lost" in plan.question) == ("in_place" in options)


@pytest.mark.parametrize(
    ("states", "options", "words"),
    [
        ([PRIMARY], {"enabled": False}, "Backups are switched off"),
        ([PRIMARY], {"to": "now", "backup": "1F"}, "not both"),
        ([PRIMARY], {"in_place": "yes"}, "type the cluster's name: -e postgres_backup_restore_in_place=odoo."),
        ([PRIMARY | {"patroni": True}], {"in_place": "odoo"}, "Patroni would elect another server"),
        ([PRIMARY, says("pg2", "primary")], {}, "pg1 and pg2 both accept writes"),
        ([STANDBY], {"in_place": "odoo"}, "No server is primary; name the one"),
        ([PRIMARY, STANDBY], {"in_place": "odoo", "server": "pg2"}, "pg1 is the primary: a restore in place"),
        ([STANDBY], {"in_place": "odoo", "server": "pg2"}, "No server accepts writes, so no backup"),
        ([CLEAN | {"standby_signal": True}], {"in_place": "odoo"}, "No server is primary"),
        ([PRIMARY], {"drill_host": "pg9"}, "pg9 is not in the inventory: start that machine."),
    ],
)
def test_a_restore_is_refused(states: list[Any], options: dict[str, Any], words: str) -> None:
    assert words in restore(states, **options).refusal


@pytest.mark.parametrize(
    ("states", "options", "host", "unit"),
    [
        ([], {}, "pg2", "postgres-backup@incr.service"),
        ([], {"drill": True}, "pg1", "postgres-backup-drill.service"),
        ([PRIMARY, STANDBY], {"repository": "", "kind": "full"}, "pg1", "postgres-backup@full.service"),
    ],
)
def test_who_takes_a_backup(states: list[Any], options: dict[str, Any], host: str, unit: str) -> None:
    """The machine with the repository; beside an object store the primary."""
    plan = plan_backup(states, MEMBERS, **({"repository": "pg2", "drill_host": "pg1", "hosts": MEMBERS} | options))
    assert (plan.refusal, plan.host, plan.unit) == ("", host, unit)
    assert host in plan.summary


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"enabled": False}, "Backups are switched off: set postgres_backup_enabled"),
        ({"kind": "all"}, "postgres_backup_type is all: full, diff or incr."),
        ({"repository": ""}, "No server is primary: see status.yml."),
        ({"repository": "pg9"}, "pg9, which keeps the repository, is not in the inventory"),
    ],
)
def test_a_backup_is_refused(options: dict[str, Any], words: str) -> None:
    given = {"repository": "pg2", "drill_host": "pg1", "hosts": MEMBERS} | options
    assert words in plan_backup([STANDBY], MEMBERS, **given).refusal


def test_the_filter_takes_what_ansible_hands_it() -> None:
    """Words of -e for switches and numbers; what it cannot plan is an error that names the command."""
    plan = postgres_day2_plan([PRIMARY, STANDBY], "major", MEMBERS, to=17, patroni="false", saved="yes")
    assert (plan["refusal"], plan["step"]) == ("", "start")
    assert "wants" in postgres_day2_plan([PRIMARY, STANDBY], "major", MEMBERS, to=17, patroni="true")["refusal"]
    with pytest.raises(AnsibleFilterError, match="cannot plan major: KeyError"):
        postgres_day2_plan([{"name": "pg1"}, STANDBY], "major", MEMBERS, to=17)
