# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plans have in common."""

from __future__ import annotations

from ansible_collections.odoo_deploy.stack.plugins.module_utils.plans import digest, listed


def test_names_in_a_sentence() -> None:
    assert listed([]) == "none"
    assert listed([], "nothing", most=2) == "nothing"
    assert listed(["crm", "hr"]) == listed(["crm", "hr"], most=2) == "crm, hr"
    assert listed(["crm", "hr", "sale", "web"], most=2) == "crm, hr and 2 more"


def test_a_digest_tells_plans_apart_and_knows_no_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest(["a", "b"]) != digest(["b", "a"])
    assert len(digest(None)) == 16
