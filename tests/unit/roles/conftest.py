# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jinja of roles and playbooks, evaluated by Ansible itself without a machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]

Evaluate = Callable[[Mapping[str, Any], Mapping[str, Mapping[str, Any]], list[dict[str, Any]]], dict[str, Any]]


@pytest.fixture
def evaluate(tmp_path: Path) -> Evaluate:
    """evaluate(variables, cases, tasks): the msg of the last task that said something in each case.

    variables hold for all cases, as a role's or a play's do; cases map a name to what is different in it.
    Tasks are of actions that run on the controller: assert, debug and set_fact.
    """

    def run(
        variables: Mapping[str, Any], cases: Mapping[str, Mapping[str, Any]], tasks: list[dict[str, Any]]
    ) -> dict[str, Any]:
        inventory, playbook = tmp_path / "cases.yml", tmp_path / "playbook.yml"
        hosts = {name: dict(case) for name, case in cases.items()}
        inventory.write_text(yaml.safe_dump({"all": {"vars": dict(variables), "hosts": hosts}}), encoding="utf-8")
        playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
        done = subprocess.run(
            [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(playbook)],
            cwd=tmp_path,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_CACHE_PLUGIN": "memory",
                "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
                "ANSIBLE_FORCE_COLOR": "0",
                "ANSIBLE_NOCOLOR": "1",
            },
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, 2), done.stdout + done.stderr  # 2: a case that failed
        answers = re.finditer(r"^(?:ok|fatal): \[([^]]+)\][^{\n]*=> (?=\{)", done.stdout, re.MULTILINE)
        told = {answer[1]: json.JSONDecoder().raw_decode(done.stdout, answer.end())[0]["msg"] for answer in answers}
        assert "PLAY RECAP" in done.stdout, done.stdout + done.stderr
        return told

    return run
