# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the role postgres_ha, run by Ansible itself without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/postgres_ha"


def part(name: str, command: str) -> dict[str, Any]:
    return {
        "ansible.builtin.include_tasks": str(ROLE / "tasks" / f"{name}.yml"),
        "vars": {"postgres_ha_lock_command": command},
    }


def began(
    tmp_path: Path, name: str, tasks: list[dict[str, Any]], *words: str, fatal: bool = False
) -> subprocess.Popen[str]:
    """A playbook with parts of the role, on folders of this machine instead of pg1, pg2, nginx1 and nginx2.

    pg0 and nginx0 cannot be reached. fatal: the first failure ends the play, as in most playbooks.
    """
    play = {
        "hosts": "pg*",
        "gather_facts": False,
        "ignore_unreachable": not fatal,
        "any_errors_fatal": fatal,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "vars": {"postgres_common_members": {"pg2": "", "pg1": "", "pg0": ""}},
        "tasks": [
            {"block": tasks, "always": [part("unlock", name)]},
            {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} came to the end"}},
        ],
    }
    book = tmp_path / f"{name}.yml"
    book.write_text(json.dumps([play]))
    hosts = tmp_path / "hosts.ini"
    silent = "ansible_host=127.0.0.1 ansible_port=1"
    local = "ansible_connection=local"
    hosts.write_text(f"pg[1:2] {local}\nnginx[1:2] {local}\npg0 {silent}\nnginx0 {silent}\n[postgres]\npg[0:2]\n")
    config = tmp_path / "ansible.cfg"
    config.touch()
    folder = json.dumps(
        {
            "__postgres_ha_lock_folder": f"{tmp_path}/{{{{ inventory_hostname }}}}",
            "__postgres_ha_record_file": f"{tmp_path}/{{{{ __postgres_ha_witness }}}}/epoch.conf",
        }
    )
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(hosts), "-e", folder, *words, str(book)],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(config),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".deploy/collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def said(run: subprocess.Popen[str]) -> str:
    return " ".join(run.communicate(timeout=120)[0].split())
