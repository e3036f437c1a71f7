# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Day-2 playbooks up to their question, with servers that only say what they are: whole playbooks, no machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SAYS = """
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"changed": False, "server": task_vars["says"]}
"""
ANSWER = {
    "version": "15",
    "configured": True,
    "upgrading": False,
    "standby_signal": False,
    "patroni": False,
    "replaced_files": [],
    "timeline": 1,
    "lsn_number": 100,
    "control": {"state": "in production"},
}


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This collection, but its servers answer what the inventory says."""
    folder = tmp_path_factory.mktemp("collections")
    stack = folder / "ansible_collections" / "odoo_deploy" / "stack"
    (stack / "plugins" / "action").mkdir(parents=True)
    for path in [*ROOT.iterdir(), *(ROOT / "plugins").iterdir()]:
        if path.name not in ("plugins", ".git", ".deploy"):
            (stack / path.relative_to(ROOT)).symlink_to(path)
    (stack / "plugins" / "action" / "postgres_server_info.py").write_text(SAYS)
    return folder


def play(folder: Path, collections: Path, name: str, patroni: bool = False, **extra: Any) -> str:
    """What a playbook says that must not get past its question; without an answer it is no."""
    servers = {
        "pg1": ANSWER | {"role": "primary", "following": False, "patroni": patroni},
        "pg2": ANSWER | {"role": "standby", "following": True, "patroni": patroni},
    }
    states = "{{ groups['postgres'] | map('extract', hostvars) | selectattr('postgres_common_state', 'defined')"
    variables = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "postgres_common_states": states + " | map(attribute='postgres_common_state') }}",
        "postgres_common_members": {"pg1": "192.0.2.1", "pg2": "192.0.2.2"},
        "postgres_common_address": "192.0.2.1",
        "postgres_common_ha_mode": "manual",
        "postgres_backup_enabled": True,
        "postgres_backup_stanza": "odoo",
        "postgres_backup_servers": {"pg1": "192.0.2.1", "pg2": "192.0.2.2"},
        "postgres_backup_repository": "pg2",
    }
    hosts = {name: {"says": says} for name, says in servers.items()}
    inventory = {"all": {"vars": variables, "children": {"postgres": {"hosts": hosts}}}}
    (folder / "hosts.json").write_text(json.dumps(inventory))
    (folder / "ansible.cfg").touch()
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder / "hosts.json")]
    done = subprocess.run(
        [*words, f"odoo_deploy.stack.{name}", "-e", json.dumps(extra)],
        env=os.environ | {"ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(collections)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    return said


@pytest.mark.parametrize(
    ("name", "extra", "words"),
    [
        ("postgres_major_upgrade", {"postgres_major_too": 17}, "postgres_major_too is no variable of this command"),
        ("postgres_major_upgrade", {"postgres_major_to": 99}, "14 to 18"),
        ("restore", {"postgres_backup_restore_inplace": "odoo"}, "postgres_backup_restore_inplace is no variable"),
        ("restore", {"postgres_backup_restore_in_place": "yes"}, "type the cluster's name"),
        ("restore", {"postgres_backup_restore_in_place": "odoo"}, "REPLACE the databases of odoo on pg1"),
        ("backup", {"postgres_backup_types": "full"}, "postgres_backup_types is no variable of this command"),
        ("backup", {"postgres_backup_type": "all"}, "postgres_backup_type is all: full, diff or incr."),
    ],
)
def test_nothing_is_begun(tmp_path: Path, collections: Path, name: str, extra: dict[str, Any], words: str) -> None:
    """A mistyped variable, a wrong value, an answer that is not yes."""
    said = play(tmp_path, collections, name, **extra)
    assert words in said, said[:6000]
    if "REPLACE" in words:
        assert "Nothing was changed. Answer yes" in said
