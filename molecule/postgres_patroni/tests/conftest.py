# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pair of servers that Patroni runs, healthy before and after each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCENARIO.parent / "shared"))

from scenario import enter  # noqa: E402

enter(SCENARIO)

from pair import Pair, the_pair  # noqa: E402


class Elected(Pair):
    """Its playbooks are told who decides, as an inventory would."""

    def argv(self, name: str, **extra: object) -> list[str]:
        return super().argv(name, **{"postgres_ha_mode": "patroni", **extra})


@pytest.fixture(scope="session")
def whole() -> Pair:
    pair = Elected(the_pair(SCENARIO).site, SCENARIO)
    pair.must("status.yml")
    return pair


@pytest.fixture
def pair(whole: Pair) -> Iterator[Pair]:
    """The pair, healthy after the test and so before the next one."""
    with whole.healthy():
        yield whole
