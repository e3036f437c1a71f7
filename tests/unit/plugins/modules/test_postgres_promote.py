# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a standby has to have before it is promoted."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_server import read_epoch
from ansible_collections.odoo_deploy.stack.plugins.modules.postgres_promote import mark_used, needed, promise


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


def test_numbers_that_others_used_are_skipped(tmp_path: Path) -> None:
    """As PostgreSQL looks for the newest: the first number without a history is free. Existing ones stay."""
    (tmp_path / "00000003.history").write_text("theirs")
    assert mark_used(tmp_path, 1, 4) == ["00000002.history", "00000004.history"]
    assert (tmp_path / "00000002.history").read_text() == "1\t0/1\tused by another server\n"
    assert (tmp_path / "00000003.history").read_text() == "theirs"
    assert mark_used(tmp_path, 1, 4) == []
    assert mark_used(tmp_path, 12, 4) == []
    assert mark_used(tmp_path, 9, 10) == ["0000000A.history"]


def test_promotion_is_on_the_disk_before_it_is_asked_for(tmp_path: Path) -> None:
    """What a failover has recorded already stays as every machine has it."""
    path = tmp_path / "epoch.conf"
    promise({"number": 2, "server": "pg2", "moment": "now"}, path)
    assert read_epoch(path) == {"number": 2, "server": "pg2", "moment": "now"}
    promise({"number": 2, "server": "pg2", "moment": "later"}, path)
    promise(None, path)
    assert read_epoch(path) == {"number": 2, "server": "pg2", "moment": "now"}
    promise({"number": 3, "server": "pg2", "moment": "later"}, path)
    assert (read_epoch(path) or {})["number"] == 3
