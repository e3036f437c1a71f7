# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which major version a server gets, and how its files are asked for before it is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Evaluate = Callable[..., dict[str, Any]]
ROLE = Path(__file__).resolve().parents[3] / "roles" / "postgres_common"
VARIABLES: dict[str, Any] = {
    **yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")),
    **yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8")),
}
STATE = {task["name"]: task for task in yaml.safe_load((ROLE / "tasks" / "state.yml").read_text(encoding="utf-8"))}
ASKED = STATE["Ask the server what it is"]["odoo_deploy.stack.postgres_server_info"]


def answer(version: str, configured: bool = True) -> dict[str, Any]:
    return {"version": version, "configured": configured}


def test_version_of_a_server(evaluate: Evaluate) -> None:
    """Its own, else the others', else the distribution's; asked again where the first question was about another."""
    old, new, none = answer("13"), answer("15"), answer("15", configured=False)
    cases: dict[str, tuple[dict[str, Any], str, bool]] = {
        "kept": ({"postgres_common_state": old, "postgres_common_states": [old]}, "13", False),
        "kept_beside_newer": ({"postgres_common_state": old, "postgres_common_states": [new, old]}, "13", False),
        "joins": ({"postgres_common_state": none, "postgres_common_states": [none, old]}, "13", True),
        "joins_alike": ({"postgres_common_state": none, "postgres_common_states": [none, new]}, "15", False),
        "first": ({"postgres_common_state": none, "postgres_common_states": [none]}, "15", False),
        "not_asked_yet": ({"postgres_common_states": [old]}, "13", False),
        "nobody_asked_yet": ({}, "15", False),
        "named": ({"postgres_common_version": "17", "postgres_common_states": [none]}, "17", False),
        **{
            release: ({"release": release}, version, False)
            for release, version in {"bullseye": "13", "jammy": "14", "noble": "16", "trixie": "17"}.items()
        },
    }
    again = STATE["Ask about the version that the other servers run"]["when"]
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.set_fact": {"cacheable": True, "distribution_release": "{{ release }}"}},
        {
            "ansible.builtin.debug": {
                "msg": {
                    "version": "{{ postgres_common_version }}",
                    "again": f"{{{{ postgres_common_state is defined and ({again}) }}}}",
                }
            }
        },
    ]
    told = evaluate(VARIABLES | {"release": "bookworm"}, {name: case[0] for name, case in cases.items()}, tasks)
    assert told == {name: {"version": version, "again": asks} for name, (_given, version, asks) in cases.items()}


@pytest.fixture
def asked(evaluate: Evaluate) -> dict[str, dict[str, Any]]:
    """What a server is asked about, for each version that the question could be about."""
    told = {"files": ASKED["files"], "packages": ASKED["packages"], "private": "{{ postgres_common_private }}"}
    cases = {f"v{version}": {"postgres_common_version": str(version)} for version in range(13, 19)}
    return evaluate(VARIABLES, cases, [{"ansible.builtin.debug": {"msg": told}}])


def test_files_are_asked_for_under_any_version(asked: dict[str, dict[str, Any]]) -> None:
    """{version} stands wherever the version does and nowhere else, so that the server puts its own one in."""
    one, *others = asked.values()
    assert all(other == one for other in others)
    private = one["private"]
    assert one["files"] == [
        "/etc/postgresql/{version}/main/conf.d/10-odoo-deploy.conf",
        "/etc/postgresql/{version}/main/pg_hba.conf",
        "/etc/postgresql/{version}/main/pg_ident.conf",
        f"{private}/pgpass",
        f"{private}/boot-guard",
        "/etc/systemd/system/postgresql@{version}-main.service.d/boot-guard.conf",
    ]
    assert one["packages"] == ["postgresql-{version}", *VARIABLES["__postgres_common_packages"][1:]]
