# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every state that kills, power cuts, cut links and the commands lead to: never two primaries, never a lost row."""

from __future__ import annotations

import time
from collections import deque

import pytest
import topology_model as model


def trace(states: dict[model.World, tuple[model.World | None, str]], world: model.World) -> str:
    """How a state was reached."""
    steps = []
    at: model.World | None = world
    while at is not None:
        before, what = states[at]
        steps.append(what)
        at = before
    return " -> ".join(reversed(steps))


def explore(count: int, most_rows: int, depth: int, timelines: int, witness: bool) -> tuple[int, int]:
    """Breadth first, so that what breaks a rule is shown by its shortest way. Returns states and plans carried out."""
    start = model.healthy(count, witness)
    states: dict[model.World, tuple[model.World | None, str]] = {start: (None, "healthy")}
    queue, plans = deque([(start, 0)]), 0
    while queue:
        world, at = queue.popleft()
        try:
            found = list(model.events(world, most_rows))
            for command in model.commands(count):
                passed, plan, ended = model.carry_out(world, command)
                plans += 1
                found += [(f"{command} killed after {step}", state) for step, state in enumerate(passed[1:], 1)]
                for number in range(1, len(plan.acts) if command.name == "failover" else 0):
                    model.carry_out(world, command, number)
                    plans += 1
                if not ended or plan.refusal:
                    continue
                for state in passed[1:-1]:
                    _again, second, _ended = model.carry_out(state, command)
                    plans += 1
                    if not second.refusal and second.primary != plan.primary:
                        raise model.Broken(f"{command} ends with {plan.primary}, again with {second.primary}")
            after = model.documented(model.healed(world))
            if not model.well(after):
                raise model.Broken(f"all is back, and no documented command helps: {after}")
        except model.Broken as broken:
            pytest.fail(f"{broken}: {trace(states, world)}\n{world}")
        if at == depth:
            continue
        for what, state in found:
            if state not in states and all(machine.timeline <= timelines for machine in state.machines):
                states[state] = (world, what)
                queue.append((state, at + 1))
    return len(states), plans


@pytest.mark.parametrize("count", [2, 3])
def test_no_disk_that_was_put_back_hides_a_row(count: int) -> None:
    """A snapshot of the primary's machine: what a standby has of its timeline is served in the end, by whomever."""
    states: dict[model.World, tuple[model.World | None, str]] = {model.healthy(count): (None, "healthy")}
    edge, seen = list(states), 0
    for _step in range(4):
        found = []
        for world in edge:
            for what, state in model.events(world, 2 if count == 2 else 1):
                if "link" not in what and state not in states:
                    states[state] = (world, what)
                    found.append(state)
            for what, state in model.put_back(world):
                after = model.documented(model.healed(state))
                states.setdefault(state, (world, what))
                primary = next((machine for machine in after.machines if machine.writable), model.Machine())
                served = model.rows(primary.data)
                assert model.well(after) and state.kept <= served, f"{trace(states, state)}\n{after}"
                seen += bool(state.kept)
        edge = found
    print(f"\n{count} servers: {seen} disks put back")
    assert seen


@pytest.mark.parametrize(
    ("count", "most_rows", "depth", "timelines", "witness"),
    [(2, 2, 3, 3, False), (3, 1, 1, 3, False), (2, 0, 3, 2, True)],
    ids=["two", "three", "two-and-witness"],
)
def test_every_state(count: int, most_rows: int, depth: int, timelines: int, witness: bool) -> None:
    began = time.monotonic()
    states, plans = explore(count, most_rows, depth, timelines, witness)
    beside = " and a witness" if witness else ""
    print(f"\n{count} servers{beside}: {states} states, {plans} plans, {time.monotonic() - began:.1f} s")
    assert states > 30
