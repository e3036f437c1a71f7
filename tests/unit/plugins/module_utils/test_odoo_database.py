# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade of Odoo does with the database, given what is there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_database import (
    Seen,
    decide,
    extensions_in,
    kept_name,
    only_superuser,
    restorable,
    state_in,
    tables_in,
    too_long,
)

NEW, OLD = "/dumps/odoo-20260102T000000Z.pgc", "/dumps/odoo-20260101T000000Z.pgc"
DUMPS = {"dumps": (NEW, OLD)}


def seen(**changes: Any) -> Seen:
    return Seen(**{"server": "pg1", "name": "odoo", **changes})


@pytest.mark.parametrize("dumps", [{}, DUMPS])
def test_only_a_database_that_is_ready_is_dumped(dumps: dict[str, Any]) -> None:
    assert decide(seen(**dumps)).act == "dump"
    for state in ("upgrading", "installing", "initialising", "", "something"):
        assert decide(seen(state=state, **dumps)).act == "refuse", state
    assert decide(seen(exists=False, initialised=False, state="", **dumps)).act == "refuse"
    assert decide(seen(initialised=False, state="", **dumps)).act == "refuse"


@pytest.mark.parametrize(
    ("changes", "back", "reason"),
    [
        ({"state": "upgrading", **DUMPS}, False, f"upgrade.yml -e odoo_k8s_backup={NEW} — or restore"),
        ({"state": "upgrading"}, False, "No dump lies on pg1"),
        ({"exists": False, "initialised": False, "state": ""}, False, "There is no database odoo on pg1. No dump lies"),
        ({"exists": False, "initialised": False, "state": "", **DUMPS}, False, f"{NEW} -e odoo_k8s_upgrade_back=true"),
        ({"initialised": False, "state": ""}, False, "Run playbooks/odoo.yml first"),
        ({"state": "installing"}, False, "is installing. Run playbooks/odoo.yml first"),
        ({"state": ""}, False, "is not marked as ready. Run playbooks/odoo.yml first"),
        (DUMPS, True, f"Name the dump to go back to. The newest dump: playbooks/upgrade.yml -e odoo_k8s_backup={NEW}"),
        ({"given": OLD, "given_fault": "end of file"}, False, f"{OLD} on pg1 cannot be restored: end of file"),
        ({"given": OLD, "given_fault": "end of file"}, True, f"{OLD} on pg1 cannot be restored: end of file"),
        (
            {"lets_in": False, "owner": "odoo"},
            False,
            "PostgreSQL on pg1 does not let odoo into odoo_restoring by its socket yet: ./run.py --yes --steps 3",
        ),
        ({"lets_in": False, "owner": "odoo", "given": OLD}, True, "does not let odoo into odoo_restoring"),
        ({"name": "a" * 54}, False, f"is filled as {'a' * 54}_restoring first, and a name has at most 63 bytes"),
    ],
)
def test_a_refusal_names_the_next_command(changes: dict[str, Any], back: bool, reason: str) -> None:
    decision = decide(seen(**changes), back)
    assert (decision.act, decision.file) == ("refuse", "")
    assert reason in decision.reason


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize(
    "found", [{}, {"state": "upgrading"}, {"exists": False, "initialised": False, "state": ""}, DUMPS]
)
def test_a_dump_that_is_whole_is_used_whatever_the_database_is(found: dict[str, Any], back: bool) -> None:
    decision = decide(seen(given=OLD, **found), back)
    assert (decision.act, decision.file) == ("use", OLD)


COPY = """SET row_security = off;

COPY public.ir_config_parameter (id, key, value, create_uid) FROM stdin;
1\tdatabase.secret\tx\t1
7\todoo_deploy.state\t{}\t1
\\.

"""


@pytest.mark.parametrize("state", ["ready", "upgrading"])
def test_the_state_is_read_from_a_dump(state: str) -> None:
    assert state_in(COPY.format(state)) == state


@pytest.mark.parametrize(
    "sql",
    ["", "1\todoo_deploy.state\tready\n", COPY.replace("odoo_deploy.state", "x"), COPY.replace("(id, key,", "(id, k,")],
)
def test_no_state_is_read_where_there_is_none(sql: str) -> None:
    assert state_in(sql) == ""


def test_tables_of_a_dump_are_counted_without_their_data() -> None:
    listing = (
        ";     TOC Entries: 4\n"
        "200; 1259 16386 TABLE public ir_ui_view odoo\n"
        "201; 1259 16390 TABLE public res_users odoo\n"
        "3200; 0 16386 TABLE DATA public ir_ui_view odoo\n"
        "3300; 2606 16400 CONSTRAINT public ir_ui_view ir_ui_view_pkey odoo\n"
    )
    assert tables_in(listing) == 2


LISTING = """;
; Selected TOC Entries:
;
2; 3079 16386 EXTENSION - pg_stat_statements 
4; 3079 16399 EXTENSION - uuid-ossp 
3510; 0 0 COMMENT - EXTENSION pg_stat_statements 
3463; 6104 16389 PUBLICATION - bi postgres
3464; 3466 16390 EVENT TRIGGER - log postgres
3511; 0 0 COMMENT - EVENT TRIGGER log postgres
223; 1259 16580 TABLE public ir_ui_view odoo
3512; 0 0 COMMENT public TABLE ir_ui_view odoo
3504; 0 16580 TABLE DATA public ir_ui_view odoo
3513; 0 0 ACL public TABLE ir_ui_view odoo
"""  # noqa: W291 - as pg_restore writes it


def test_what_only_the_superuser_makes_is_left_out_of_a_restore() -> None:
    """The rest stays, with its comments and rights; so do the lines that say what the list is."""
    left_out = set(LISTING.splitlines()) - set(restorable(LISTING).splitlines())
    assert sorted(line.split(";")[0] for line in left_out) == ["3463", "3464", "3510", "3511"]
    assert only_superuser(LISTING) == ""
    assert extensions_in(LISTING) == ["pg_stat_statements", "uuid-ossp"]


@pytest.mark.parametrize(
    "entry",
    [
        "2188; 1417 16402 SERVER - other postgres",
        "2187; 2328 16401 FOREIGN DATA WRAPPER - other postgres",
        "821; 2612 16403 PROCEDURAL LANGUAGE - plpython3u postgres",
        "3100; 0 16700 TABLE DATA public spatial_ref_sys postgres",
    ],
)
def test_a_dump_that_only_the_superuser_could_restore_is_none(entry: str) -> None:
    """It is told when the dump is taken, while Odoo still serves from the database."""
    assert only_superuser(LISTING + entry + "\n") == entry.split(" ", 3)[3]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("odoo", "odoo_before_20260101000000"),
        ("a" * 41, "a" * 41 + "_before_20260101000000"),
        ("a" * 63, "a" * 41 + "_before_20260101000000"),
        ("ä" * 30, "ä" * 20 + "_before_20260101000000"),
    ],
)
def test_the_name_of_what_is_kept_fits(name: str, kept: str) -> None:
    """PostgreSQL would cut it off, and what a person is told would be another name."""
    assert kept_name(name, "before", "20260101000000") == kept
    assert len(kept.encode()) <= 63


def test_a_name_that_leaves_no_room_is_told() -> None:
    assert too_long("a" * 53, "a" * 53 + "_importing") == ""
    assert too_long("ä" * 28, "ä" * 28 + "_importing").endswith("would have to be 3 shorter")
