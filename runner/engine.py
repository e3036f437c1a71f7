# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a playbook and turns what Ansible tells into the run's events.

ansible-playbook is a process of its own rather than ansible-runner's thread: its session, its log and its
death are then in `child`'s hands, and the same hands run pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import child, paths
from runner.events import Event, Output

ITEMS = "One or more items failed"


@dataclass(frozen=True)
class Problem:
    """A task that failed on a host, in the task's own words."""

    host: str
    task: str
    message: str

    def __str__(self) -> str:
        return f"{self.host}: {self.task}: {self.message}"


@dataclass
class Played:
    """What a playbook did. changed: tasks by all hosts; custom: its set_stats; notes: what its debug tasks say."""

    ok: bool = False
    changed: int = 0
    problems: list[Problem] = field(default_factory=list)
    custom: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    would_change: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    phase: str = ""  # the last one entered

    @property
    def cause(self) -> str:
        """Why it failed, in one line."""
        if self.problems:
            return str(self.problems[0]) + (f" (and {len(self.problems) - 1} more)" if self.problems[1:] else "")
        errors = [line for line in self.tail if "ERROR" in line or "Error" in line]
        return (errors or self.tail or ["ansible-playbook ended without a word"])[0 if errors else -1].strip()


class _Listener:
    """Follows one playbook: from the callback's kinds to the run's events."""

    def __init__(self, output: Output, step: int, waits_for: str, only: str) -> None:
        self.output, self.step, self.waits_for, self.only = output, step, waits_for, only
        self.played = Played()
        self.phase = self.task = ""
        self.waiting: list[str] = []
        self.item_message: dict[tuple[str, str], str] = {}

    def __call__(self, event: Event) -> None:
        getattr(self, "on_" + event["kind"])(event)

    def emit(self, event: str, **fields: Any) -> None:
        self.output.emit(event, step=self.step, phase=self.phase, **fields)

    def enter(self, phase: str) -> None:
        if phase != self.phase:
            self.phase = phase
            self.emit("phase.started", waits_for=self.waits_for)

    def on_play(self, event: Event) -> None:
        self.enter(self.only or ("check" if event["play"].startswith("Check") else "apply"))

    def on_task(self, event: Event) -> None:
        self.task, self.waiting = event["task"], []
        self.emit("task.started", task=self.task, hosts=[])

    def on_host(self, event: Event) -> None:
        self.waiting.append(event["host"])
        self.emit("task.waiting", task=self.task, hosts=list(self.waiting), attempt=0)

    def on_retry(self, event: Event) -> None:
        self.emit("task.waiting", task=self.task, hosts=list(self.waiting), attempt=event["attempt"])

    def _done(self, event: Event) -> None:
        if event["host"] in self.waiting:
            self.waiting.remove(event["host"])
            self.emit("task.waiting", task=self.task, hosts=list(self.waiting), attempt=0)

    def on_ok(self, event: Event) -> None:
        if event["changed"]:
            self.played.would_change.append(f"{event['host']}: {event['task']}")
            self.emit("task.changed", host=event["host"], task=event["task"])
        self._done(event)

    on_skipped = _done

    def on_note(self, event: Event) -> None:
        for line in map(str, event["lines"]):
            self.played.notes.append(line)
            self.emit("note", message=line)

    def on_item_failed(self, event: Event) -> None:
        self.item_message[event["host"], event["task"]] = event["message"]

    def on_failed(self, event: Event) -> None:
        if not event["ignored"]:
            message = event["message"]
            if message.startswith(ITEMS):
                message = self.item_message.get((event["host"], event["task"]), message)
            self.played.problems.append(Problem(event["host"], event["task"], message))
        self._done(event)

    def on_stats(self, event: Event) -> None:
        self.played.changed = sum(counts["changed"] for counts in event["hosts"].values())
        self.played.custom = event["custom"]
        broken = {host for host, counts in event["hosts"].items() if counts["failures"] or counts["unreachable"]}
        last = {
            problem.host: problem for problem in self.played.problems if problem.host in broken
        }  # others were rescued
        self.played.problems = list(last.values())
        for problem in self.played.problems:
            self.emit("task.failed", host=problem.host, task=problem.task, message=problem.message)


def environment() -> dict[str, str]:
    """What Ansible has to know to run from here."""
    return {
        "ANSIBLE_CONFIG": str(paths.ROOT / "ansible.cfg"),
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(paths.DEPLOY / "facts"),
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "odoo_deploy_events",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "PYTHONUNBUFFERED": "1",
    }


def full_environment() -> dict[str, str]:
    """The same over our own, with the virtual environment's programs first."""
    path = f"{paths.VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, **environment(), "PATH": path}


def read(argv: Sequence[str]) -> str:
    """What a program of Ansible's that changes nothing prints; raises RuntimeError with its last words."""
    done = subprocess.run(
        argv,
        check=False,
        cwd=paths.ROOT,
        env=full_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise RuntimeError(words[-1] if words else f"{Path(argv[1]).name} failed")
    return done.stdout


def arguments(playbook: str, extra: Sequence[str] = (), verbose: int = 0, check: bool = False) -> list[str]:
    """The ansible-playbook command line; extra: values of -e, secrets only as @file."""
    argv = [
        sys.executable,
        str(Path(sys.executable).with_name("ansible-playbook")),
        f"playbooks/{playbook}",
    ]
    argv += [part for value in extra for part in ("-e", value)]
    argv += ["--check", "--diff"] if check else []
    return argv + (["-" + "v" * verbose] if verbose else [])


def play(
    playbook: str,
    log: str,
    output: Output,
    *,
    step: int = 0,
    waits_for: str = "",
    phase: str = "",
    extra: Sequence[str] = (),
    verbose: int = 0,
    check: bool = False,
    gives_way: bool = False,
) -> Played:
    """Runs one playbook to its end, in any thread, and returns what it did; raises Interrupted or Stopped.

    phase: the name of all of it; empty: plays that begin with Check are one phase, the others another.
    gives_way: what the run waits for gets the processor first.
    """
    listener = _Listener(output, step, waits_for, phase)
    ended = child.run(
        arguments(playbook, extra, verbose, check),
        paths.LOG / log,
        env=environment(),
        on_event=listener,
        on_tick=output.tick,
        gives_way=gives_way,
    )
    listener.played.ok = ended.returncode == 0
    listener.played.tail = ended.tail
    listener.played.phase = listener.phase
    return listener.played
