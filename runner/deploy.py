# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys: preflight, then each step as soon as what it needs is applied: check, apply, verify."""

from __future__ import annotations

import argparse
import shlex
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from runner import engine, inventory, journal, nodes, paths, preflight, procs, report, schedule, verify
from runner.events import Event, Output, Relay
from runner.exits import Exit, Failure, Interrupted
from runner.schedule import Span
from runner.steps import STEPS, Ahead, Step, format_steps

PLAYBOOKS = 3  # at work at a time


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
    with ThreadPoolExecutor(max_workers=PLAYBOOKS + 2) as pool:
        run = Run(args, output, look(output, args.extra_vars), pool)
        try:
            run.steps()
            found = pool.submit(inventory.load)  # costs a second: meanwhile the last step is verified
            run.settle()
        except Interrupted as interrupted:
            raise run.interrupted(interrupted) from None
        finally:
            run.end_others(keep=set())
    output.close()
    result = report.collect(args.steps, found.result(), run.checks, run.diary.ports)
    output.emit("run.report", **result)
    for line in report.lines(result):
        output.say(line)
    output.say()
    output.say(report.summary(run.checks, run.changed, run.clock()))
    output.emit("run.finished", code=0, changed=run.changed, seconds=round(run.clock(), 1))


@dataclass
class Work:
    """A playbook or a verification at work in another thread, and the events that it has not shown yet."""

    step: Step
    phase: str
    result: Future[Any]  # of engine.Played or verify.Verified
    relay: Relay
    began: float
    log: str = ""  # of what is done ahead


