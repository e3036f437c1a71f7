# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has a server's lock: every state of it, and processes that are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_lock import (
    Folder,
    Holder,
    Refused,
    clock,
    give_back,
    refusal,
    renew,
    spoken,
    take,
)

ME = Holder("mine", "ann@desk", "switchover")
OTHER = Holder("other", "bob@lap", "failover", lifetime=900, taken=100, renewed=400)


def test_free() -> None:
    decision = take(None, ME, 50)
    assert decision.granted
    assert decision.after == replace(ME, taken=50, renewed=50)


def test_mine_again_keeps_the_command_that_took_it() -> None:
    mine = replace(ME, command="pg upgrade", taken=10, renewed=20)
    decision = take(mine, ME, 50)
    assert decision.granted
    assert decision.after == replace(mine, renewed=50)
    assert not give_back(mine, "mine", "switchover").granted
    assert give_back(mine, "mine", "switchover").after == mine
    assert give_back(mine, "mine", "pg upgrade").after is None


@pytest.mark.parametrize(
    ("now", "granted"),
    [
        (401, False),
        (1299, False),
        (1300, True),
    ],
)
def test_another_holder_has_it_until_its_lifetime_is_over(now: float, granted: bool) -> None:
    decision = take(OTHER, ME, now)
    assert decision.granted is granted
    assert decision.other == OTHER
    assert decision.after == (replace(ME, taken=now, renewed=now) if granted else OTHER)


def test_taken_over_from_the_dead_by_name_only() -> None:
    assert take(OTHER, ME, 401, gone="other").granted
    assert not take(OTHER, ME, 401, gone="another").granted
    assert "given up" in take(OTHER, ME, 401, gone="other").why
    assert "900 s" not in take(OTHER, ME, 401, gone="other").why
    assert take(OTHER, ME, 1300).why == "it has not renewed it for 15 min"


def test_renewing_what_was_lost_is_refused() -> None:
    assert not renew(None, "mine", 50).granted
    assert not renew(OTHER, "mine", 50).granted
    mine = replace(ME, taken=10, renewed=20)
    assert renew(mine, "mine", 50).after == replace(mine, renewed=50)
    assert renew(mine, "mine", 50, 60).after == replace(mine, renewed=50, lifetime=60)
    assert renew(replace(mine, lifetime=21600), "mine", 50).after == replace(mine, renewed=50, lifetime=21600)


def test_refusal_says_who_since_when_and_what_to_do() -> None:
    told = refusal("pg1", OTHER, 520)
    for part in (
        "bob@lap runs failover since 7 min",
        "on pg1",
        "2 min ago",
        "Nothing was changed",
        "free in 13 min",
        "-e postgres_ha_break_lock=other",
    ):
        assert part in told


def test_times_as_people_say_them() -> None:
    assert [spoken(seconds) for seconds in (0, 119, 120, 7199, 7260)] == [
        "0 s",
        "119 s",
        "2 min",
        "119 min",
        "2 h 1 min",
    ]


def test_kept_on_disk(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "lock")
    assert Folder(tmp_path / "nowhere").read() is None
    with folder.alone(0):
        folder.settle(take(folder.read(), ME, clock()))
    held = folder.read()
    assert held is not None
    assert held.run == "mine"
    assert 0 <= held.idle(clock()) < 5
    with folder.alone(0):
        folder.settle(give_back(folder.read(), "mine", "switchover"))
    assert folder.read() is None
    (tmp_path / "lock/holder.json").write_text("{")
    with pytest.raises(Refused, match="damaged"):
        folder.read()


def test_acts_need_the_lock_and_renew_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.acting(None):  # nobody asked for one
        pass
    with pytest.raises(Refused, match="given back"), folder.acting("mine"):
        pytest.fail("acted without the lock")
    folder.write(replace(ME, taken=0, renewed=0))
    with folder.acting("mine"), pytest.raises(Refused, match=r"An act of switchover by ann@desk"), folder.alone(0):
        pytest.fail("two at once")
    held = folder.read()
    assert held is not None
    assert held.idle(clock()) < 5
    with pytest.raises(Refused, match="ann@desk with switchover has it now"), folder.acting("other"):
        pytest.fail("acted with another's lock")


def rounds(path: Path, run: str, count: int, met: Path) -> None:
    """Takes the lock, is alone for a moment, gives it back."""
    folder, asker = Folder(path), Holder(run, run, "switchover")
    done = 0
    while done < count:
        with folder.alone(10):
            mine = folder.settle(take(folder.read(), asker, clock())).granted
        if not mine:
            continue
        inside = os.open(met, os.O_CREAT | os.O_EXCL)  # fails where the other one is inside, too
        time.sleep(0.001)
        os.close(inside)
        met.unlink()
        with folder.alone(10):
            folder.settle(give_back(folder.read(), run, "switchover"))
        done += 1


def hang(path: Path, run: str, ready: Path) -> None:
    with Folder(path).alone(10):
        Folder(path).settle(take(None, Holder(run, run, "failover"), clock()))
    with Folder(path).acting(run):
        ready.touch()
        time.sleep(60)


def test_two_processes_are_never_both_in(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    both = [fork.Process(target=rounds, args=(tmp_path / "lock", run, 60, tmp_path / "met")) for run in ("a", "b")]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    assert [one.exitcode for one in both] == [0, 0]
    assert Folder(tmp_path / "lock").read() is None


def test_act_of_a_killed_process_is_waited_for_and_its_lock_outlives_it(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    acting = multiprocessing.get_context("fork").Process(target=hang, args=(tmp_path / "lock", "dead", ready))
    acting.start()
    folder = Folder(tmp_path / "lock")
    end = time.monotonic() + 10
    while not ready.exists() and time.monotonic() < end:
        time.sleep(0.01)
    with pytest.raises(Refused, match="still being carried out"), folder.alone(0.2):
        pytest.fail("the act was not waited for")
    assert acting.pid is not None
    os.kill(acting.pid, signal.SIGKILL)
    acting.join(10)
    with folder.alone(5):
        assert not take(folder.read(), ME, clock()).granted
        assert take(folder.read(), ME, clock(), gone="dead").granted
