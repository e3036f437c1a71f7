# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole role odoo_k8s, with a cluster that only says what is in it and writes down what it is told."""

from __future__ import annotations

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
# In the place of kubernetes.core's. What is applied is there at once.
LOOKS = """
from ansible.plugins.action import ActionBase


def fits(labels, text):
    key, _sign, value = text.partition("=")
    return text[1:] not in labels if text.startswith("!") else labels.get(key) == value


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        wanted = {"kind": self._task.args["kind"]}
        found = [one for one in task_vars["cluster"] if one["kind"] == wanted["kind"]]
        for key in ("name", "namespace"):
            if self._task.args.get(key):
                found = [one for one in found if one["metadata"].get(key) == self._task.args[key]]
        for text in self._task.args.get("label_selectors", []):
            found = [one for one in found if fits(one["metadata"].get("labels", {}), text)]
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
    return {"result": one}


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        args = self._task.args
        told = [one for one in yaml.safe_load_all(args.get("definition", "")) if one]
        told = told or [{"kind": args["kind"], "metadata": {"name": args.get("name") or args["label_selectors"][0]}}]
        with open(task_vars["told"], "a") as file:
            for one in told:
                file.write(json.dumps({"state": args.get("state", "present")} | one) + "\\n")
        return {"changed": True, "result": {"results": [there(one) for one in told]}}
"""
EXECUTES = """
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        args = self._task.args
        return {"changed": True, "rc": 0, "stdout_lines": [f"in {args['pod']}:", args["command"].splitlines()[-1]]}
"""
ROLE = [{"ansible.builtin.include_role": {"name": "odoo_deploy.stack.odoo_k8s"}}]
OURS = {"odoo-deploy.deployment": "odoo"}
NAMESPACE = {
    "kind": "Namespace",
    "metadata": {"name": "odoo", "labels": OURS, "annotations": {"odoo-deploy.created": "odoo"}},
}


