# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role says it takes is what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).parents[3] / "roles").iterdir() if path.is_dir())


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) or {}


def options(role: Path) -> dict[str, Any]:
    """Of all entry points of the role together."""
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"].values()
    return {name: option for spec in specs for name, option in spec["options"].items()}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_default_is_specified_with_the_same_value(role: Path) -> None:
    """defaults/main.yml and meta/argument_specs.yml name the same variables and the same defaults."""
    defaults, specs = load(role / "defaults" / "main.yml"), options(role)
    # A template is no valid default of a specification that has another type than a string.
    computed = {
        name
        for name, value in defaults.items()
        if isinstance(value, str) and "{{" in value and specs[name]["type"] not in ("str", "path")
    }
    specified = {name: option["default"] for name, option in specs.items() if "default" in option}
    assert specified == {name: value for name, value in defaults.items() if name not in computed}
    missing = {name for name, spec in specs.items() if "default" not in spec and not spec.get("required")} - computed
    assert not missing, f"neither a default nor required: {missing}"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_says_what_it_is(role: Path) -> None:
    """Each option has the role's prefix and a description."""
    for name, option in options(role).items():
        assert name.startswith(f"{role.name}_"), name
        assert option.get("description"), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_role_tells_where_it_runs(role: Path) -> None:
    """meta/main.yml carries what Galaxy shows."""
    info = load(role / "meta" / "main.yml")["galaxy_info"]
    assert info["license"] == "GPL-3.0-or-later"
    assert info["min_ansible_version"] == "2.17"
    assert info["description"]
    assert info["platforms"]
