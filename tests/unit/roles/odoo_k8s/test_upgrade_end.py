# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade says at its end, by what the server and the job left: the role's own tasks, no cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]
UPGRADE = {
    "from": "odoo:old",
    "failed": True,
    "restore": True,
    "reason": "the job ended",
}
RESTORED = {"odoo_k8s_restored": {"broken": "odoo_broken_1"}, "odoo_k8s_backup_file": "/dumps/x.pgc"}


def said(folder: Path, entry: str, upgrade: dict[str, Any], **left: Any) -> tuple[int, str]:
    """Exit code and words of an entry point, after tasks that left these variables."""
    tasks = [{"ansible.builtin.include_role": {"name": "odoo_deploy.stack.odoo_k8s", "tasks_from": entry}}]
    book = folder / "book.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    (folder / "ansible.cfg").touch()
    settings = {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".deploy" / "collections"),
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    variables = json.dumps({"odoo_k8s_upgrade": upgrade, **left})
    command = [program, str(book), "-e", variables]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).replace("\\n", " ").replace('\\"', '"').split())


def test_a_failed_upgrade_says_what_was_kept(tmp_path: Path) -> None:
    """It fails, although Odoo serves: somebody has to look."""
    code, words = said(tmp_path, "upgrade_tell", UPGRADE, **RESTORED)
    assert code == 2
    assert "was taken back: Odoo serves from odoo:old and the backup." in words
    assert 'is kept as odoo_broken_1; when nobody needs it: DROP DATABASE "odoo_broken_1"; in ./run.py psql' in words
    assert "the job ended" in words


@pytest.mark.parametrize(
    ("upgrade", "extra", "words"),
    [
        (UPGRADE | {"failed": False}, {}, ""),
        (
            UPGRADE,
            {"odoo_k8s_upgrade_back": True, "odoo_k8s_backup": "/dumps/y.pgc"},
            "odoo:old and /dumps/y.pgc. No database",
        ),
    ],
)
def test_an_upgrade_that_went_well(tmp_path: Path, upgrade: dict[str, Any], extra: dict[str, Any], words: str) -> None:
    code, told = said(tmp_path, "upgrade_tell", upgrade, **extra)
    assert code == 0, told
    assert words in told


def test_odoo_stays_stopped_without_its_backup(tmp_path: Path) -> None:
    """The dump and the way back are named, and nothing is deployed."""
    left = {"odoo_k8s_restore_error": "pg1: disk full", "odoo_k8s_backup_file": "/dumps/x.pgc"}
    code, words = said(tmp_path, "upgrade_back", UPGRADE, **left)
    assert code == 2
    assert "its backup could not be restored: pg1: disk full Odoo is stopped" in words
    assert "-e odoo_k8s_upgrade_back=true -e odoo_k8s_backup=/dumps/x.pgc" in words
    assert "Check what is asked for" not in words
