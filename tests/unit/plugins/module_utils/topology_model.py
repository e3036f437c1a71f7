# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers, machines and links as a small model, and every command carried out on it by the real planner.

A server's data is the sequence of what was written to it: ("w", number) a row that was acknowledged, ("t", timeline,
server) a promotion. One server has everything of another if its sequence begins with the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

from ansible_collections.odoo_deploy.stack.plugins.module_utils import postgres_topology as topology

Data = tuple[tuple[Any, ...], ...]
Record = tuple[int, int, int, int]  # number, timeline, covers, server


class Machine(NamedTuple):
    """on: has power; cut: only clients reach it; runs: PostgreSQL runs; clean: it was shut down; was: a primary.

    asked: the timeline of a promotion that was asked for and has not happened yet; a stop of PostgreSQL forgets it.
    """

    on: bool = True
    cut: bool = False
    runs: bool = True
    signal: bool = True
    clean: bool = False
    was: bool = False
    rewinding: bool = False
    asked: int = 0
    data: Data = ()
    epoch: Record | None = None

    @property
    def writable(self) -> bool:
        return self.on and self.runs and not self.signal

    @property
    def timeline(self) -> int:
        return next((token[1] for token in reversed(self.data) if token[0] == "t"), 1)


class Witness(NamedTuple):
    """A machine without a server. on: it answers commands."""

    on: bool = True
    epoch: Record | None = None


class World(NamedTuple):
    """kept: the acknowledged rows that no failover or rejoin has given up."""

    machines: tuple[Machine, ...]
    kept: frozenset[int] = frozenset()
    rows: int = 0
    witness: Witness | None = None

    def put(self, index: int, **changes: Any) -> World:
        machines = list(self.machines)
        machine = machines[index]._replace(**changes)
        machines[index] = machine if machine.runs and machine.signal else machine._replace(asked=0)
        return self._replace(machines=tuple(machines))


def name(index: int) -> str:
    return f"pg{index + 1}"


def index(server: str) -> int:
    return int(server[2:]) - 1


def healthy(count: int, witness: bool = False) -> World:
    first = (1, 1, 1, 0)
    machines = tuple(Machine(signal=one > 0, was=one == 0, epoch=first) for one in range(count))
    return World(machines, witness=Witness(epoch=first) if witness else None)


def rows(data: Data) -> set[int]:
    return {token[1] for token in data if token[0] == "w"}


def has_all(longer: Data, shorter: Data) -> bool:
    return longer[: len(shorter)] == shorter


def epoch(record: Record | None) -> Any:
    if record is None:
        return None
    number, timeline, covers, server = record
    return {
        "number": number,
        "timeline": timeline,
        "covers": covers,
        "server": name(server),
        "moment": "then",
        "system_identifier": "1",
    }


@lru_cache(1024)
def seen(world: World, missed: tuple[str, ...] = ()) -> topology.Topology:
    """What the planner is told: only of machines that answer, and of a stopped standby's position only a part.

    missed: those that come back just after they were asked.
    """
    states: list[Any] = []
    for one, machine in enumerate(world.machines):
        if not machine.on or machine.cut or name(one) in missed:
            continue
        role = "stopped" if not machine.runs else "standby" if machine.signal else "primary"
        upstream = upstream_of(world, one)
        position = len(machine.data)
        states.append(
            {
                "name": name(one),
                "role": role,
                "version": "15",
                "configured": True,
                "timeline": machine.timeline,
                # The control file of a stopped standby does not know what was received last.
                "lsn_number": max(position - (0 if machine.runs or machine.clean else 1), 0),
                "control": {
                    "system_identifier": "1",
                    "state": "in archive recovery"
                    if not machine.was
                    else "shut down"
                    if machine.clean
                    else "in production",
                },
                "standby_signal": machine.signal,
                "following": upstream is not None,
                "standbys": [
                    {"name": name(other), "state": "streaming", "lag_bytes": 0}
                    for other in range(len(world.machines))
                    if role == "primary" and upstream_of(world, other) == one
                ],
                "rewinding": machine.rewinding,
                "epoch": epoch(machine.epoch),
            }
        )
    records = [epoch(world.witness.epoch)] if world.witness and world.witness.on else []
    return topology.Topology(states, [name(one) for one in range(len(world.machines))], records)


