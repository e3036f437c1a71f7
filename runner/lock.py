# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time. The kernel drops the lock with the process, so no kill leaves it behind."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.exits import Exit, Failure

INHERITED = "ODOO_DEPLOY_LOCK_FD"  # the lock survives the exec into the virtual environment


@dataclass(frozen=True)
class Holder:
    """Who holds the lock; started is local time, ISO 8601 to the second."""

    pid: int
    command: str
    started: str


def holder(path: Path) -> Holder | None:
    """Who holds the lock now, None when nobody does (or says so)."""
    try:
        with path.open(encoding="utf-8") as file:
            if _try(file.fileno(), fcntl.LOCK_SH):
                return None
            return Holder(**json.load(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):  # taken a moment ago, not yet written
        return Holder(0, "another run", "a moment ago")


def acquire(path: Path, command: str) -> int:
    """Takes the lock for the life of this process; raises Failure naming the holder.

    Returns the descriptor, which exec passes on in ODOO_DEPLOY_LOCK_FD.
    """
    inherited = os.environ.pop(INHERITED, "")
    if inherited.isdecimal() and _is(int(inherited), path):
        descriptor = int(inherited)
        os.set_inheritable(descriptor, False)  # children end with us, yet must not hold it for us
        return descriptor
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _try(descriptor, fcntl.LOCK_EX):
            os.close(descriptor)
            raise _locked(holder(path))
        if _is(descriptor, path):
            break
        os.close(descriptor)  # a teardown --purge removed the file between the two calls
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(Holder(os.getpid(), command, now))).encode(), 0)
    return descriptor


def hand_over(descriptor: int) -> None:
    """Lets the program this process execs into keep the lock."""
    os.set_inheritable(descriptor, True)
    os.environ[INHERITED] = str(descriptor)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _locked(who: Holder | None) -> Failure:
    who = who or Holder(0, "another run", "a moment ago")
    return Failure(
        Exit.LOCKED,
        "LOCKED",
        f"another run is at work here: {who.command} (process {who.pid}, since {who.started})",
        advice="wait for it, or press Ctrl-C in its terminal; nothing was changed",
    )
