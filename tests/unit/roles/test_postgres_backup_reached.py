# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that is lost in one play ends no run, as a failure does: the machine of the backups waits for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TASKS = Path(__file__).resolve().parents[3] / "roles" / "postgres_backup" / "tasks"


def said(folder: Path, second: str) -> str:
    """What is said by a play on pg1 and pg2, and then one on both and backup1. Nobody answers as ``nobody``."""
    look = [{"ansible.builtin.command": "true"}]
    keep = [
        {"ansible.builtin.include_tasks": str(TASKS / "reached.yml")},
        {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} keeps backups"}},
    ]
    fatal = {"gather_facts": False, "any_errors_fatal": True}
    plays = [{"hosts": "pg", **fatal, "tasks": look}, {"hosts": "pg:backup", **fatal, "tasks": keep}]
    (folder / "book.yml").write_text(json.dumps(plays))
    here = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    address = {"nobody": "ansible_host=127.0.0.1 ansible_port=1", "pg2": here}[second]
    (folder / "hosts.ini").write_text(f"[pg]\npg1 {here}\npg2 {address}\n[backup]\nbackup1 {here}\n")
    (folder / "ansible.cfg").touch()
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts.ini", "book.yml"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(("second", "keeps"), [("pg2", True), ("nobody", False)])
def test_backups_are_kept_when_all_were_reached(tmp_path: Path, second: str, keeps: bool) -> None:
    words = said(tmp_path, second)
    assert ("backup1 keeps backups" in words) == keeps, words[-2000:]
    assert ("could not be reached, so backup1 was left as it is" in words) != keeps


@pytest.mark.parametrize("entry", ["main", "renew"])
def test_it_is_asked_first(entry: str) -> None:
    tasks = yaml.safe_load((TASKS / f"{entry}.yml").read_text())
    assert tasks[0]["ansible.builtin.import_tasks"] == "reached.yml"