def put_back(world: World) -> Iterator[tuple[str, World]]:
    """The disk of a machine that is off becomes what it was before: rows that no other server has are nobody's now."""
    for one, machine in enumerate(world.machines):
        for end in range(0 if machine.on or machine.signal else len(machine.data)):
            back = world.put(one, data=machine.data[:end])
            left = set().union(*(rows(other.data) for other in back.machines))
            yield (
                f"the disk of {name(one)} is put back by {len(machine.data) - end}",
                back._replace(kept=world.kept & left),
            )


def upstream_of(world: World, one: int) -> int | None:
    """The primary that a running standby can stream from."""
    machine = world.machines[one]
    if not (machine.on and machine.runs and machine.signal) or machine.cut or machine.asked:
        return None
    for other, primary in enumerate(world.machines):
        if primary.writable and not primary.cut and has_all(primary.data, machine.data):
            return other
    return None


def guard_refuses(world: World, one: int, permit: bool, forced: bool = False) -> bool:
    """The boot guard: asks every peer; without a permit all of them have to answer."""
    machine = world.machines[one]
    if machine.rewinding:
        return True
    if machine.signal:
        return False
    for other, peer in enumerate(world.machines):
        if other == one:
            continue
        if not peer.on or not peer.runs or peer.cut or machine.cut:
            if not permit:
                return True
            continue
        number, covers, server = (
            (machine.epoch[0], machine.epoch[2], machine.epoch[3]) if machine.epoch else (0, 0, one)
        )
        newer = peer.epoch is not None and peer.epoch[0] > number and peer.epoch[3] != one
        promised = peer.epoch is not None and peer.epoch[3] == other and peer.epoch[1] > peer.timeline
        if promised and peer.epoch and not (permit and number > peer.epoch[0]):
            return True
        if not forced and len(peer.data) > len(machine.data) and peer.timeline == machine.timeline:
            return True
        if not peer.signal or newer or peer.timeline > max(machine.timeline, covers if server == one else 0):
            return True
    return False


def promoted(world: World, one: int) -> World:
    """What was asked for has happened."""
    machine = world.machines[one]
    return check(world.put(one, signal=False, was=True, data=(*machine.data, ("t", machine.asked, one))))


def started(world: World, one: int) -> World:
    return world.put(one, runs=True, clean=False, was=not world.machines[one].signal)


class Stopped(Exception):
    """An act that did not succeed ends the command."""


@dataclass(eq=False)
class Command:
    """name, the plan it makes, and whether it may give rows up."""

    name: str
    plan: Callable[..., topology.Plan]
    options: dict[str, Any]
    gives_up: bool = False

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value}' for key, value in self.options.items())})"

    def make(self, world: World, missed: tuple[str, ...] = (), **more: Any) -> topology.Plan:
        return self.plan(seen(world, missed), **self.options, **more)


@cache
def commands(count: int) -> list[Command]:
    names = [name(one) for one in range(count)]
    return [
        Command("start", topology.plan_start, {"initial": "pg1"}),
        *(Command("switchover", topology.plan_switchover, {"to": to}) for to in names),
        Command("failover", topology.plan_failover, {}, True),
        *(Command("failover", topology.plan_failover, {"to": to, "force": True}, True) for to in names),
        *(Command("failover", topology.plan_failover, {"to": to}, True) for to in names),
        Command("rejoin", topology.plan_rejoin, {}, True),
        *(Command("rejoin", topology.plan_rejoin, {"only": only}, True) for only in names),
    ]


class Broken(AssertionError):
    """A rule that did not hold."""


def check(world: World) -> World:
    writable = [name(one) for one, machine in enumerate(world.machines) if machine.writable]
    if len(writable) > 1:
        raise Broken(f"{' and '.join(writable)} accept writes")
    return world


def later(before: Record | None, told: Record) -> Record:
    """A machine never replaces a record by one with a lower number."""
    return before if before and before[0] > told[0] else told


def forgets_nobody(world: World, one: int, command: Command) -> None:
    """Unless a person forces it, no server accepts writes that lacks a promotion which a witness has on record."""
    machine, witness = world.machines[one], world.witness
    if not witness or not witness.on or not witness.epoch:
        return
    number, timeline, _covers, server = witness.epoch
    if any(other.on and not other.cut and other.epoch and other.epoch[0] > number for other in world.machines):
        return  # a person has decided since
    last = world.machines[server]
    demoted = last.on and not last.cut and last.signal  # or never promoted: the record is of no more weight then
    known = timeline == 1 or server == one or demoted or ("t", timeline, server) in machine.data
    if not known and not command.options.get("force") and not promoted_nowhere(world, server, timeline):
        raise Broken(f"{command} lets {name(one)} accept writes, and {name(server)} was promoted after it")


