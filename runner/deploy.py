# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys: preflight, then for each step check, apply, verify; and says per step what it would do."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from runner import engine, inventory, journal, nodes, paths, preflight, report, verify
from runner.events import Event, Output
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


def look(output: Output) -> journal.Journal:
    """Preflight; changes nothing."""
    output.emit("preflight.started")
    diary = journal.Journal(paths.JOURNAL)
    listed = nodes.load()
    checks = preflight.run(listed, diary)
    output.emit("preflight.passed", checks=checks)
    diary.data.update(deployment=listed.name, network=listed.network)
    return diary


def deploy(args: argparse.Namespace, output: Output) -> None:
    """Runs the steps; raises Failure at the first thing that is not right."""
    began, changed, checks = time.monotonic(), 0, []
    diary = look(output)
    with ThreadPoolExecutor(max_workers=1) as background:
        for position, step in enumerate(args.steps):
            last = position == len(args.steps) - 1
            try:
                changed += _apply(step, args, output, diary)
                hosts = background.submit(inventory.load) if last else None  # costs a second: meanwhile we verify
                checks += _verify(step, args, output, diary)
            except Failure as failure:
                failure.resume = resume_command(args, args.steps[position:])
                raise
            except Interrupted as interrupted:
                code = Exit.INTERRUPTED if interrupted.signum == 2 else Exit.TERMINATED
                diary.record(step.number, state=journal.FAILED, error="interrupted")
                raise Failure(
                    code,
                    "INTERRUPTED",
                    f'step {step.number} "{step.title}" was interrupted',
                    log=paths.shown(paths.LOG / step.log),
                    resume=resume_command(args, args.steps[position:]),
                ) from None
        found = hosts.result() if hosts else []
    output.close()
    result = report.collect(args.steps, found, checks)
    output.emit("run.report", **result)
    for line in report.lines(result):
        output.say(line)
    output.say()
    output.say(report.summary(checks, changed, time.monotonic() - began))
    output.emit("run.finished", code=0, changed=changed, seconds=round(time.monotonic() - began, 1))


def _apply(step: Step, args: argparse.Namespace, output: Output, diary: journal.Journal) -> int:
    diary.record(step.number, state=journal.RUNNING, log=paths.shown(paths.LOG / step.log))
    output.emit("step.started", step=step.number, title=step.title, playbook=step.playbook)
    began = time.monotonic()
    played = engine.play(
        step.playbook,
        step.log,
        output,
        step=step.number,
        waits_for=step.waits_for,
        extra=args.extra_vars,
        verbose=args.verbose,
    )
    seconds = round(time.monotonic() - began, 1)
    if not played.ok:
        diary.record(step.number, state=journal.FAILED, seconds=seconds, changed=played.changed, error=played.cause)
        _finished(step, output, "failed", seconds, played.changed, [])
        raise Failure(
            Exit.STEP_FAILED,
            "STEP_FAILED",
            f'step {step.number} "{step.title}" failed in {played.phase or "its start"}: {played.cause}',
            log=paths.shown(paths.LOG / step.log),
        )
    diary.record(step.number, state=journal.APPLIED, seconds=seconds, changed=played.changed)
    return played.changed


def _verify(step: Step, args: argparse.Namespace, output: Output, diary: journal.Journal) -> list[Event]:
    began = time.monotonic()
    verified = verify.run([step], output, args.verbose)
    entry = diary.step(step.number)
    seconds = round(entry["seconds"] + time.monotonic() - began, 1)
    state = journal.VERIFIED if verified.ok else journal.FAILED
    results = [{key: check[key] for key in ("title", "result")} for check in verified.checks]
    diary.record(
        step.number, state=state, seconds=seconds, checks=results, **({} if verified.ok else {"error": verified.cause})
    )
    _finished(step, output, state, seconds, entry["changed"], verified.checks)
    if not verified.ok:
        raise Failure(
            Exit.VERIFY_FAILED,
            "VERIFY_FAILED",
            f'step {step.number} "{step.title}" was applied but does not verify: {verified.cause}',
            log=paths.shown(verify.log([step])),
        )
    return verified.checks


def _finished(step: Step, output: Output, state: str, seconds: float, changed: int, checks: list[Event]) -> None:
    log = paths.shown(paths.LOG / step.log)
    output.emit(
        "step.finished",
        step=step.number,
        title=step.title,
        state=state,
        seconds=seconds,
        changed=changed,
        checks=checks,
        log=log,
    )


def dry_run(args: argparse.Namespace, output: Output) -> None:
    """Says per step what it would do: Ansible's check mode as far as the system exists, the plays from there on."""
    diary = look(output)
    exists = True
    for step in args.steps:
        exists = exists and all(
            diary.state(before.number) in (journal.APPLIED, journal.VERIFIED) for before in STEPS[: step.number - 1]
        )
        output.emit("step.started", step=step.number, title=step.title, playbook=step.playbook)
        if exists:
            played = engine.play(
                step.playbook,
                f"dry-run-{step.number}.log",
                output,
                step=step.number,
                extra=args.extra_vars,
                verbose=args.verbose,
                check=True,
            )
            if not played.ok:
                raise Failure(
                    Exit.STEP_FAILED,
                    "DRY_RUN_FAILED",
                    f'step {step.number} "{step.title}" cannot tell what it would do: {played.cause}',
                    log=paths.shown(paths.LOG / f"dry-run-{step.number}.log"),
                )
            would = played.would_change
        else:
            would = _plays(step)
        output.emit("step.planned", step=step.number, exists=exists, would=would)
    output.close()
    output.say("Nothing was changed.")
    output.emit("run.finished", code=0, changed=0, seconds=0.0)


def _plays(step: Step) -> list[str]:
    """The plays of a step that is not there yet."""
    argv = [*engine.arguments(step.playbook), "--list-tasks"]
    listed = subprocess.run(
        argv,
        check=False,
        cwd=paths.ROOT,
        env=engine.full_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        message = (listed.stderr.strip().splitlines() or ["ansible-playbook failed"])[-1]
        raise Failure(
            Exit.STEP_FAILED, "DRY_RUN_FAILED", f'step {step.number} "{step.title}" cannot be read: {message}'
        )
    return re.findall(r"^  play #\d+ \([^)]*\): (.*?)\s*TAGS:", listed.stdout, re.MULTILINE)
