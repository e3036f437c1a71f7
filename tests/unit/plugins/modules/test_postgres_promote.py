# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a standby has to have before it is promoted."""

from __future__ import annotations

import pytest
from ansible_collections.odoo_deploy.stack.plugins.modules.postgres_promote import needed


def test_furthest_end_counts() -> None:
    """By position, not by text; a standby that was stopped need not have ended cleanly."""
    ends = [
        {"lsn": "0/9000000", "clean": True, "standby": False},
        {"lsn": "1/10", "clean": True, "standby": False},
        {"lsn": "0/20", "clean": False, "standby": True},
    ]
    assert needed(ends) == "1/10"
    assert needed([]) == ""


def test_primary_that_was_killed() -> None:
    with pytest.raises(RuntimeError, match="did not shut down cleanly"):
        needed([{"lsn": "0/20", "clean": False, "standby": False}])