def promoted_nowhere(world: World, server: int, timeline: int) -> bool:
    """That promotion was given up since: nobody's data has it."""
    return not any(("t", timeline, server) in machine.data for machine in world.machines)


def act(world: World, step: topology.Act, plan: topology.Plan, command: Command, taken: int) -> Iterator[World]:
    """The states that an act passes through; raises Stopped where it cannot be done. taken: timelines that are used."""
    one = index(step.server)
    machine = world.machines[one]
    if step.act == "power_off":
        yield world.put(one, on=False, runs=False)
        return
    if step.act in ("checkpoint", "follow", "suspend_sync", "resume_sync", "leave", "copy", "create"):
        return
    if not machine.on or machine.cut:
        raise Stopped
    if step.act in ("demote", "fence"):
        # A fast shutdown hands the last record to every standby that streams.
        if machine.runs:
            for other in range(len(world.machines)):
                if step.act == "demote" and machine.writable and upstream_of(world, other) == one:
                    world = world.put(other, data=machine.data)
            world = world.put(one, runs=False, clean=step.act == "demote" and machine.writable)
            yield world
        yield world.put(one, signal=True)
    elif step.act in ("start", "start_guarded", "start_alone"):
        if not machine.runs:
            if guard_refuses(world, one, step.act == "start_alone", bool(command.options.get("force"))):
                raise Stopped
            if not machine.signal:
                lost = world.kept - rows(machine.data)
                if lost and not command.gives_up:
                    raise Broken(f"{command} starts {step.server} without {lost}")
                world = world._replace(kept=world.kept - lost)
            if not machine.signal:
                forgets_nobody(world, one, command)
            yield started(world, one)
    elif step.act == "promote":
        if not (machine.runs and machine.signal):
            raise Stopped
        if command.name == "switchover":
            for other in plan.servers("demote"):
                old = world.machines[index(other)]
                if not has_all(machine.data, old.data) or (not old.clean and not old.signal):
                    raise Stopped
            if world.kept - rows(machine.data):
                raise Broken(f"{command} promotes {step.server} without {world.kept - rows(machine.data)}")
        forgets_nobody(world, one, command)
        world = world._replace(kept=world.kept & rows(machine.data))
        told = seen(world).next_epoch(step.server, max(machine.timeline, taken) + 1, "then")
        # Its own disk has the record before it is asked. That it may take long is left out beside a witness, for speed.
        record = (told["number"], told["timeline"], told["covers"], one)
        world = world.put(one, epoch=later(machine.epoch, record), asked=machine.asked or told["timeline"])
        if not world.witness:
            yield world
        yield promoted(world, one)
    elif step.act == "record":
        primary = index(plan.primary)
        current = world.machines[primary]
        if command.gives_up and command.name == "failover":  # from here on it is decided
            world = world._replace(kept=world.kept & rows(current.data))
        timeline = (
            current.timeline if current.writable or not plan.servers("promote") else max(current.timeline, taken) + 1
        )
        told = seen(world).next_epoch(plan.primary, timeline, "then")
        record = (told["number"], told["timeline"], told["covers"], primary)
        world = world.put(one, epoch=later(machine.epoch, record))
        yield world
        if world.witness and world.witness.on and step == [act for act in plan.acts if act.act == "record"][-1]:
            yield world._replace(witness=Witness(epoch=later(world.witness.epoch, record)))
    elif step.act == "rejoin":
        if machine.writable:
            world = world.put(one, runs=False, signal=True)
            yield world
        world = world.put(one, runs=False, rewinding=True, signal=False)
        yield world
        primary = index(plan.primary)
        data = world.machines[primary].data
        world = world._replace(kept=world.kept - (world.kept - rows(data)) & rows(machine.data))
        yield started(world.put(one, rewinding=False, signal=True, data=data), one)
    else:
        raise AssertionError(step.act)


