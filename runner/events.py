# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells: events, shown as JSON lines, as plain lines, or live (see `live`).

docs/run.md describes each event and its fields; an unknown field is to be ignored by readers.
"""

from __future__ import annotations

import datetime
import json
import queue
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from runner.exits import Stopped

Event = dict[str, Any]
HEARTBEAT = 30.0  # seconds of silence after which plain output says that it still lives


class Output(Protocol):
    """Where events go."""

    def emit(self, event: str, **fields: Any) -> None:
        """Tells one event."""

    def say(self, text: str = "") -> None:
        """Tells a person something that is no event."""

    def tick(self) -> None:
        """Called a few times a second while something runs."""

    def close(self) -> None:
        """Gives the terminal back."""


def clock(seconds: float) -> str:
    """Elapsed time as 0:07 or 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def names(hosts: list[str], limit: int = 4) -> str:
    """A few names, and how many more."""
    return ", ".join(hosts[:limit]) + (f" and {len(hosts) - limit} more" if len(hosts) > limit else "")


def passed(checks: list[Event]) -> str:
    """`3 checks passed`, or how many did not."""
    bad = sum(check["result"] != "passed" for check in checks)
    all_of_them = f"{len(checks)} check{'' if len(checks) == 1 else 's'}"
    return f"{bad} of {all_of_them} failed" if bad else f"{all_of_them} passed"


def planned(fields: Event) -> list[str]:
    """What a dry run says of a step."""
    if not fields["exists"]:
        return ["  is not there yet; it would run:", *(f"    {play}" for play in fields["would"])]
    return (
        ["  would change:", *(f"    {task}" for task in fields["would"])]
        if fields["would"]
        else ["  is as it should be; it would change nothing"]
    )


class JsonOutput:
    """One JSON object a line on standard output; what is meant for people goes to standard error."""

    def emit(self, event: str, **fields: Any) -> None:
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        print(json.dumps({"time": now, "event": event, **fields}), flush=True)

    def say(self, text: str = "") -> None:
        print(text, file=sys.stderr, flush=True)

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class Present:
    """What one step is at now: its phase and task, the hosts that it waits for, and since when."""

    title: str = ""
    phase: str = ""
    task: str = ""
    hosts: list[str] = field(default_factory=list)
    waits_for: str = ""
    attempt: int = 0
    began: float = field(default_factory=time.monotonic)

    def enter(self, phase: str, waits_for: str) -> None:
        self.phase, self.waits_for = phase, waits_for
        self.at("")

    def at(self, task: str, hosts: list[str] | None = None, attempt: int = 0) -> None:
        self.task, self.hosts, self.attempt = task, hosts or [], attempt

    @property
    def detail(self) -> str:
        """The task, the attempt at it, and the hosts that are still at it."""
        text = self.task or (f"waits for {self.waits_for}" if self.waits_for else "")
        return text + (f", attempt {self.attempt}" if self.attempt else "")


