# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules as Ansible runs them: a process, JSON in, JSON out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MODULES = Path(__file__).resolve().parents[4] / "plugins/modules"

Module = Callable[..., dict[str, Any]]


@pytest.fixture
def module() -> Module:
    """Run a module by its name and return its answer; ``check`` and ``diff`` are Ansible's modes."""

    def run(name: str, /, *, check: bool = False, diff: bool = False, **arguments: Any) -> dict[str, Any]:
        given = {"_ansible_check_mode": check, "_ansible_diff": diff, **arguments}
        done = subprocess.run(
            [sys.executable, str(MODULES / f"{name}.py")],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
            capture_output=True,
            text=True,
            check=False,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run
