# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one sequence on a lane: faults and commands under writing clients, the documented commands, the judgement."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from explorer import advice, oracle
from explorer.acts import Act, parse
from explorer.clients import Clients
from explorer.draw import Sequence
from explorer.lane import Lane, Result
from explorer.model import World, final, repairs
from explorer.oracle import History, Seen, Step, Violation

NOTICED = 5.0  # seconds in which Patroni, on a machine that stood still, may find out that its lock is gone
SETTLE = 25.0  # seconds in which standbys may find their primary once everything is well


def world(lane: Lane) -> World:
    return World(lane.servers, patroni=lane.patroni, witnesses=lane.witnesses)


@dataclass
class Outcome:
    """What became of a sequence."""

    sequence: Sequence
    history: History
    violation: Violation | None
    seconds: float
    log: Path | None = None

    def report(self) -> str:
        """The steps with what was seen, and the violation."""
        base = self.history.steps[0].began if self.history.steps else 0.0
        lines = [f"{self.sequence}"]
        for step in self.history.steps:
            servers = ", ".join(map(str, step.seen))
            code = f" -> {step.code}" if step.act.is_command else ""
            lines.append(f"  {step.began - base:6.1f}-{step.ended - base:5.1f} s  {step.act}{code}: {servers}")
            if step.act.is_command and step.code > 0:
                lines.append(f"         says: {advice.message(step.output)[:700]}")
        lines.append(
            f"  {len(self.history.acknowledged)} rows acknowledged; {self.violation or 'nothing wrong'};"
            f" {self.seconds:.0f} s"
        )
        if self.history.moments:
            lines.append(f"  a machine that woke up accepted writes for up to {max(self.history.moments):.1f} s")
        return "\n".join(lines)


def execute(lane: Lane, act: Act) -> tuple[Result, ...]:
    """Does an act; a command's result, both of two."""
    if not act.is_command:
        lane.do(act)
        return ()
    to = act.machines[0] if act.machines else ""
    if not act.beside:
        return (lane.command(act.kind, to, act.killed_at, act.killed_after),)
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(lane.command, act.kind, to, act.killed_at, act.killed_after),
            pool.submit(lane.command, act.beside),
        ]
        return tuple(one.result() for one in both)


class Run:
    """A sequence under way."""

    def __init__(self, lane: Lane, sequence: Sequence) -> None:
        self.lane, self.sequence = lane, sequence
        self.history = History(lane.servers, sync=sequence.sync, patroni=lane.patroni)

    def step(self, act: Act) -> Result | None:
        """Does an act and looks at the servers; what cannot be goes into the history as well."""
        began = time.monotonic()
        results = execute(self.lane, act)
        seen = self._look_after(act)
        output = "\n".join(result.output for result in results)
        code = next((result.code for result in results), 0)
        self.history.steps.append(Step(act, began, time.monotonic(), seen, code, output))
        late = [result for result in results if result.late]
        if late:
            raise Stuck(Violation("hangs", f"{act} did not end", len(self.history.steps) - 1))
        return results[0] if results else None

    def _look_after(self, act: Act) -> tuple[Seen, ...]:
        """What the servers say; after a machine stood still under Patroni, once Patroni ran there again.

        Without a watchdog device nothing else stops a server that wakes up (docs/postgres.md). In synchronous mode it
        acknowledges nothing.
        """
        seen = self.lane.look()
        if act.kind == "thaw" and self.history.patroni and not self.history.sync:
            began = time.monotonic()
            while sum(one.writable for one in seen) > 1 and time.monotonic() < began + NOTICED:
                seen = self.lane.look()
                self.history.moments.append(time.monotonic() - began)
        return seen

    def split(self) -> Violation | None:
        """Whether two servers accepted writes so far."""
        return oracle.two_primaries(self.history)

    def acts(self) -> Violation | None:
        for act in self.sequence.acts:
            self.step(act)
            if broken := self.split():
                return broken
        return None

    def heal(self) -> Violation | None:
        """Takes every fault away and starts machines that a command powered off."""
        for act in repairs(final(self.sequence.acts, world(self.lane))):
            if act.kind == "start" and self.lane.state(act.machines[0]) == "running":
                continue
            self.step(act)
            if broken := self.split():
                return broken
        self.lane.start_all()
        return None

    def close(self) -> Violation | None:
        """Gives the documented commands until the status is good."""
        command = self.sequence.closing
        tried: list[str] = []
        if command == "status" and self.well():
            return None
        for _round in range(advice.MOST):
            result = self.step(parse(command))
            assert result is not None
            if broken := self.split():
                return broken
            if result.code == 0:
                if command == "status" or self.well():
                    return None
                following: str | None = "status"
            else:
                following = advice.following(command, result.output, tried, self.lane.servers[0])
                if following is None and command == "status":
                    following = "step3"  # docs/operations.md: when in doubt, run it
                if following is None:
                    text = advice.message(result.output)[-500:]
                    return Violation("dead end", f"{command} refuses and names no command: {text}")
            tried.append(command)
            command = following or "status"
        return Violation("no end", f"the commands that refusals name lead nowhere: {', '.join(tried)}")

    def well(self) -> bool:
        """What the status would say, without the seconds that it takes."""
        seen = self.lane.look()
        return sum(one.writable for one in seen) == 1 and sum(one.streams for one in seen) == len(seen) - 1

    def settle(self) -> None:
        """Waits for standbys that are on their way."""
        end = time.monotonic() + SETTLE
        while True:
            if self.well() or time.monotonic() > end:
                break
            time.sleep(0.5)
        moment = time.monotonic()
        self.history.steps.append(Step(Act("wait"), moment, moment, self.lane.look()))
        self.history.suspended = self.lane.suspended() if self.history.sync else []


class Stuck(Exception):
    """A violation that ends a sequence at once."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(str(violation))
        self.violation = violation


def explore(lane: Lane, sequence: Sequence) -> Outcome:
    """One sequence from fresh servers to its judgement."""
    began = time.monotonic()
    lane.reset(sequence.sync)
    run = Run(lane, sequence)
    run.history.steps.append(Step(Act("wait"), time.monotonic(), time.monotonic(), lane.look()))
    orders = {"first": lane.servers, "last": tuple(reversed(lane.servers))}
    clients = Clients({name: lane.conninfo(servers) for name, servers in orders.items()})
    clients.start()
    finished = False
    try:
        time.sleep(1)
        violation = run.acts() or run.heal() or run.close()
        finished = violation is None
    except Stuck as stuck:
        violation = stuck.violation
    finally:
        run.history.acknowledged = clients.end()
    if finished:
        run.settle()
        violation = oracle.judge(run.history, str(sequence), finished)
    return Outcome(sequence, run.history, violation, time.monotonic() - began)
