# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps may begin, by what they need of the others. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from runner.steps import STEPS, Ahead, Step

DECLARED = "embedded"  # the kind of cluster whose address stands in nodes.yml


def startable(waiting: Sequence[Step], pending: Collection[int], cluster: str) -> list[Step]:
    """Those of the waiting steps that need nothing which is still to come.

    pending: numbers of this run's steps that are not applied yet; what is not in this run is taken as it is.
    cluster: the kind of cluster that step 1 took, empty before it chose.
    """
    return [step for step in waiting if not _needs(step, cluster) & set(pending)]


def preparable(ahead: Sequence[tuple[Step, Ahead]], pending: Collection[int], cluster: str) -> list[tuple[Step, Ahead]]:
    """What can be done ahead now, of each step the first that is left; the other parameters are startable's."""
    first = {step.number: (step, part) for step, part in reversed(ahead)}.values()
    needs = {part: set(part.needs) | _addresses(part.addresses_of, cluster) for _step, part in ahead}
    return [(step, part) for step, part in reversed(first) if not needs[part] & set(pending)]


def stands_on(step: Step) -> set[int]:
    """Numbers of all steps below this one: what is wrong with them explains why this one fails."""
    return set(step.needs).union(*(stands_on(STEPS[number - 1]) for number in step.needs))


def _needs(step: Step, cluster: str) -> set[int]:
    return stands_on(step) | _addresses(step.addresses_of, cluster)


def _addresses(made_by: int, cluster: str) -> set[int]:
    """The step that makes the addresses, where they are not declared."""
    return {made_by} if cluster != DECLARED else set()


@dataclass(frozen=True)
class Span:
    """One piece of work of a run. began and ended: seconds since the run began; phase: prepare, apply or verify."""

    step: int
    title: str
    phase: str
    began: float
    ended: float


def critical_path(spans: Sequence[Span]) -> list[Span]:
    """The chain of work that decided how long the run took, in order: each piece began when the one before ended."""
    chain: list[Span] = []
    last = max(spans, key=lambda span: span.ended, default=None)
    while last:
        chain.insert(0, last)
        before = [span for span in spans if span.ended <= last.began + 1 and span.began < last.began]
        last = max(before, key=lambda span: span.ended, default=None)
    return chain


def bars(spans: Sequence[Span], width: int = 48) -> list[str]:
    """The run as lines of text: one bar a piece of work, the critical path marked by `*`."""
    if not spans:
        return []
    whole = max(span.ended for span in spans) or 1.0
    critical = critical_path(spans)
    title = max(len(span.title) for span in spans)
    text = []
    for span in sorted(spans, key=lambda span: (span.began, span.step)):
        begin = round(span.began / whole * width)
        length = max(round(span.ended / whole * width) - begin, 1)
        drawn = f"{' ' * begin}{('▒' if span.phase == 'verify' else '█') * length}".ljust(width + 1)
        mark = "*" if span in critical else " "
        text.append(
            f"{mark} {span.step}. {span.title:<{title}}  {span.phase:<7}  {drawn}  {span.ended - span.began:6.1f} s"
        )
    return [*text, f"  {whole:.1f} s in all; * is what the run waited for"]