@dataclass
class Run:
    """The steps of a deployment, each begun as soon as what it needs is applied.

    Applied steps are verified one at a time beside the playbooks, because both mostly wait. When a verification or a
    playbook fails, whatever else is at work is stopped as by Ctrl-C. Only the main thread writes journal and output.
    """

    args: argparse.Namespace
    output: Output
    diary: journal.Journal
    pool: Executor
    changed: int = 0
    at_work: list[Work] = field(default_factory=list)
    prepared: dict[int, int] = field(default_factory=dict)  # by step: what was changed ahead of it
    unverified: list[Step] = field(default_factory=list)  # applied, in the order in which they ended
    verified: dict[int, list[Event]] = field(default_factory=dict)
    failed: tuple[Step, engine.Played, float] | None = None
    spans: list[Span] = field(default_factory=list)
    noted: set[str] = field(default_factory=set)
    at_once: threading.Event = field(default_factory=threading.Event)  # a second Ctrl-C came
    began: float = field(default_factory=time.monotonic)

    def clock(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    @property
    def checks(self) -> list[Event]:
        """What was verified, in the steps' order."""
        return [check for number in sorted(self.verified) for check in self.verified[number]]

    def steps(self) -> None:
        """Applies all steps; raises Failure for the first that fails, after what explains it was looked at."""
        waiting = list(self.args.steps)
        ahead = [
            (step, part)
            for step in waiting
            if self.diary.step(step.number).get("state") not in (journal.APPLIED, journal.VERIFIED)
            for part in step.ahead
        ]
        while waiting or self.numbers("apply"):
            preparing = self.numbers("prepare")
            pending = self.numbers("apply") | {step.number for step in waiting}
            cluster = report.cluster_kind()
            ready = [step for step in schedule.startable(waiting, pending, cluster) if step.number not in preparing]
            for step in ready[: self.room]:
                waiting.remove(step)
                ahead = [(other, part) for other, part in ahead if other != step]
                self.apply(step)
            idle = [(step, part) for step, part in ahead if step.number not in preparing]
            for step, part in schedule.preparable(idle, pending, cluster)[: self.room]:
                ahead.remove((step, part))
                self.prepare(step, part)
            self.turn()

    def numbers(self, phase: str) -> set[int]:
        """Steps at work in a phase."""
        return {work.step.number for work in self.at_work if work.phase == phase}

    @property
    def room(self) -> int:
        """How many more playbooks may be at work."""
        return max(0, PLAYBOOKS - len(self.numbers("apply") | self.numbers("prepare")))

    def prepare(self, step: Step, part: Ahead) -> None:
        """Begins what can be done of the step ahead."""
        self.output.emit("step.preparing", step=step.number, title=step.title, playbook=part.playbook)
        relay = Relay(self.at_once)
        options = {"waits_for": part.waits_for, "extra": self.args.extra_vars, "verbose": self.args.verbose}
        result = self.pool.submit(
            engine.play, part.playbook, part.log, relay, step=step.number, phase="prepare", gives_way=True, **options
        )
        self.at_work.append(Work(step, "prepare", result, relay, self.clock(), part.log))

    def settle(self) -> None:
        """Verifies what is applied and not verified yet; raises Failure."""
        while self.at_work or self.unverified:
            self.turn()

    def apply(self, step: Step) -> None:
        """Begins the step's playbook."""
        self.diary.record(step.number, state=journal.RUNNING, log=paths.shown(paths.LOG / step.log))
        self.output.emit("step.started", step=step.number, title=step.title, playbook=step.playbook)
        relay = Relay(self.at_once)
        options = {"waits_for": step.waits_for, "extra": self.args.extra_vars, "verbose": self.args.verbose}
        result = self.pool.submit(engine.play, step.playbook, step.log, relay, step=step.number, **options)
        self.at_work.append(Work(step, "apply", result, relay, self.clock()))

    def verify(self, step: Step) -> None:
        """Begins the step's verification."""
        self.output.emit("phase.started", step=step.number, phase="verify", waits_for="")
        relay = Relay(self.at_once)
        result = self.pool.submit(verify.run, [step], relay, self.args.verbose)
        self.at_work.append(Work(step, "verify", result, relay, self.clock()))

    def turn(self) -> None:
        """Waits for something to happen, shows it, and takes up what has ended; raises Failure when it failed."""
        if self.unverified and not any(work.phase == "verify" for work in self.at_work):
            self.verify(self.unverified.pop(0))
        wait([work.result for work in self.at_work], timeout=0.2, return_when="FIRST_COMPLETED")
        self.output.tick()
        for work in list(self.at_work):
            work.relay.pass_on(self.output, self.noted)
            if work.result.done():
                self.at_work.remove(work)
                self.spans.append(Span(work.step.number, work.step.title, work.phase, work.began, self.clock()))
                self.diary.data["timeline"] = [asdict(span) for span in self.spans]
                {"prepare": self.done_ahead, "apply": self.applied, "verify": self.concluded}[work.phase](work)

    def done_ahead(self, work: Work) -> None:
        """Takes up the end of what was done ahead; a failure is the step's."""
        step, played = work.step, work.result.result()
        seconds = round(self.clock() - work.began, 1)
        self.changed += played.changed
        if played.ok:
            self.prepared[step.number] = self.prepared.get(step.number, 0) + played.changed
            self.output.emit("step.prepared", step=step.number, changed=played.changed, seconds=seconds)
            return
        log = paths.LOG / work.log
        self.diary.record(step.number, state=journal.FAILED, error=played.cause, log=paths.shown(log))
        self.end_others(keep=set())
        message = f'step {step.number} "{step.title}" failed in {played.phase or "its start"}: {played.cause}'
        raise self.failure(Exit.STEP_FAILED, "STEP_FAILED", message, log)

    def applied(self, work: Work) -> None:
        """Takes up a playbook's end."""
        step, played = work.step, work.result.result()
        seconds = round(self.clock() - work.began, 1)
        ended = {"state": journal.APPLIED} if played.ok else {"state": journal.FAILED, "error": played.cause}
        ports = {"ports": played.custom["run_ports"]} if "run_ports" in played.custom else {}
        changed = played.changed + self.prepared.get(step.number, 0)
        self.diary.record(step.number, seconds=seconds, changed=changed, **ended, **ports)
        self.changed += played.changed
        if played.ok:
            self.unverified.append(step)
            return
        self.end_others(keep=schedule.stands_on(step))
        self.settle()  # what is wrong there explains what went wrong here
        self.finished(step, "failed", seconds, changed, [])
        message = f'step {step.number} "{step.title}" failed in {played.phase or "its start"}: {played.cause}'
        raise self.failure(Exit.STEP_FAILED, "STEP_FAILED", message, paths.LOG / step.log)

    def concluded(self, work: Work) -> None:
        """Takes up a verification's end."""
        step, verified = work.step, work.result.result()
        entry = self.diary.step(step.number)
        seconds = round(entry["seconds"] + self.clock() - work.began, 1)
        state = journal.VERIFIED if verified.ok else journal.FAILED
        results = [{key: check[key] for key in ("title", "result")} for check in verified.checks]
        error = {} if verified.ok else {"error": verified.cause}
        self.diary.record(step.number, state=state, seconds=seconds, checks=results, **error)
        self.finished(step, state, seconds, entry["changed"], verified.checks)
        if not verified.ok:
            self.end_others(keep=set())
            message = f'step {step.number} "{step.title}" was applied but does not verify: {verified.cause}'
            raise self.failure(Exit.VERIFY_FAILED, "VERIFY_FAILED", message, verify.log([step]))
        self.verified[step.number] = verified.checks

    def end_others(self, keep: set[int], error: str = "stopped: another step failed") -> None:
        """Stops what is at work, and verifies no more, but for the verifications of the steps to keep."""
        self.unverified = [step for step in self.unverified if step.number in keep]
        ending = [work for work in self.at_work if not (work.phase == "verify" and work.step.number in keep)]
        for work in ending:
            work.relay.stopped = True
        while not all(work.result.done() for work in ending):
            wait([work.result for work in ending], timeout=0.2)
            for work in self.at_work:
                work.relay.pass_on(self.output, self.noted)
        for work in ending:
            self.at_work.remove(work)
            if work.phase == "apply":
                self.diary.record(work.step.number, state=journal.FAILED, error=error)

    def finished(self, step: Step, state: str, seconds: float, changed: int, checks: list[Event]) -> None:
        log = paths.shown(paths.LOG / step.log)
        fields = {"state": state, "seconds": seconds, "changed": changed, "checks": checks, "log": log}
        self.output.emit("step.finished", step=step.number, title=step.title, **fields)

    def failure(self, code: Exit, reason: str, message: str, log: Path) -> Failure:
        """A failure with the command that goes on: with every step that is not verified."""
        rest = [step for step in self.args.steps if step.number not in self.verified]
        return Failure(code, reason, message, log=paths.shown(log), resume=resume_command(self.args, rest))

    def interrupted(self, by: Interrupted) -> Failure:
        """The same for a signal; a second one ends at once what is at work."""
        steps = [work.step for work in self.at_work if work.phase == "apply"] or [work.step for work in self.at_work]
        try:
            self.end_others(keep=set(), error="interrupted")
        except Interrupted:
            self.at_once.set()
            self.end_others(keep=set(), error="interrupted")
        procs.end(str(paths.DEPLOY), 5.0)
        code = Exit.INTERRUPTED if by.signum == 2 else Exit.TERMINATED
        named = " and ".join(f'step {step.number} "{step.title}"' for step in steps) or "the run"
        message = f"{named} {'were' if len(steps) > 1 else 'was'} interrupted"
        log = paths.LOG / (steps or self.args.steps)[0].log
        return self.failure(code, "INTERRUPTED", message, log)
