# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rejoin makes of a server's data: the role's own tasks, on folders of this machine."""

from __future__ import annotations

import os
import subprocess
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


@pytest.mark.parametrize(
    ("state", "said", "rewound"),
    [
        ("in production", "servers diverged at WAL location 0/3000000", True),
        ("shut down", "no rewind required", True),
        ("shut down in recovery", "no rewind required", True),
        ("in production", "no rewind required", False),
        ("in archive recovery", "no rewind required", False),
    ],
)
def test_killed_server_that_ends_before_its_primary_is_copied(
    tmp_path: Path, state: str, said: str, rewound: bool
) -> None:
    """pg_rewind ends its recovery by a record that the primary has not, and compares the timelines only after that."""
    tasks = yaml.safe_load((ROLE / "tasks" / "rejoin.yml").read_text(encoding="utf-8"))
    (block,) = (task["block"] for task in tasks if "block" in task)
    script = block[0]["ansible.builtin.shell"]["cmd"].replace("{{ __postgres_replica_alone }}", "")
    data, programs = tmp_path / "main", tmp_path / "bin"
    (data / "global").mkdir(parents=True)
    (data / "global" / "pg_control").touch()
    programs.mkdir()
    texts = {
        "runuser": 'shift 3; exec "$@"',
        "systemctl": f"touch {tmp_path}/started",
        "pg_controldata": f'[ "$LC_ALL" != C ] || echo "Database cluster state:               {state}"',
        "pg_rewind": f'[ "$LC_ALL" != C ] || echo "pg_rewind: {said}" >&2',
    }
    for name, text in texts.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    given = {"DATA": str(data), "BIN": str(programs), "VERSION": "15", "CONNINFO": "", "UNIT": "u", "LC_ALL": "de_DE"}
    environment = {**os.environ, **given, "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0, (tmp_path / "started").exists()) == (rewound, rewound), done.stderr
    assert (data / "standby.signal").exists()
    assert (tmp_path / "main.rewinding").exists() is not rewound
    assert said in done.stderr
