# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a staging copy may be made or dropped, what a person agrees to, and what the copy is made with."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_copy_plan import odoo_copy_plan

PRIMARY: dict[str, Any] = {
    "server": "pg1",
    "standby": False,
    "size": 1_200_000_000,
    "copies": {},
    "roles": [],
    "strangers": [],
    "lets_in": True,
    "connections": 250,
}
STANDBY = {**PRIMARY, "server": "pg2", "standby": True}
CONFIG = {
    "limit_time_real": 300,
    "server_wide_modules": "web,queue_job",
    "smtp_server": "mail.example.com",
    "smtp_ssl_certificate_filename": "/x",
    "email_from": "shop@example.com",
    "from_filter": "example.com",
    "workers": 8,
    "max_cron_threads": 4,
    "db_maxconn": 64,
}


def workload(namespace: str, name: str = "odoo", image: str = "odoo:running") -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"readyReplicas": 1},
    }


def space(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": f"odoo-copy-{name}", "labels": {"odoo-deploy.copy": name}, **metadata}}


def plan(
    act: str = "make",
    name: str = "test",
    primary: dict[str, Any] | None = None,
    spaces: list[dict[str, Any]] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    seen = facts.pop("seen", [{**PRIMARY, **(primary or {})}, STANDBY])
    given = {
        "database": "odoo",
        "namespace": "odoo",
        "namespaces": spaces or [],
        "cluster": {"deployments": [workload("odoo")], "services": []},
        "version": "19",
        "most": 2,
        "connections": 250,
        "source": "pg2",
        "config": CONFIG,
        "reserved": [32242, 32243],
        "address": "192.0.2.9",
    }
    return odoo_copy_plan(seen, act, name, **{**given, **facts})


def test_a_new_copy() -> None:
    made = plan(name="q4-test")
    assert made["refusal"] == ""
    assert made["summary"] == "Copy q4-test of database odoo, 1.2 GB."
    assert made["steps"] == [
        "read odoo on the standby pg2, while Odoo serves",
        "load it into odoo_copy_q4_test on pg1",
        "neutralise it: no mail, scheduled action, payment or synchronisation goes on",
        "serve it in namespace odoo-copy-q4-test: http://192.0.2.9:32250",
    ]
    assert made["question"] == "This makes copy q4-test"
    target = made["target"]
    assert (target["primary"], target["there"], target["workloads"]) == ("pg1", False, [])


def test_the_copy_is_apart_from_production() -> None:
    """Another namespace, database, user and ports; nothing that sends mails, and no secret of production's."""
    variables = plan()["target"]["variables"]
    names = ("db_name", "db_user", "session_db_name", "session_db_user", "import_db_name")
    assert {variables[f"odoo_k8s_{name}"] for name in names} == {"odoo_copy_test"}
    assert variables["odoo_k8s_namespace"] == "odoo-copy-test"
    assert (variables["odoo_k8s_node_port"], variables["odoo_k8s_longpolling_node_port"]) == (32250, 32251)
    assert variables["odoo_k8s_config"] == {"limit_time_real": 300, "server_wide_modules": "web,queue_job"}
    assert variables["odoo_k8s_secret_config"] == {}
    assert variables["odoo_k8s_egress"] == []
    assert variables["odoo_k8s_base_url"] == ""
    assert variables["odoo_k8s_record"] == ""
    assert variables["odoo_k8s_import_as"] == "staging"
    assert variables["odoo_k8s_adopt_namespace"] is False
    assert variables["odoo_k8s_version"] == "19"


def test_the_image_is_the_one_that_runs_unless_another_is_named() -> None:
    assert plan()["target"]["variables"]["odoo_k8s_image"] == "odoo:running"
    other = plan(image="odoo:next")
    assert other["target"]["variables"]["odoo_k8s_image"] == "odoo:next"
    assert "with image odoo:next." in other["summary"]
    assert other["digest"] != plan()["digest"]


def test_a_copy_that_is_there_is_replaced() -> None:
    """It keeps its ports and stops first. It may be replaced although there are as many as may be."""
    service = {
        "metadata": {"namespace": "odoo-copy-test", "name": "odoo"},
        "spec": {"ports": [{"nodePort": 32260}, {"nodePort": 32261}]},
    }
    deployments = [workload("odoo"), workload("odoo-copy-test"), workload("odoo-copy-test", "odoo-cron")]
    cluster = {"deployments": deployments, "services": [service]}
    made = plan(spaces=[space("test"), space("other")], cluster=cluster)
    assert made["question"] == "This replaces what is in copy test"
    assert made["steps"][1] == "stop copy test"
    assert made["target"]["workloads"] == ["odoo", "odoo-cron"]
    assert made["target"]["variables"]["odoo_k8s_node_port"] == 32260
    assert made["digest"] != plan()["digest"]


def test_without_a_standby_the_primary_is_read() -> None:
    assert plan(seen=[PRIMARY], source="pg1")["steps"][0] == "read odoo on the primary pg1, while Odoo serves"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "Big"}, "Big is no name of a copy: up to 20 of a-z, 0-9 and dashes"),
        ({"name": "ends-"}, "last no dash"),
        ({"name": ""}, "nothing is no name"),
        ({"seen": []}, "Exactly one server that accepts writes has to be reached"),
        ({"seen": [STANDBY]}, "Exactly one server"),
        ({"seen": [PRIMARY, {**PRIMARY, "server": "pg2"}]}, "Exactly one server"),
        ({"cluster": {"deployments": [], "services": []}}, "Odoo is not deployed in namespace odoo"),
        ({"spaces": [space("a"), space("b")]}, "there are 2 copies (a, b), and odoo_k8s_copies_max is 2: drop one"),
        ({"primary": {"copies": {"odoo_copy_a": 1}, "roles": ["odoo_copy_b"]}}, "there are 2 copies (a, b)"),
        ({"most": 0}, "there are 0 copies (none), and odoo_k8s_copies_max is 0: raise it"),
        ({"database": "o" * 54}, "more than 63 characters"),
        ({"namespace": "o" * 54, "cluster": {"deployments": [workload("o" * 54)], "services": []}}, "more than 63"),
        ({"primary": {"lets_in": False}}, "PostgreSQL does not let copies in yet: ./run.py --yes --steps 3"),
        ({"primary": {"connections": 249}}, "pg1 takes 249 connections, and Odoo with 2 copies may open 250"),
        ({"primary": {"strangers": ["odoo_copy_test"]}}, "a role odoo_copy_test that is no copy's; take another name"),
        ({"spaces": [space("test", deletionTimestamp="now")]}, "namespace odoo-copy-test is still being removed"),
        ({"reserved": list(range(32250, 32300))}, "the NodePorts 32250 to 32299 are taken"),
    ],
)
def test_what_is_refused_says_why_in_one_line(changes: dict[str, Any], reason: str) -> None:
    refused = plan(**changes)
    assert reason in refused["refusal"]
    assert "Nothing was changed." in refused["refusal"]
    assert "\n" not in refused["refusal"]
    assert (refused["question"], refused["digest"], refused["target"]) == ("", "", {})


