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
import yaml

ROOT = Path(__file__).resolve().parents[3]
SAYS = """
import os

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        held = task_vars.get("held")
        changed = task_vars.get("says_later") if held and os.path.exists(held) else None
        return {"changed": False, "server": changed or task_vars["says"]}
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
    "certificate": None,
    "certificate_served": None,
    "running": True,
}
STREAMS = {"name": "pg2", "state": "streaming", "lag_bytes": 0}
HANDED_ON = {
    "postgres_major_upgrade": {
        "postgres_ha_major_to": "postgres_major_to",
        "postgres_ha_major_packages": "postgres_major_packages",
        "postgres_ha_major_unsaved": "postgres_major_unsaved",
        "postgres_ha_backups": "postgres_backup_enabled",
        "postgres_ha_backup_machine": "postgres_backup_repository",
    },
    "status": {"postgres_ha_backups": "postgres_backup_enabled"},
    "failover": {"postgres_ha_force_unfenced": "force_unfenced"},
    "psql": {"postgres_ha_database": "psql_database"},
    "postgres_upgrade": {"postgres_ha_upgrade_all": "postgres_upgrade_all"},
    "teardown": {
        "k8s_cluster_remove_deployment": "teardown_deployment",
        "k8s_cluster_remove_kubeconfig": "teardown_kubeconfig",
    },
    "renew_certificates": {
        "postgres_backup_renew_all": "postgres_renew_all",
        "postgres_ha_renew_all": "postgres_renew_all",
        "postgres_ha_renew_authority": "postgres_renew_authority",
    },
}


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This collection, but its servers answer what the inventory says."""
    folder = tmp_path_factory.mktemp("collections")
    stack = folder / "ansible_collections" / "odoo_deploy" / "stack"
    (stack / "plugins" / "action").mkdir(parents=True)
    kept = ("plugins", "plugins/action", "plugins/action/postgres_server_info.py", ".git", ".deploy")
    for path in [*ROOT.iterdir(), *(ROOT / "plugins").iterdir(), *(ROOT / "plugins").glob("action/*.py")]:
        if str(path.relative_to(ROOT)) not in kept:
            (stack / path.relative_to(ROOT)).symlink_to(path)
    (stack / "plugins" / "action" / "postgres_server_info.py").write_text(SAYS)
    return folder


def play(folder: Path, collections: Path, name: str, patroni: bool = False, **extra: Any) -> str:
    """What a playbook says that must not get past its question; without an answer it is no."""
    servers = {
        "pg1": ANSWER | {"role": "primary", "following": False, "patroni": patroni, "standbys": [STREAMS]},
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
        "odoo_k8s_db_name": "odoo",
        "postgres_backup_enabled": True,
        "postgres_backup_stanza": "odoo",
        "postgres_backup_servers": {"pg1": "192.0.2.1", "pg2": "192.0.2.2"},
        "postgres_backup_repository": "pg2",
    }
    later = {"pg1": servers["pg2"], "pg2": servers["pg1"]}
    hosts = {name: {"says": says, "says_later": later[name]} for name, says in servers.items()}
    inventory = {"all": {"vars": variables, "children": {"postgres": {"hosts": hosts}}}}
    (folder / "hosts.json").write_text(json.dumps(inventory))
    (folder / "ansible.cfg").touch()
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder / "hosts.json")]
    done = subprocess.run(
        [*words, name if "/" in name else f"odoo_deploy.stack.{name}", "-e", json.dumps(extra)],
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
        (
            "postgres_major_upgrade",
            {"postgres_major_to": 17, "postgres_backup_enabled": False},
            "take the risk by -e postgres_major_unsaved=true",
        ),
        (
            "postgres_major_upgrade",
            {"postgres_major_to": 17, "postgres_backup_enabled": False, "postgres_major_unsaved": True},
            "Ask how much room is needed",
        ),
        ("postgres_upgrade", {"postgres_upgrade_al": True}, "postgres_upgrade_al is no variable of this command"),
        ("renew_certificates", {"postgres_renew": True, "postgres_renew_al": True}, "postgres_renew_al is no variable"),
        ("psql", {"psql_databases": "odoo"}, "psql_databases is no variable of this command: it knows psql_database."),
        ("renew_certificates", {}, "Renew the certificates of pg1, pg2; connections stay."),
        (
            "renew_certificates",
            {"postgres_renew_authority": True},
            "of pg1, pg2 and their authority; connections stay.",
        ),
        ("backup", {"postgres_backup_types": "full"}, "postgres_backup_types is no variable of this command"),
        ("backup", {"postgres_backup_type": "all"}, "postgres_backup_type is all: full, diff or incr."),
    ],
)
def test_nothing_is_begun(tmp_path: Path, collections: Path, name: str, extra: dict[str, Any], words: str) -> None:
    """A mistyped variable, a wrong value, an answer that is not yes."""
    if name == "renew_certificates":
        extra = extra | {"postgres_backup_enabled": False}
    said = play(tmp_path, collections, name, **extra)
    assert words in said, said[:6000]
    if "REPLACE" in words or "connections stay" in words:
        assert "Nothing was changed. Answer yes" in said


