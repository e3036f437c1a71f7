# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which process on which kernel a run is, and whether another one still lives."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

PROC = Path("/proc")


def place(proc: Path = PROC) -> str:
    """The kernel's start and the namespace that process ids belong to; empty where that cannot be told."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {(proc / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def process(pid: int, proc: Path = PROC) -> str:
    """The process id and when it began, which together are never used again; empty without such a process.

    One that has ended and was not collected yet is none.
    """
    try:
        # The name, in parentheses, may have spaces and parentheses itself.
        fields = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{pid} {fields[19]}"


def command() -> int:
    """Id of ansible-playbook's own process, asked there or in one of its workers.

    0 in a worker that was left when it was killed. That one's parent is init, which never ends.
    """
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return os.getpid()
    return parent.pid if os.getppid() == parent.pid else 0


def dead(where: str, which: str, proc: Path = PROC) -> bool:
    """True only if that process would be seen here and is not."""
    if not where or not which or where != place(proc):
        return False
    pid = int(which.split()[0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's, which /proc may hide
        now = process(pid, proc)
        return bool(now) and now != which
    return process(pid, proc) != which
