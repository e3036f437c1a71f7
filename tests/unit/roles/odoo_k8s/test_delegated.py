# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller has done on a server: export, import, upgrade. Cluster and machines are stand-ins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[4]
# In the place of modules. The server that is asked is the primary, or no more.
ACTS = """
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        told = {"file": "/dumps/x.pgc", "broken": "odoo_broken_1", "kept": "odoo_before_1"}
        said = {"status": {"containerStatuses": [{"state": {"terminated": {"message": "{}"}}}]}}
        act = self._task.args.get("act")
        if act in task_vars["lost"]:
            return {"unreachable": True, "changed": False, "msg": "no route"}
        if act in task_vars["fails"]:
            return {"failed": True, "changed": False, "msg": "the module says so", **task_vars["fails"][act]}
        if self._task.no_log and task_vars["secret_refused"]:
            return {"failed": True, "changed": False, "msg": "cannot apply hunter2"}
        standby = act in task_vars["refuses"]
        return {"changed": True, "standby": standby, "resources": [said], **told}
"""
MODULES = (
    "odoo_deploy/stack/plugins/action/odoo_import",
    "odoo_deploy/stack/plugins/action/odoo_database",
    "kubernetes/core/plugins/action/k8s",
    "kubernetes/core/plugins/action/k8s_info",
)
SAYS = "- name: Say it\n  ansible.builtin.debug:\n    msg: "
STAND_INS = {
    "import_read.yml": """
- name: Say what it is
  ansible.builtin.set_fact:
    odoo_k8s_import: {file: /tmp/x.zip, image: "odoo:running", series: "19.0", addons: [base], told: "{{ told }}"}
""",
    "import_inspect.yml": """
- name: Say what is in it
  ansible.builtin.set_fact:
    odoo_k8s_inspected: "{{ inspected }}"
""",
    "import_load.yml": SAYS + '"loaded {{ odoo_k8s_import_db_name }}"',
    "import_prepare.yml": SAYS + '"prepared with {{ odoo_k8s_import.image }}"',
    "upgrade_stop.yml": SAYS
    + "stopped\n- name: Wait until their pods are gone\n  ansible.builtin.assert:\n    that: pods_go",
    "main.yml": SAYS + '"served {{ __odoo_k8s_image }}"\n' + SAYS + '"to have {{ __odoo_k8s_modules | join }}"',
    "wait_job.yml": "- name: Wait\n  ansible.builtin.assert:\n    that: job_ends\n    fail_msg: the job ended",
    "deploy.yml": SAYS + '"rolled to {{ odoo_k8s_image }}"',
    "export.yml": """
- name: Write what was read
  ansible.builtin.copy:
    content: whole
    dest: "{{ odoo_k8s_export_file }}.part"
    mode: "0600"
- name: Say what is in it
  ansible.builtin.set_fact:
    odoo_k8s_exported: {series: "19.0", modules: 9, attachments: 3, bytes: 2048, standby: true}
""",
}
INSPECTED = {
    "fault": "", "series": "19.0", "modules": {"base": "19.0.1.3"}, "parameters": {}, "attachments": 2, "largest": 9,
    "missing": [], "broken": [], "bytes": 10**6, "free": 10**9, "shut": [],
}  # fmt: skip
GIVEN = {
    "odoo_k8s_image": "odoo:configured",
    "odoo_k8s_db_hosts": [{"name": "pg1", "address": "192.0.2.21"}],
    "__odoo_k8s_config_hash": "0123456789",
    "__odoo_k8s_run": "1",
    "inspected": INSPECTED,
    "told": {"installed": [], "updated": ["sale"]},
    "job_ends": True,
    "pods_go": True,
    "refuses": [],
    "lost": [],
    "fails": {},
    "secret_refused": False,
}
PLAN = {
    "needed": True,
    "from": "odoo:old",
    "to": "odoo:new",
    "failed": False,
    "restore": False,
    "reason": "",
}
LOOKED = {"pg1": {"standby": False, "decision": {"act": "dump", "file": "", "reason": ""}}, "pg2": {"standby": True}}
AWAY = {"unreachable": True, "changed": False}
IMPORT = ("import_plan", "import_beside", "import_exchange", "import_tell")


