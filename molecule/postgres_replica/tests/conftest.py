# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pair of servers, healthy before and after each test; the scenario postgres_17 has the same tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCENARIO = Path(os.environ.get("MOLECULE_SCENARIO_DIRECTORY") or Path(__file__).resolve().parents[1])
sys.path.insert(0, str(SCENARIO.parent / "shared"))

from scenario import enter  # noqa: E402

enter(SCENARIO)

from pair import Pair, the_pair  # noqa: E402


@pytest.fixture(scope="session")
def whole() -> Pair:
    pair = the_pair(SCENARIO)
    pair.must("status.yml")
    return pair


@pytest.fixture
def pair(whole: Pair) -> Iterator[Pair]:
    """The pair, healthy after the test and so before the next one."""
    with whole.healthy():
        yield whole
