# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifies steps with tests/e2e: the same tests for a run, for `run.py verify` and for continuous integration."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner import child, engine, paths, report
from runner.events import Event, Output
from runner.exits import Exit, Failure
from runner.steps import Step

# Others that happen to be installed, such as hypothesis', cost more than a second a step.
PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@dataclass
class Verified:
    """checks: {id, title, result: passed|failed|skipped, seconds, message} in the order they ran."""

    checks: list[Event] = field(default_factory=list)
    problem: str = ""  # why the suite itself could not do its work

    @property
    def ok(self) -> bool:
        return not self.problem and all(check["result"] == "passed" for check in self.checks)

    @property
    def cause(self) -> str:
        """The first thing that is not right."""
        for check in self.checks:
            if check["result"] != "passed":
                return f"{check['title']}: {check['message'] or check['result']}"
        return self.problem


class _Listener:
    def __init__(self, output: Output, step: int) -> None:
        self.output, self.step = output, step
        self.titles: dict[str, str] = {}
        self.checks: dict[str, Event] = {}
        self.problem = ""

    def __call__(self, event: Event) -> None:
        if event["kind"] == "collected":
            self.titles = event["tests"]
        elif event["kind"] == "started":
            self.output.emit("test.started", step=self.step, title=self.titles.get(event["id"], event["id"]))
        elif event["kind"] == "broken":
            self.problem = self.problem or f"{event['id']}: {event['message']}"
        elif self.checks.get(event["id"], event)["result"] in (
            "passed",
            event["result"],
        ):  # a failed teardown outweighs a pass
            check = {key: event[key] for key in ("id", "title", "result", "seconds", "message")}
            self.checks[event["id"]] = check
            self.output.emit("test.finished", step=self.step, **check)


def log(steps: Sequence[Step]) -> Path:
    """Where the output of the steps' verification goes; the JUnit results are beside it."""
    name = f"step-{steps[0].number}-{steps[0].name}" if len(steps) == 1 else "verify"
    return paths.LOG / f"{name}.verify.log"


def run(steps: Sequence[Step], output: Output, verbose: int = 0) -> Verified:
    """Runs the verifications of the steps, in any thread; a step without any counts as not verified."""
    number = steps[0].number if len(steps) == 1 else 0
    listener = _Listener(output, number)
    argv = [sys.executable, "-m", "pytest", str(paths.TESTS), "-m", " or ".join(step.name for step in steps)]
    argv += [f"-p{plugin}" for plugin in ("runner.pytest_events", "no:cacheprovider")]
    argv += ["--color=no", "-ra", f"--junit-xml={log(steps).with_suffix('.xml')}"]
    ended = child.run(
        argv + (["-" + "v" * verbose] if verbose else []),
        log(steps),
        env={**engine.environment(), **PLUGINS, "PYTHONPATH": str(paths.ROOT)},
        on_event=listener,
        on_tick=output.tick,
    )
    verified = Verified(list(listener.checks.values()), listener.problem)
    if ended.returncode == 5:
        verified.problem = f"tests/e2e has no test marked {argv[5]}"
    elif ended.returncode and verified.ok:
        verified.problem = (ended.tail or ["pytest ended without a word"])[-1].strip()
    return verified


def command(args: argparse.Namespace, output: Output) -> None:
    """`run.py verify`: raises Failure (exit 6) where something does not hold."""
    began = time.monotonic()
    output.emit("step.started", step=0, title="Verifies the deployment", playbook="")
    output.emit("phase.started", step=0, phase="verify", waits_for="")
    verified = run(args.steps, output, args.verbose)
    seconds = round(time.monotonic() - began, 1)
    state = "verified" if verified.ok else "failed"
    output.emit(
        "step.finished",
        step=0,
        title="Verifies the deployment",
        state=state,
        seconds=seconds,
        changed=0,
        checks=verified.checks,
        log=paths.shown(log(args.steps)),
    )
    output.close()
    for line in report.lines({"hosts": [], "cluster": "", "links": [], "credentials": [], "checks": verified.checks}):
        output.say(line)
    if not verified.ok:
        raise Failure(
            Exit.VERIFY_FAILED,
            "VERIFY_FAILED",
            verified.cause,
            log=paths.shown(log(args.steps)),
            advice="./run.py repairs what it can",
        )
    output.emit("run.finished", code=0, changed=0, seconds=seconds)
