# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one program: its output into a private log, its events to the caller, its end tied to ours.

The program writes JSON lines to descriptor ODOO_DEPLOY_EVENTS_FD. It has a session of its own, so the
terminal's Ctrl-C reaches us alone; it gets SIGTERM from the kernel when we are killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import paths, procs
from runner.exits import Interrupted, Stopped
from runner.scrub import Scrubber

EVENTS = "ODOO_DEPLOY_EVENTS_FD"
PATIENCE = 15.0  # seconds a program gets to end after Ctrl-C
GIVES_WAY = 10  # nice value: about a tenth of what others get, all of it when nobody else wants it
TAIL = 20  # lines of output kept for messages


@dataclass
class Ended:
    """How the program ended; tail: its last lines, scrubbed."""

    returncode: int
    tail: list[str]


def open_log(path: Path) -> int:
    """A fresh log only its owner reads; the previous one is kept as NAME.1."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)


def run(
    argv: Sequence[str],
    log: Path,
    *,
    env: dict[str, str] | None = None,
    on_event: Callable[[dict[str, Any]], None] = lambda event: None,
    on_tick: Callable[[], None] = lambda: None,
    gives_way: bool = False,
) -> Ended:
    """Runs argv in the checkout to its end, in any thread.

    gives_way: other programs get the processor first.
    Ends it first when a signal raises Interrupted, or on_tick raises Stopped.
    """
    job = uuid.uuid4().hex
    read_end, write_end = os.pipe()
    tied = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    environment = {**os.environ, **(env or {}), EVENTS: str(write_end), procs.MARK: str(paths.DEPLOY), procs.JOB: job}
    environment["PATH"] = f"{paths.VENV / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
    with open(open_log(log), "wb") as log_file:
        process = subprocess.Popen(
            [*tied, *argv],
            cwd=paths.ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(write_end,),
            start_new_session=True,
        )
        os.close(write_end)
        if gives_way:
            _give_way(process.pid)
        assert process.stdout is not None
        pump = _Pump(process.stdout.fileno(), read_end, log_file, on_event)
        try:
            while process.poll() is None:
                pump.turn(0.2)
                on_tick()
        except Interrupted:
            _stop(process, pump, job)
            raise
        except Stopped as stopped:
            _stop(process, pump, job, stopped.at_once.is_set)
            raise
        except BaseException:
            process.kill()
            procs.end(job, 0, variable=procs.JOB)
            raise
        finally:
            pump.drain()
            process.stdout.close()
            os.close(read_end)
    return Ended(process.returncode, pump.tail)


def _give_way(pid: int) -> None:
    """Lowers a session's priority: its first process', and the session's own where the kernel weighs sessions."""
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        os.setpriority(os.PRIO_PROCESS, pid, GIVES_WAY)
    with contextlib.suppress(OSError):  # a kernel without autogroups (sched(7))
        Path(f"/proc/{pid}/autogroup").write_text(str(GIVES_WAY))


def _stop(process: subprocess.Popen[bytes], pump: _Pump, job: str, at_once: Callable[[], bool] = lambda: False) -> None:
    """Lets the program clean up for a while; a second signal, at_once, or the end of patience, kills it."""
    patience = PATIENCE
    try:
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline and not at_once():
            pump.turn(0.1)
    except Interrupted:
        patience = 0.0
    process.kill()
    process.wait()
    procs.end(job, 0.0 if at_once() else min(patience, 5.0), variable=procs.JOB)


class _Pump:
    """Moves output to the log and events to the caller, line by line."""

    def __init__(self, output: int, events: int, log: Any, on_event: Callable[[dict[str, Any]], None]) -> None:
        self.log, self.on_event = log, on_event
        self.scrub = Scrubber(paths.SECRETS)
        self.tail: list[str] = []
        self.rest = {output: b"", events: b""}
        self.take = {output: self._output, events: self._events}
        self.selector = selectors.DefaultSelector()
        for descriptor in self.rest:
            os.set_blocking(descriptor, False)
            self.selector.register(descriptor, selectors.EVENT_READ)

    def turn(self, timeout: float) -> bool:
        """Waits for something to move and moves it; False when nothing came."""
        if not self.selector.get_map():
            time.sleep(timeout)
            return False
        ready = self.selector.select(timeout)
        for key, _mask in ready:
            try:
                data = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            if not data:
                self.selector.unregister(key.fd)
                continue
            lines, newline, self.rest[key.fd] = (self.rest[key.fd] + data).rpartition(b"\n")
            if newline:
                self.take[key.fd](lines.decode(errors="replace"))
        return bool(ready)

    def drain(self) -> None:
        """Takes what is left once the program has ended; a daemon may keep the pipes open for ever."""
        while self.turn(0):
            pass
        for descriptor, rest in self.rest.items():
            if rest:
                self.take[descriptor](rest.decode(errors="replace"))
        self.selector.close()

    def _output(self, text: str) -> None:
        text = self.scrub(text)
        self.tail = (self.tail + text.splitlines())[-TAIL:]
        self.log.write(text.encode() + b"\n")
        self.log.flush()

    def _events(self, text: str) -> None:
        for line in self.scrub(text).splitlines():
            try:
                event = json.loads(line)
            except ValueError:  # cut short by a kill
                continue
            self.on_event(event)
