# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the command line to the exit code; moves into the virtual environment on the way."""

from __future__ import annotations

import argparse
import grp
import os
import pwd
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

from runner import cli, completion, lock, paths, procs
from runner.ask import confirm
from runner.events import Output, choose
from runner.exits import Exit, Failure, Interrupted
from runner.steps import HEADING, QUESTION, STEPS

CONFIRMED = "ODOO_DEPLOY_CONFIRMED"  # the person agreed before the exec into the virtual environment


def main(argv: Sequence[str]) -> int:
    """Runs one command line; returns its exit code."""
    args = cli.parse(argv)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _interrupt)
    output = choose(args.json, args.verbose, _in_venv() and args.command != "teardown")
    try:
        _dispatch(args, argv, output)
    except Failure as failure:
        output.close()
        return _failed(failure, output)
    except Interrupted as interrupted:
        output.close()
        code = Exit.INTERRUPTED if interrupted.signum == signal.SIGINT else Exit.TERMINATED
        return _failed(Failure(code, "INTERRUPTED", f"{shlex.join(['./run.py', *argv])} was interrupted"), output)
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.TERMINATED
    finally:
        output.close()
    return Exit.OK


def _dispatch(args: argparse.Namespace, argv: Sequence[str], output: Output) -> None:
    if args.command == "completion":
        print(completion.script(cli.parser(), args.shell), end="")
        return
    changes = args.command in ("deploy", "teardown") or (
        args.command == "day2" and args.day2.changes and not args.dry_run
    )
    held = lock.acquire(paths.LOCK, shlex.join(["./run.py", *argv])) if changes else None
    if args.command == "teardown":
        from runner import teardown

        teardown.run(args, output, _stream(args))
        return
    _agree(args, output)
    if args.command == "deploy" and args.dry_run and not paths.VENV.exists():
        _plan_set_up(output)
        return
    if not _in_venv():
        _enter_venv(args, argv, held)
    procs.end(
        str(paths.DEPLOY), on_wait=lambda count: output.say(f"ending {count} processes that a killed run left")
    ) if changes else None
    _run(args, output)


def _run(args: argparse.Namespace, output: Output) -> None:
    from runner import day2, deploy, dry_run, status, timeline, verify

    output.emit(
        "run.started",
        command=cli.title(args),
        steps=[step.number for step in args.steps],
    )
    if args.command == "deploy":
        (dry_run.dry_run if args.dry_run else deploy.deploy)(args, output)
    elif args.command == "verify":
        verify.command(args, output)
    elif args.command == "status":
        status.run(output)
    elif args.command == "timeline":
        timeline.run(output)
    else:
        day2.run(args, output)


def _agree(args: argparse.Namespace, output: Output) -> None:
    """Says what will happen and asks, once, before anything is installed."""
    if os.environ.pop(CONFIRMED, ""):
        return
    if args.command == "deploy":
        output.say(HEADING)
        for step in STEPS:
            output.say(f"  {step.number}. {step.title}" + ("" if step in args.steps else "  (not in this run)"))
        if not args.yes and not args.dry_run:
            confirm(QUESTION, _stream(args))
    elif args.command == "day2" and args.day2.changes:
        output.say(f"{args.day2.label}: {args.day2.does}.")
        # A command with a plan shows that first (runner/day2.py).
        if not args.yes and not args.day2.plans:
            confirm("Go on? [y/n] > ", _stream(args))


def _enter_venv(args: argparse.Namespace, argv: Sequence[str], held: int | None) -> NoReturn:
    """Becomes the same command inside the virtual environment, which a deployment first completes."""
    python = paths.VENV / "bin" / "python3"
    if args.command == "deploy" and not args.dry_run:
        _set_up(args, argv)
    elif not python.exists():
        raise Failure(
            Exit.PREFLIGHT,
            "NOT_SET_UP",
            "nothing is set up here yet",
            advice="./install_dep.sh sets it up, ./run.py deploys; nothing was changed",
        )
    if held is not None:
        lock.hand_over(held)
    os.environ[CONFIRMED] = "1"
    sys.stdout.flush()
    program = _with_docker([str(python), str(paths.ROOT / "run.py"), *argv])
    os.execvp(program[0], program)


def _set_up(args: argparse.Namespace, argv: Sequence[str]) -> None:
    """Completes the virtual environment and starts the engine, where they are not right already."""
    script = paths.ROOT / "install_dep.sh"
    if subprocess.run([script, "--check"], cwd=paths.ROOT, capture_output=True, check=False).returncode == 0:
        return
    sys.stdout.flush()
    done = subprocess.run([script], cwd=paths.ROOT, stdout=sys.stderr if args.json else None, check=False)
    if done.returncode:
        raise Failure(
            Exit.INSTALL_FAILED,
            "INSTALL_FAILED",
            f"install_dep.sh ended with {done.returncode}; its last lines are above",
            resume=shlex.join(["./run.py", *argv]),
        )


def _plan_set_up(output: Output) -> None:
    """The dry run of a fresh clone."""
    checked = subprocess.run(
        [paths.ROOT / "install_dep.sh", "--check"], cwd=paths.ROOT, capture_output=True, text=True, check=False
    )
    missing = (checked.stderr or checked.stdout).strip() or "nothing is missing but the Python environment"
    output.say(f"First install_dep.sh would set up this machine ({missing}).")
    output.say("Then all of these steps would run; nothing of them is there yet. Nothing was changed.")
    output.emit("run.finished", code=0, changed=0, seconds=0.0)


def _with_docker(argv: list[str]) -> list[str]:
    """The command, by way of group docker where the set-up made us a member after this session began."""
    try:
        group = grp.getgrnam("docker")
    except KeyError:
        return argv
    lately = pwd.getpwuid(os.getuid()).pw_name in group.gr_mem and group.gr_gid not in (os.getegid(), *os.getgroups())
    return ["sg", "docker", "-c", shlex.join(argv)] if lately and os.getuid() else argv


def _in_venv() -> bool:
    return paths.VENV.exists() and paths.VENV.samefile(sys.prefix)


def _stream(args: argparse.Namespace) -> TextIO:
    return sys.stderr if args.json else sys.stdout


def _interrupt(signum: int, frame: Any) -> None:
    raise Interrupted(signum)


def _failed(failure: Failure, output: Output) -> int:
    """The last lines: what, why, where to read on and how to go on."""
    lines = [
        f"stopped: {failure.message}",
        f"  next:  {failure.advice}" if failure.advice else "",
        f"  log:   {failure.log}" if failure.log else "",
        f"  go on: {failure.resume}" if failure.resume else "",
    ]
    sys.stdout.flush()
    print("\n".join(line for line in lines if line), file=sys.stderr, flush=True)
    output.emit(
        "run.failed",
        code=int(failure.code),
        reason=failure.reason,
        message=failure.message,
        advice=failure.advice,
        log=failure.log,
        resume=failure.resume,
    )
    return failure.code
