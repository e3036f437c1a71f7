# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What staging copies are called, and which there are."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_copy import (
    NAME,
    PORTS,
    Copy,
    choose_ports,
    copies,
    database_of,
    name_of,
    namespace_of,
)
from hypothesis import given
from hypothesis import strategies as st


def service(namespace: str, *ports: int, name: str = "odoo") -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"ports": [{"port": 8069, **({"nodePort": port} if port else {})} for port in ports]},
    }


@pytest.mark.parametrize("name", ["a", "test", "q4-2026", "a" * 20, "a-b-c", "a1"])
def test_a_name_is_part_of_other_names(name: str) -> None:
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "A", "1a", "-a", "a-", "a_b", "a" * 21, "a b", "a.b", "ä", "a\n", "a;b", "a/b"])
def test_another_is_none(name: str) -> None:
    assert not NAME.fullmatch(name)


@given(st.from_regex(NAME, fullmatch=True), st.sampled_from(["odoo", "shop_copy", "a_b"]))
def test_a_copy_is_known_by_its_database(name: str, production: str) -> None:
    """Two copies have two databases, and none has production's."""
    database = database_of(name, production)
    assert name_of(database, production) == name
    assert database != production
    assert "-" not in database
    assert len(namespace_of(name, "odoo")) <= 63


def test_the_lowest_free_ports_are_taken() -> None:
    """Those of any Service of the cluster are not, nor is one of a health check, nor one that is kept for another."""
    assert choose_ports([], "odoo-copy-a", []) == (32250, 32251)
    others = [service("odoo", 32242, 32243), service("odoo-copy-b", 32250, 32252), service("shop", 0, name="web")]
    others.append({"metadata": {"namespace": "n", "name": "lb"}, "spec": {"healthCheckNodePort": 32251}})
    assert choose_ports(others, "odoo-copy-a", [32253]) == (32254, 32255)
    assert choose_ports(others, "odoo-copy-b", [32253]) == (32250, 32252)
    # A Service of somebody else's in the namespace is not the copy's.
    assert choose_ports([service("odoo-copy-a", 32250, 32251, name="x")], "odoo-copy-a", []) == (32252, 32253)


def test_there_may_be_none_left() -> None:
    every = [service("others", *PORTS)]
    assert choose_ports(every, "odoo-copy-a", []) == ()
    assert choose_ports([service("others", *PORTS[1:])], "odoo-copy-a", []) == ()


@given(st.lists(st.sampled_from(list(PORTS)), max_size=60), st.lists(st.sampled_from(list(PORTS)), max_size=5))
def test_two_copies_never_get_the_same_ports(taken: list[int], reserved: list[int]) -> None:
    ports = choose_ports([service("others", *taken)], "odoo-copy-a", reserved)
    assert len(ports) in (0, 2)
    assert not set(ports) & {*taken, *reserved}
    if ports:
        assert list(ports) == sorted(set(PORTS) - {*taken, *reserved})[:2]


def test_what_is_left_of_a_copy_is_one() -> None:
    """A namespace, a database or a role alone, of a command that was killed."""
    spaces = [{"metadata": {"name": "odoo-copy-a-b", "labels": {"odoo-deploy.copy": "a-b"}, "annotations": None}}]
    workload = {"metadata": {"namespace": "odoo-copy-a-b", "name": "odoo"}, "spec": {"replicas": 1}, "status": {}}
    other = {"metadata": {"namespace": "odoo", "name": "odoo"}, "spec": {"replicas": 3}, "status": {"readyReplicas": 3}}
    cluster = {"deployments": [workload, other], "services": [service("odoo-copy-a-b", 32250, 32251)]}
    looked = {"copies": {"odoo_copy_c": 5}, "roles": ["odoo_copy_c", "odoo_copy_d_e"]}
    found = copies("odoo", spaces, cluster, looked)
    assert list(found) == ["a-b", "c", "d-e"]
    assert found["a-b"] == Copy("a-b", "odoo-copy-a-b", workloads=("odoo",), wanted=1, ports=(32250, 32251))
    assert found["c"] == Copy("c", bytes=5, role=True)
    assert found["d-e"] == Copy("d-e", role=True)
    assert not any(copy.whole for copy in found.values())


def test_a_copy_that_is_being_removed_says_so() -> None:
    metadata = {"name": "odoo-copy-a", "labels": {"odoo-deploy.copy": "a"}, "deletionTimestamp": "2026-11-28T10:00:00Z"}
    cluster: dict[str, Any] = {"deployments": [], "services": []}
    assert copies("odoo", [{"metadata": metadata}], cluster, {"copies": {}, "roles": []})["a"].ending
