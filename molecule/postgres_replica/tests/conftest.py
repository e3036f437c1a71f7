# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pair of servers; the scenario postgres_17 has the same tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

SCENARIO = Path(os.environ.get("MOLECULE_SCENARIO_DIRECTORY") or Path(__file__).resolve().parents[1])
sys.path.insert(0, str(SCENARIO.parent / "shared"))

from scenario import enter  # noqa: E402

enter(SCENARIO)

from pair import Pair, pair, the_pair  # noqa: E402

__all__ = ["pair"]


@pytest.fixture(scope="session")
def whole() -> Pair:
    servers = the_pair(SCENARIO)
    servers.must("status.yml")
    return servers
