# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was there before is refused, unless the variable that the refusal names allows it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
THEIRS = {"metadata": {"name": "n", "labels": {}, "managedFields": [{"manager": "helm"}]}}
OURS = {
    "metadata": {
        "name": "n",
        "labels": {"odoo-deploy.deployment": "odoo"},
        "annotations": {"odoo-deploy.created": "odoo"},
    }
}


def refusal(tmp_path: Path, role: str, tasks: str, name: str, variables: dict[str, Any]) -> str:
    """Runs one assert of a role with the role's own variables; returns its message, empty where it passes."""

    def find(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            found for item in items for found in ([item] if item.get("name") == name else find(item.get("block", [])))
        ]

    (task,) = find(yaml.safe_load((ROOT / "roles" / role / "tasks" / tasks).read_text()))
    files = sorted((ROOT / "roles" / role / "vars").rglob("*.yml"))
    play = [{
        "hosts": "localhost", "connection": "local", "gather_facts": False, "vars_files": [str(file) for file in files],
        "tasks": [{"ansible.builtin.set_fact": variables}, task],
    }]  # fmt: skip
    book = tmp_path / "play.yml"
    book.write_text(json.dumps(play))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    config = tmp_path / "ansible.cfg"
    config.touch()
    settings = {"ANSIBLE_CONFIG": str(config), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".deploy" / "collections")}
    done = subprocess.run([program, str(book)], env=os.environ | settings, capture_output=True, text=True, check=False)
    said = " ".join((done.stdout + done.stderr).split())
    assert "failed=1" in said or done.returncode == 0, said
    return said if done.returncode else ""


@pytest.mark.parametrize("role", ["odoo_k8s", "prometheus_k8s"])
@pytest.mark.parametrize(("found", "refused"), [([], False), ([OURS], False), ([THEIRS], True)])
def test_a_namespace_of_others_is_refused(tmp_path: Path, role: str, found: list[Any], refused: bool) -> None:
    variable = {"odoo_k8s": "odoo_k8s_adopt_namespace", "prometheus_k8s": "prometheus_k8s_adopt_namespace"}[role]
    values = {f"{role}_namespace": "n", f"{role}_deployment": "odoo", f"__{role}_namespace_found": {"resources": found}}
    values["odoo_k8s_state"] = "present"
    name = "Make sure that the namespace is the deployment's own"
    said = refusal(tmp_path, role, "namespace.yml", name, {**values, variable: False})
    assert bool(said) is refused
    if refused:
        assert "Namespace n was there before" in said
        assert f"-e {variable}=true" in said
        assert refusal(tmp_path, role, "namespace.yml", name, {**values, variable: True}) == ""


@pytest.mark.parametrize(
    ("databases", "initialised", "lost"),
    [
        (["odoo", "session_db"], ["odoo"], False),
        (["session_db"], [], False),
        (["session_db"], ["another"], False),
        (["session_db"], ["another", "odoo"], True),
    ],
)
def test_a_database_that_is_lost_is_not_created_anew(
    tmp_path: Path, databases: list[str], initialised: list[str], lost: bool
) -> None:
    values = {
        "postgres_primary_databases": [{"name": name, "owner": name} for name in ("odoo", "session_db")],
        "__postgres_primary_answer": {"query_result": [{"answer": {"databases": {name: {} for name in databases}}}]},
        "__postgres_primary_initialised": {"results": [{"query_result": [{"names": initialised}]}]},
    }
    name = "Make sure that no database is lost"
    said = refusal(tmp_path, "postgres_primary", "main.yml", name, {**values, "postgres_primary_create_lost": False})
    assert bool(said) is lost
    if lost:
        assert "odoo was initialised on these servers before and is gone" in said
        assert "-e postgres_primary_create_lost=true" in said
        again = refusal(
            tmp_path, "postgres_primary", "main.yml", name, {**values, "postgres_primary_create_lost": True}
        )
        assert again == ""


@pytest.mark.parametrize(("role", "tasks"), [("k8s_cluster", "context_check.yml"), ("prometheus_k8s", "main.yml")])
@pytest.mark.parametrize(
    ("login", "refused"),
    [
        ({}, False),
        ({"registry": "r.example", "username": "pull", "password": "sesame"}, False),
        ({"registry": "r.example", "username": "pull", "password": ""}, True),
        ({"password": "sesame"}, True),
    ],
)
def test_half_a_login_is_refused(tmp_path: Path, role: str, tasks: str, login: dict[str, str], refused: bool) -> None:
    """By its name; the password is not said."""
    variable = f"{role}_registry_login"
    said = refusal(tmp_path, role, tasks, "Refuse half a log-in", {variable: login})
    assert (f"{variable} needs registry, username and password" in said) == refused
    assert "sesame" not in said


@pytest.mark.parametrize(
    ("restart", "changes", "words"),
    [
        (True, [], ""),
        (True, ["raised"], ""),
        (False, [], "run again with postgres_common_restart=true when it suits"),
        (True, ["lowered", "raised"], "raise and lower these in two runs"),
    ],
)
def test_a_restart_that_is_not_wanted_is_refused(tmp_path: Path, restart: bool, changes: list[str], words: str) -> None:
    """With the setting that needs it."""
    state = {"pending_restart": {"shared_buffers": "1GB"}, "floor_changes": changes}
    said = refusal(
        tmp_path,
        "postgres_common",
        "restart.yml",
        "Check that the restart is wanted and can be ordered",
        {"postgres_common_restart": restart, "postgres_common_state": state},
    )
    assert bool(said) == bool(words)
    assert words in said
    assert not words or "localhost needs a restart for shared_buffers" in said


@pytest.mark.parametrize("taken", [True, False])
def test_a_port_that_somebody_uses_is_refused(tmp_path: Path, taken: bool) -> None:
    """Else their nginx would be given the deployment's pages, and any other program end the run halfway."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        if not taken:
            other.close()
        variables = {"nginx_cache_listen_addresses": ["127.0.0.1"], "nginx_cache_http_port": port}
        name = "Refuse a port that something else listens on"
        said = refusal(tmp_path, "nginx_cache", "install.yml", name, variables)
    assert bool(said) == taken
    assert not taken or f"On localhost something listens on port {port} that this deployment did not put there" in said
