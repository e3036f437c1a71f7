# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A staging copy by the role's own tasks. The cluster remembers what it is told; the machines are stand-ins."""

from __future__ import annotations

import base64
import configparser
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[4]
# In the place of kubernetes.core's and of module odoo_copy.
LOOKS = """
import json
from ansible.plugins.action import ActionBase


def labelled(one, text):
    labels = one["metadata"].get("labels", {})
    if text.startswith("!"):
        return text[1:] not in labels
    if " in " in text:
        key, _in, values = text.partition(" in ")
        return labels.get(key) in values.strip("()").split(", ")
    key, sign, value = text.partition("=")
    return labels.get(key) == value if sign else key in labels


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        args = self._task.args
        known = {}
        told = [json.loads(line) for line in open(task_vars["told"])]
        for one in [*task_vars["cluster"], *told]:
            known[one["kind"], one["metadata"].get("namespace") or "", one["metadata"]["name"]] = one
        known = [one for one in known.values() if one.get("state", "present") == "present"]
        found = [one for one in known if one["kind"] == args["kind"]]
        for key in ("name", "namespace"):
            if args.get(key):
                found = [one for one in found if one["metadata"].get(key) == args[key]]
        selectors = [text for text in args.get("label_selectors", []) if "job-name" not in text]
        found = [one for one in found if all(labelled(one, text) for text in selectors)]
        if args["kind"] == "Pod" and len(selectors) < len(args.get("label_selectors", [])):
            said = {"installed": [], "updated": ["sale"], "due": [], "neutralised": ["3 outgoing mail servers"]}
            found = [{"status": {"containerStatuses": [{"state": {"terminated": {"message": json.dumps(said)}}}]}}]
        return {"changed": False, "resources": found}
"""
ACTS = """
import json
import yaml
from ansible.plugins.action import ActionBase


def there(one):
    one["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    if one["kind"] == "Deployment":
        pods = one["spec"]["replicas"]
        one["metadata"]["generation"] = 1
        one["status"] = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), pods)
        one["status"]["observedGeneration"] = 1
    return one


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        args = self._task.args
        told = [there(one) for one in yaml.safe_load_all(args.get("definition", "")) if one]
        if not told:
            metadata = {"name": args.get("name", "all"), "namespace": args.get("namespace", "")}
            told = [{"kind": args["kind"], "metadata": metadata, "options": args.get("delete_options")}]
        with open(task_vars["told"], "a") as file:
            for one in told:
                file.write(json.dumps({"state": args.get("state", "present")} | one) + "\\n")
        return {"changed": True, "result": {"results": [{"result": one} for one in told]}}
"""
SCALES = """
import json
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        args = self._task.args
        what = {"name": args["name"], "namespace": args["namespace"]}
        with open(task_vars["told"], "a") as file:
            file.write(json.dumps({"state": "stopped", "kind": args["kind"], "metadata": what}) + "\\n")
        return {"changed": True}
"""
SERVER = """
import json
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        args = dict(self._task.args)
        what = {"state": args["act"], "kind": "Database", "metadata": {"name": args["name"]}}
        on = task_vars.get("ansible_delegated_vars", {}).keys()
        with open(task_vars["told"], "a") as file:
            file.write(json.dumps(what | {"args": args, "on": list(on)}) + "\\n")
        return {"changed": True, "standby": task_vars.get("demoted", False)}
"""
# In the place of what runs on the machines. Each says where it is and what it reads.
STAND_INS = {
    "export.yml": """
- name: Write what was read
  ansible.builtin.copy:
    content: production's data
    dest: "{{ odoo_k8s_export_file }}.part"
    mode: "0600"
- name: Say what was read
  ansible.builtin.debug:
    msg: "read {{ odoo_k8s_db_name }}"
""",
    "import_inspect.yml": """
- name: Say what was sent
  ansible.builtin.debug:
    msg: "sent {{ lookup('ansible.builtin.file', odoo_k8s_import.file) }} for {{ odoo_k8s_db_name }}"
- name: Say what is in it
  ansible.builtin.set_fact:
    odoo_k8s_inspected: "{{ inspected }}"
""",
    "import_load.yml": """
- name: Load it
  ansible.builtin.debug:
    msg: "loaded {{ odoo_k8s_import_db_name }} as {{ odoo_k8s_db_user }} with {{ odoo_k8s_db_password }}"
""",
}
MARK = {"odoo-deploy.created": "odoo"}
COPY = {"odoo-deploy.deployment": "odoo", "odoo-deploy.copy": "test"}
IMAGE = {"template": {"spec": {"containers": [{"image": "odoo:running"}]}}}
WEB = {"app.kubernetes.io/name": "odoo"}


