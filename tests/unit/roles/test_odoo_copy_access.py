# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets into which database: pg_hba.conf as the deployment's inventory makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "roles" / "postgres_common" / "templates" / "pg_hba.conf.j2"


def lines(**variables: object) -> list[str]:
    """The lines that are rules, in their order."""
    given = {"__postgres_common_peers": [], **variables}
    command = [
        str(Path(sys.executable).with_name("ansible")), "db1", "-i", "inventory/production.example.yml",
        "-i", "inventory/wiring.example.yml", "-m", "ansible.builtin.debug", "-e", json.dumps(given),
        "-a", f"msg={{{{ lookup('ansible.builtin.template', '{TEMPLATE}').splitlines() }}}}",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout[done.stdout.index("{") :])["msg"]
    return [line for line in said if line and not line.startswith("#")]


def test_a_copy_reaches_the_database_of_its_name_and_no_other() -> None:
    """And postgres, for Odoo's bus; from the pods' addresses. The lines are there before there is a copy."""
    found = [line for line in lines() if "+odoo_copies" in line]
    assert found == ["local sameuser,postgres +odoo_copies scram-sha-256"] + [
        f"hostssl sameuser,postgres +odoo_copies 192.0.2.{number}/32 scram-sha-256" for number in (101, 102, 103)
    ]


def test_its_password_is_asked_for_before_the_name_of_the_account_counts() -> None:
    """The superuser's account loads a copy as the copy's role; "peer" would refuse that."""
    found = lines()
    assert found.index("local sameuser,postgres +odoo_copies scram-sha-256") < found.index("local all all peer")
    assert found[-2:] == ["host all all all reject", "host replication all all reject"]


def test_no_line_lets_anybody_else_in_by_the_socket_and_a_password() -> None:
    assert [line for line in lines() if line.startswith("local") and "scram" in line] == [
        "local sameuser,postgres +odoo_copies scram-sha-256"
    ]


def test_the_group_is_named_after_the_database() -> None:
    assert any("+shop_copies" in line for line in lines(odoo_k8s_db_name="shop"))


def test_what_others_wrote_runs_as_the_owner_of_its_database() -> None:
    """The superuser's account enters them as that role: a backup, an upgrade's dump, the table of sessions."""
    found = lines(odoo_k8s_db_name="shop", odoo_k8s_db_user="seller")
    for rule in (
        "local shop_importing seller peer map=seller",
        "local shop_restoring seller peer map=seller",
        "local session_db session_db peer map=session_db",
    ):
        assert found.index(rule) < found.index("local all all peer"), found
    assert not [line for line in found if line.startswith("host") and "shop_restoring" in line]
