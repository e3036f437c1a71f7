# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events on a terminal: finished steps stay, one live line tells what is going on."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from runner.events import Event, clock, names, passed, planned


class LiveOutput:
    """One line of the present below the lines of the past."""

    def __init__(self, verbose: int = 0, console: Console | None = None) -> None:
        self.verbose = verbose
        self.console = console or Console(highlight=False)
        self.spinner = Spinner("dots")
        self.live: Live | None = None
        self.began = 0.0
        self.number = 0  # of the step; another one may be verified meanwhile
        self.step = self.phase = self.task = self.waits_for = ""
        self.hosts: list[str] = []
        self.attempt = 0

    def __rich__(self) -> RenderableType:
        """The present: spinner, step, phase, elapsed time, task and the hosts it waits for."""
        detail = self.task or (f"waits for {self.waits_for}" if self.waits_for else "")
        if self.attempt:
            detail += f", attempt {self.attempt}"
        where = f" [{names(self.hosts)}]" if self.hosts else ""
        line = Text.assemble(
            (self.step, "bold"),
            "  ",
            (f"{self.phase:<6}", "cyan"),
            f" {clock(time.monotonic() - self.began)}  ",
            detail,
            (where, "dim"),
        )
        line.truncate(max(self.console.width - 3, 1), overflow="ellipsis")
        grid = Table.grid(padding=(0, 1))
        grid.add_row(self.spinner, line)
        return grid

    def say(self, text: str = "") -> None:
        self.console.print(text, markup=False)

    def tick(self) -> None:
        pass  # rich redraws by itself

    def close(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def emit(self, event: str, **fields: Any) -> None:
        show = getattr(self, "on_" + event.replace(".", "_"), None)
        if show:
            show(fields)

    def past(self, mark: str, style: str, text: str) -> None:
        self.console.print(Text.assemble((mark, style), " ", text))

    def begin(self, title: str, phase: str = "") -> None:
        self.step, self.phase, self.began = title, phase, time.monotonic()
        self.task, self.hosts, self.attempt, self.waits_for = "", [], 0, ""
        if not self.live:
            self.live = Live(self, console=self.console, refresh_per_second=8, transient=True)
            self.live.start()

    def on_preflight_started(self, fields: Event) -> None:
        self.begin("Preflight", "check")

    def on_preflight_passed(self, fields: Event) -> None:
        self.past("✔", "green", f"Preflight: {fields['checks']} checks passed; {fields['runs_on']}")

    def on_step_started(self, fields: Event) -> None:
        self.number = fields["step"]
        self.begin(f"{fields['step']}. {fields['title']}")

    def on_phase_started(self, fields: Event) -> None:
        self.phase, self.waits_for = fields["phase"], fields["waits_for"]
        self.task, self.hosts, self.attempt = "", [], 0

    def on_task_started(self, fields: Event) -> None:
        self.task, self.hosts, self.attempt = fields["task"], fields["hosts"], 0

    def on_task_waiting(self, fields: Event) -> None:
        self.hosts, self.attempt = fields["hosts"], fields["attempt"]

    def on_task_changed(self, fields: Event) -> None:
        if self.verbose:
            self.past("  ~", "yellow", f"{fields['host']}: {fields['task']}")

    def on_task_failed(self, fields: Event) -> None:
        self.past("  ✘", "red", f"{fields['host']}: {fields['task']}: {fields['message']}")

    def on_test_started(self, fields: Event) -> None:
        if fields["step"] == self.number:
            self.task, self.hosts = fields["title"], []

    def on_test_finished(self, fields: Event) -> None:
        if fields["result"] != "passed":
            self.past("  ✘", "red", f"{fields['result']}: {fields['title']}")
        elif self.verbose:
            self.past("  ✔", "green", fields["title"])

    def on_note(self, fields: Event) -> None:
        self.past("  ", "", fields["message"])

    def on_step_finished(self, fields: Event) -> None:
        ok = fields["state"] in ("verified", "done")
        text = f"{fields['step']}. {fields['title']:<38} {clock(fields['seconds']):>6}  changed={fields['changed']}"
        self.past(
            "✔" if ok else "✘",
            "green" if ok else "red",
            text + (f"  {passed(fields['checks'])}" if fields["checks"] else ""),
        )

    def on_step_planned(self, fields: Event) -> None:
        self.console.print(Text(self.step, "bold"))
        for text in planned(fields):
            self.say(text)
