# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call of a filter of ours, in YAML and in templates, has the arguments that its Python takes."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, TemplateSyntaxError, nodes

ROOT = Path(__file__).resolve().parents[4]
COLLECTION = "odoo_deploy.stack."
ENVIRONMENT = Environment()


@cache
def filters() -> dict[str, Callable[..., Any]]:
    """The filters of the collection, by their full name."""
    found: dict[str, Callable[..., Any]] = {}
    for path in (ROOT / "plugins/filter").glob("[!_]*.py"):
        module = importlib.import_module(f"ansible_collections.odoo_deploy.stack.plugins.filter.{path.stem}")
        found |= {COLLECTION + name: made for name, made in module.FilterModule().filters().items()}
    return found


def documents(path: Path) -> list[Any]:
    return list(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))


def strings(tree: Any) -> Iterator[str]:
    """Each string in a YAML document; conditions, which are expressions without braces, are given some."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list):
        for entry in tree:
            yield from strings(entry)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            bare = key in ("when", "that", "until", "changed_when", "failed_when")
            for text in strings(value):
                yield "{{ " + text + " }}" if bare and "{{" not in text else text


def mappings(tree: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every name in a YAML document that stands for a mapping: what `**name` may be."""
    if isinstance(tree, list):
        for entry in tree:
            yield from mappings(entry)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if isinstance(value, dict):
                yield str(key), value
            yield from mappings(value)


def calls(text: str) -> Iterator[nodes.Filter]:
    """Each call of a filter of ours in a template."""
    if COLLECTION in text:
        for call in ENVIRONMENT.parse(text).find_all(nodes.Filter):
            if call.name.startswith(COLLECTION):
                yield call


def spread(node: nodes.Expr | None, named: Mapping[str, list[Mapping[str, Any]]]) -> list[set[str]] | None:
    """The names that `**node` may give; None where they cannot be told, [set()] where nothing is spread."""
    if node is None:
        return [set()]
    if isinstance(node, nodes.Dict):
        return [{str(pair.key.as_const()) for pair in node.items}]
    if isinstance(node, nodes.Name):
        return [set(map(str, mapping)) for mapping in named.get(node.name, [])] or None
    if isinstance(node, nodes.Filter) and node.name == "combine" and len(node.args) == 1:
        left, right = spread(node.node, named), spread(node.args[0], named)
        return [one | two for one in left for two in right] if left and right else None
    return None


def fault(call: nodes.Filter, takes: inspect.Signature, named: Mapping[str, list[Mapping[str, Any]]]) -> str:
    """What is wrong with a call, or nothing."""
    given = {keyword.key for keyword in call.kwargs}
    more = spread(call.dyn_kwargs, named)
    if not more:
        return "what its ** gives is not in the file or the variables of its role"
    for names in more:
        try:
            takes.bind(None, *call.args, **dict.fromkeys(given | names))
        except TypeError as error:
            return str(error)
    return ""


def offences(path: str, texts: list[str], named: Mapping[str, list[Mapping[str, Any]]]) -> list[str]:
    found = []
    for text in texts:
        try:
            for call in calls(text):
                if call.name not in filters():
                    found.append(f"{path}: {call.name}: no such filter")
                elif why := fault(call, inspect.signature(filters()[call.name]), named):
                    found.append(f"{path}: {call.name}: {why}")
        except TemplateSyntaxError as error:
            found.append(f"{path}: {error}")
    return found


FILES = sorted(
    path
    for folder in ("roles", "playbooks", "inventory", "molecule", "tests", "extensions")
    for pattern in ("*.yml", "*.j2")
    for path in (ROOT / folder).rglob(pattern)
    if COLLECTION in path.read_text(errors="replace")
)


def named_near(path: Path) -> dict[str, list[Mapping[str, Any]]]:
    """The mappings with a name in a file and in the variables of its role."""
    places = [path] if path.suffix == ".yml" else []
    if path.is_relative_to(ROOT / "roles"):
        role = ROOT / "roles" / path.relative_to(ROOT / "roles").parts[0]
        places += sorted({*role.glob("vars/**/*.yml"), *role.glob("defaults/**/*.yml"), *role.glob("tasks/**/*.yml")})
    named: dict[str, list[Mapping[str, Any]]] = {}
    for place in dict.fromkeys(places):
        for name, mapping in mappings(documents(place)):
            named.setdefault(name, []).append(mapping)
    return named


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_calls_fit_what_the_filter_takes(path: Path) -> None:
    """Names and numbers of arguments, those of `**facts` too."""
    texts = list(strings(documents(path))) if path.suffix == ".yml" else [path.read_text()]
    assert not offences(str(path.relative_to(ROOT)), texts, named_near(path))


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("{{ 1 | odoo_deploy.stack.libpq_conninfo(nonsense=2) }}", {}),
        ("{{ 1 | odoo_deploy.stack.no_such_filter }}", {}),
        ("{{ 1 | odoo_deploy.stack.odoo_import_plan(**facts) }}", {"file": 1}),
        (
            "{{ 1 | odoo_deploy.stack.odoo_import_plan(**facts) }}",
            dict.fromkeys(["file", "series", "addons", "database", "server", "use", "storage"]),
        ),
        (
            "{{ 1 | odoo_deploy.stack.odoo_import_plan(**facts | combine({'storage': 1})) }}",
            dict.fromkeys(["file", "series", "addons", "database", "beside", "server", "use"]),
        ),
        ("{{ 1 | odoo_deploy.stack.odoo_import_plan(**not_here) }}", {}),
    ],
)
def test_the_rule_sees_what_breaks_it(text: str, facts: Mapping[str, Any]) -> None:
    """A name that is not taken, one that is missing, a filter that is not there."""
    assert offences("here", [text], {"facts": [facts]})


def test_a_right_call_is_no_offence() -> None:
    """What is asked for, all of it by a name."""
    facts = dict.fromkeys(["file", "series", "addons", "database", "beside", "server", "use"])
    assert not offences("here", ["{{ 1 | odoo_deploy.stack.odoo_import_plan(**facts) }}"], {"facts": [facts]})
