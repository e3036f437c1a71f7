# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which step may begin when, and what a run waited for."""

from __future__ import annotations

import itertools

import pytest

from runner.schedule import Span, bars, critical_path, preparable, stands_on, startable
from runner.steps import STEPS, Ahead, Step, parse_steps


def ahead_of(waiting: str) -> list[tuple[Step, Ahead]]:
    return [(step, part) for step in parse_steps(waiting) for part in step.ahead]


def begin(waiting: str, pending: str, cluster: str = "embedded") -> list[int]:
    steps = parse_steps(waiting)
    return [step.number for step in startable(steps, {int(number) for number in pending.split()}, cluster)]


@pytest.mark.parametrize(
    ("waiting", "pending", "cluster", "may"),
    [
        ("1-5", "1 2 3 4 5", "", [1]),  # nobody knows yet which cluster it will be
        ("2-5", "1 2 3 4 5", "embedded", [3]),
        ("2-5", "1 2 3 4 5", "minikube", []),
        ("2-5", "1 2 3 4 5", "context", []),
        ("2-5", "2 3 4 5", "minikube", [2, 3]),
        ("4-5", "2 3 4 5", "embedded", []),
        ("4-5", "2 4 5", "embedded", [4]),
        ("5", "4 5", "embedded", []),
        ("5", "5", "embedded", [5]),
        ("5", "3 5", "embedded", []),  # 4 is not in this run, but what it stands on is
        ("2,4", "2 4", "", [2, 4]),
        ("3", "3", "", [3]),
    ],
)
def test_what_may_begin(waiting: str, pending: str, cluster: str, may: list[int]) -> None:
    assert begin(waiting, pending, cluster) == may


@pytest.mark.parametrize(
    ("waiting", "pending", "cluster", "may"),
    [
        ("1-5", "1 2 3 4 5", "", [4]),  # machines have addresses in a network that nobody knows yet
        ("1-5", "1 2 3 4 5", "embedded", [4, 5]),
        ("1-5", "1 2 3 4 5", "minikube", [4]),
        ("2-5", "2 3 4 5", "minikube", [4, 5]),
        ("1-3", "1 2 3", "embedded", []),
    ],
)
def test_what_may_be_done_ahead(waiting: str, pending: str, cluster: str, may: list[int]) -> None:
    found = preparable(ahead_of(waiting), {int(number) for number in pending.split()}, cluster)
    assert [step.number for step, _part in found] == may
    assert all(part == step.ahead[0] for step, part in found)


def test_an_image_is_loaded_once_there_is_a_cluster() -> None:
    """Its second part waits for step 1, and for the first part."""
    left = ahead_of("1-5")[1:]
    assert "odoo_image_load" not in [part.name for _step, part in preparable(left, {1, 2, 3, 4, 5}, "embedded")]
    assert "odoo_image_load" in [part.name for _step, part in preparable(left, {2, 3, 4, 5}, "embedded")]
    assert "odoo_image_load" not in [part.name for _step, part in preparable(ahead_of("1-5"), {2, 3, 4, 5}, "embedded")]


@pytest.mark.parametrize("cluster", ["", "embedded", "minikube", "context"])
def test_every_selection_comes_to_its_end_in_an_order_that_holds(cluster: str) -> None:
    """Whichever of the steps that may begin ends first: none begins before one that it stands on, and none is left."""
    for count in range(1, len(STEPS) + 1):
        for selected in itertools.combinations(STEPS, count):
            for pick in (0, -1):
                waiting, done = list(selected), []
                while waiting:
                    ready = startable(waiting, {step.number for step in waiting}, cluster)
                    assert ready, f"{[step.number for step in waiting]} wait for each other"
                    done.append(ready[pick])
                    waiting.remove(ready[pick])
                for before, after in itertools.combinations(done, 2):
                    assert after.number not in stands_on(before)


SPANS = [
    Span(1, "Cluster", "apply", 0, 20),
    Span(3, "PostgreSQL", "apply", 1, 60),
    Span(1, "Cluster", "verify", 20, 25),
    Span(4, "Odoo", "apply", 60.2, 100),
]


def test_critical_path() -> None:
    assert [(span.step, span.phase) for span in critical_path(SPANS)] == [(3, "apply"), (4, "apply")]
    assert critical_path([]) == []


def test_bars() -> None:
    text = bars(SPANS)
    assert [line[:4] for line in text[:4]] == ["  1.", "* 3.", "  1.", "* 4."]
    assert text[-1].startswith("  100.0 s in all")
    assert bars([]) == []