class Ran(NamedTuple):
    """What the role said, and what it told the cluster."""

    said: str
    told: list[dict[str, Any]]

    def image(self) -> str:
        """Of the web pods."""
        (web,) = (one for one in self.told if (one["kind"], one["metadata"]["name"]) == ("Deployment", "odoo"))
        return str(web["spec"]["template"]["spec"]["containers"][0]["image"])


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """run(objects of the cluster or None if it does not answer, tasks other than the whole role, variable=value…)."""
    fake = tmp_path / "collections" / "ansible_collections" / "kubernetes" / "core" / "plugins" / "action"
    fake.mkdir(parents=True)
    (fake / "k8s_info.py").write_text(LOOKS)
    (fake / "k8s.py").write_text(ACTS)
    (fake / "k8s_exec.py").write_text(EXECUTES)
    (tmp_path / "ansible.cfg").touch()
    book = tmp_path / "play.yml"

    def role(cluster: list[dict[str, Any]] | None, tasks: list[dict[str, Any]] | None = None, **variables: Any) -> Ran:
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks or ROLE}
        book.write_text(json.dumps([play]))
        told = tmp_path / "told"
        told.write_text("")
        given = {
            "odoo_k8s_image": "odoo:new",
            "odoo_k8s_db_hosts": [{"name": "pg1", "address": "192.0.2.21"}],
            "odoo_k8s_db_ca": "a certificate",
            "odoo_k8s_db_password": "one",
            "odoo_k8s_session_db_password": "two",
            "odoo_k8s_admin_password": "three",
            "odoo_k8s_master_password": "four",
            "odoo_k8s_namespace": "odoo",
            "odoo_k8s_deployment": "odoo",
            "cluster": cluster,
            "told": str(told),
        }
        collections = f"{tmp_path / 'collections'}:{ROOT / '.deploy' / 'collections'}"
        done = subprocess.run(
            [str(Path(sys.executable).with_name("ansible-playbook")), str(book), "-e", json.dumps(given | variables)],
            env=os.environ
            | {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": collections}
            | {"ANSIBLE_SHOW_CUSTOM_STATS": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        said = " ".join((done.stdout + done.stderr).split())
        assert "PLAY RECAP" in said, said
        return Ran(said, [json.loads(line) for line in told.read_text().splitlines()])

    return role


def replica_set(revision: int, image: str) -> dict[str, Any]:
    """One of the Deployment's history."""
    labels = {"app.kubernetes.io/name": "odoo", "app.kubernetes.io/component": "web"}
    return {
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"odoo-{revision}",
            "namespace": "odoo",
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        },
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
    }


def test_absent_removes_the_namespace_and_nothing_else(run: Run) -> None:
    """Nothing is asked for that only a deployment needs; a namespace that somebody else made stays."""
    removed = run([NAMESPACE], odoo_k8s_state="absent", odoo_k8s_image="", odoo_k8s_db_password="")
    assert removed.told == [{"state": "absent", "kind": "Namespace", "metadata": {"name": "odoo"}}]
    theirs = {"kind": "Namespace", "metadata": {"name": "odoo", "managedFields": [{"manager": "helm"}]}}
    refused = run([theirs], odoo_k8s_state="absent", odoo_k8s_adopt_namespace=True)
    assert "did not make it" in refused.said
    assert refused.told == []
    deployed = run([NAMESPACE])
    assert "failed=0" in deployed.said, deployed.said
    assert {one["state"] for one in deployed.told if one["kind"] != "HorizontalPodAutoscaler"} == {"present"}
    assert deployed.image() == "odoo:new"


def test_rollback_takes_the_image_before_the_last_change(run: Run) -> None:
    """By the Deployment's history, whatever image is named; without another one there is nothing to go back to."""
    history = [replica_set(9, "odoo:one"), replica_set(11, "odoo:two"), replica_set(10, "odoo:two")]
    back = run([NAMESPACE, *history], odoo_k8s_rollback=True, odoo_k8s_image="")
    assert back.image() == "odoo:one", back.said
    assert run([NAMESPACE, *history]).image() == "odoo:new"
    refused = run([NAMESPACE, *history[1:]], odoo_k8s_rollback=True)
    assert "has not run another image than odoo:two, so there is nothing to go back to" in refused.said
    assert refused.told == []


def test_another_database_is_refused_before_anything_is_told(run: Run) -> None:
    """By what the Deployment and its Secret say, which are those that the role itself applied."""
    first = run([NAMESPACE])
    assert "failed=0" in first.said, first.said
    deployed = [NAMESPACE, *(one for one in first.told if one["kind"] in ("Deployment", "Secret"))]
    again = run(deployed)
    assert "failed=0" in again.said, again.said
    names = ("odoo_k8s_db_name", "odoo_k8s_session_db_name", "odoo_k8s_db_user", "odoo_k8s_session_db_user")
    refused = run(deployed, **dict.fromkeys(names, "other"))
    assert refused.told == []
    for name, now in zip(names, ("odoo", "session_db", "odoo", "session_db"), strict=True):
        assert re.search(f"{name} is other, but [^.]* {now}[:.]", refused.said), refused.said
    assert run(deployed, odoo_k8s_state="absent", odoo_k8s_db_name="other").told[0]["state"] == "absent"


def test_postgresql_is_not_told_of_another_database(run: Run) -> None:
    """Before its first machine is looked at. A cluster that is not made yet, or does not answer, is not in its way."""
    first = yaml.safe_load((ROOT / "playbooks" / "postgres.yml").read_text(encoding="utf-8"))[0]
    assert first["hosts"] == "localhost"
    deployed = [NAMESPACE, *(one for one in run([NAMESPACE]).told if one["kind"] in ("Deployment", "Secret"))]
    there = {"odoo_k8s_kubeconfig": __file__}
    refused = run(deployed, first["tasks"], odoo_k8s_db_name="other", **there)
    assert "odoo_k8s_db_name is other, but Odoo's data is in odoo" in refused.said
    for cluster, given in (
        (deployed, there),
        (deployed, {"odoo_k8s_db_name": "other", "odoo_k8s_kubeconfig": "/nonexistent"}),
        (None, {"odoo_k8s_db_name": "other"} | there),
    ):
        passed = run(cluster, first["tasks"], **given)
        assert "failed=0" in passed.said, passed.said
        assert ("The cluster does not say" in passed.said) == (cluster is None)


def answer(**changes: Any) -> list[dict[str, Any]]:
    """What is in the cluster when the plan's Job has answered: it, its pod, and the Deployment that it is about."""
    told = {"refusal": "", "digest": "d", "installed": [], "brought": [], "updated": [], "removed": [], "taken": []}
    said = {"state": {"terminated": {"message": json.dumps(told | changes)}}}
    pod = {"labels": {"batch.kubernetes.io/job-name": "odoo-plan-1"}, "name": "odoo-plan-1-x", "namespace": "odoo"}
    spec = {"containers": [{"image": "odoo:old", "env": []}], "volumes": []}
    return [
        NAMESPACE,
        {
            "kind": "Deployment",
            "metadata": {"name": "odoo", "namespace": "odoo"},
            "spec": {"replicas": 3, "template": {"metadata": {"labels": {}}, "spec": spec}},
        },
        {
            "kind": "Job",
            "metadata": {"name": "odoo-plan-1", "namespace": "odoo"},
            "status": {"conditions": [{"type": "Complete", "status": "True"}]},
        },
        {"kind": "Pod", "metadata": pod, "status": {"containerStatuses": [said]}},
    ]


PLAN: list[dict[str, Any]] = [
    {"ansible.builtin.include_role": {"name": "odoo_deploy.stack.odoo_k8s", "tasks_from": "upgrade_image"}},
    {"ansible.builtin.include_role": {"name": "odoo_deploy.stack.odoo_k8s", "tasks_from": "upgrade_plan"}},
    {"ansible.builtin.debug": {"msg": "planned {{ odoo_k8s_upgrade | to_json }}"}},
]
# As the playbook has it.
ASKED = {"__odoo_k8s_run": "1", "odoo_k8s_image": "{{ odoo_k8s_running_image or 'odoo:new' }}"}


def planned(ran: Ran) -> dict[str, Any]:
    """The plan that the role made."""
    found = re.search(r'"msg": "planned (\{.*?\})" \}', ran.said)
    assert found, ran.said
    plan: dict[str, Any] = json.loads(found[1].replace('\\"', '"'))
    return plan


def job(ran: Ran) -> dict[str, Any]:
    """The container of the Job that was started."""
    (one,) = (one for one in ran.told if (one["kind"], one["state"]) == ("Job", "present"))
    container: dict[str, Any] = one["spec"]["template"]["spec"]["containers"][0]
    return container


def test_a_plan_asks_the_new_image(run: Run) -> None:
    """Without a wish for a single module it is the one that was built; the Job gets no option."""
    ran = run(answer(updated=["web"]), PLAN, **ASKED)
    assert (job(ran)["image"], job(ran)["args"]) == ("odoo:new", ["plan", "base", "web", "bus"])
    plan = planned(ran)
    assert (plan["from"], plan["to"], plan["needed"], plan["updates"]) == ("odoo:old", "odoo:new", True, ["web"])
    assert (plan["failed"], plan["restore"]) == (False, False)
    assert "to update: web" in ran.said


def test_a_plan_leaves_nothing_behind(run: Run) -> None:
    """Nor does it touch what pods read: all that it makes has its own name, and is removed by it."""
    login = {"registry": "shop.test", "username": "shop", "password": "six"}
    for refused in ("", "crm is not installed"):
        ran = run(answer(refusal=refused), PLAN, **ASKED, odoo_k8s_registry_login=login, odoo_k8s_plan_only=True)
        made = [one for one in ran.told if one["state"] == "present"]
        names = {(one["kind"], one["metadata"]["name"].partition("odoo-plan-1")[2]) for one in made}
        assert names == {
            ("Job", ""),
            ("ConfigMap", ""),
            ("ConfigMap", "-scripts"),
            ("Secret", ""),
            ("Secret", "-registry"),
        }
        assert {one["metadata"]["labels"]["odoo-deploy/job"] for one in made} == {"odoo-plan-1"}
        gone = [(one["kind"], one["metadata"]["name"]) for one in ran.told if one["state"] == "absent"]
        assert gone == [(kind, "odoo-deploy/job=odoo-plan-1") for kind in ("Job", "ConfigMap", "Secret")]
        pod = next(one for one in made if one["kind"] == "Job")["spec"]["template"]["spec"]
        mounted = [volume.get("secret", {}).get("secretName") for volume in pod["volumes"]]
        assert [name for name in mounted if name] == ["odoo-plan-1"]
        assert pod["imagePullSecrets"] == [{"name": "odoo-plan-1-registry"}]
        assert "six" not in ran.said


def test_single_modules_change_on_the_image_that_runs(run: Run) -> None:
    """Each wish is an option of the Job."""
    wishes = {"odoo_k8s_modules_install": ["crm", "hr"], "odoo_k8s_modules_remove": ["mail"]}
    ran = run(answer(installed=["crm", "hr"], removed=["mail"]), PLAN, **ASKED, **wishes)
    options = ["--install", "crm", "hr", "--remove", "mail"]
    assert (job(ran)["image"], job(ran)["args"]) == ("odoo:old", ["plan", "base", "web", "bus", *options])
    assert planned(ran)["to"] == "odoo:old"
    alone = run(answer(updated=["crm"]), PLAN, **ASKED, odoo_k8s_modules_upgrade=["crm"])
    assert job(alone)["args"][4:] == ["--upgrade", "crm"]


def test_the_deployment_itself_installs_what_it_always_does(run: Run) -> None:
    """Also the one that goes back after a wish that failed; its Job keeps its name."""
    plain, wished = run([NAMESPACE]), run([NAMESPACE], odoo_k8s_modules_install=["crm"], odoo_k8s_digest="d")
    assert job(plain)["args"] == job(wished)["args"] == ["init", "base", "web", "bus"]
    names = [one["metadata"]["name"] for ran in (plain, wished) for one in ran.told if one["kind"] == "Job"]
    assert len(set(names)) == 1


@pytest.mark.parametrize(
    ("wishes", "lines"),
    [
        (
            {
                "odoo_k8s_modules_install": "crm",
                "odoo_k8s_modules_upgrade": ["Crm"],
                "odoo_k8s_modules_remove": ["--all", "web", "queue_job"],
                "odoo_k8s_config": {"server_wide_modules": "web,queue_job"},
            },
            [
                "odoo_k8s_modules_install is crm: allowed is a list of technical names",
                "odoo_k8s_modules_upgrade is ['Crm']: allowed is a list of technical names",
                "odoo_k8s_modules_remove is ['--all', 'web', 'queue_job']: allowed is a list of technical names",
                "odoo_k8s_modules_remove names web: no deployment works without it.",
                "odoo_k8s_modules_remove names queue_job: every process loads it",
            ],
        ),
        (
            {"odoo_k8s_modules_install": ["crm"], "odoo_k8s_modules_remove": ["crm"]},
            ["odoo_k8s_modules_install and odoo_k8s_modules_remove both name crm"],
        ),
    ],
)
def test_a_wish_that_cannot_be_is_refused_first(run: Run, wishes: dict[str, Any], lines: list[str]) -> None:
    """Each in a line, before the cluster is told anything."""
    ran = run(answer(), PLAN, **ASKED, **wishes)
    assert [line for line in lines if line not in ran.said] == []
    assert (ran.told, "failed=1" in ran.said) == ([], True)


def test_what_the_image_refuses_ends_the_plan(run: Run) -> None:
    ran = run(answer(refusal="crm is not installed"), PLAN, **ASKED, odoo_k8s_modules_remove=["crm"])
    assert "Nothing was changed: crm is not installed" in ran.said
    assert "planned" not in ran.said


def test_another_plan_than_the_one_that_was_shown_is_refused(run: Run) -> None:
    """A plan alone tells its digest; with that the next run goes on, with another it ends."""
    wish = {**ASKED, "odoo_k8s_modules_remove": ["crm"]}
    alone = run(answer(removed=["crm"]), PLAN, odoo_k8s_plan_only=True, **wish)
    shown = planned(alone)
    assert {"summary", "steps", "question", "digest"} <= set(shown)
    assert "CUSTOM STATS: ********" in alone.said and f'"digest": "{shown["digest"]}"' in alone.said.split("CUSTOM")[1]
    again = run(answer(removed=["crm"]), PLAN, odoo_k8s_digest=shown["digest"], **wish)
    assert planned(again)["digest"] == shown["digest"]
    assert "run_plan" not in again.said
    other = run(answer(removed=["crm"], taken=["sale"]), PLAN, odoo_k8s_digest=shown["digest"], **wish)
    assert "the plan is not the one that was shown. Now it is: To install: nothing; to update: nothing;" in other.said
    assert "planned" not in other.said


def test_going_back_asks_nothing(run: Run) -> None:
    given = {"odoo_k8s_upgrade_back": True, "odoo_k8s_backup": "/dumps/x.pgc"}
    ran = run(answer(), PLAN, **ASKED, **given)
    assert not [one for one in ran.told if one["kind"] == "Job"]
    assert (planned(ran)["needed"], planned(ran)["from"]) == (True, "odoo:old")


def test_a_plan_alone_carries_nothing_out() -> None:
    """What changes something is in a playbook of its own, and each of its tasks is left out then."""
    plays = yaml.safe_load((ROOT / "playbooks" / "upgrade.yml").read_text(encoding="utf-8"))
    assert [play.get("hosts") for play in plays] == ["postgres", "localhost", None]
    assert plays[2]["ansible.builtin.import_playbook"] == "upgrade_apply.yml"
    assert plays[2]["when"] == "not odoo_k8s_plan_only | default(false) | bool"
    roles = [task.get("ansible.builtin.include_role", {}) for play in plays[:2] for task in play["tasks"]]
    assert [role["tasks_from"] for role in roles if role] == ["look", "upgrade_look", "upgrade_image", "upgrade_plan"]


def test_modules_are_listed_by_a_web_pod(run: Run) -> None:
    """What to match is one word of the command, whatever it holds."""
    labels = {"app.kubernetes.io/name": "odoo", "app.kubernetes.io/component": "web"}
    pod = {"kind": "Pod", "metadata": {"name": "odoo-1", "namespace": "odoo", "labels": labels}}
    pod["status"] = {"containerStatuses": [{"ready": True}]}
    tasks = [{"ansible.builtin.include_role": {"name": "odoo_deploy.stack.odoo_k8s", "tasks_from": "modules"}}]
    ran = run([pod], tasks, odoo_k8s_modules_match="sale*; id")
    assert """ "in odoo-1:", " main()' 'sale*; id'" """ in ran.said
    assert ("changed=0" in ran.said, ran.told) == (True, [])


def test_a_staging_copy_is_not_production_in_another_namespace(run: Run) -> None:
    """Production may be deployed anew beside it; a namespace of production's own is refused as ever."""
    other = {"kind": "Service", "metadata": {"name": "odoo", "namespace": "odoo-copy-test"}}
    space = {
        "kind": "Namespace",
        "metadata": {"name": "odoo-copy-test", "labels": {**OURS, "odoo-deploy.copy": "test"}},
    }
    deployed = run([space, other])
    assert "failed=0" in deployed.said, deployed.said
    space["metadata"]["labels"] = OURS
    assert "this deployment's Odoo runs in odoo-copy-test" in run([space, other]).said