def test_what_changed_before_the_lock_was_taken_is_seen(tmp_path: Path, collections: Path) -> None:
    """Also where nobody is asked: another command has switched over while this one made its plan."""
    extra = {
        "postgres_yes": True,
        "postgres_backup_restore_in_place": "odoo",
        "held": f"{tmp_path}/pg1/holder.json",
        "__postgres_ha_lock_folder": f"{tmp_path}/{{{{ inventory_hostname }}}}",
    }
    said = play(tmp_path, collections, "restore", **extra)
    assert "REPLACE the databases of odoo on pg1" in said
    assert "The servers have changed since the plan was made. Nothing was changed. Now the plan is: REPLACE" in said, (
        said
    )
    assert "Save what is there now" not in said


@pytest.mark.parametrize("path", ["postgres_ha/tasks/upgrade", "postgres_ha/tasks/major_upgrade"])
def test_upgrades_look_again_once_they_have_the_lock(path: str) -> None:
    """Whether a person is asked or not; and act by what they find then."""
    tasks = yaml.safe_load((ROOT / "roles" / f"{path}.yml").read_text(encoding="utf-8"))
    names = [task["name"] for task in tasks]
    again = tasks[names.index("Look again")]
    assert "postgres_ha_yes" not in again["when"]
    assert again["when"] == tasks[names.index("Keep other commands out")]["when"]
    assert names.index("Keep other commands out") == names.index("Look again") - 1


def test_every_server_is_shown_and_judged(tmp_path: Path, collections: Path) -> None:
    """Also one that does not answer; backups only where there are some."""
    shown = {
        "message": "",
        "receiver": None,
        "following": False,
        "sync_suspended": False,
        "pending_restart": {},
        "lsn": "0/1",
    }
    state = ANSWER | shown | {"role": "primary", "standbys": [], "slots": [], "standby_signal": False, "epoch": None}
    extra = {
        "postgres_common_states": [state | {"name": name} for name in ("pg1", "pg2")],
        "postgres_common_members": {"pg1": "", "pg2": "", "pg3": ""},
        "postgres_backup_repository": "pg3",
    }
    said = play(tmp_path, collections, "status", **extra)
    assert "SERVER ROLE TIMELINE" in said and "pg2 primary 1" in said and "pg3 unreachable" in said, said
    assert "TWO SERVERS ACCEPT WRITES" in said
    assert "LAST BACKUP not known, its machine does not answer" in said
    assert "LAST BACKUP" not in play(tmp_path, collections, "status", **extra, postgres_backup_enabled=False)


@pytest.mark.parametrize("name", HANDED_ON)
def test_what_a_person_sets_reaches_the_role(name: str) -> None:
    """Each name of -e is handed on under the name that the role has for it."""
    plays = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8"))
    handed = {key: value for play in plays for key, value in play.get("vars", {}).items()}
    for inner, outer in HANDED_ON[name].items():
        assert f"{{{{ {outer}" in handed[inner], inner


def test_every_certificate_is_renewed_with_its_authority() -> None:
    """Else the servers would go on with what the old one signed."""
    tasks = yaml.safe_load((ROOT / "roles" / "postgres_ha" / "tasks" / "certificates.yml").read_text(encoding="utf-8"))
    handed = next(task["vars"] for task in tasks if task["name"] == "Decide which are due")
    assert handed["postgres_common_renew_all"] == "{{ postgres_ha_renew_all or postgres_ha_renew_authority }}"