def said(
    folder: Path, *entries: str, extra: dict[str, Any] | None = None, options: tuple[str, ...] = (), **variables: Any
) -> str:
    """What a play on the controller says that runs these entry points, with a primary pg1 and a standby pg2.

    :param extra: what a person gives by -e.
    :param options: of ansible-playbook.
    """
    stack = folder / "collections" / "ansible_collections" / "odoo_deploy" / "stack"
    (stack / "roles" / "odoo_k8s" / "tasks").mkdir(parents=True)
    for name in MODULES:
        file = folder / "collections" / "ansible_collections" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ACTS)
    for part in (*(ROOT / "plugins").iterdir(), *(ROOT / "roles" / "odoo_k8s").iterdir(), ROOT / "meta"):
        if part.name not in ("action", "tasks", "__pycache__"):
            (stack / part.relative_to(ROOT)).symlink_to(part)
    for task in (ROOT / "roles" / "odoo_k8s" / "tasks").iterdir():
        text = STAND_INS.get(task.name) or task.read_text()
        (stack / "roles" / "odoo_k8s" / "tasks" / task.name).write_text(text)
    here = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    looked = {**LOOKED, **variables.pop("looked", {})}
    hosts = {
        name: {**here, "odoo_k8s_export_streams": name == "pg2", "odoo_k8s_looked": looked[name]} for name in looked
    }
    given = GIVEN | variables
    inventory = {"all": {"vars": given, "children": {"postgres": {"hosts": hosts}}}}
    roles = [{"name": "odoo_deploy.stack.odoo_k8s", "tasks_from": entry} for entry in entries]
    tasks = [{"ansible.builtin.include_role": role} for role in roles]
    (folder / "hosts.json").write_text(json.dumps(inventory))
    (folder / "book.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    (folder / "ansible.cfg").touch()
    settings = {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_NOCOLOR": "1",
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [
        program,
        "-i",
        str(folder / "hosts.json"),
        str(folder / "book.yml"),
        "-e",
        json.dumps(extra or {}),
        *options,
    ]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    return " ".join((done.stdout + done.stderr).split())


def test_a_backup_is_brought_in(tmp_path: Path) -> None:
    """What is on a machine is asked of the primary; Odoo serves what ran."""
    words = said(tmp_path, *IMPORT, odoo_k8s_import_file="/tmp/x.zip")
    assert "failed=0" in words, words[-3000:]
    order = ["loaded odoo_importing", "prepared with odoo:running", "stopped", "served odoo:running"]
    places = [words.find(f'"msg": "{line}"') for line in order]
    assert places == sorted(places) and places[0] > 0, places
    assert "[localhost -> pg1]: FAILED" not in words and "[localhost -> pg1]" in words and "-> pg2]" not in words
    assert "Odoo serves /tmp/x.zip. The database before is kept as odoo_before_1." in words
    assert "Installed or updated: sale" in words


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"inspected": {}}, "pg1 does not answer, or is not the primary any more. No database was changed."),
        ({"inspected": {**INSPECTED, "free": 10}}, "pg1 has 10 bytes free"),
    ],
)
def test_what_cannot_be_brought_in_stops_nothing(tmp_path: Path, given: dict[str, Any], reason: str) -> None:
    words = said(tmp_path, *IMPORT, odoo_k8s_import_file="/tmp/x.zip", **given)
    assert reason in words, words[-3000:]
    assert "loaded" not in words and "stopped" not in words.split("fatal:", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"refuses": ["exchange"]}, "still the server that accepts writes: pg1 does not answer, or accepts no writes"),
        ({"pods_go": False}, "(Wait until their pods are gone:"),
        ({"fails": {"exchange": {"untouched": True}}}, "(Exchange: the module says so)"),
    ],
)
def test_what_fails_once_odoo_is_stopped_leaves_it_serving(tmp_path: Path, given: dict[str, Any], reason: str) -> None:
    """What runs at the end is the database of before, and somebody is told."""
    words = said(tmp_path, *IMPORT, odoo_k8s_import_file="/tmp/x.zip", **given)
    assert '"msg": "served odoo:running"' in words, words[-3000:]
    assert "Odoo serves from the database of before" in words and reason in words
    assert "failed=1" in words


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"lost": ["exchange"]}, "pg1 does not answer"),
        ({"fails": {"exchange": {"untouched": False}}}, "(Exchange: the module says so)"),
    ],
)
def test_a_server_that_is_lost_may_have_exchanged_them(tmp_path: Path, given: dict[str, Any], reason: str) -> None:
    """Nobody says which database serves; Odoo does."""
    words = said(tmp_path, *IMPORT, odoo_k8s_import_file="/tmp/x.zip", **given)
    assert '"msg": "served odoo:running"' in words, words[-3000:]
    assert "It is not known whether the backup took the place of database odoo" in words and reason in words
    assert "Odoo serves from the database of before" not in words and "failed=1" in words


