# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the live test of odoo.conf sets and expects (tests/e2e/support/odoo_conf.py)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from support.odoo_conf import (  # noqa: E402
    CHANGES,
    FOUND,
    NOT_SET,
    SECRET,
    TABLES,
    Conf,
    arguments,
    changed,
    counts,
    exactly,
    reads,
)

OWN = {"server_wide_modules": "base,web", "addons_path": "/opt/odoo/addons", "workers": 2, "list_db": False}


def conf(series: int, **changes: Any) -> Conf:
    """A pod of that series where the file sets workers and the addons."""
    known = sorted(TABLES.KNOWN[series])
    values = {**dict.fromkeys(known), "workers": 2, "db_name": "odoo", "addons_path": "/opt/odoo/addons"}
    answer = {
        "series": series,
        "words": ["--config", "/tmp/odoo.conf"],
        "known": known,
        "aliases": {},
        "written": {"workers": "2", "db_name": "odoo", "addons_path": "/opt/odoo/addons,/opt/none"},
        "values": values,
        "defaults": dict.fromkeys(known),
        "secret": {},
        "addons": {"named": ["/opt/odoo/addons", "/opt/none"], "usable": ["/opt/odoo/addons"]},
        "root": "/usr/odoo",
        "upgrades": "/usr/odoo/addons/sale",
    }
    return Conf(json.dumps(answer | changes))


def test_every_option_that_is_passed_on_is_set_or_has_a_reason() -> None:
    known = TABLES.KNOWN[14] | TABLES.KNOWN[19]
    passed = {name for name in known if TABLES.disposition(name) == "passed"}
    chosen = [*CHANGES, *FOUND, *NOT_SET]
    assert len(chosen) == len(set(chosen))
    assert set(chosen) == passed
    assert all(NOT_SET.values())


@pytest.mark.parametrize("series", TABLES.KNOWN)
def test_what_is_set_is_legal_and_read_back_as_it_is_expected(series: int) -> None:
    """The filter takes all of it at once, and what it writes is what the parser is to read."""
    given, wanted = changed(conf(series))
    merged = TABLES.odoo_config(given, OWN, SECRET)
    assert merged["errors"] == []
    assert given.keys() == {*wanted, *TABLES.MERGED}
    assert wanted.keys() == {name for name in TABLES.KNOWN[series] if TABLES.disposition(name) == "passed"} - {*NOT_SET}
    wrong = [name for name, value in wanted.items() if not reads(str(merged["options"][name]), value)]
    assert not wrong


def test_what_a_series_reads_in_its_own_way() -> None:
    assert changed(conf(19))[1]["upgrade_path"] == ["/usr/odoo/addons/sale"]
    assert changed(conf(19))[1]["log_handler"][0] == ":INFO"
    assert changed(conf(14))[1]["upgrade_path"] == "/usr/odoo/addons/sale"
    assert changed(conf(14))[1]["log_db"] == "odoo"
    between = conf(19)
    between.series = 17
    assert changed(between)[1]["websocket_rate_limit_delay"] == "0.5"


@pytest.mark.parametrize(
    ("text", "value", "right"),
    [
        ("True", True, True), ("false", False, True), ("True", False, False), ("None", None, True), ("x", None, False),
        ("15", 15, True), ("0.50", 0.5, True), ("15", 16, False), ("/a", "/a", True), ("15", "15", True),
        ("a, b", ["a", "b"], True), ("b", [":INFO", "b"], True), ("a", ["a", "b"], False), ("", [], True),
    ],
)  # fmt: skip
def test_a_value_against_the_files_text(text: str, value: object, right: bool) -> None:
    assert reads(text, value) is right


def test_what_arguments_decide() -> None:
    words = ["--config", "/tmp/odoo.conf", "--no-http", "--workers=1", "--max-cron-threads", "2"]
    assert arguments(words) == {"http_enable": "False", "workers": "1", "max_cron_threads": "2"}


@pytest.mark.parametrize("series", TABLES.KNOWN)
def test_what_a_parser_has_of_its_own_is_told(series: int) -> None:
    """A value that neither the file, nor an argument, nor the default says; to 18 addons that are not there stay."""
    usable = ["/opt/odoo/addons"] if series == 19 else "/opt/odoo/addons,/opt/none"
    good = conf(series).values | {"addons_path": usable}
    assert conf(series, values=good).differing() == []
    assert conf(series, values=good | {"workers": 3}).differing() == ["workers is 3, not '2'"]
    assert conf(series, values=good | {"unaccent": True}).differing() == ["unaccent is True, not None"]
    assert conf(series, values=good | {"addons_path": "/elsewhere"}).differing()
    assert conf(series, values=good, words=["--config", "/tmp/odoo.conf", "--workers=1"]).differing()


def test_a_type_counts() -> None:
    assert exactly({"a": 1, "b": "x"}, {"a": 1, "b": "x"}) == []
    assert exactly({"a": True, "b": "5"}, {"a": 1, "b": 5, "c": 0}) == [
        "a is True, not 1", "b is '5', not 5", "c is None, not 0",
    ]  # fmt: skip


def test_two_pods_of_one_configuration_are_the_same() -> None:
    one = {"db_app_name": "odoo-1", "addons_path": ["/opt/..2026_01_02_03_04_05.6/addons"]}
    other = {"db_app_name": "odoo-2", "addons_path": ["/opt/..2026_02_03_04_05_06.7/addons"]}
    assert conf(19, values=one).stable == conf(19, values=other).stable
    assert conf(19, values=one).stable != conf(19, values=other | {"workers": 1}).stable


def test_counts_add_up() -> None:
    for version, known in TABLES.KNOWN.items():
        assert sum(counts(known).values()) == len(known), version
