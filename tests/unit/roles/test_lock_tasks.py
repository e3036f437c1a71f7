# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of the servers as playbooks take it: two runs of Ansible at once, on folders instead of servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ha_play import ROOT, began, part, said


def holders(tmp_path: Path) -> dict[str, str]:
    paths = {name: tmp_path / name / "holder.json" for name in ("pg1", "pg2")}
    return {name: json.loads(path.read_text())["command"] for name, path in paths.items() if path.exists()}


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.05)


def holding(tmp_path: Path) -> subprocess.Popen[str]:
    """One that has the lock until the file go is there."""
    script = f"touch {tmp_path}/ready; for turn in $(seq 600); do test ! -e {tmp_path}/go || exit 0; sleep 0.1; done"
    waits = {"ansible.builtin.command": {"argv": ["sh", "-c", script]}}
    run = began(tmp_path, "failover", [part("lock", "failover"), {**waits, "when": "inventory_hostname == 'pg1'"}])
    wait_for(tmp_path / "ready")
    return run


def test_a_second_command_is_refused_and_holds_nothing(tmp_path: Path) -> None:
    first = holding(tmp_path)
    refused = said(began(tmp_path, "switchover", [part("lock", "switchover")]))
    assert "runs failover since" in refused
    assert "-e postgres_ha_break_lock=" in refused
    assert holders(tmp_path) == {"pg1": "failover", "pg2": "failover"}
    (tmp_path / "go").touch()
    assert "pg2 came to the end" in said(first)
    assert holders(tmp_path) == {}


def test_one_server_that_is_held_gives_the_others_back(tmp_path: Path) -> None:
    """pg2 is another's, on another controller: pg1, which comes first, is given back."""
    (tmp_path / "pg2").mkdir()
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    held = {"run": "theirs", "owner": "bob@lap", "command": "rejoin", "place": "there", "process": "1 1"}
    (tmp_path / "pg2/holder.json").write_text(json.dumps({**held, "taken": now - 60, "renewed": now, "lifetime": 900}))
    refused = said(began(tmp_path, "switchover", [part("lock", "switchover")]))
    assert "bob@lap runs rejoin since 6" in refused
    assert "came to the end" not in refused
    assert holders(tmp_path) == {"pg2": "rejoin"}
    taken = said(began(tmp_path, "switchover", [part("lock", "switchover")], "-e", "postgres_ha_break_lock=theirs"))
    assert "Took over the lock on pg2 of bob@lap, rejoin" in taken
    assert "pg1 came to the end" in taken
    assert holders(tmp_path) == {}


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    first = holding(tmp_path)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=60)
    assert holders(tmp_path) == {"pg1": "failover", "pg2": "failover"}
    done = said(began(tmp_path, "rejoin", [part("lock", "rejoin"), part("renew", "rejoin")]))
    assert "Took over the lock on pg1" in done
    assert "runs no longer" in done
    assert "pg2 came to the end" in done
    assert holders(tmp_path) == {}
    (tmp_path / "go").touch()


def test_given_back_after_a_failure_and_kept_by_the_outer_command(tmp_path: Path) -> None:
    fails = {"ansible.builtin.fail": {"msg": "broken"}, "any_errors_fatal": True}
    inner = [part("lock", "pg upgrade"), part("lock", "switchover"), part("unlock", "switchover")]
    look = {"ansible.builtin.command": {"argv": ["test", "-e", f"{tmp_path}/{{{{ inventory_hostname }}}}/holder.json"]}}
    done = said(began(tmp_path, "pg upgrade", [*inner, {**look, "when": "inventory_hostname != 'pg0'"}, fails]))
    assert "broken" in done
    assert "non-zero return code" not in done
    assert holders(tmp_path) == {}


def test_a_trial_run_takes_nothing(tmp_path: Path) -> None:
    assert "pg1 came to the end" in said(began(tmp_path, "switchover", [part("lock", "switchover")], "--check"))
    assert holders(tmp_path) == {}
    assert not (tmp_path / "pg1").exists()


