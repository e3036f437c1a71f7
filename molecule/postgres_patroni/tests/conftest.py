# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pair of servers that Patroni runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCENARIO.parent / "shared"))

from scenario import enter  # noqa: E402

enter(SCENARIO)

from pair import Pair, pair, the_pair  # noqa: E402

__all__ = ["pair"]


@pytest.fixture(scope="session")
def whole() -> Pair:
    """Its playbooks are told who decides, as an inventory would."""
    servers = the_pair(SCENARIO, postgres_ha_mode="patroni")
    servers.must("status.yml")
    return servers
