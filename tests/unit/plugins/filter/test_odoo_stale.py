# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of earlier deployments can go: what is named stays, and so does what may be another run's."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_stale import odoo_stale

NOW = datetime(2026, 11, 28, 12, 0, 0, 900_000, tzinfo=timezone.utc)


def thing(name: str, age: int = 1801) -> dict[str, Any]:
    """age: in seconds, of the whole second that it is now."""
    created = NOW.replace(microsecond=0) - timedelta(seconds=age)
    return {"metadata": {"name": name, "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ")}}


def stale(*things: dict[str, Any]) -> list[str]:
    found = odoo_stale(things, ["a1", "b.2", "a1"], "odoo-init-1", NOW.timestamp(), 1800)
    return [one["metadata"]["name"] for one in found]


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        ("odoo-a1", False),
        ("odoo-a1-scripts", False),
        ("odoo-b.2", False),
        ("odoo-init-1", False),
        ("odoo-c3", True),
        ("odoo-c3-scripts", True),
        ("odoo-init-0", True),
        ("odoo-init-11", True),
        # Parts of a name are not the name.
        ("odoo-a11", True),
        ("odoo-a1-scripts-2", True),
        ("odoo-b92", True),
        ("shop-odoo-a1", True),
    ],
)
def test_what_is_named_stays(name: str, goes: bool) -> None:
    assert stale(thing(name)) == ([name] if goes else [])


@pytest.mark.parametrize(("age", "goes"), [(-5, False), (0, False), (1799, False), (1800, False), (1801, True)])
def test_what_is_young_stays(age: int, goes: bool) -> None:
    assert stale(thing("odoo-c3", age)) == (["odoo-c3"] if goes else [])


def test_a_replica_set_without_a_configuration_keeps_nothing() -> None:
    """It is from before they had one; an empty name is none of theirs."""
    things = [thing("odoo-c3"), thing("odoo-d4")]
    assert odoo_stale(things, ["", "d4"], "odoo-init-1", NOW.timestamp(), 1800) == things[:1]


def test_their_order_stays() -> None:
    assert stale(thing("odoo-d4"), thing("odoo-a1"), thing("odoo-c3")) == ["odoo-d4", "odoo-c3"]
    assert stale() == []


@pytest.mark.parametrize("bad", [{}, {"metadata": {"name": "odoo-c3"}}, {"metadata": None}, "text"])
def test_what_is_no_object_is_refused(bad: Any) -> None:
    """One that stays is not asked for its age."""
    with pytest.raises(AnsibleFilterError, match="odoo_stale: these are no objects"):
        stale(bad)
    assert stale({"metadata": {"name": "odoo-a1"}}) == []