def test_a_role_or_database_of_others_with_another_name_is_in_nobodys_way() -> None:
    assert plan(primary={"strangers": ["odoo_copy_other"]})["refusal"] == ""


def test_all_that_is_left_is_dropped() -> None:
    there = {"copies": {"odoo_copy_test": 5_000_000}, "roles": ["odoo_copy_test"]}
    made = plan("drop", primary=there, spaces=[space("test")], secret=True)
    assert made["steps"] == [
        "remove namespace odoo-copy-test with its pods",
        "drop database odoo_copy_test, 5.0 MB, on pg1",
        "drop role odoo_copy_test",
        "remove the file with its password",
    ]
    assert made["question"] == "This removes copy test and what was done in it"
    assert made["target"] == {
        "name": "test",
        "namespace": "odoo-copy-test",
        "database": "odoo_copy_test",
        "primary": "pg1",
    }


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"spaces": [space("test")]}, "remove namespace odoo-copy-test with its pods"),
        ({"primary": {"roles": ["odoo_copy_test"]}}, "drop role odoo_copy_test"),
        ({"secret": True}, "remove the file with its password"),
    ],
)
def test_a_drop_that_was_killed_goes_on(changes: dict[str, Any], step: str) -> None:
    made = plan("drop", **changes)
    assert made["steps"] == [step]
    assert made["question"]


def test_nothing_of_a_name_is_nothing_to_do() -> None:
    """Also where something of that name is somebody else's. Production need not be deployed."""
    cluster: dict[str, Any] = {"deployments": [], "services": []}
    strangers = {"strangers": ["odoo_copy_test"]}
    made = plan("drop", primary=strangers, spaces=[space("a"), space("b")], cluster=cluster)
    assert made["summary"] == "There is no copy test. Copies that there are: a, b."
    assert (made["refusal"], made["question"], made["steps"]) == ("", "", [])


@pytest.mark.parametrize(("name", "seen"), [("Test", [PRIMARY]), ("test", [STANDBY])])
def test_a_drop_is_refused_as_well(name: str, seen: list[dict[str, Any]]) -> None:
    assert "Nothing was changed." in plan("drop", name, seen=seen)["refusal"]
