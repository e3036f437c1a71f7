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


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        wanted = {"kind": self._task.args["kind"]}
        found = [one for one in task_vars["cluster"] if one["kind"] == wanted["kind"]]
        for key in ("name", "namespace"):
            if self._task.args.get(key):
                found = [one for one in found if one["metadata"].get(key) == self._task.args[key]]
        for text in self._task.args.get("label_selectors", []):
            key, _sign, value = text.partition("=")
            found = [one for one in found if one["metadata"].get("labels", {}).get(key) == value]
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
        told = told or [{"kind": args["kind"], "metadata": {"name": args["name"]}}]
        with open(task_vars["told"], "a") as file:
            for one in told:
                file.write(json.dumps({"state": args.get("state", "present")} | one) + "\\n")
        return {"changed": True, "result": {"results": [there(one) for one in told]}}
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
            env=os.environ | {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": collections},
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
