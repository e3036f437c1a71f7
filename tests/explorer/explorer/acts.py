# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can happen to the servers, each as one line of text.

"kill pg1", "failover killed at 12+0.4" and "rejoin beside failover" are such lines.

A sequence is a list of such lines, in a file as in a message; parse() and str() are each other's reverse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

# The other end of a link that is no server: whoever writes rows, and whoever runs the commands.
CLIENT = "client"

# Faults and repairs, with the number of machines that each names.
FAULTS = {
    "kill": 1,  # the machine loses power
    "start": 1,  # its power is back
    "stop": 1,  # somebody stops PostgreSQL's unit
    "crash": 1,  # kill -9 of the postmaster
    "hang": 1,  # SIGSTOP of all of PostgreSQL's processes
    "resume": 1,  # SIGCONT
    "freeze": 1,  # the whole machine stands still
    "thaw": 1,
    "cut": 2,  # packets between two machines vanish; between a server and the client all but ssh
    "heal": 2,
    "isolate": 1,  # packets between the machine and everybody vanish, ssh too
    "join": 1,  # they do not any more
    "fill": 1,  # the disk of the WAL has no room left
    "free": 1,
    "wait": 0,  # seconds in which nothing happens, given as a number
}
# The operator's commands.
COMMANDS = ("switchover", "failover", "rejoin", "step3", "status")
# Those that take the name of a server, and the variable that it is given by.
NAMING = {
    "switchover": "postgres_switchover_to",
    "failover": "postgres_failover_to",
    "rejoin": "postgres_rejoin",
}


@dataclass(frozen=True)
class Act:
    """One line of a sequence."""

    kind: str
    machines: tuple[str, ...] = ()
    seconds: float = 0.0  # of "wait"
    killed_at: int = 0  # the command is killed after this task, counted from 1, has begun; 0 lets it end
    killed_after: float = 0.0  # seconds later
    beside: str = ""  # a second command that somebody else gives at the same time

    def __str__(self) -> str:
        words = [self.kind, *self.machines]
        if self.kind == "wait":
            words.append(f"{self.seconds:g}")
        if self.killed_at:
            words.append(f"killed at {self.killed_at}+{self.killed_after:g}")
        if self.beside:
            words.append(f"beside {self.beside}")
        return " ".join(words)

    @property
    def is_command(self) -> bool:
        return self.kind in COMMANDS

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that are given in it."""
        return tuple(name for name in (self.kind, self.beside) if name in COMMANDS)

    @property
    def whole(self) -> Act:
        """The same without its kill and without the second command."""
        return replace(self, killed_at=0, killed_after=0.0, beside="")


LINE = re.compile(
    r"(?P<kind>[a-z]+\d?)(?P<words>(?: (?!killed |beside )[\w.]+)*)"
    r"(?: killed at (?P<at>\d+)\+(?P<after>[\d.]+))?(?: beside (?P<beside>\w+))?"
)


def parse(line: str) -> Act:
    """Raises ValueError that names the line."""
    found = LINE.fullmatch(" ".join(line.split()))
    if not found:
        raise ValueError(f"no act: {line!r}")
    kind, words = found["kind"], tuple(found["words"].split())
    if kind not in FAULTS and kind not in COMMANDS:
        raise ValueError(f"no such act: {line!r}; there are {', '.join([*FAULTS, *COMMANDS])}")
    if kind in FAULTS and (found["at"] or found["beside"]):
        raise ValueError(f"only a command can be killed or have another beside it: {line!r}")
    if found["beside"] and found["beside"] not in COMMANDS:
        raise ValueError(f"no such command beside: {line!r}; there are {', '.join(COMMANDS)}")
    if kind == "wait":
        if len(words) != 1:
            raise ValueError(f"wait takes a number of seconds: {line!r}")
        return Act(kind, seconds=float(words[0]))
    if kind in FAULTS and len(words) != FAULTS[kind]:
        raise ValueError(f"{kind} takes {FAULTS[kind]} machines: {line!r}")
    if kind in COMMANDS and len(words) > (1 if kind in NAMING else 0):
        raise ValueError(f"too many words: {line!r}")
    return Act(
        kind,
        words,
        killed_at=int(found["at"] or 0),
        killed_after=float(found["after"] or 0),
        beside=found["beside"] or "",
    )
