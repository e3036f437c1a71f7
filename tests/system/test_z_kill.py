# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment from nothing that is killed again and again; the last test of the folder, for it starts over."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from subprocess import DEVNULL

import pytest
from conftest import ROOT, Run

pytestmark = pytest.mark.slow  # minutes each; CI leaves them out

KILLS = 10


def test_killed_ten_times_then_one_run_finishes(run: Run, deploys: Callable[[], str]) -> None:
    """kill -9 of everything a run started, at ten random times from nothing on; the next run finishes and verifies."""
    assert run("./teardown.sh", "--yes").returncode == 0
    seed = int(os.environ.get("TEST_SEED") or time.time())
    print(f"TEST_SEED={seed}")
    chance = random.Random(seed)
    for number in range(KILLS):
        process = subprocess.Popen(["./run.py", "--yes"], cwd=ROOT, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
        time.sleep(chance.uniform(2, 12 + 5 * number))
        for pid in descendants(process.pid):
            with suppress(ProcessLookupError):  # it ended by itself meanwhile
                os.kill(pid, signal.SIGKILL)
        process.wait(timeout=10)
    deploys()


def descendants(pid: int) -> list[int]:
    """The process and all below it, parents first."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    children: dict[int, list[int]] = {}
    for line in table.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found
