# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of docs/architecture.md that a search can check."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted((path.name for path in (ROOT / "roles").iterdir() if path.is_dir()), key=len, reverse=True)
LONGEST = 200  # characters of one expression, white space folded

# Expressions that are longer, by file. The numbers may only get smaller: a decision belongs into a filter with tests.
LONG: dict[str, int] = {
    "roles/postgres_common/defaults/main.yml": 1,
    "roles/postgres_common/meta/argument_specs.yml": 1,
    "roles/postgres_common/tasks/restart.yml": 1,
    "roles/postgres_common/vars/main.yml": 3,
    "roles/postgres_primary/vars/main.yml": 1,
    "roles/postgres_replica/vars/main.yml": 1,
    "inventory/wiring/all/deployment.yml": 1,
    "inventory/wiring/all/postgres.yml": 2,
    "inventory/wiring/postgres.yml": 1,
}


def sources(*patterns: str) -> list[Path]:
    """Files of the roles, playbooks and the inventory."""
    folders = (ROOT / folder for folder in ("roles", "playbooks", "inventory"))
    return sorted(path for folder in folders for pattern in patterns for path in folder.rglob(pattern))


def long_expressions(text: str) -> int:
    """How many of a YAML file's Jinja expressions are too long to read."""
    found = re.findall(r"\{\{.*?\}\}", text, re.DOTALL)
    return sum(len(re.sub(r"\s+", " ", expression)) > LONGEST for expression in found)


def strangers(path: str, text: str) -> set[str]:
    """Private variables of a role (__ROLE_NAME) that a file outside of the role uses."""
    owners = {
        name: next((role for role in ROLES if name.startswith(f"__{role}_")), "")
        for name in re.findall(r"\b__[a-z0-9_]+", text)
    }
    return {name for name, owner in owners.items() if owner and not path.startswith(f"roles/{owner}/")}


def test_long_expressions_only_get_fewer() -> None:
    """No file has more expressions over 200 characters than the list says, and the list is no longer than needed."""
    counted = {str(path.relative_to(ROOT)): long_expressions(path.read_text()) for path in sources("*.yml")}
    assert {name: count for name, count in counted.items() if count} == LONG


# Private names that another role or a playbook uses all the same; the list may only get shorter.
STRANGERS = {
    "roles/postgres_replica/tasks/follow.yml": {"__postgres_common_following_within"},
    "playbooks/postgres_major_upgrade.yml": {"__postgres_backup_upgraded"},
    "inventory/wiring/all/postgres.yml": {"__postgres_backup_distribution_versions"},
}


def test_private_variables_stay_in_their_role() -> None:
    """A name that begins with __ROLE_ is used by that role alone."""
    names = [str(path.relative_to(ROOT)) for path in sources("*.yml", "*.j2")]
    used = {name: strangers(name, (ROOT / name).read_text()) - STRANGERS.get(name, set()) for name in names}
    assert not {name: found for name, found in used.items() if found}


def test_the_rules_see_what_breaks_them() -> None:
    """Each rule finds a made-up offence."""
    assert long_expressions('a: "{{ x' + " ~ 'abc'" * 40 + ' }}"') == 1
    assert long_expressions('a: "{{ x' + "  \n" * 200 + ' }}"') == 0
    assert strangers("playbooks/a.yml", "when: __nginx_cache_due") == {"__nginx_cache_due"}
    assert strangers("roles/nginx_cache/tasks/main.yml", "when: __nginx_cache_due") == set()


def test_no_answer_hides_a_variable() -> None:
    """What a task registers or sets for itself has a name that no variable of its role has."""
    for role in sorted((ROOT / "roles").iterdir()):
        told = "".join(file.read_text() for file in role.glob("tasks/**/*.yml"))
        named = "".join(file.read_text() for part in ("vars", "defaults") for file in role.glob(f"{part}/**/*.yml"))
        registered = set(re.findall(r"^\s+register: (\w+)", told, re.MULTILINE))
        assert not registered & set(re.findall(r"^(\w+):", named, re.MULTILINE)), role.name