def test_a_lock_holds_as_long_as_its_command_may_take(tmp_path: Path) -> None:
    """From when it is taken, and from when it is renewed."""

    def copied(name: str) -> dict[str, Any]:
        folder = f"{tmp_path}/{{{{ inventory_hostname }}}}"
        copy = {"ansible.builtin.command": {"argv": ["cp", f"{folder}/holder.json", f"{folder}/{name}"]}}
        return {**copy, "when": "inventory_hostname == 'pg1'"}

    longer = part("renew", "rejoin")
    longer["vars"] |= {"postgres_ha_lock_lifetime": 88}
    taken = part("lock", "rejoin")
    taken["vars"] |= {"postgres_ha_lock_lifetime": 77}
    done = said(began(tmp_path, "rejoin", [taken, copied("taken"), longer, copied("renewed")]))
    assert "pg1 came to the end" in done, done
    assert [json.loads((tmp_path / "pg1" / name).read_text())["lifetime"] for name in ("taken", "renewed")] == [77, 88]


LOCKED = ROOT / "roles/postgres_common/tasks/locked.yml"


def test_an_act_of_a_run_that_has_lost_the_lock_is_not_done(tmp_path: Path) -> None:
    """Another command has it by now, or had it and is done; the lifetime that the holder asked for stays."""

    def shell(words: str, where: str = "pg1") -> dict[str, Any]:
        script = f"cd {tmp_path}/{{{{ inventory_hostname }}}} && {words}"
        when = f"inventory_hostname == '{where}'"
        return {"ansible.builtin.command": {"argv": ["sh", "-c", script]}, "when": when, "delegate_to": "localhost"}

    def locked(name: str) -> dict[str, Any]:
        include = {"ansible.builtin.include_tasks": {"file": str(LOCKED)}}
        variables = {
            "postgres_common_lock": "{{ postgres_ha_run }}",
            "__postgres_common_lock_folder": "{{ __postgres_ha_lock_folder }}",
            "postgres_common_state": {"name": "{{ inventory_hostname }}"},
        }
        return {**include, "name": name, "vars": variables, "when": "inventory_hostname != 'pg0'"}

    taken = part("lock", "restore")
    taken["vars"] |= {"postgres_ha_lock_lifetime": 77}
    theirs = """sed -i 's/"run": "[0-9a-f]*"/"run": "theirs"/' holder.json"""
    tasks = [taken, locked("first"), shell("cp holder.json kept"), shell(theirs), shell("rm holder.json", "pg2")]
    done = said(began(tmp_path, "restore", [*tasks, locked("then")]))
    assert json.loads((tmp_path / "pg1/kept").read_text())["lifetime"] == 77
    assert "has the lock on pg1 (run theirs" in done, done
    assert "This command has lost the lock on pg2, which was given back: run it again." in done
    assert "came to the end" not in done.replace("pg0 came to the end", "")


def acts_of(role: str) -> list[tuple[str, dict[str, Any]]]:
    """Tasks of a role with their file, those in blocks and rescues, too."""
    found = []
    for path in sorted((ROOT / "roles" / role / "tasks").rglob("*.yml")):
        left = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        while left:
            task = left.pop(0)
            left = [inner for key in ("block", "rescue", "always") for inner in task.get(key, [])] + left
            found.append((f"{role}/{path.name}", task))
    return found


@pytest.mark.parametrize("role", ["postgres_ha", "postgres_replica", "postgres_backup", "postgres_common"])
def test_every_act_looks_at_the_lock(role: str) -> None:
    """What stops, promotes or starts a primary does not begin where another command may have acted meanwhile."""
    names = [(path, task.get("ansible.builtin.import_tasks")) for path, task in acts_of(role)]
    for number, (path, task) in enumerate(acts_of(role)):
        for module in ("postgres_demote", "postgres_promote"):
            if f"odoo_deploy.stack.{module}" in task:
                assert "lock" in (task[f"odoo_deploy.stack.{module}"] or {}), (path, task["name"])
        words = str(task.get("ansible.builtin.shell", "")) + str(task.get("ansible.builtin.file", ""))
        if "PERMIT" in words or ("postgres_common_permit" in words and "touch" in words):
            assert names[number - 1] == (path, "locked.yml"), (path, task["name"])


def test_nobody_is_powered_off_by_a_run_that_has_lost_the_lock() -> None:
    names = [task["name"] for path, task in acts_of("postgres_ha") if path.endswith("/fence.yml")]
    assert names.index("Check that no other command has begun") < names.index(
        "Power off a suspect that does not answer"
    )
