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
import time
from typing import Any, Protocol

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


class PlainOutput:
    """Lines that only grow: for pipes, files and continuous integration."""

    def __init__(self, verbose: int = 0) -> None:
        self.verbose = verbose
        self.began = self.spoke = time.monotonic()
        self.step = 0  # another one may be verified meanwhile
        self.task = ""
        self.hosts: list[str] = []

    def say(self, text: str = "") -> None:
        self.spoke = time.monotonic()
        print(text, flush=True)

    def line(self, text: str) -> None:
        self.say(f"[{clock(time.monotonic() - self.began)}] {text}")

    def emit(self, event: str, **fields: Any) -> None:
        show = getattr(self, "on_" + event.replace(".", "_"), None)
        if show:
            show(fields)

    def tick(self) -> None:
        if self.task and time.monotonic() - self.spoke >= HEARTBEAT:
            waits = f" (waits for {names(self.hosts)})" if self.hosts else ""
            self.line(f"  still at: {self.task}{waits}")

    def close(self) -> None:
        pass

    def on_preflight_passed(self, fields: Event) -> None:
        self.line(f"preflight: {fields['checks']} checks passed")
        self.line(f"  {fields['runs_on']}")

    def on_step_started(self, fields: Event) -> None:
        self.step = fields["step"]
        self.line(f"step {fields['step']}: {fields['title']}")

    def on_phase_started(self, fields: Event) -> None:
        self.task, self.hosts = "", []
        waits = f": waits for {fields['waits_for']}" if fields["phase"] == "apply" and fields["waits_for"] else ""
        self.line(f"  {fields['phase']}{waits}")

    def on_task_started(self, fields: Event) -> None:
        self.task, self.hosts = fields["task"], fields["hosts"]
        if self.verbose:
            self.line(f"    {self.task}")

    def on_task_waiting(self, fields: Event) -> None:
        self.hosts = fields["hosts"]

    def on_task_changed(self, fields: Event) -> None:
        if self.verbose:
            self.line(f"    changed {fields['host']}: {fields['task']}")

    def on_task_failed(self, fields: Event) -> None:
        self.line(f"  FAILED {fields['host']}: {fields['task']}: {fields['message']}")

    def on_test_finished(self, fields: Event) -> None:
        if fields["step"] == self.step:
            self.task = fields["title"]
        if self.verbose or fields["result"] != "passed":
            self.line(f"    {fields['result']}: {fields['title']}")

    def on_note(self, fields: Event) -> None:
        self.say(f"  {fields['message']}")

    def on_step_planned(self, fields: Event) -> None:
        for text in planned(fields):
            self.say(text)

    def on_removed(self, fields: Event) -> None:
        self.say(f"removed {fields['kind']} {fields['name']}")

    def on_step_finished(self, fields: Event) -> None:
        if fields["step"] == self.step:
            self.task = ""
        self.line(
            f"step {fields['step']}: {fields['state']}, changed={fields['changed']}, "
            + (f"{passed(fields['checks'])}, " if fields["checks"] else "")
            + clock(fields["seconds"])
        )


class Relay:
    """The output of another thread: what it tells waits until the main thread passes it on."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[tuple[str, Event]] = queue.SimpleQueue()

    def emit(self, event: str, **fields: Any) -> None:
        self.told.put((event, fields))

    def say(self, text: str = "") -> None:
        raise NotImplementedError("another thread tells events only")

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass

    def pass_on(self, output: Output) -> None:
        """Tells the output what has come so far, in its order."""
        while not self.told.empty():
            event, fields = self.told.get()
            output.emit(event, **fields)


def choose(as_json: bool, verbose: int, venv: bool) -> Output:
    """The output that fits where standard output goes."""
    if as_json:
        return JsonOutput()
    if venv and sys.stdout.isatty():
        from runner.live import LiveOutput  # needs rich

        return LiveOutput(verbose)
    return PlainOutput(verbose)
