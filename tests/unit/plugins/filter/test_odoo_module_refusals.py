# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wishes for modules that cannot be, whatever the database says."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_module_refusals import odoo_module_refusals

MODULES = ["base", "web", "bus", "sale"]
WIDE = "base,web, rpc,session_db,odoo_deploy_server"


@pytest.mark.parametrize(
    "asked",
    [
        {"install": [], "upgrade": [], "remove": []},
        {"install": ["sale", "crm"], "upgrade": ["base"], "remove": ["contacts", "hr"]},
        # No list of names: setting_refusals says so.
        {"install": "crm", "remove": "crm", "upgrade": {"crm": 1}},
    ],
)
def test_what_may_be_passes(asked: dict[str, Any]) -> None:
    assert odoo_module_refusals(asked, MODULES, WIDE) == []


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (
            {"install": ["crm", "hr"], "remove": ["hr", "crm"]},
            "odoo_k8s_modules_install and odoo_k8s_modules_remove both name crm, hr: name a module in one of them.",
        ),
        (
            {"upgrade": ["crm"], "remove": ["crm"]},
            "odoo_k8s_modules_upgrade and odoo_k8s_modules_remove both name crm: name a module in one of them.",
        ),
        ({"remove": ["bus"]}, "odoo_k8s_modules_remove names bus: no deployment works without it."),
        ({"remove": ["crm", "sale"]}, "odoo_k8s_modules_remove names sale: odoo_k8s_modules has it, and the next run"),
        ({"remove": ["rpc"]}, "odoo_k8s_modules_remove names rpc: every process loads it (server_wide_modules)."),
    ],
)
def test_what_cannot_be_is_a_line(asked: dict[str, Any], line: str) -> None:
    (said,) = odoo_module_refusals(asked, MODULES, WIDE)
    assert said.startswith(line)


def test_each_wish_has_its_line() -> None:
    """base is in all three, and refused once."""
    said = odoo_module_refusals({"remove": ["base", "sale", "rpc"]}, MODULES, WIDE)
    assert [line.split(":")[0].split()[-1] for line in said] == ["base", "sale", "rpc"]
