# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends what a killed run left behind: its playbooks and modules, told by a mark in their environment.

Daemons a step started on purpose (a hypervisor, ssh's shared connections) carry the mark too; they are
neither our Python nor below it, so they stay.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

MARK = "ODOO_DEPLOY_RUN"  # its value is the folder of the deployment
JOB = "ODOO_DEPLOY_JOB"  # its value is one program that a run started


def marked(mark: str, proc: Path = Path("/proc"), variable: str = MARK) -> set[int]:
    """Pids of the Pythons and shells that carry the mark in that variable, with all their descendants."""
    children: dict[int, list[int]] = {}
    roots: list[int] = []
    needle = f"{variable}={mark}".encode()
    for entry in proc.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            pid, parent = int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            program = (entry / "cmdline").read_bytes().split(b"\0")[0].rpartition(b"/")[2]
            children.setdefault(parent, []).append(pid)
            if (program.startswith(b"python") or program in (b"sh", b"bash")) and needle in (
                entry / "environ"
            ).read_bytes().split(b"\0"):
                roots.append(pid)
        except (OSError, ValueError, IndexError):  # ended meanwhile, or another user's
            continue
    found: set[int] = set()
    while roots:
        pid = roots.pop()
        if pid not in found:
            found.add(pid)
            roots.extend(children.get(pid, ()))
    return found - {os.getpid()}


def end(
    mark: str, patience: float = 10.0, on_wait: Callable[[int], None] = lambda count: None, variable: str = MARK
) -> int:
    """Asks every marked process to end, then insists; returns how many there were."""
    pids = marked(mark, variable=variable)
    if not pids:
        return 0
    on_wait(len(pids))
    _signal(pids, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while pids & _alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(pids | marked(mark, variable=variable), signal.SIGKILL)
    return len(pids)


def _signal(pids: set[int], signum: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def _alive(pids: set[int]) -> set[int]:
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            alive.add(pid)
    return alive