def test_a_check_of_an_export_says_what_would_be_written(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    file = tmp_path / "kept" / "odoo.zip"
    words = said(tmp_path, "export_file", odoo_k8s_export_file=str(file), options=("--check",))
    assert f"Database odoo is read from pg2 and written to {file}. Nothing was changed." in words, words[-3000:]
    assert "failed=0" in words and list(file.parent.iterdir()) == []


def test_a_check_of_an_import_reads_the_backup_and_ends_after_the_plan() -> None:
    """What the plan is made of passes through the primary all the same, and is removed from there."""
    tasks = yaml.safe_load((ROOT / "roles" / "odoo_k8s" / "tasks" / "import_inspect.yml").read_text())
    (block,) = [task for task in tasks if "block" in task]
    assert block["check_mode"] is False
    assert block["block"][-1]["ansible.builtin.file"]["state"] == "absent"
    assert block["block"][-1]["when"] == "ansible_check_mode"
    (pack,) = [
        task
        for task in yaml.safe_load((ROOT / "roles" / "odoo_k8s" / "tasks" / "import_read.yml").read_text())
        if task.get("odoo_deploy.stack.odoo_import", {}).get("act") == "pack"
    ]
    assert pack["check_mode"] is False
    carried_out = yaml.safe_load((ROOT / "playbooks" / "odoo_import.yml").read_text())[-1]
    assert "ansible_check_mode" in carried_out["when"]


def test_a_backup_is_exported_from_the_standby(tmp_path: Path) -> None:
    """The file has its name once it is whole, for nobody else to read; one that is there stays as it is."""
    file = tmp_path / "kept" / "odoo.zip"
    file.parent.mkdir()
    words = said(tmp_path, "export_file", odoo_k8s_export_file=str(file))
    assert "[localhost -> pg2]" in words and "read from the standby pg2" in words, words[-3000:]
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("whole", 0o600)
    assert [other.name for other in file.parent.iterdir()] == ["odoo.zip"]
    (tmp_path / "again").mkdir()
    assert "is there already" in said(tmp_path / "again", "export_file", odoo_k8s_export_file=str(file))


def test_an_upgrade_dumps_first(tmp_path: Path) -> None:
    words = said(tmp_path, "upgrade_run", "upgrade_tell", odoo_k8s_upgrade=PLAN)
    assert "failed=0" in words, words[-3000:]
    order = ['"msg": "stopped"', "Dump the database", "Start job odoo-upgrade-1", '"msg": "rolled to odoo:new"']
    places = [words.find(text) for text in order]
    assert places == sorted(places) and places[0] > 0, places
    assert "[localhost -> pg1]" in words and "-> pg2]" not in words
    assert "Restore the backup" not in words.replace("Restore the backup on the primary", "") and "served" not in words


def test_an_image_without_changed_modules_stops_nothing(tmp_path: Path) -> None:
    words = said(tmp_path, "upgrade_run", odoo_k8s_upgrade=PLAN | {"needed": False})
    assert '"msg": "rolled to odoo:new"' in words, words[-3000:]
    assert '"msg": "stopped"' not in words and "changed: [localhost -> pg1]" not in words


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"job_ends": False}, "and the backup. The database that the upgrade left is kept as odoo_broken_1"),
        ({"refuses": ["dump"]}, "No database was replaced. No module was touched, for there is no backup: pg1:"),
        (
            {"pods_go": False},
            "No database was replaced. No module was touched, for there is no backup: Wait until their pods are gone:",
        ),
        ({"job_ends": False, "refuses": ["restore"]}, "its backup could not be restored: pg1: it does not answer"),
    ],
)
def test_an_upgrade_that_fails_is_taken_back(tmp_path: Path, given: dict[str, Any], outcome: str) -> None:
    """Odoo stays stopped only where its backup cannot be restored."""
    words = said(tmp_path, "upgrade_run", "upgrade_tell", odoo_k8s_upgrade=PLAN, **given).replace("\\n", " ")
    assert outcome in words, words[-3000:]
    assert ('"msg": "served odoo:old"' in words) == ("could not" not in outcome)
    assert ("Restore the backup] " in words) == ("job_ends" in given)


