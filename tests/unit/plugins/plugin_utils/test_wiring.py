# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wiring's variables come to the groups of an inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import wiring


class Group:
    def __init__(self, **variables: Any) -> None:
        self.vars = variables


class Inventory:
    """As much of Ansible's as the wiring needs."""

    def __init__(self, **groups: Group) -> None:
        self.groups = groups

    def add_group(self, name: str) -> None:
        self.groups.setdefault(name, Group())

    def set_variable(self, name: str, key: str, value: Any) -> None:
        self.groups[name].vars[key] = value


def test_variables_come_to_their_groups(tmp_path: Path) -> None:
    """GROUP.yml and GROUP/*.yml; a group that no host is in is made; what a source has set before stays."""
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "a.yml").write_text("one: 1")
    (tmp_path / "all" / "b.yml").write_text("two: 2")
    (tmp_path / "nginx.yml").write_text("two: 3")
    inventory = Inventory(all=Group(one="mine"))
    read = {"a.yml": {"one": 1}, "b.yml": {"two": 2}, "nginx.yml": {"one": 3, "two": 3}}
    wiring.apply(inventory, lambda path: read[Path(path).name], tmp_path)
    assert inventory.groups["all"].vars == {"one": "mine", "two": 2}
    assert inventory.groups["nginx"].vars == {"two": 3}


def test_a_collection_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    """No file, or one without variables: with the folder's name and what to do."""
    with pytest.raises(wiring.WiringError, match="Install it again"):
        wiring.apply(Inventory(), lambda _path: {}, tmp_path)
    (tmp_path / "all.yml").write_text("")
    with pytest.raises(wiring.WiringError, match=r"all\.yml is no mapping"):
        wiring.apply(Inventory(), lambda _path: None, tmp_path)
