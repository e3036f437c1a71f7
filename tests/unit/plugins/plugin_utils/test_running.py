# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the process that has a lock still lives."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import time
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import running


def test_a_process_that_ends() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        which = running.process(child.pid)
        assert not running.dead(running.place(), which)
        child.kill()
        while running.process(child.pid):  # a zombie soon, as nobody has collected it
            pass
        assert running.dead(running.place(), which)
        child.wait()
        assert running.dead(running.place(), which)


def test_a_number_that_another_process_has_now() -> None:
    me = running.process(os.getpid())
    assert not running.dead(running.place(), me)
    assert running.dead(running.place(), f"{os.getpid()} 1")


def test_elsewhere_nobody_is_dead() -> None:
    """Another machine, another container, or nothing told."""
    assert not running.dead("b pid:[1]", "1 1")
    assert not running.dead("", f"{os.getpid()} 1")
    assert not running.dead(running.place(), "")


def test_names_with_parentheses(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    fields = " ".join(["S", *map(str, range(4, 60))])
    (tmp_path / "7/stat").write_text(f"7 (a) b (c) {fields}\n")
    assert running.process(7, tmp_path) == "7 22"
    assert running.process(8, tmp_path) == ""
    assert running.place(tmp_path) == ""


FORK = multiprocessing.get_context("fork")  # as ansible-playbook starts its workers


def worker(told: SimpleQueue[int], orphaned: bool) -> None:
    parent = os.getppid()
    while orphaned and os.getppid() == parent:
        time.sleep(0.01)
    told.put(running.command())


def killed(told: SimpleQueue[int]) -> None:
    FORK.Process(target=worker, args=(told, True)).start()
    os._exit(9)


def test_a_worker_tells_whose_it_is() -> None:
    told = FORK.SimpleQueue()
    FORK.Process(target=worker, args=(told, False)).start()
    assert told.get() == os.getpid() == running.command()


def test_a_worker_that_was_left_is_nobodys() -> None:
    """It would take a lock in the name of init, and keep it until its lifetime ends."""
    told = FORK.SimpleQueue()
    command = FORK.Process(target=killed, args=(told,))
    command.start()
    assert told.get() == 0
    command.join()