@cache
def carry_out(world: World, command: Command, meddled: int = 0) -> tuple[list[World], topology.Plan, bool]:
    """Every state that a command passes through, its last plan, and whether it came to its end.

    meddled: after which act somebody switches on every machine that is off, while the command goes on; 0: never.
    """
    done, passed = 0, [world]
    fenced: list[str] = []
    woken: list[str] = []
    # Whoever switches a machine on while the command asks once more may be too late for its answer.
    missed: tuple[str, ...] = ()
    while True:
        more = {"fenced": fenced, "woken": woken} if command.name == "failover" else {}
        if not any(machine.on and not machine.cut for machine in passed[-1].machines):
            return passed, topology.Plan("Nobody answers: Ansible ends."), False
        plan = command.make(passed[-1], missed, **more)
        if plan.refusal:
            if not any(
                word in plan.refusal
                for word in ("run", "yml", "changed", "promote that", "start that", "start a machine")
            ):
                raise Broken(f"{command} names no next command: {plan.refusal}")
            return passed, plan, False
        known = seen(passed[-1], missed)
        taken = known.taken(plan.primary) if plan.primary in known.by_name else 0
        for step in plan.acts:
            try:
                passed += [check(state) for state in act(passed[-1], step, plan, command, taken)]
                done += 1
                if done == meddled:
                    passed.append(check(switched_on(passed[-1])))
            except Stopped:
                if not (plan.again and step.act == "start"):
                    return passed, plan, False
        if not plan.again:
            return passed, plan, True
        fenced += plan.servers("power_off")
        missed = tuple(known.silent) if meddled else ()
        woken += plan.servers("start")


def switched_on(world: World) -> World:
    """Every machine has power, and starts its server if the boot guard lets it."""
    for one, machine in enumerate(world.machines):
        if not machine.on:
            world = world.put(one, on=True)
            if not guard_refuses(world, one, False):
                world = started(world, one)
    return world


def events(world: World, most_rows: int) -> Iterator[tuple[str, World]]:
    """What happens by itself: writes, replication, power, links."""
    for one, machine in enumerate(world.machines):
        if machine.writable and world.rows < most_rows:
            row = world.rows + 1
            changed = world.put(one, data=(*machine.data, ("w", row)))
            yield f"row {row} on {name(one)}", changed._replace(rows=row, kept=world.kept | {row})
        if machine.on and machine.asked:
            yield f"{name(one)} is promoted", promoted(world, one)
        upstream = upstream_of(world, one)
        if upstream is not None and world.machines[upstream].data != machine.data:
            yield f"{name(one)} receives", world.put(one, data=world.machines[upstream].data)
        if machine.on:
            down = world.put(one, on=False, runs=False)
            yield f"power of {name(one)} goes", down
        else:
            booted = world.put(one, on=True)
            yield f"power of {name(one)} comes", booted
        if machine.on and not machine.runs and not guard_refuses(world, one, False):
            if not machine.signal and world.kept - rows(machine.data):
                raise Broken(f"the boot guard starts {name(one)} without {world.kept - rows(machine.data)}")
            yield f"{name(one)} starts", started(world, one)
        yield f"link of {name(one)} {'heals' if machine.cut else 'is cut'}", world.put(one, cut=not machine.cut)
    if world.witness:
        on = not world.witness.on
        yield f"the witness {'answers' if on else 'is away'}", world._replace(witness=world.witness._replace(on=on))


def healed(world: World) -> World:
    """Power and links are back, and what may start by itself has started."""
    for one in range(len(world.machines)):
        world = world.put(one, on=True, cut=False)
        world = promoted(world, one) if world.machines[one].asked else world
    if world.witness:
        world = world._replace(witness=world.witness._replace(on=True))
    for _round in world.machines:
        for one, machine in enumerate(world.machines):
            if not machine.runs and not guard_refuses(world, one, False):
                world = started(world, one)
    return world


def well(world: World) -> bool:
    """One primary, and every other server follows it."""
    primaries = [one for one, machine in enumerate(world.machines) if machine.writable]
    return len(primaries) == 1 and all(
        one in primaries or upstream_of(world, one) == primaries[0] for one in range(len(world.machines))
    )


@cache
def documented(world: World) -> World:
    """What docs/operations.md says to do when all is back: step 3, a switchover that was cut off, failover, rejoin."""
    order = [one for one in commands(len(world.machines)) if not one.options.get("force")]
    for step in ("start", "switchover", "failover", "rejoin"):
        for one in order:
            if one.name != step or well(world):
                continue
            if step != "rejoin" and any(machine.writable for machine in world.machines):
                continue
            kept = one.options.get("only")
            if kept and (world.machines[index(kept)].writable or upstream_of(world, index(kept)) is not None):
                continue
            world = carry_out(world, one)[0][-1]
    return world
