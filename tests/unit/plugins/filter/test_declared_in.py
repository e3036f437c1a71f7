# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of a group, running or not."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.declared_in import declared_in

MACHINES = {
    "db2": {"address": "192.0.2.22", "groups": ["postgres_replica", "backup"], "memory": 1024, "cpus": 2},
    "db1": {"address": "192.0.2.21", "groups": ["postgres_primary"], "memory": 1024, "cpus": 2},
    "proxy1": {"address": "192.0.2.31", "groups": ["nginx"], "memory": 512, "cpus": 1},
}


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (["postgres_primary", "postgres_replica"], ["db2", "db1"]),
        (["backup"], ["db2"]),
        (["witness"], []),
        (["postgres"], []),
        ([], ["db2", "db1", "proxy1"]),
    ],
)
def test_machines_of_groups(groups: list[str], names: list[str]) -> None:
    """By whole names, in the order of the list."""
    found = declared_in(MACHINES, *groups)
    assert list(found) == names
    assert all(found[name] == MACHINES[name]["address"] for name in names)


def test_nothing_declared_is_nothing() -> None:
    """Given machines are in their inventory alone."""
    assert declared_in({}, "nginx") == {}
    with pytest.raises(AnsibleFilterError, match="not list"):
        declared_in([], "nginx")  # type: ignore[arg-type]
