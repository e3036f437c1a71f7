# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot guard as a machine runs it; the peers' answers and pg_controldata are programs on PATH."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest

TEMPLATE = Path(__file__).resolve().parents[3] / "roles/postgres_common/templates/boot-guard.sh.j2"
Guard = Callable[..., tuple[bool, str]]
# It speaks the machine's language unless it is told not to.
CONTROL = """[ "$LC_ALL" = C ] || exit 0
echo "Database system identifier:           7"
echo "Latest checkpoint location:           0/3000028"
echo "Latest checkpoint's TimeLineID:       1\""""


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    """guard(peer, ...): whether pg1 starts, and what the guard says. peer: its answer, empty for none."""
    data, private, programs = tmp_path / "main", tmp_path / "private", tmp_path / "bin"
    for folder in (data / "pg_wal", private, programs):
        folder.mkdir(parents=True)
    rendered = jinja2.Template(TEMPLATE.read_text(encoding="utf-8"), trim_blocks=True).render(
        inventory_hostname="pg1",
        ansible_managed="",
        __postgres_common_data=data,
        __postgres_common_peers=[{"name": "pg2", "address": "192.0.2.2"}],
        postgres_common_bin=programs,
        postgres_common_private=private,
        postgres_common_permit=tmp_path / "permit",
        postgres_common_boot_guard_wait=0,
        postgres_common_boot_guard_alone="refuse",
    )
    (tmp_path / "guard").write_text(rendered, encoding="utf-8")

    def program(name: str, text: str) -> None:
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)

    def run(
        peer: str,
        *,
        permit: str | None = None,
        record: dict[str, object] | None = None,
        wal: tuple[str, ...] = ("000000010000000000000001",),
        files: tuple[str, ...] = (),
        ends: str = "",
    ) -> tuple[bool, str]:
        answer = peer if not peer or peer.count(" ") > 4 else f"{peer} -"
        program("runuser", f"[ -n '{peer}' ] && echo '{answer}'")
        program("pg_controldata", CONTROL)
        program("pg_waldump", f'echo "$@" >> {tmp_path}/read; case "$*" in *"--end {ends}") exit 1 ;; esac')
        program("sleep", "exit 0")
        for name in wal:
            (data / "pg_wal" / name).touch()
        for name in files:
            (tmp_path / name).touch()
        if permit is not None:
            (tmp_path / "permit").write_text(permit, encoding="utf-8")
        if record:
            line = f"odoo_deploy.epoch = '{json.dumps(record)}'\n"
            (private / "epoch.conf").write_text(f"# who\n{line}", encoding="utf-8")
        environment = {**os.environ, "LC_ALL": "de_DE.UTF-8", "PATH": f"{programs}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["/bin/sh", str(tmp_path / "guard")], env=environment, capture_output=True, text=True, check=False
        )
        before = {"main/standby.signal", "main/recovery.signal"}  # nobody looks at the permit then
        assert not (tmp_path / "permit").exists() or before & set(files)
        return done.returncode == 0, done.stderr

    return run


OWN = {"number": 2, "timeline": 1, "covers": 1, "server": "pg1"}


@pytest.mark.parametrize(
    ("starts", "peer", "options"),
    [
        (True, "standby 1 0 - 0", {}),
        (True, "", {"files": ("main/standby.signal",)}),
        (True, "", {"permit": "pg1\n"}),
        (True, "", {"permit": ""}),
        (True, "standby 1 2 pg1 1", {"record": OWN}),
        (True, "standby 2 0 - 0", {"wal": ("000000020000000000000001",)}),
        (True, "standby 2 2 pg1 1", {"record": {**OWN, "covers": 2}}),
        (False, "", {}),
        (False, "", {"permit": "pg2\n"}),
        (False, "primary 1 0 - 0", {}),
        (False, "standby 2 0 - 0", {}),
        (False, "primary 2 2 pg2 1", {"permit": "pg1"}),
        (False, "standby 2 1 pg2 1", {"permit": "pg1"}),
        (False, "standby 1 3 pg2 1", {"permit": "pg1", "record": OWN}),
        (False, "standby 2 1 pg2 1", {"wal": ("00000002.history",)}),
        (False, "standby 1 3 pg2 2", {"permit": "pg1", "record": OWN}),  # about to be promoted
        (False, "standby 1 1 pg2 2", {"record": OWN}),
        (False, "standby 1 2 pg2 2", {"permit": "pg1", "record": OWN}),
        (True, "standby 1 1 pg2 2", {"permit": "pg1", "record": OWN}),  # once, long ago
        (True, "standby 2 1 pg2 2", {"wal": ("000000020000000000000001",), "record": OWN}),
        (True, "standby 1 0 - 0 0/4000060", {}),
        (False, "standby 1 0 - 0 0/4000060", {"ends": "0/4000060"}),
        (False, "standby 1 2 pg1 1 0/4000060", {"ends": "0/4000060", "permit": "pg1", "record": OWN}),
        (True, "standby 1 2 pg1 1 0/4000060", {"ends": "0/4000060", "permit": "pg1 forced", "record": OWN}),
        (False, "standby 1 0 - 0 0/4000060", {"ends": "0/4000060", "permit": "pg2 forced"}),
        # Of another timeline a position says nothing, nor where the WAL after the checkpoint is of two.
        (True, "standby 1 2 pg1 1 0/4000060", {"ends": "0/4000060", "wal": ("000000020000000000000001",)}),
        (False, "standby 1 0 - 0", {"files": ("main.rewinding",)}),
        (False, "standby 1 0 - 0", {"files": ("main.rewinding", "main/standby.signal")}),
        (False, "standby 1 0 - 0", {"files": ("main/recovery.signal",), "permit": "pg1"}),
    ],
)
def test_whether_a_server_may_start(guard: Guard, starts: bool, peer: str, options: dict[str, object]) -> None:
    started, words = guard(peer, **options)
    assert started is starts, words
    assert starts or "boot guard: " in words


def test_what_a_disk_that_was_put_back_has_lost(guard: Guard, tmp_path: Path) -> None:
    """A standby has no more of a timeline than its primary: the WAL from the checkpoint to there has to be whole."""
    started, words = guard("standby 1 0 - 0 0/4000060", ends="0/4000060")
    assert not started
    assert "pg2 has WAL of this timeline up to 0/4000060, which this server has lost" in words
    assert "run playbooks/failover.yml" in words
    read = (tmp_path / "read").read_text(encoding="utf-8")
    assert "--timeline 1 " in read and "--start 0/3000028 --end 0/4000060" in read
