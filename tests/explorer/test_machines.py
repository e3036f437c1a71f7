# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""At most one server accepts writes, whatever happens; the documented commands end with one primary and every row."""

from __future__ import annotations

from collections.abc import Callable

from conftest import write_case
from explorer.case import Case
from explorer.explore import Outcome


def test_named(case: Case, outcomes: Callable[[str], Outcome], request: object) -> None:
    """A sequence that once showed a violation shows none."""
    outcome = outcomes(request.node.name)  # type: ignore[attr-defined]
    print(outcome.report())
    assert outcome.violation is None, outcome.report()


def test_drawn(seed: int, outcomes: Callable[[str], Outcome], request: object) -> None:
    """A fresh sequence shows none. One that does is printed with its seed, and becomes a named case."""
    outcome = outcomes(request.node.name)  # type: ignore[attr-defined]
    print(f"seed {seed}: {outcome.report()}")
    if outcome.violation is not None:
        path = write_case(outcome, seed)
        raise AssertionError(f"seed {seed}, written to {path.name}: {outcome.report()}")
