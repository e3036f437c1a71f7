# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what was seen: who accepted writes, which acknowledged rows are gone, and where commands led."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from explorer.acts import Act

Rows = Mapping[str, frozenset[int]]  # numbers of the rows, by writer


@dataclass(frozen=True)
class Seen:
    """One server, looked at once. A server that does not answer accepts no writes and shows no rows."""

    server: str
    moment: float
    writable: bool = False
    standby: bool = False
    streams: bool = False
    timeline: int = 0
    rows: Rows | None = None

    def __str__(self) -> str:
        if not self.timeline:
            return f"{self.server} silent"
        role = "WRITABLE" if self.writable else "standby" if self.standby else "primary, no writes"
        return f"{self.server} {role} on {self.timeline}{' streams' if self.streams else ''}"


@dataclass(frozen=True)
class Row:
    """A row that a server acknowledged to a client."""

    writer: str
    number: int
    moment: float


@dataclass(frozen=True)
class Step:
    """An act and the servers as they were seen after it."""

    act: Act
    began: float
    ended: float
    seen: tuple[Seen, ...]
    code: int = 0  # of the command, or of the first of two
    output: str = ""

    @property
    def writable(self) -> list[str]:
        return [seen.server for seen in self.seen if seen.writable]

    def of(self, server: str) -> Seen | None:
        return next((seen for seen in self.seen if seen.server == server), None)


@dataclass(frozen=True)
class Violation:
    """What must never be; kind is what shrinking keeps."""

    kind: str
    message: str
    step: int = -1  # the act after which it was seen; -1 at the end

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass
class History:
    """Everything that was seen in one sequence. The first step is the fresh servers."""

    servers: tuple[str, ...]
    sync: bool = False
    patroni: bool = False
    steps: list[Step] = field(default_factory=list)
    acknowledged: list[Row] = field(default_factory=list)
    # Primaries that wait for no standby in the end, in synchronous mode.
    suspended: list[str] = field(default_factory=list)
    # Seconds for which a machine that stood still under Patroni was seen to accept writes beside its successor.
    moments: list[float] = field(default_factory=list)


def two_primaries(history: History) -> Violation | None:
    """More than one server accepted a write at once."""
    for number, step in enumerate(history.steps):
        if len(step.writable) > 1:
            timelines = ", ".join(f"{seen.server} on timeline {seen.timeline}" for seen in step.seen if seen.writable)
            return Violation("two primaries", f"after {step.act}: {timelines} accept writes", number)
    return None


def primary_after(steps: Sequence[Step], number: int) -> tuple[str, int] | None:
    """The first server that was seen to accept writes from a step on, and the step."""
    for later in range(number, len(steps)):
        if steps[later].writable:
            return steps[later].writable[0], later
    return None


def primary_before(steps: Sequence[Step], number: int) -> str | None:
    """The last server that was seen to accept writes before a step."""
    for step in reversed(steps[:number]):
        if step.writable:
            return step.writable[0]
    return None


def rows_before(steps: Sequence[Step], number: int, server: str) -> Rows:
    """The rows that a server held when it last showed them before a step."""
    for step in reversed(steps[:number]):
        seen = step.of(server)
        if seen is not None and seen.rows is not None:
            return seen.rows
    return {}


def is_unplanned(act: Act, patroni: bool) -> bool:
    """Whether the act may change the primary without the old one's last rows."""
    if "failover" in act.commands:
        return True
    # Patroni promotes by itself when the primary is gone, whatever took it away.
    return patroni and "switchover" not in act.commands


def excused(history: History) -> set[Row]:
    """Rows that may be gone: acknowledged before an unplanned change, and not held by the server promoted in it.

    In synchronous mode there are none.
    """
    rows: set[Row] = set()
    if history.sync:
        return rows
    for number, step in enumerate(history.steps):
        if not is_unplanned(step.act, history.patroni):
            continue
        old, new = primary_before(history.steps, number), primary_after(history.steps, number)
        if new is None or new[0] == old:
            continue
        server, later = new
        if later != number and step.act == step.act.whole and step.code:
            continue  # it was refused; whoever became primary later did so by another act
        held = rows_before(history.steps, number, server)
        moment = history.steps[later].ended
        rows |= {
            row
            for row in history.acknowledged
            if row.moment <= moment and row.number not in held.get(row.writer, frozenset())
        }
    return rows


def lost(history: History) -> list[Row]:
    """Acknowledged rows that the last primary does not hold and that no unplanned change excuses."""
    final = next((seen for seen in history.steps[-1].seen if seen.writable and seen.rows is not None), None)
    if final is None or final.rows is None:
        return []
    rows = final.rows
    gone = {row for row in history.acknowledged if row.number not in rows.get(row.writer, frozenset())}
    return sorted(gone - excused(history), key=lambda row: (row.moment, row.writer))


def rows_lost(history: History) -> Violation | None:
    gone = lost(history)
    if not gone:
        return None
    base = history.steps[0].began
    first, last = gone[0], gone[-1]
    where = [step for step in history.steps if step.began <= last.moment]
    mode = "synchronous mode" if history.sync else "asynchronous mode, beyond what an unplanned change excuses"
    return Violation(
        "rows lost",
        f"{len(gone)} of {len(history.acknowledged)} acknowledged rows are gone ({mode}): acknowledged"
        f" {first.moment - base:.1f} s to {last.moment - base:.1f} s after the start, the last of them in or after"
        f" {where[-1].act if where else 'nothing'}",
    )


def end(history: History, told: str) -> Violation | None:
    """When all is healed and the documented commands were run: one primary, and every other server streams from it."""
    last = history.steps[-1]
    if len(last.writable) != 1:
        return Violation("no primary in the end", f"{last.writable or 'no server'} accepts writes: {told}")
    alone = [seen.server for seen in last.seen if not seen.writable and not seen.streams]
    if alone:
        return Violation("no standby in the end", f"{', '.join(alone)} does not stream: {told}")
    if history.suspended:
        return Violation(
            "no longer synchronous", f"{', '.join(history.suspended)} waits for no standby in the end: {told}"
        )
    return None


def judge(history: History, told: str, finished: bool) -> Violation | None:
    """The first thing that must not be. finished: the documented commands were run to their end."""
    return two_primaries(history) or ((end(history, told) or rows_lost(history)) if finished else None)


def numbers(text: str) -> Rows:
    """Reads "writer:1,2,3" lines."""
    rows: dict[str, frozenset[int]] = {}
    for line in text.splitlines():
        writer, _colon, listed = line.partition(":")
        rows[writer] = frozenset(int(number) for number in listed.split(",") if number)
    return rows
