# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wiring: variables that join the roles of a deployment, by inventory group; inventory/wiring/ holds them.

They are set as an inventory source's own: whatever stands in group_vars or host_vars, or comes by -e, wins over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "inventory" / "wiring"


class WiringError(Exception):
    """The collection's own files are not what they should be."""


def files(folder: Path = FOLDER) -> Iterator[tuple[str, Path]]:
    """(group, file) of GROUP.yml and GROUP/*.yml, in the order in which they are read.

    :raises WiringError: there are none.
    """
    found = [(path.stem, path) for path in sorted(folder.glob("*.yml"))]
    found += [(path.parent.name, path) for path in sorted(folder.glob("*/*.yml"))]
    if not found:
        raise WiringError(f"{folder} holds no files: the collection is not installed whole. Install it again.")
    yield from found


def loading(loader: Any) -> Callable[[str], Any]:
    """How Ansible's loader reads a file with templates: from ansible-core 2.19 on it has to be told that there are."""

    def load(path: str) -> Any:
        try:
            return loader.load_from_file(path, trusted_as_template=True)
        except TypeError:
            return loader.load_from_file(path)

    return load


def apply(inventory: Any, load: Callable[[str], Any], folder: Path = FOLDER) -> None:
    """Set each variable on its group, unless a source before has set it there or on the group all.

    ``load`` reads a YAML file whose strings may be templates.
    """
    set_before = {name: set(group.vars) for name, group in inventory.groups.items()}
    for_all = set_before.get("all", set())
    for group, path in files(folder):
        variables = load(str(path))
        if not isinstance(variables, Mapping):
            raise WiringError(f"{path} is no mapping of variables. Install the collection again.")
        inventory.add_group(group)
        for name, value in variables.items():
            if name not in for_all | set_before.get(group, set()):
                inventory.set_variable(group, name, value)
