# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that read or write more than there is memory: what failed is told, and nobody waits for nobody."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_server import Problem, feed, reading

ENDLESS = "while echo line; do :; done"


def test_what_a_program_writes_is_read_line_by_line() -> None:
    with reading("sh", "-c", "echo a; echo b") as output:
        assert list(output) == [b"a\n", b"b\n"]


def test_one_that_fails_is_told_by_its_first_line() -> None:
    with (
        pytest.raises(Problem, match=r"^no such table$"),
        reading("sh", "-c", "echo no such table >&2; exit 3") as output,
    ):
        output.read()
    with pytest.raises(Problem, match=r"^false ended with 1$"), reading("false") as output:
        output.read()


def test_one_that_is_not_read_to_its_end_ends() -> None:
    """Whoever reads has failed, and that is what is told."""
    with pytest.raises(ValueError, match="invalid literal"), reading("sh", "-c", ENDLESS) as output:
        int(output.readline())


def test_a_program_is_fed_until_it_ends() -> None:
    assert feed([b"a\n", b"b\n"], "sh", "-c", 'read x; read y; [ "$x$y" = ab ]') == []
    assert feed(itertools.repeat(b"line\n"), "sh", "-c", "read x; echo that is enough >&2; exit 3") == [
        "that is enough"
    ]
    assert feed([], "sh", "-c", '[ "$SECRET" = x ]', environment={"SECRET": "x"}) == []
    assert feed([], "sh", "-c", "exit 4") == ["sh ended with 4"]
