# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a day-2 command: a playbook, after a question where it changes something."""

from __future__ import annotations

import argparse
import os
import sys
import time

from runner import engine, paths
from runner.ask import confirm
from runner.commands import Command
from runner.events import Output
from runner.exits import Exit, Failure


def run(args: argparse.Namespace, output: Output) -> None:
    """Plays the command's playbook, then hands the terminal to its run_exec."""
    command: Command = args.day2
    agreed = _agree_to_plan(args, output) if command.plans and not args.yes else ()
    log, began = f"{command.playbook[:-4]}.log", time.monotonic()
    output.emit("step.started", step=0, title=command.label, playbook=command.playbook)
    played = engine.play(
        command.playbook, log, output, extra=(*command.variables, *args.extra_vars, *agreed), verbose=args.verbose
    )
    seconds = round(time.monotonic() - began, 1)
    output.emit(
        "step.finished",
        step=0,
        title=command.label,
        state="done" if played.ok else "failed",
        seconds=seconds,
        changed=played.changed,
        checks=[],
        log=paths.shown(paths.LOG / log),
    )
    output.close()
    if not played.ok:
        raise Failure(
            Exit.STEP_FAILED,
            "COMMAND_FAILED",
            f"{command.label} failed: {played.cause}",
            log=paths.shown(paths.LOG / log),
        )
    output.emit("run.finished", code=0, changed=played.changed, seconds=seconds, notes=played.notes)
    argv = [str(word) for word in played.custom.get("run_exec", [])]
    if argv:
        try:
            os.execvpe(argv[0], argv, engine.full_environment())
        except OSError as error:
            raise Failure(
                Exit.STEP_FAILED, "COMMAND_FAILED", f"{argv[0]} cannot be started: {error.strerror}"
            ) from error


def _agree_to_plan(args: argparse.Namespace, output: Output) -> tuple[str, ...]:
    """Shows what the command would do to the servers as they are now, and asks; the variables that hold it to that.

    The playbook refuses if the servers have changed until it begins. No question is asked where nothing changes.
    """
    command: Command = args.day2
    log = f"{command.playbook[:-4]}-plan.log"
    extra = (*command.variables, *args.extra_vars, "postgres_ha_plan_only=true")
    title, began = f"{command.label}: plan", time.monotonic()
    output.emit("step.started", step=0, title=title, playbook=command.playbook)
    played = engine.play(command.playbook, log, output, extra=extra, verbose=args.verbose)
    output.emit(
        "step.finished",
        step=0,
        title=title,
        state="done" if played.ok else "failed",
        seconds=round(time.monotonic() - began, 1),
        changed=played.changed,
        checks=[],
        log=paths.shown(paths.LOG / log),
    )
    plan = played.custom.get("run_plan")
    if not played.ok or not plan:
        output.close()
        raise Failure(
            Exit.STEP_FAILED,
            "COMMAND_FAILED",
            f"{command.label} failed: {played.cause}",
            log=paths.shown(paths.LOG / log),
        )
    output.say(plan["summary"])
    if plan["question"]:
        for step in plan["steps"]:
            output.say(f"  {step}")
        confirm(f"{plan['question']}. Go on? [y/n] > ", sys.stderr if args.json else sys.stdout)
    return (f"postgres_ha_digest={plan['digest']}",)
