# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One command at a time may change which PostgreSQL server is the primary: a lock on each server.

Two things end a lock whose holder died. The holder renews it at every act, and after C(lifetime) seconds without that
it is free; the seconds are counted by the server's own clock since its start, which nobody sets. And an act that is
being carried out holds C(flock) on the folder's C(busy), which the kernel gives up with the process: one that a killed
command has left behind is waited for.

The record is in memory, C(/run): a full disk does not keep a failover from its lock, and a reboot, which ends every act
on the server, ends the lock as well. Its holder is refused from then on, and the other servers keep theirs.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

FOLDER = Path("/run/postgres-ha")
LIFETIME = 900
# Whatever an act needs that is no module's, such as a copy of the data, holds this file, too.
BUSY, HOLDER = "busy", "holder.json"


class Refused(RuntimeError):
    """The lock is another's, or no longer this command's."""


@dataclass(frozen=True)
class Holder:
    """Who has the lock. run: one ansible-playbook, on whatever server; place and process tell where it runs.

    taken, renewed: seconds since the start of the server that the lock is on.
    """

    run: str
    owner: str
    command: str
    place: str = ""
    process: str = ""
    lifetime: int = LIFETIME
    taken: float = 0
    renewed: float = 0

    def idle(self, now: float) -> float:
        """Seconds without a renewal."""
        return now - self.renewed

    def age(self, now: float) -> float:
        return now - self.taken

    def expired(self, now: float) -> bool:
        return self.idle(now) >= self.lifetime


@dataclass(frozen=True)
class Decision:
    """granted: the asker has the lock. after: what to write, None for nothing there. other: who else has or had it."""

    granted: bool
    after: Holder | None
    other: Holder | None = None
    why: str = ""


def take(held: Holder | None, asker: Holder, now: float, gone: str = "") -> Decision:
    """gone: the run that is known to be dead, or that a person gives up by its name."""
    fresh = replace(asker, taken=now, renewed=now)
    if held is None:
        return Decision(True, fresh)
    if held.run == asker.run:  # a command within a command: the outer one gives it back
        return Decision(True, replace(fresh, command=held.command, taken=held.taken))
    if held.run == gone:
        return Decision(True, fresh, held, "it runs no longer, or was given up")
    if held.expired(now):
        return Decision(True, fresh, held, f"it has not renewed it for {spoken(held.idle(now))}")
    return Decision(False, held, held)


def renew(held: Holder | None, run: str, now: float, lifetime: int = 0) -> Decision:
    """Whoever lost the lock must not go on, though it may be free again: others have acted meanwhile.

    lifetime: 0 leaves what it has.
    """
    if held is None or held.run != run:
        return Decision(False, held, held)
    return Decision(True, replace(held, renewed=now, lifetime=lifetime or held.lifetime))


def give_back(held: Holder | None, run: str, command: str) -> Decision:
    """Only the command that took it; what it calls leaves it there."""
    mine = held is not None and held.run == run and held.command == command
    return Decision(mine, None if mine else held, None if mine else held)


def spoken(seconds: float) -> str:
    """C(40 s), C(12 min), C(3 h 5 min)."""
    minutes = int(seconds) // 60
    if minutes < 2:
        return f"{int(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def refusal(server: str, held: Holder, now: float) -> str:
    """What a person reads who is not the holder."""
    left = max(held.lifetime - held.idle(now), 0)
    return (
        f"{held.owner} runs {held.command} since {spoken(held.age(now))}, and has the lock on {server} (run {held.run},"
        f" renewed {spoken(held.idle(now))} ago). Nothing was changed. Wait until that command has ended; if it was"
        f" killed, the lock is free in {spoken(left)}, or at once by -e postgres_ha_break_lock={held.run}."
    )


def clock() -> float:
    """Seconds since this machine's start, those in which it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Folder:
    """The lock of this machine, in a folder of root's."""

    def __init__(self, path: Path = FOLDER) -> None:
        self.path = path

    @contextlib.contextmanager
    def alone(self, wait: float) -> Iterator[None]:
        """No other process decides or acts here meanwhile; raises Refused where one does for longer than wait."""
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Readable: what runs as the server's user, such as a copy of the data, holds it as well.
        descriptor = os.open(self.path / BUSY, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        end = time.monotonic() + wait
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise Refused(self._busy()) from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)

    def _busy(self) -> str:
        held = self.read()
        of = f" of {held.command} by {held.owner} (run {held.run})" if held else ""
        return (
            f"An act{of} is still being carried out on this machine: wait for its end, or end what holds"
            f" {self.path / BUSY} (fuser), then run this again"
        )

    def read(self) -> Holder | None:
        path = self.path / HOLDER
        try:
            told: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return Holder(**told)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise Refused(f"{path} is damaged: look whether a command is under way, then remove it") from None

    def write(self, held: Holder | None) -> None:
        path = self.path / HOLDER
        if held is None:
            path.unlink(missing_ok=True)
            return
        new = path.with_name(f"{HOLDER}.new")
        with new.open("w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(held)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    def settle(self, decision: Decision) -> Decision:
        if decision.granted:
            self.write(decision.after)
        return decision

    @contextlib.contextmanager
    def acting(self, run: str | None, wait: float = 5) -> Iterator[None]:
        """For an act: only while run has the lock, renewed; without a run whoever calls it answers for that."""
        if not run:
            yield
            return
        with self.alone(wait):
            held = self.read()
            decision = renew(held, run, clock())
            if not decision.granted:
                now = f"{held.owner} with {held.command} has it now" if held else "it was given back"
                raise Refused(f"This command has lost the lock on this machine, {now}: run it again")
            self.settle(decision)
            yield
            self.settle(renew(self.read(), run, clock()))
