# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events on a terminal: finished steps stay, one live line a step shows what is going on."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from runner.events import Event, Present, clock, names, passed, planned

PREFLIGHT = -1  # its place among the steps


class LiveOutput:
    """Below the lines of the past, one line for each step at work."""

    def __init__(self, verbose: int = 0, console: Console | None = None) -> None:
        self.verbose = verbose
        self.console = console or Console(highlight=False)
        self.spinner = Spinner("dots")
        self.live: Live | None = None
        self.present: dict[int, Present] = {}  # by step; -1: the preflight

    def __rich__(self) -> RenderableType:
        """For each step at work a spinner, title, phase, elapsed time, task and the hosts that it waits for."""
        grid = Table.grid(padding=(0, 1))
        for now in list(self.present.values()):
            where = f" [{names(now.hosts)}]" if now.hosts else ""
            line = Text.assemble(
                (now.title, "bold"),
                "  ",
                (f"{now.phase:<7}", "cyan"),
                f" {clock(time.monotonic() - now.began)}  ",
                now.detail,
                (where, "dim"),
            )
            line.truncate(max(self.console.width - 3, 1), overflow="ellipsis")
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

    def begin(self, step: int, title: str, phase: str = "") -> None:
        self.present[step] = Present(title, phase)
        if not self.live:
            self.live = Live(self, console=self.console, refresh_per_second=8, transient=True)
            self.live.start()

    def on_preflight_started(self, fields: Event) -> None:
        self.begin(PREFLIGHT, "Preflight", "check")

    def on_preflight_passed(self, fields: Event) -> None:
        self.present.pop(PREFLIGHT, None)
        self.past("✔", "green", f"Preflight: {fields['checks']} checks passed; {fields['runs_on']}")

    def on_step_started(self, fields: Event) -> None:
        self.begin(fields["step"], f"{fields['step']}. {fields['title']}" if fields["step"] else fields["title"])

    def on_step_preparing(self, fields: Event) -> None:
        self.on_step_started(fields)

    def on_step_prepared(self, fields: Event) -> None:
        self.present.pop(fields["step"], None)

    def on_phase_started(self, fields: Event) -> None:
        self.present[fields["step"]].enter(fields["phase"], fields["waits_for"])

    def on_task_started(self, fields: Event) -> None:
        self.present[fields["step"]].at(fields["task"], fields["hosts"])

    def on_task_waiting(self, fields: Event) -> None:
        self.present[fields["step"]].at(fields["task"], fields["hosts"], fields["attempt"])

    def on_task_changed(self, fields: Event) -> None:
        if self.verbose:
            self.past("  ~", "yellow", f"{fields['host']}: {fields['task']}")

    def on_task_failed(self, fields: Event) -> None:
        self.past("  ✘", "red", f"{fields['host']}: {fields['task']}: {fields['message']}")

    def on_test_started(self, fields: Event) -> None:
        self.present[fields["step"]].at(fields["title"])

    def on_test_finished(self, fields: Event) -> None:
        if fields["result"] != "passed":
            self.past("  ✘", "red", f"{fields['result']}: {fields['title']}")
        elif self.verbose:
            self.past("  ✔", "green", fields["title"])

    def on_note(self, fields: Event) -> None:
        self.past("  ", "", fields["message"])

    def on_step_finished(self, fields: Event) -> None:
        self.present.pop(fields["step"], None)
        ok = fields["state"] in ("verified", "done")
        title = f"{fields['step']}. {fields['title']}" if fields["step"] else fields["title"]
        text = f"{title:<41} {clock(fields['seconds']):>6}  changed={fields['changed']}"
        self.past(
            "✔" if ok else "✘",
            "green" if ok else "red",
            text + (f"  {passed(fields['checks'])}" if fields["checks"] else ""),
        )

    def on_step_planned(self, fields: Event) -> None:
        now = self.present.pop(fields["step"], None)
        self.console.print(Text(now.title if now else "", "bold"))
        for text in planned(fields):
            self.say(text)
