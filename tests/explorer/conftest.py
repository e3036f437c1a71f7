# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lanes of machines for the explorer, and which seeds and cases are run on them."""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from explorer import shrink  # noqa: E402
from explorer.case import FOUND, Case, cases  # noqa: E402
from explorer.draw import Sequence, draw, halfway  # noqa: E402
from explorer.explore import Outcome, explore, world  # noqa: E402
from explorer.lane import ROOT, Lane  # noqa: E402
from explorer.model import valid  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("explorer")
    group.addoption("--seeds", type=int, default=0, help="how many fresh sequences are drawn and run")
    group.addoption("--from", type=int, default=1, dest="first", metavar="SEED", help="the first seed")
    group.addoption("--acts", type=int, default=6, help="length of a drawn sequence")
    group.addoption("--patroni", action="store_true", help="under Patroni, with a witness")
    group.addoption("--servers", type=int, default=2, help="2 or 3")
    group.addoption("--lanes", type=int, default=1, help="deployments that run side by side")
    group.addoption("--networks", default="192.168.82,192.168.83", help="first three numbers of each lane's network")
    group.addoption(
        "--shrink",
        type=int,
        default=0,
        metavar="RUNS",
        help="runs that may be spent to make a violation's sequence shorter",
    )
    group.addoption("--keep", action="store_true", help="leave the machines for the next time")
    group.addoption(
        "--halfway",
        type=int,
        default=0,
        metavar="TIMES",
        help="each named case so many times more, each with one of its commands killed",
    )
    group.addoption("--named", action="store_true", help="only the named cases, or with --seeds those too")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    options = metafunc.config.option
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(options.first, options.first + options.seeds))
    if "case" in metafunc.fixturenames:
        wanted = [
            case
            for case in cases()
            if case.sequence.patroni == options.patroni and case.sequence.servers == options.servers
        ]
        wanted = wanted if options.named or not options.seeds else []
        wanted += [
            replace(case, name=f"{case.name}-{number}", sequence=sequence)
            for case in wanted
            for number, sequence in enumerate(halfway(case.sequence, options.halfway), 1)
        ]
        metafunc.parametrize("case", wanted, ids=[case.name for case in wanted])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test for which there is no seed or no case is none, not one that is skipped."""
    items[:] = [item for item in items if isinstance(parameter(item), int | Case)]


def parameter(item: pytest.Item) -> object:
    """The seed or the case that a test is about."""
    params = item.callspec.params  # type: ignore[attr-defined]
    return params.get("seed", params.get("case"))


@pytest.fixture(scope="session")
def lanes(pytestconfig: pytest.Config) -> Iterator[queue.Queue[Lane]]:
    """Machines that are set up, each free for one sequence at a time."""
    options = pytestconfig.option
    kind = ("-patroni" if options.patroni else "") + ("" if options.servers == 2 else f"-{options.servers}")
    folder = Path(os.environ.get("ODOO_EXPLORER_DIR") or ROOT / ".deploy" / "explorer")
    networks = options.networks.split(",")
    assert options.lanes <= len(networks), f"{options.lanes} lanes need as many --networks"
    made = [
        Lane(
            f"explorer{kind}-{number}",
            networks[number],
            folder / f"lane{kind}-{number}",
            options.servers,
            options.patroni,
        )
        for number in range(options.lanes)
    ]
    free: queue.Queue[Lane] = queue.Queue()
    try:
        for lane in made:  # one after the other: the first makes the machines' image
            lane.up()
            free.put(lane)
        yield free
    finally:
        if not options.keep:
            for lane in made:
                lane.down()


@pytest.fixture(scope="session")
def outcomes(
    lanes: queue.Queue[Lane], pytestconfig: pytest.Config, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Outcome]]:
    """Begins every sequence of this session, one on each lane at a time; gives one's outcome by its test's name."""
    options = pytestconfig.option

    def run(sequence: int | Sequence) -> Outcome:
        lane = lanes.get()
        try:
            chosen = draw(sequence, options.acts, world(lane)) if isinstance(sequence, int) else sequence
            outcome = explore(lane, chosen)
            if isinstance(sequence, int) and outcome.violation and options.shrink:
                outcome = shorter(lane, outcome, options.shrink)
            return outcome
        finally:
            lanes.put(lane)

    futures: dict[str, Future[Outcome]] = {}
    with ThreadPoolExecutor(options.lanes) as pool:
        for item in request.session.items:
            what = parameter(item)
            assert isinstance(what, int | Case)
            futures[item.name] = pool.submit(run, what.sequence if isinstance(what, Case) else what)
        try:
            yield lambda name: futures[name].result()
        finally:
            for future in futures.values():
                future.cancel()


def shorter(lane: Lane, outcome: Outcome, runs: int) -> Outcome:
    """The shortest sequence found, in that many runs, that shows a violation of the same kind."""
    assert outcome.violation is not None
    kind, shown = outcome.violation.kind, {outcome.sequence.acts: outcome}

    def fails(acts: shrink.Acts) -> bool:
        tried = explore(lane, outcome.sequence.with_acts(acts))
        shown[acts] = tried
        return tried.violation is not None and tried.violation.kind == kind

    # What came after the violation is not needed; what healing did comes again by itself.
    upto = outcome.sequence.acts[: outcome.violation.step] if outcome.violation.step > 0 else outcome.sequence.acts
    best = shrink.shrink(upto, fails, lambda acts: valid(acts, world(lane)), runs)
    if best == upto and upto not in shown:
        return outcome
    return shown[best]


def write_case(outcome: Outcome, seed: int) -> Path:
    """A violation as a case; whoever finds its cause writes that into it."""
    kind = (
        "-patroni"
        if outcome.sequence.patroni
        else ""
        if outcome.sequence.servers == 2
        else f"-{outcome.sequence.servers}"
    )
    path = FOUND / f"seed-{seed}{kind}.yml"
    path.write_text(Case(path.stem, outcome.sequence, str(outcome.violation), "", seed).text(), encoding="utf-8")
    return path


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A run of hours tells at once what it found."""
    if report.failed:
        print(report.longreprtext, flush=True)
