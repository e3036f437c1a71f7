# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a sequence that shows a violation shorter, by running parts of it, as often as is allowed and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from explorer.acts import Act

Acts = tuple[Act, ...]


@dataclass
class Budget:
    """How often a sequence may still be run."""

    runs: int

    def spend(self) -> bool:
        self.runs -= 1
        return self.runs >= 0


def shrink(acts: Sequence[Act], fails: Callable[[Acts], bool], valid: Callable[[Acts], bool], runs: int) -> Acts:
    """The shortest sequence found that still fails. Parts go, halves before single acts; then commands are made whole.

    fails runs a sequence; it is asked at most that many times, and never twice about the same one.
    """
    budget, known = Budget(runs), {}
    best = tuple(acts)

    def try_it(candidate: Acts) -> bool:
        if not candidate or candidate in known or not valid(candidate):
            return False
        if not budget.spend():
            return False
        known[candidate] = fails(candidate)
        return known[candidate]

    size = max(1, len(best) // 2)
    while budget.runs > 0:
        shorter = next((part for part in without(best, size) if try_it(part)), None)
        if shorter is not None:
            best = shorter
            size = min(size, max(1, len(best) // 2))
        elif size > 1:
            size //= 2
        else:
            break
    for index, act in enumerate(best):
        if act != act.whole and try_it((*best[:index], act.whole, *best[index + 1 :])):
            best = (*best[:index], act.whole, *best[index + 1 :])
    return best


def without(acts: Acts, size: int) -> list[Acts]:
    """The sequence without some acts that follow each other, the latest left out first: it is needed least often."""
    return [acts[:start] + acts[start + size :] for start in range(len(acts) - size, -1, -1)]
