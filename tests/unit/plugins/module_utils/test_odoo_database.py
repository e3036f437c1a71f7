# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade of Odoo does with the database, given what is there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_database import Seen, decide, state_in, tables_in

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
