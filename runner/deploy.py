# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys: preflight, then for each step check, apply, verify."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from runner import engine, inventory, journal, nodes, paths, preflight, procs, report, verify
from runner.events import Event, Output, Relay
from runner.exits import Exit, Failure, Interrupted
from runner.steps import STEPS, Step, format_steps


def resume_command(args: argparse.Namespace, steps: Sequence[Step]) -> str:
    """What goes on from where a run ended."""
    words = ["./run.py", "--yes"]
    if tuple(steps) != STEPS:
        words += ["--steps", format_steps(steps)]
    for extra in args.extra_vars:
        words += ["-e", extra]
    return shlex.join(words)


def look(output: Output, extra_vars: Sequence[str]) -> journal.Journal:
    """Preflight; changes nothing."""
    output.emit("preflight.started")
    diary = journal.Journal(paths.JOURNAL)
    listed = nodes.load()
    checks, runs_on = preflight.run(listed, diary, extra_vars)
    output.emit("preflight.passed", checks=checks, runs_on=runs_on)
    diary.data.update(deployment=listed.name, network=listed.network)
    return diary


def deploy(args: argparse.Namespace, output: Output) -> None:
    """Runs the steps; raises Failure at the first thing that is not right."""
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=2) as pool:
        run = Run(args, output, look(output, args.extra_vars), pool)
        try:
            for step in args.steps:
                run.apply(step)
                run.verify(step)
            found = pool.submit(inventory.load)  # costs a second: meanwhile the last step is verified
            run.settle()
        except Interrupted as interrupted:
            raise run.interrupted(interrupted) from None
    output.close()
    result = report.collect(args.steps, found.result(), run.checks)
    output.emit("run.report", **result)
    for line in report.lines(result):
        output.say(line)
    output.say()
    output.say(report.summary(run.checks, run.changed, time.monotonic() - began))
    output.emit("run.finished", code=0, changed=run.changed, seconds=round(time.monotonic() - began, 1))


@dataclass
class Verification:
    """A verification at work in another thread, and what it has told so far."""

    step: Step
    result: Future[verify.Verified]
    told: Relay
    began: float = field(default_factory=time.monotonic)


class Run:
    """The steps of a deployment, one playbook after the other.

    A step is verified beside the next one's playbook, because both mostly wait. Before that next step is verified, or
    the run ends, the verification has ended; when it fails, the playbook is stopped as by Ctrl-C.
    Only the main thread writes the journal and the output.
    """

    def __init__(self, args: argparse.Namespace, output: Output, diary: journal.Journal, pool: Executor) -> None:
        self.args, self.output, self.diary, self.pool = args, output, diary, pool
        self.changed = 0
        self.checks: list[Event] = []
        self.step: Step = args.steps[0]  # the last one begun
        self.verification: Verification | None = None

    def apply(self, step: Step) -> None:
        """Runs the step's playbook and settles the verification of the step before; raises Failure for either."""
        self.step = step
        self.diary.record(step.number, state=journal.RUNNING, log=paths.shown(paths.LOG / step.log))
        self.output.emit("step.started", step=step.number, title=step.title, playbook=step.playbook)
        began = time.monotonic()
        try:
            played = engine.play(
                step.playbook,
                step.log,
                self.output,
                step=step.number,
                waits_for=step.waits_for,
                extra=self.args.extra_vars,
                verbose=self.args.verbose,
                on_tick=self.tick,
            )
        except Failure:
            self.diary.record(step.number, state=journal.FAILED, error="stopped: the step before does not verify")
            raise
        seconds = round(time.monotonic() - began, 1)
        ended = {"state": journal.APPLIED} if played.ok else {"state": journal.FAILED, "error": played.cause}
        self.diary.record(step.number, seconds=seconds, changed=played.changed, **ended)
        self.changed += played.changed
        self.settle()  # what is wrong there explains what went wrong here
        if not played.ok:
            self.finished(step, "failed", seconds, played.changed, [])
            message = f'step {step.number} "{step.title}" failed in {played.phase or "its start"}: {played.cause}'
            raise self.failure(step, Exit.STEP_FAILED, "STEP_FAILED", message, paths.LOG / step.log)

    def verify(self, step: Step) -> None:
        """Begins the step's verification; tick() and settle() follow it."""
        self.output.emit("phase.started", step=step.number, phase="verify", waits_for="")
        told = Relay()
        self.verification = Verification(step, self.pool.submit(verify.run, [step], told, self.args.verbose), told)

    def tick(self) -> None:
        """Passes on what the verification tells; called a few times a second. Raises Failure when it failed."""
        self.output.tick()
        if self.verification:
            self.verification.told.pass_on(self.output)
            if self.verification.result.done():
                self._conclude(self.verification)

    def settle(self) -> None:
        """Waits for the end of the verification, if one is at work; raises Failure when it failed."""
        while self.verification:
            wait([self.verification.result], timeout=0.2)
            self.tick()

    def _conclude(self, verification: Verification) -> None:
        self.verification = None
        step, verified = verification.step, verification.result.result()
        verification.told.pass_on(self.output)
        entry = self.diary.step(step.number)
        seconds = round(entry["seconds"] + time.monotonic() - verification.began, 1)
        state = journal.VERIFIED if verified.ok else journal.FAILED
        results = [{key: check[key] for key in ("title", "result")} for check in verified.checks]
        error = {} if verified.ok else {"error": verified.cause}
        self.diary.record(step.number, state=state, seconds=seconds, checks=results, **error)
        self.finished(step, state, seconds, entry["changed"], verified.checks)
        if not verified.ok:
            message = f'step {step.number} "{step.title}" was applied but does not verify: {verified.cause}'
            raise self.failure(step, Exit.VERIFY_FAILED, "VERIFY_FAILED", message, verify.log([step]))
        self.checks += verified.checks

    def finished(self, step: Step, state: str, seconds: float, changed: int, checks: list[Event]) -> None:
        log = paths.shown(paths.LOG / step.log)
        told = {"state": state, "seconds": seconds, "changed": changed, "checks": checks, "log": log}
        self.output.emit("step.finished", step=step.number, title=step.title, **told)

    def failure(self, step: Step, code: Exit, reason: str, message: str, log: Path) -> Failure:
        """A failure with the command that goes on at the step."""
        rest = [other for other in self.args.steps if other.number >= step.number]
        return Failure(code, reason, message, log=paths.shown(log), resume=resume_command(self.args, rest))

    def interrupted(self, by: Interrupted) -> Failure:
        """The same for a signal; what was not verified by then is begun again."""
        procs.end(str(paths.DEPLOY), 5.0)
        self.diary.record(self.step.number, state=journal.FAILED, error="interrupted")
        code = Exit.INTERRUPTED if by.signum == 2 else Exit.TERMINATED
        message = f'step {self.step.number} "{self.step.title}" was interrupted'
        first = self.verification.step if self.verification else self.step
        return self.failure(first, code, "INTERRUPTED", message, paths.LOG / self.step.log)
