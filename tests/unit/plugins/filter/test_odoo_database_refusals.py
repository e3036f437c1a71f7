# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of databases and users that differ from what a deployed Odoo has."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_database_refusals import odoo_database_refusals

ENV = [
    {"name": "ODOO_DATABASE", "value": "odoo"},
    {"name": "SESSION_DB_URI", "value": "postgresql:///session_db?service=session_db"},
    {"name": "PGAPPNAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
]
DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "odoo", "namespace": "shop"},
    "spec": {"template": {"spec": {"containers": [{"env": ENV}]}}},
}
SERVICES = "[odoo]\nhost=pg1\nuser=odoo\npassword=p%w=#x\n[session_db]\nhost=pg1\nuser=sessions\npassword=q\n"
SECRET = {"data": {"pg_service.conf": base64.b64encode(SERVICES.encode()).decode()}}
SAME = {
    "odoo_k8s_db_name": "odoo",
    "odoo_k8s_session_db_name": "session_db",
    "odoo_k8s_db_user": "odoo",
    "odoo_k8s_session_db_user": "sessions",
}


@pytest.mark.parametrize(
    ("variable", "now", "way"),
    [
        ("odoo_k8s_db_name", "Odoo's data is in odoo: it would begin with another, empty database", "run again"),
        ("odoo_k8s_session_db_name", "the sessions are in session_db", "run again"),
        ("odoo_k8s_db_user", "what is in Odoo's database belongs to odoo", "name another database with it"),
        ("odoo_k8s_session_db_user", "what is in the sessions' database belongs to sessions", "name another database"),
    ],
)
def test_another_name_is_refused(variable: str, now: str, way: str) -> None:
    """With the variable, its value, what it is now, and what to do; a password is not said."""
    (said,) = odoo_database_refusals([DEPLOYMENT], [SECRET], SAME | {variable: "other"})
    assert said.startswith(f"{variable} is other, but {now}")
    assert (
        f"Set it back; or remove the old Odoo first (kubectl delete namespace shop; the databases stay) and {way}"
        in said
    )
    assert "p%w" not in said


def test_the_same_names_and_a_new_deployment_are_not_refused() -> None:
    """Without its Secret no user is compared; what an Odoo does not say is not compared."""
    other = dict.fromkeys(SAME, "other")
    assert odoo_database_refusals([DEPLOYMENT], [SECRET], SAME) == []
    assert odoo_database_refusals([], [], other) == []
    assert len(odoo_database_refusals([DEPLOYMENT], [SECRET], other)) == 4
    assert len(odoo_database_refusals([DEPLOYMENT], [], other)) == 2
    silent = DEPLOYMENT | {"spec": {"template": {"spec": {"containers": [{}]}}}}
    assert odoo_database_refusals([silent], [], other) == []
