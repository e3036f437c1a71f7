# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says per step what a run would do."""

from __future__ import annotations

import argparse
import re

from runner import engine, journal, paths
from runner.deploy import look
from runner.events import Output
from runner.exits import Exit, Failure
from runner.steps import STEPS, Step

# A task of role k8s_cluster, which changes where the cluster does not run: no later step can read it.
NO_CLUSTER = "Say that everything would be new"


def dry_run(args: argparse.Namespace, output: Output) -> None:
    """Says per step what it would do: Ansible's check mode as far as the system exists, the plays from there on."""
    diary = look(output, args.extra_vars)
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
            exists = not any(task.endswith(NO_CLUSTER) for task in would)
        else:
            would = _plays(step)
        output.emit("step.planned", step=step.number, exists=exists, would=would)
    output.close()
    output.say("Nothing was changed.")
    output.emit("run.finished", code=0, changed=0, seconds=0.0)


def _plays(step: Step) -> list[str]:
    """The plays of a step that is not there yet."""
    try:
        listed = engine.read([*engine.arguments(step.playbook), "--list-tasks"])
    except RuntimeError as error:
        message = f'step {step.number} "{step.title}" cannot be read: {error}'
        raise Failure(Exit.STEP_FAILED, "DRY_RUN_FAILED", message) from None
    return re.findall(r"^  play #\d+ \([^)]*\): (.*?)\s*TAGS:", listed, re.MULTILINE)
