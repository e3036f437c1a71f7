# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the data that a copy of the primary's replaced: the role's own task, on folders of this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Evaluate = Callable[..., dict[str, Any]]
ROLE = Path(__file__).resolve().parents[3] / "roles" / "postgres_replica"


@pytest.mark.parametrize("given", [{}, {"postgres_replica_keep_replaced": True}])
def test_replaced_data_is_kept_where_it_is_wanted(evaluate: Evaluate, tmp_path: Path, given: dict[str, bool]) -> None:
    """It is removed otherwise; the new data stays either way."""
    for name in ("main", "main.replaced-1", "main.replaced-2"):
        (tmp_path / name).mkdir()
    tasks = yaml.safe_load((ROLE / "tasks" / "recopy.yml").read_text(encoding="utf-8"))
    (removes,) = (task for task in tasks if task["name"] == "Remove the data put aside")
    variables = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    environment = {"__postgres_replica_environment": {"DATA": str(tmp_path / "main")}}
    done = {"ansible.builtin.debug": {"msg": "done"}}
    assert evaluate(variables | here | environment | given, {"server": {}}, [removes, done]) == {"server": "done"}
    kept = {"main.replaced-1", "main.replaced-2"} if given else set()
    assert {folder.name for folder in tmp_path.iterdir() if folder.is_dir()} == {"main"} | kept
