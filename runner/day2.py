# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a day-2 command: a playbook, after a question where it changes something."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from runner import cli, engine, paths
from runner.ask import confirm
from runner.commands import Command
from runner.events import Output
from runner.exits import Exit, Failure


def run(args: argparse.Namespace, output: Output) -> None:
    """Plays the command's playbook, then hands the terminal to its run_exec; a dry run ends with the plan."""
    command: Command = args.day2
    values = cli.variables(args)
    extra = [*command.variables, *([json.dumps(values)] if values else []), *args.extra_vars]
    if command.plans and (args.dry_run or not args.yes):
        plan = _plan(args, output, extra)
        if args.dry_run:
            output.say("Nothing was changed.")
            output.emit("run.finished", code=0, changed=0, seconds=0.0)
            return
        if plan["question"]:
            confirm(f"{plan['question']}. Go on? [y/n] > ", sys.stderr if args.json else sys.stdout)
        extra.append(f"{command.plans}_digest={plan['digest']}")
    began = time.monotonic()
    played = _play(args, output, command.label, f"{command.playbook[:-4]}.log", extra)
    seconds = round(time.monotonic() - began, 1)
    output.emit("run.finished", code=0, changed=played.changed, seconds=seconds, notes=played.notes)
    argv = [str(word) for word in played.custom.get("run_exec", [])]
    if argv:
        try:
            os.execvpe(argv[0], argv, engine.full_environment())
        except OSError as error:
            raise Failure(
                Exit.STEP_FAILED, "COMMAND_FAILED", f"{argv[0]} cannot be started: {error.strerror}"
            ) from error


def _plan(args: argparse.Namespace, output: Output, extra: Sequence[str]) -> dict[str, Any]:
    """Shows what the command would do to the servers as they are now; without a question it would change nothing.

    Its digest holds the playbook to it, which refuses if the servers have changed until it begins.
    """
    command: Command = args.day2
    log = f"{command.playbook[:-4]}-plan.log"
    played = _play(args, output, f"{command.label}: plan", log, [*extra, f"{command.plans}_plan_only=true"])
    plan: dict[str, Any] = played.custom.get("run_plan") or {}
    if not plan:
        raise _failed(command, "its playbook made no plan", log)
    output.emit("run.plan", summary=plan["summary"], steps=plan["steps"], question=plan["question"])
    output.say(plan["summary"])
    if plan["question"]:
        for step in plan["steps"]:
            output.say(f"  {step}")
    return plan


def _play(args: argparse.Namespace, output: Output, title: str, log: str, extra: Sequence[str]) -> engine.Played:
    """Plays the command's playbook to its end and gives the terminal back."""
    command, began = args.day2, time.monotonic()
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
    output.close()
    if not played.ok:
        raise _failed(command, played.cause, log)
    return played


def _failed(command: Command, cause: str, log: str) -> Failure:
    return Failure(
        Exit.STEP_FAILED, "COMMAND_FAILED", f"{command.label} failed: {cause}", log=paths.shown(paths.LOG / log)
    )