def thing(kind: str, name: str, namespace: str = "", **others: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    labels = {key: others.pop(key) for key in ("labels", "annotations") if key in others}
    return {"kind": kind, "metadata": metadata | labels, **others}


PRODUCTION = [
    thing("Namespace", "odoo", labels={"odoo-deploy.deployment": "odoo"}, annotations=MARK),
    thing("Deployment", "odoo", "odoo", labels=WEB, spec=IMAGE | {"replicas": 3}),
    thing("Service", "odoo", "odoo", spec={"ports": [{"nodePort": 32250}]}),
]
THERE = [
    thing("Namespace", "odoo-copy-test", labels=COPY, annotations=MARK),
    thing("Deployment", "odoo", "odoo-copy-test", labels=WEB, spec=IMAGE | {"replicas": 1}),
]
SEEN = {"size": 10**9, "copies": {}, "roles": [], "strangers": [], "lets_in": True, "connections": 300}
INSPECTED = {
    "fault": "", "series": "19.0", "modules": {"base": "19.0.1.3"}, "parameters": {}, "attachments": 2, "largest": 9,
    "missing": [], "broken": [], "bytes": 10**6, "free": 10**9, "shut": [],
}  # fmt: skip
PASSWORDS = ("one-of-production", "two-of-production", "three-of-production", "four-of-production")


class Ran(NamedTuple):
    """What was said, and what the cluster and the database were told, in that order."""

    said: str
    told: list[dict[str, Any]]
    folder: Path

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """As it was told last."""
        found = [one for one in self.told if (one["kind"], one["metadata"]["name"]) == (kind, name)]
        assert found, f"{kind} {name}: {self.said[-3000:]}"
        return found[-1]

    @property
    def password_file(self) -> Path:
        return self.folder / "secrets" / "odoo_copy_test_password"


Play = Callable[..., Ran]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """play(act, cluster, -e variables, variable=value…): an entry point, with variables as an inventory has them."""
    tmp_path = tmp_path_factory.mktemp("copy")
    fakes = tmp_path / "collections" / "ansible_collections"
    for name, text in (("k8s_info", LOOKS), ("k8s", ACTS), ("k8s_scale", SCALES)):
        file = fakes / "kubernetes" / "core" / "plugins" / "action" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    stack = fakes / "odoo_deploy" / "stack"
    (stack / "roles" / "odoo_k8s" / "tasks").mkdir(parents=True)
    (stack / "plugins" / "action").mkdir(parents=True)
    (stack / "meta").symlink_to(ROOT / "meta")
    (stack / "plugins" / "action" / "odoo_copy.py").write_text(SERVER)
    for kind in (ROOT / "plugins").iterdir():
        if kind.name not in ("action", "__pycache__"):
            (stack / "plugins" / kind.name).symlink_to(kind)
    for part in (ROOT / "roles" / "odoo_k8s").iterdir():
        if part.name != "tasks":
            (stack / "roles" / "odoo_k8s" / part.name).symlink_to(part)
    for task in (ROOT / "roles" / "odoo_k8s" / "tasks").iterdir():
        copied = stack / "roles" / "odoo_k8s" / "tasks" / task.name
        copied.write_text(STAND_INS.get(task.name) or task.read_text())
    (tmp_path / "ansible.cfg").touch()

    def run(
        act: str,
        cluster: list[dict[str, Any]],
        extra: dict[str, Any] | None = None,
        options: tuple[str, ...] = (),
        **variables: Any,
    ) -> Ran:
        told = tmp_path / "told"
        told.write_text("")
        given = {
            "odoo_k8s_copy_name": "test",
            "odoo_k8s_copies_max": 2,
            "odoo_k8s_image": "odoo:configured",
            "odoo_k8s_db_hosts": [{"name": "pg1", "address": "192.0.2.21"}],
            "odoo_k8s_db_ca": "a certificate",
            "odoo_k8s_db_password": PASSWORDS[0],
            "odoo_k8s_session_db_password": PASSWORDS[1],
            "odoo_k8s_admin_password": PASSWORDS[2],
            "odoo_k8s_master_password": PASSWORDS[3],
            "odoo_k8s_namespace": "odoo",
            "odoo_k8s_deployment": "odoo",
            "odoo_k8s_config": {"smtp_server": "mail.test", "limit_time_real": 300, "workers": 7},
            "odoo_k8s_secret_config": {"smtp_password": "five-of-production"},
            "odoo_k8s_egress": [{"cidr": "203.0.113.25/32", "port": 587}],
            "odoo_k8s_base_url": "https://shop.test",
            "odoo_k8s_build_dir": str(tmp_path / "build"),
            "odoo_k8s_copies_secrets_dir": str(tmp_path / "secrets"),
            "odoo_k8s_copies_address": "192.0.2.9",
            "odoo_k8s_spool_dir": str(tmp_path / "spool"),
            "cluster": cluster,
            "told": str(told),
            "inspected": INSPECTED,
        }
        here = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
        seen = SEEN | variables.pop("seen", {})
        hosts = {
            name: {
                **here,
                "odoo_k8s_export_streams": name == "pg2",
                "odoo_k8s_copy_seen": seen | {"server": name, "standby": name == "pg2"},
            }
            for name in ("pg1", "pg2")
        }
        groups = {"vars": given | variables, "children": {"postgres": {"hosts": hosts}}}
        (tmp_path / "hosts.json").write_text(json.dumps({"all": groups}))
        role = {"name": "odoo_deploy.stack.odoo_k8s", "tasks_from": f"copy_{act}"}
        tasks = [{"ansible.builtin.include_role": role}]
        (tmp_path / "book.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        words = [
            "-i",
            str(tmp_path / "hosts.json"),
            str(tmp_path / "book.yml"),
            "-e",
            json.dumps(extra or {}),
            *options,
        ]
        done = subprocess.run(
            [program, *words],
            env=os.environ | {
                "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
                "ANSIBLE_NOCOLOR": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        said = " ".join((done.stdout + done.stderr).split())
        assert "PLAY RECAP" in said, said
        return Ran(said, [json.loads(line) for line in told.read_text().splitlines()], tmp_path)

    return run


@pytest.fixture(scope="module")
def made(play: Play) -> Ran:
    """A new copy."""
    ran = play("make", PRODUCTION)
    assert "failed=0" in ran.said, ran.said[-4000:]
    return ran


def order(ran: Ran) -> list[str]:
    """Kinds and names of what was told, each once, as it was told first."""
    return list(dict.fromkeys(f"{one['state']} {one['kind']} {one['metadata']['name']}" for one in ran.told))


def test_a_copy_is_made_from_the_standby_and_apart_from_production(made: Ran) -> None:
    password = made.password_file.read_text().strip()
    assert "[localhost -> pg2]" in made.said
    for words in (
        "read odoo",
        "sent production's data for odoo_copy_test",
        f"loaded odoo_copy_test as odoo_copy_test with {password}",
    ):
        assert words in made.said, words
    assert "Copy test serves at http://192.0.2.9:32251." in made.said
    assert "Turned off: 3 outgoing mail servers" in made.said
    assert "Installed or updated: sale" in made.said

    # All that is told is in the copy's namespace, or is that.
    assert {one["metadata"].get("namespace", "odoo-copy-test") for one in made.told} == {"odoo-copy-test"}
    namespace = made.one("Namespace", "odoo-copy-test")["metadata"]
    assert namespace["labels"]["odoo-deploy.copy"] == "test"
    assert namespace["labels"]["odoo-deploy.deployment"] == "odoo"
    assert namespace["annotations"]["odoo-deploy.created"] == "odoo"  # a teardown removes it
    assert namespace["annotations"]["odoo-deploy.copied"].endswith("Z")

    role = made.one("Database", "odoo_copy_test")
    assert (role["state"], role["on"], role["args"]["group"]) == ("role", ["pg1"], "odoo_copies")
    assert role["args"]["connections"] == 25
    assert role["args"]["verifier"].startswith("SCRAM-SHA-256$")
    assert password not in json.dumps(role)


def test_what_a_copy_is_made_of_mails_nobody_and_knows_no_secret_of_production(made: Ran) -> None:
    web = made.one("Deployment", "odoo")["spec"]
    assert web["replicas"] == 1
    (container,) = web["template"]["spec"]["containers"]
    assert container["image"] == "odoo:running"
    environment = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert environment["ODOO_DATABASE"] == "odoo_copy_test"
    assert environment["SESSION_DB_URI"] == "postgresql:///odoo_copy_test?service=session_db"
    ports = [port["nodePort"] for port in made.one("Service", "odoo")["spec"]["ports"]]
    assert ports == [32251, 32252]

    configs = [one for one in made.told if one["kind"] == "ConfigMap" and "odoo.conf" in one["data"]]
    options = configparser.RawConfigParser()
    options.read_string(configs[-1]["data"]["odoo.conf"])
    assert options["options"]["limit_time_real"] == "300"
    assert options["options"]["workers"] == "2"
    assert options["options"]["db_name"] == "odoo_copy_test"
    assert "smtp_server" not in options["options"]

    # To PostgreSQL and DNS, and nowhere else.
    egress = made.one("NetworkPolicy", "odoo")["spec"]["egress"]
    assert [port["port"] for rule in egress for port in rule["ports"]] == [5432, 53, 53]

    secrets = [one for one in made.told if one["kind"] == "Secret"]
    kept = " ".join(base64.b64decode(value).decode() for one in secrets for value in one["data"].values())
    assert made.password_file.read_text().strip() in kept
    assert not [word for word in (*PASSWORDS, "five-of-production", "smtp") if word in kept]

    jobs = [one for one in made.told if one["kind"] == "Job"]
    prepares = next(one for one in jobs if one["metadata"]["name"].startswith("odoo-import-"))
    variables = {one["name"]: one.get("value") for one in prepares["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (variables["ODOO_IMPORT_AS"], variables["ODOO_DATABASE"]) == ("staging", "odoo_copy_test")
    assert variables["ODOO_BASE_URL"] == ""


def test_a_copy_that_is_there_stops_before_it_is_loaded(play: Play, made: Ran) -> None:
    """Its jobs are removed too: one that a killed run has left would prepare what is half loaded."""
    again = play("make", PRODUCTION + THERE)
    assert "failed=0" in again.said, again.said[-4000:]
    assert order(again)[:3] == ["stopped Deployment odoo", "absent Job all", "role Database odoo_copy_test"]
    assert order(made)[0] == "role Database odoo_copy_test"
    assert not (again.folder / "build" / "copy").exists()


@pytest.mark.parametrize(
    ("inspected", "reason"),
    [
        ({**INSPECTED, "free": 10}, "Copy test is not brought in: pg1 has 10 bytes free"),
        ({}, "pg1 does not answer, or is not the primary any more. The copy was not changed."),
    ],
)
def test_what_cannot_be_loaded_is_refused_before_the_copy_stops(
    play: Play, inspected: dict[str, Any], reason: str
) -> None:
    """Production's data does not stay on this machine."""
    refused = play("make", PRODUCTION + THERE, inspected=inspected)
    assert "read odoo" in refused.said
    assert reason in refused.said, refused.said[-2000:]
    assert refused.told == []
    assert not (refused.folder / "build" / "copy").exists()


def test_the_plan_alone_changes_nothing(play: Play, made: Ran) -> None:
    """Nor is a password made. A plan that is another one than was agreed to is refused."""
    made.password_file.unlink(missing_ok=True)
    shown = play("make", PRODUCTION, odoo_k8s_plan_only=True)
    assert "failed=0" in shown.said, shown.said[-4000:]
    assert shown.told == []
    assert "read odoo" not in shown.said.replace("read odoo on the standby pg2", "")
    assert not shown.password_file.exists()
    other = play("make", PRODUCTION, odoo_k8s_digest="0123456789abcdef")
    assert "the plan is not the one that was shown. Now it is: Copy test of database odoo" in other.said
    assert other.told == []
    checked = play("drop", PRODUCTION + THERE, options=("--check",), seen={"copies": {"odoo_copy_test": 1}})
    assert "failed=0" in checked.said and "remove namespace odoo-copy-test" in checked.said, checked.said[-2000:]
    assert checked.told == []


@pytest.mark.parametrize(
    ("extra", "held"),
    [
        ({"odoo_k8s_namespace": "odoo", "odoo_k8s_db_name": "odoo"}, "odoo_k8s_db_name"),
        ({"odoo_k8s_replicas": 3}, "odoo_k8s_replicas"),
        ({"odoo_k8s_config": {"smtp_server": "mail.test"}}, "odoo_k8s_config"),
        ({"odoo_k8s_egress": [{"cidr": "203.0.113.25/32", "port": 587}]}, "odoo_k8s_egress"),
    ],
)
def test_what_e_gives_is_refused_before_it_wins_over_the_copy(play: Play, extra: dict[str, Any], held: str) -> None:
    """It would deploy the copy over production."""
    refused = play("make", PRODUCTION, extra)
    assert "Copy test is not made: -e gives " in refused.said, refused.said[-2000:]
    assert held in refused.said.partition("-e gives ")[2].partition(", which a copy")[0]
    assert refused.told == []


def test_what_is_the_same_for_both_may_be_given(play: Play) -> None:
    same = {"odoo_k8s_image": "odoo:running", "odoo_k8s_version": "19"}
    assert "failed=0" in play("make", PRODUCTION, same, odoo_k8s_plan_only=True).said


def test_a_namespace_of_others_is_refused(play: Play) -> None:
    theirs = {"kind": "Namespace", "metadata": {"name": "odoo-copy-test", "managedFields": [{"manager": "helm"}]}}
    refused = play("make", [*PRODUCTION, theirs])
    assert "Namespace odoo-copy-test was there before" in refused.said
    assert refused.told == []


def test_a_copy_is_dropped_with_all_that_is_its_own(play: Play, made: Ran) -> None:
    """Its namespace first, so that nobody works on the database."""
    made.password_file.write_text("kept\n")
    gone = play("drop", PRODUCTION + THERE, seen={"copies": {"odoo_copy_test": 1}, "roles": ["odoo_copy_test"]})
    assert "Copy test is gone." in gone.said, gone.said[-3000:]
    assert order(gone) == ["absent Namespace odoo-copy-test", "absent Pod all", "drop Database odoo_copy_test"]
    assert gone.one("Pod", "all")["options"] == {"gracePeriodSeconds": 1}  # nobody's request has to end
    assert gone.told[-1]["on"] == ["pg1"]
    assert not gone.password_file.exists()
    nothing = play("drop", PRODUCTION)
    assert "There is no copy test. Copies that there are: none." in nothing.said
    assert nothing.told == []


def test_a_drop_on_a_server_that_is_primary_no_more_fails(play: Play) -> None:
    lost = play("drop", PRODUCTION + THERE, demoted=True)
    assert "accepts no writes any more" in lost.said
    assert "Copy test is gone." not in lost.said


def test_copies_are_listed(play: Play) -> None:
    shown = play("list", PRODUCTION + THERE)
    assert "test: made in part: ./run.py odoo copy make test mends it" in shown.said
    assert shown.told == []


def test_every_variable_of_a_copy_is_put_in_the_place_of_productions() -> None:
    """What the filter decides, and the passwords."""
    (task,) = yaml.safe_load((ROOT / "roles/odoo_k8s/tasks/copy_as.yml").read_text())
    decided = re.findall(r'"(odoo_k8s_\w+)": ', (ROOT / "plugins/filter/odoo_copy_plan.py").read_text())
    passwords = {f"odoo_k8s_{name}_password" for name in ("db", "session_db", "admin", "master")}
    assert len(decided) > 20
    assert {name: text for name, text in task["vars"].items() if name not in passwords} == {
        name: f"{{{{ odoo_k8s_copy.variables.{name} }}}}" for name in decided
    }
    assert {task["vars"][name] for name in passwords} == {"{{ __odoo_k8s_copy_password }}"}