def test_a_secret_does_not_get_into_the_reason(tmp_path: Path) -> None:
    """A rescue has the whole answer of a task, also of one with no_log."""
    words = said(tmp_path, "upgrade_run", "upgrade_tell", odoo_k8s_upgrade=PLAN, secret_refused=True)
    reason = words[words.index("Tell that the upgrade failed") :]
    assert "Apply the secrets of its pods failed; what it answered may hold secrets and is not shown" in reason
    assert "hunter2" not in reason, reason


def test_what_was_before_is_served_whatever_a_person_asked_for(tmp_path: Path) -> None:
    """What -e gives wins over variables of a role, and the image before lacks a module that is new."""
    asked = {"odoo_k8s_image": "odoo:new", "odoo_k8s_modules": ["base", "new"]}
    words = said(tmp_path, "upgrade_run", odoo_k8s_upgrade=PLAN, job_ends=False, extra=asked)
    assert '"msg": "served odoo:old"' in words and '"msg": "to have "' in words, words[-3000:]


def test_root_follows_no_link_where_others_may_write() -> None:
    """What lies there under the name may be anybody's, such as a link to /etc."""
    for name in ("export.yml", "import_inspect.yml"):
        tasks = yaml.safe_load((ROOT / "roles" / "odoo_k8s" / "tasks" / name).read_text())
        inner = [task for block in tasks for task in block.get("block", [])]
        files = [task["ansible.builtin.file"] for task in inner if "ansible.builtin.file" in task]
        assert files and [file["path"] for file in files if file.get("follow", True)] == [], name


@pytest.mark.parametrize(
    ("looked", "reason"),
    [
        ({"pg2": AWAY}, ""),
        ({"pg1": AWAY}, "Nothing was changed. Exactly one server that accepts writes has to be reached"),
        ({"pg2": LOOKED["pg1"]}, "Nothing was changed. Exactly one server that accepts writes has to be reached"),
        (
            {"pg1": {"standby": False, "decision": {"act": "refuse", "reason": "It is half changed."}}},
            "It is half changed.",
        ),
    ],
    ids=["no standby", "no primary", "two primaries", "half changed"],
)
def test_an_upgrade_without_a_primary_or_a_way_back_does_not_begin(
    tmp_path: Path, looked: dict[str, Any], reason: str
) -> None:
    words = said(tmp_path, "upgrade_look", "upgrade_run", odoo_k8s_upgrade=PLAN, looked=looked)
    assert reason in words, words[-3000:]
    assert ("stopped" in words) == (not reason), words[-3000:]


def test_whoever_does_not_answer_does_not_end_the_play() -> None:
    """With any_errors_fatal the play would end there, unasked, and the next one begin."""
    look = yaml.safe_load((ROOT / "playbooks" / "upgrade.yml").read_text())[0]
    assert (look["ignore_unreachable"], look.get("any_errors_fatal", False)) == (True, False)


def test_a_way_back_that_was_not_gone_is_no_success(tmp_path: Path) -> None:
    back = {"odoo_k8s_upgrade_back": True, "odoo_k8s_backup": "/dumps/x.pgc", "pods_go": False}
    words = said(tmp_path, "upgrade_run", "upgrade_tell", odoo_k8s_upgrade=PLAN, **back)
    assert "The upgrade failed and was taken back" in words and "and /dumps/x.pgc" not in words, words[-3000:]
