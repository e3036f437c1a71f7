# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a day-2 command: a playbook, after a question where it changes something."""

from __future__ import annotations

import argparse
import os
import time

from runner import engine, paths
from runner.commands import Command
from runner.events import Output
from runner.exits import Exit, Failure


def run(args: argparse.Namespace, output: Output) -> None:
    """Plays the command's playbook, then hands the terminal to its run_exec."""
    command: Command = args.day2
    log, began = f"{command.playbook[:-4]}.log", time.monotonic()
    output.emit("step.started", step=0, title=command.label, playbook=command.playbook)
    played = engine.play(
        command.playbook, log, output, extra=(*command.variables, *args.extra_vars), verbose=args.verbose
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