class PlainOutput:
    """Lines that only grow, for pipes and files. Each names its step, as several may be at work."""

    def __init__(self, verbose: int = 0) -> None:
        self.verbose = verbose
        self.began = self.spoke = time.monotonic()
        self.present: dict[int, Present] = {}  # by step

    def say(self, text: str = "") -> None:
        self.spoke = time.monotonic()
        print(text, flush=True)

    def line(self, text: str) -> None:
        self.say(f"[{clock(time.monotonic() - self.began)}] {text}")

    def of(self, step: int, text: str) -> None:
        """A line about a step; a command that is no step needs no number."""
        self.line(f"  {step} {text}" if step else f"  {text}")

    def emit(self, event: str, **fields: Any) -> None:
        show = getattr(self, "on_" + event.replace(".", "_"), None)
        if show:
            show(fields)

    def tick(self) -> None:
        if time.monotonic() - self.spoke >= HEARTBEAT:
            for step, now in self.present.items():
                waits = f" (waits for {names(now.hosts)})" if now.hosts else ""
                if now.task:
                    self.of(step, f"still at: {now.task}{waits}")

    def close(self) -> None:
        pass

    def on_preflight_passed(self, fields: Event) -> None:
        self.line(f"preflight: {fields['checks']} checks passed")
        self.line(f"  {fields['runs_on']}")

    def on_step_started(self, fields: Event) -> None:
        self.present[fields["step"]] = Present(fields["title"])
        self.line(f"step {fields['step']}: {fields['title']}" if fields["step"] else fields["title"])

    def on_step_preparing(self, fields: Event) -> None:
        self.present[fields["step"]] = Present(fields["title"])

    def on_step_prepared(self, fields: Event) -> None:
        self.present.pop(fields["step"], None)
        self.of(fields["step"], f"prepared, changed={fields['changed']}, {clock(fields['seconds'])}")

    def on_phase_started(self, fields: Event) -> None:
        self.present[fields["step"]].enter(fields["phase"], fields["waits_for"])
        waits = (
            f": waits for {fields['waits_for']}"
            if fields["phase"] in ("prepare", "apply") and fields["waits_for"]
            else ""
        )
        self.of(fields["step"], f"{fields['phase']}{waits}")

    def on_task_started(self, fields: Event) -> None:
        self.present[fields["step"]].at(fields["task"], fields["hosts"])
        if self.verbose:
            self.of(fields["step"], f"  {fields['task']}")

    def on_task_waiting(self, fields: Event) -> None:
        self.present[fields["step"]].hosts = fields["hosts"]

    def on_task_changed(self, fields: Event) -> None:
        if self.verbose:
            self.of(fields["step"], f"  changed {fields['host']}: {fields['task']}")

    def on_task_failed(self, fields: Event) -> None:
        self.of(fields["step"], f"FAILED {fields['host']}: {fields['task']}: {fields['message']}")

    def on_test_finished(self, fields: Event) -> None:
        self.present[fields["step"]].at(fields["title"])
        if self.verbose or fields["result"] != "passed":
            self.of(fields["step"], f"  {fields['result']}: {fields['title']}")

    def on_note(self, fields: Event) -> None:
        self.say(f"  {fields['message']}")

    def on_step_planned(self, fields: Event) -> None:
        for text in planned(fields):
            self.say(text)

    def on_removed(self, fields: Event) -> None:
        self.say(f"removed {fields['kind']} {fields['name']}")

    def on_step_finished(self, fields: Event) -> None:
        self.present.pop(fields["step"], None)
        self.line(
            (f"step {fields['step']}: " if fields["step"] else "")
            + f"{fields['state']}, changed={fields['changed']}, "
            + (f"{passed(fields['checks'])}, " if fields["checks"] else "")
            + clock(fields["seconds"])
        )


class Relay:
    """The output of another thread: its events wait until the main thread passes them on.

    The main thread sets `stopped` to end what the other thread follows; at_once: without patience.
    """

    def __init__(self, at_once: threading.Event) -> None:
        self.told: queue.SimpleQueue[tuple[str, Event]] = queue.SimpleQueue()
        self.at_once = at_once
        self.stopped = False

    def emit(self, event: str, **fields: Any) -> None:
        self.told.put((event, fields))

    def say(self, text: str = "") -> None:
        raise NotImplementedError("another thread tells events only")

    def tick(self) -> None:
        if self.stopped:
            raise Stopped(self.at_once)

    def close(self) -> None:
        pass

    def pass_on(self, output: Output, noted: set[str]) -> None:
        """Tells the output what has come so far, in its order; noted: notes of this run, each of which is told once."""
        while not self.told.empty():
            event, fields = self.told.get()
            if event == "note":
                if fields["message"] in noted:
                    continue
                noted.add(fields["message"])
            output.emit(event, **fields)


def choose(as_json: bool, verbose: int, venv: bool) -> Output:
    """The output that fits where standard output goes."""
    if as_json:
        return JsonOutput()
    if venv and sys.stdout.isatty():
        from runner.live import LiveOutput  # needs rich

        return LiveOutput(verbose)
    return PlainOutput(verbose)
