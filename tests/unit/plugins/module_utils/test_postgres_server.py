# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from pg_controldata, WAL locations, and the order of restarts."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils import postgres_server
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_server import (
    fingerprint,
    floor_changes,
    lsn_number,
    parse_controldata,
)
from hypothesis import given
from hypothesis import strategies as st

CONTROL = """\
pg_control version number:            1300
Catalog version number:               202209061
Database system identifier:           7575588414273913870
Database cluster state:               shut down
pg_control last modified:             Sun Nov 22 23:46:24 2026
Latest checkpoint location:           0/3041E98
Latest checkpoint's REDO location:    0/3041E98
Latest checkpoint's TimeLineID:       2
Latest checkpoint's PrevTimeLineID:   2
Time of latest checkpoint:            Sun Nov 22 23:46:24 2026
Minimum recovery ending location:     0/0
wal_level setting:                    replica
wal_log_hints setting:                on
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
Data page checksum version:           1
"""


def test_controldata() -> None:
    control = parse_controldata(CONTROL)
    assert control["state"] == "shut down"
    assert control["timeline"] == 2
    assert control["checkpoint"] == "0/3041E98"
    assert control["checkpoint_time"] == "Sun Nov 22 23:46:24 2026"
    assert control["checksums"] is True
    assert control["floors"]["max_connections"] == 100
    assert control["floors"]["max_locks_per_transaction"] == 64


@given(st.integers(0, 2**64 - 1))
def test_lsn_is_a_number_of_bytes(position: int) -> None:
    assert lsn_number(f"{position >> 32:X}/{position & 0xFFFFFFFF:X}") == position


def test_no_lsn() -> None:
    assert lsn_number(None) is None
    assert lsn_number("") is None


@pytest.mark.parametrize(
    ("pending", "ways"),
    [
        ({}, []),
        ({"shared_buffers": ("16384", "32768")}, []),
        ({"max_connections": ("100", "200")}, ["raised"]),
        ({"max_connections": ("200", "100")}, ["lowered"]),
        ({"max_connections": ("100", "200"), "max_wal_senders": ("10", "5")}, ["lowered", "raised"]),
        ({"max_connections": ("100", None)}, []),
    ],
)
def test_order_of_restarts(pending: dict[str, tuple[str, str | None]], ways: list[str]) -> None:
    """Which ways the settings go that a standby must not have lower than its primary."""
    asked = {name: {"running": running, "wanted": wanted} for name, (running, wanted) in pending.items()}
    assert floor_changes(asked) == ways


def test_fingerprint(tmp_path: Path) -> None:
    """Mode, owner, group and SHA-1, as the role compares them."""
    path = tmp_path / "pgpass"
    path.write_text("secret\n")
    path.chmod(0o600)
    owner = postgres_server.pwd.getpwuid(path.stat().st_uid).pw_name
    group = postgres_server.grp.getgrgid(path.stat().st_gid).gr_name
    assert fingerprint(str(path)) == f"0600 {owner} {group} fc683cd9ed1990ca2ea10b84e5e6fba048c24929"
    assert fingerprint(str(tmp_path / "missing")) is None
