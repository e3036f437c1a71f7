# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Odoo's database tells of itself. molecule/postgres_primary asks a real one."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import yaml

Scripts = dict[str, ModuleType]
QUERIES = Path(__file__).parents[4] / "roles" / "postgres_exporter" / "files" / "odoo.yml"


def test_each_figure_is_asked_for_and_no_other(scripts: Scripts) -> None:
    asked = re.findall(r"odoo_deploy_figures\('(\w+)'\)", QUERIES.read_text())
    assert sorted(asked) == sorted({figure.name for figure in scripts["figures"].FIGURES})


def test_the_database_is_asked_once_a_minute(scripts: Scripts) -> None:
    assert {each["cache_seconds"] for each in yaml.safe_load(QUERIES.read_text()).values()} == {60}


def test_a_table_is_looked_for_before_it_is_read(scripts: Scripts) -> None:
    """A name without its schema would be read of another one, a table that nobody looked for may not be there."""
    for figure in scripts["figures"].FIGURES:
        read = re.findall(r"\b(?:FROM|JOIN) ([a-z_.]+)", figure.query)
        assert set(read) == {f"public.{column.split('.')[0]}" for column in figure.columns}, figure


def test_of_one_name_the_one_that_needs_most_comes_first(scripts: Scripts) -> None:
    figures = scripts["figures"].FIGURES
    for number, figure in enumerate(figures):
        for later in figures[number + 1 :]:
            assert later.name != figure.name or not set(figure.columns) <= set(later.columns)


def test_the_function_is_its_owners_and_a_dump_names_nobody(scripts: Scripts) -> None:
    statement = scripts["figures"].function()
    assert "SECURITY DEFINER SET search_path = pg_catalog, pg_temp" in statement
    assert "NOT pg_is_in_recovery()" in statement
    assert not re.search(r"\b(GRANT|OWNER)\b", statement)
