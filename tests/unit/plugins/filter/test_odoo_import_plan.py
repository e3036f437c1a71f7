# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a backup of Odoo may be brought in, and what a person agrees to."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_import_plan import odoo_import_plan, size

FOUND: dict[str, Any] = {
    "fault": "",
    "series": "19.0",
    "modules": {"base": "19.0.1.3", "sale": "19.0.1.2"},
    "parameters": {},
    "attachments": 20,
    "largest": 1000,
    "missing": [],
    "broken": [],
    "bytes": 2 * 10**9,
    "free": 5 * 10**9,
    "shut": [],
}
FACTS: dict[str, Any] = {
    "file": "shop.zip",
    "series": "19.0",
    "addons": ["base", "sale", "crm"],
    "database": "odoo",
    "beside": "odoo_importing",
    "server": "pg1",
    "use": "production",
}


def plan(found: dict[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
    return odoo_import_plan({**FOUND, **(found or {})}, **{**FACTS, **facts})


def test_a_whole_backup_is_brought_in_and_the_plan_says_how() -> None:
    made = plan()
    assert made["refusal"] == ""
    assert made["summary"] == "shop.zip: Odoo 19.0, 2 modules, 20 attachments, 2.0 GB."
    assert made["question"] == "This replaces database odoo"
    assert [step.split()[0] for step in made["steps"]] == ["load", "prepare", "stop", "keep"]
    assert "neutralised" in plan(use="staging")["steps"][1]


@pytest.mark.parametrize(
    ("found", "facts", "reason"),
    [
        ({"fault": "its SQL ends in the middle"}, {}, "its SQL ends in the middle"),
        ({"series": "17.0"}, {}, "of Odoo 17.0, this deployment of 19.0"),
        ({"series": "17.0"}, {}, "OpenUpgrade"),
        ({"parameters": {"odoo_deploy.state": "upgrading"}}, {}, "while its database was upgrading"),
        ({}, {"addons": ["base"]}, "lacks 1 of its modules: sale"),
        ({"missing": ["a", "b", "c"]}, {}, "3 files of its 20 attachments are missing and 0 damaged: a, b and 1 more"),
        ({"broken": ["a"]}, {}, "0 files of its 20 attachments are missing and 1 damaged: a"),
        (
            {"shut": ["session_db"]},
            {},
            "does not let the owner of a database into session_db by its socket yet: ./run.py",
        ),
        ({}, {"database": "a" * 60, "beside": "a" * 60 + "_importing"}, f"{'a' * 60} would have to be 7 shorter"),
        ({"largest": 600 * 2**20}, {}, "largest attachment has 629 MB"),
        ({"free": 3 * 10**9}, {}, "pg1 has 3.0 GB free for the databases, and it takes 4.0 GB"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(found: dict[str, Any], facts: dict[str, Any], reason: str) -> None:
    made = plan(found, **facts)
    assert made["refusal"].startswith("shop.zip is not brought in: ")
    assert reason in made["refusal"]
    assert made["refusal"].endswith("No database was changed.")
    assert made["steps"] == []


def test_a_person_may_take_what_is_incomplete() -> None:
    made = plan({"missing": ["a"]}, addons=["base"], incomplete=True)
    assert made["refusal"] == ""
    assert made["steps"][1] == "leave out what is not there: 1 files, modules sale"


def test_a_database_that_was_ready_is_no_reason() -> None:
    assert plan({"parameters": {"odoo_deploy.state": "ready"}})["refusal"] == ""


@pytest.mark.parametrize(
    ("found", "facts"),
    [({"attachments": 21}, {}), ({"bytes": 1}, {}), ({}, {"use": "staging"}), ({}, {"server": "pg2"})],
)
def test_another_plan_has_another_digest(found: dict[str, Any], facts: dict[str, Any]) -> None:
    assert plan(found, **facts)["digest"] != plan()["digest"] == plan({"free": 9 * 10**9})["digest"]


def test_sizes_and_lists_are_for_people() -> None:
    assert [size(n) for n in (0, 999, 1500, 10_400, 2 * 10**12)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "10 kB",
        "2.0 TB",
    ]
