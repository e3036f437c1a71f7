# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A seed makes a sequence: the same seed, the same acts, on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from explorer.acts import CLIENT, Act
from explorer.model import World

# How often each is drawn, where it is possible. Repairs are frequent, so that commands meet machines that came back.
WEIGHTS = {
    "kill": 5.0,
    "start": 9.0,
    "stop": 1.5,
    "crash": 1.0,
    "hang": 1.5,
    "resume": 3.0,
    "freeze": 1.5,
    "thaw": 3.0,
    "cut": 1.5,
    "heal": 2.0,
    "isolate": 2.0,
    "join": 4.0,
    "fill": 0.5,
    "free": 3.0,
    "wait": 0.5,
    "switchover": 4.0,
    "failover": 7.0,
    "rejoin": 5.0,
    "step3": 4.0,
}
KILLED = 0.25
BESIDE = 0.1
# Tasks in which a command is killed: beyond the last one it is let end.
LAST_TASK = {"switchover": 24, "failover": 18, "rejoin": 20, "step3": 60}
SYNCHRONOUS = 0.2


@dataclass(frozen=True)
class Sequence:
    """What is run on fresh servers.

    sync: a commit waits for the standby. closing: the command that an operator begins with at the end.
    """

    acts: tuple[Act, ...]
    sync: bool = False
    closing: str = "status"
    patroni: bool = False
    servers: int = 2

    def with_acts(self, acts: tuple[Act, ...]) -> Sequence:
        """The same with other acts."""
        return replace(self, acts=acts)

    def __str__(self) -> str:
        kind = [
            f"{self.servers} servers",
            *(["patroni"] if self.patroni else []),
            *(["synchronous"] if self.sync else []),
        ]
        return f"({', '.join(kind)}) {'; '.join(map(str, self.acts))}; all is healed; {self.closing}"


def choices(world: World) -> Iterator[Act]:
    """Every act that is possible, commands without kills."""
    pairs = [
        world.link(one, other)
        for one in world.servers
        for other in (*world.machines, CLIENT)
        if one < other or other == CLIENT
    ]
    for kind in WEIGHTS:
        candidates: list[Act]
        if kind in ("cut", "heal"):
            candidates = [Act(kind, pair) for pair in dict.fromkeys(pairs)]
        elif kind == "wait":
            candidates = [Act(kind, seconds=8)]
        elif kind in ("switchover", "failover", "rejoin", "step3"):
            candidates = [Act(kind)]
        else:
            candidates = [Act(kind, (name,)) for name in world.machines]
        yield from (act for act in candidates if world.possible(act))


def draw(seed: int, length: int, world: World) -> Sequence:
    """The sequence of a seed on servers without a fault."""
    source = random.Random(f"{seed}/{len(world.servers)}/{world.patroni}")
    healthy = world
    acts: list[Act] = []
    while len(acts) < length:
        options = list(choices(world))
        # Nothing has happened yet: a command that only puts right what is wrong has nothing to do.
        if world == healthy and not any(act.commands for act in acts):
            options = [act for act in options if act.kind not in ("rejoin", "step3", "wait")]
        # A command straight after itself shows little.
        if acts and not acts[-1].killed_at:
            options = [act for act in options if act.kind != acts[-1].kind or act.machines]
        act = source.choices(options, [weight(option, options) for option in options])[0]
        acts.append(altered(act, source))
        world = world.after(acts[-1])
    return Sequence(
        tuple(acts),
        sync=source.random() < SYNCHRONOUS,
        closing=source.choice(("status", "step3")),
        patroni=world.patroni,
        servers=len(world.servers),
    )


def weight(option: Act, options: list[Act]) -> float:
    """A kind's weight, shared by the machines that it could be done to."""
    return WEIGHTS[option.kind] / sum(other.kind == option.kind for other in options)


def altered(act: Act, source: random.Random) -> Act:
    """A command may be killed in some task, or somebody else may give a second one at the same moment."""
    if not act.is_command:
        return act
    chance = source.random()
    if chance < KILLED:
        task = source.randint(1, LAST_TASK[act.kind])
        return Act(act.kind, act.machines, killed_at=task, killed_after=round(source.uniform(0, 1.5), 1))
    if chance < KILLED + BESIDE:
        return Act(act.kind, act.machines, beside=source.choice(("switchover", "failover", "rejoin", "step3")))
    return act


def halfway(sequence: Sequence, count: int) -> list[Sequence]:
    """The same so many times, each with one of its commands, the closing one too, killed at another of its tasks."""
    commands = [place for place, act in enumerate(sequence.acts) if act.kind in LAST_TASK]
    if sequence.closing in LAST_TASK:
        commands.append(len(sequence.acts))
    acts = (*sequence.acts, Act(sequence.closing))
    rounds = -(-count // len(commands)) if commands else 0
    made = []
    for number in range(count if commands else 0):
        place, turn = commands[number % len(commands)], number // len(commands)
        task = 1 + turn * LAST_TASK[acts[place].kind] // rounds
        killed = replace(acts[place].whole, killed_at=task, killed_after=0.3)
        made.append(sequence.with_acts((*sequence.acts[:place], killed, *sequence.acts[place + 1 :])))
    return made