def test_a_restore_is_told_everything() -> None:
    """What a person sets for a restore is what is decided by."""
    text = (ROOT / "roles" / "postgres_backup" / "vars" / "main.yml").read_text(encoding="utf-8")
    wanted = yaml.safe_load(text)["__postgres_backup_wanted"]
    assert wanted["unsaved"] == "{{ postgres_backup_restore_unsaved }}"
    assert wanted["server"] == "{{ postgres_backup_restore_server }}"


@pytest.mark.parametrize(
    ("entry", "extra", "words"),
    [
        (
            "confirm",
            {"postgres_ha_told": "It is told.", "postgres_ha_question": "Go on?"},
            "Nothing was changed. Answer",
        ),
        (
            "known",
            {"postgres_ha_prefix": "sample_", "postgres_ha_names": ["sample_a"], "sample_b": 1},
            "sample_b is no",
        ),
    ],
)
def test_entry_points_that_commands_share(
    tmp_path: Path, collections: Path, entry: str, extra: Any, words: str
) -> None:
    """For a command of one's own: say and ask; refuse what is mistyped."""
    tasks = [{"ansible.builtin.include_role": {"name": "odoo_deploy.stack.postgres_ha", "tasks_from": entry}}]
    book = tmp_path / "book.yml"
    book.write_text(json.dumps([{"hosts": "postgres", "gather_facts": False, "tasks": tasks}]))
    said = play(tmp_path, collections, str(book), **extra)
    assert words in said
    assert extra.get("postgres_ha_told", "") in said


def test_planned_work_is_announced_before_it_begins(tmp_path: Path, collections: Path) -> None:
    """By tasks of one's own, once it is agreed to; what they refuse does not begin."""
    own = tmp_path / "own.yml"
    own.write_text(json.dumps([{"ansible.builtin.fail": {"msg": "{{ planned_work }} is announced"}}]))
    role = {"name": "odoo_deploy.stack.postgres_ha", "tasks_from": "switchover"}
    book = tmp_path / "book.yml"
    book.write_text(
        json.dumps([{
            "hosts": "postgres", "gather_facts": False, "any_errors_fatal": True,
            "vars": {
                "postgres_ha_to": "pg2", "postgres_ha_yes": True, "postgres_ha_planned_work": str(own),
                "__postgres_ha_lock_folder": f"{tmp_path}/{{{{ inventory_hostname }}}}",
            },
            "tasks": [{"ansible.builtin.import_role": role}],
        }])
    )  # fmt: skip
    said = play(tmp_path, collections, str(book))
    assert "switchover is announced" in said, said[-6000:]
    assert "Demote" not in said


def test_planned_work_is_announced_and_ends(evaluate: Any, tmp_path: Path) -> None:
    """Where tasks for it are named, with what they are told; the end also where a run goes on that was killed."""
    own = tmp_path / "own.yml"
    words = "{{ planned_work }} {{ planned_work_state | default('present') }} {{ planned_work_minutes | default('') }}"
    own.write_text(json.dumps([{"ansible.builtin.debug": {"msg": words}}]))
    text = (ROOT / "roles" / "postgres_ha" / "tasks" / "switchover.yml").read_text(encoding="utf-8")
    begins, ends = (task for task in yaml.safe_load(text)[0]["block"] if task["name"].startswith("Announce"))
    cases = {
        f"{name} {question}".strip(): {
            "postgres_ha_planned_work": path, "__postgres_ha_plan": {"question": question},
        }
        for name, path in (("own", str(own)), ("none", "")) for question in ("", "asked")
    }  # fmt: skip
    cases = {name.replace(" ", "_"): case for name, case in cases.items()}
    silent = {"ansible.builtin.debug": {"msg": "silent"}}
    before, after = (evaluate({}, cases, [silent, task]) for task in (begins, ends))
    nothing = dict.fromkeys(("none", "none_asked"), "silent")
    assert before == nothing | {"own": "silent", "own_asked": "switchover present 10"}
    assert after == nothing | dict.fromkeys(("own", "own_asked"), "switchover absent ")
