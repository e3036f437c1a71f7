# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""New code of a module, from a git repository, while people work: it comes in, or everything goes back."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import addons
import pytest
from conftest import Clicks, Run, sql
from support.deployment import Cluster, Deployment
from support.odoo import Door

pytestmark = pytest.mark.slow  # minutes each; CI leaves them out

MODULE = "odoo_deploy_proof"
MODEL = "odoo.deploy.proof"
PYTHON = """
from odoo import fields, models


class Proof(models.Model):
    _name = "odoo.deploy.proof"
    _description = "Proof"
    name = fields.Char()
"""
ACCESS = """id,name,model_id:id,group_id:id,perm_read,perm_write,perm_create,perm_unlink
everybody,everybody,model_odoo_deploy_proof,base.group_user,1,1,1,1
"""
NEW_FIELD = '    colour = fields.Char(default="blue")\n'
BROKEN = """
    def init(self):
        raise ValueError("broken on purpose")
"""

# A row that a superuser could not restore: what is in a dump runs as Odoo's role.
NO_SUPERUSER = """SET ROLE odoo;
CREATE FUNCTION odoo_deploy_plain() RETURNS bool LANGUAGE sql
  AS 'SELECT NOT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user';
CREATE TABLE odoo_deploy_plain (id int CHECK (public.odoo_deploy_plain()));
INSERT INTO odoo_deploy_plain VALUES (1)"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a repository with one addon; tags good, better and broken."""
    files = {
        f"{MODULE}/__init__.py": "from . import proof\n",
        f"{MODULE}/__manifest__.py": addons.manifest("1.0", data=["ir.model.access.csv"]),
        f"{MODULE}/ir.model.access.csv": ACCESS,
    }
    texts = (("good", PYTHON), ("better", PYTHON + NEW_FIELD), ("broken", PYTHON + NEW_FIELD + BROKEN))
    tags = [(tag, {**files, f"{MODULE}/proof.py": text}) for tag, text in texts]
    return addons.repository(tmp_path_factory.mktemp("repository"), tags)


def variables(repository: str, tag: str) -> tuple[str, str]:
    """What a person gives to have the addon of that tag."""
    return addons.variables(repository, tag, MODULE)


@pytest.fixture(scope="module")
def installed(doors: list[Door], repository: str) -> Iterator[int]:
    """The module in its first version, with a record; afterwards the deployment is what it was."""
    play = ("ansible-playbook", "playbooks/odoo.yml")
    done = subprocess.run([*play, *variables(repository, "good")], capture_output=True, text=True, check=False)
    try:
        assert done.returncode == 0, done.stdout[-3000:]
        record = doors[0].call(MODEL, "create", {"name": "from before"})
        yield record if isinstance(record, int) else record[0]
    finally:
        modules = doors[0].call("ir.module.module", "search", [["name", "=", MODULE], ["state", "=", "installed"]])
        if modules:
            doors[0].call("ir.module.module", "button_immediate_uninstall", modules)
        back = subprocess.run([*play], capture_output=True, text=True, check=False)
        assert back.returncode == 0, back.stdout[-3000:]


def images(cluster: Cluster) -> set[str]:
    selector = "app.kubernetes.io/name=odoo,app.kubernetes.io/component in (web, cron)"
    return {pod.spec.containers[0].image for pod in cluster.pods("odoo", selector)}


def fields(door: Door) -> set[str]:
    return set(door.call(MODEL, "fields_get"))


def test_module_from_git_is_upgraded_behind_the_maintenance_page(
    run: Run, deployment: Deployment, doors: list[Door], installed: int, repository: str
) -> None:
    """A new field comes in; every click is answered rightly or by the maintenance page, and records are kept."""
    assert "colour" not in fields(doors[0])
    before = images(deployment.cluster)
    with Clicks(doors) as clicks:
        done = run("ansible-playbook", "playbooks/upgrade.yml", *variables(repository, "better"))
        time.sleep(2)
    print(dict(clicks.answers))
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"to update: {MODULE}" in done.stdout
    assert "colour" in fields(doors[1])
    (record,) = doors[0].call(MODEL, "read", [installed], ["name"])
    assert record["name"] == "from before"
    assert not images(deployment.cluster) & before
    assert set(clicks.answers) == {"right", "maintenance"}, clicks.answers
    assert doors[0].get("/web/login").status_code == 200


def test_upgrade_that_fails_goes_back_to_backup_and_image(
    run: Run, deployment: Deployment, doors: list[Door], installed: int, repository: str
) -> None:
    """A module that raises while it is loaded: the playbook fails and says why; data and image are those of before."""
    before = images(deployment.cluster)
    doors[0].call(MODEL, "write", [installed], {"name": "just before"})
    sql(deployment, " ".join(NO_SUPERUSER.split()))
    with Clicks(doors) as clicks:
        done = run("ansible-playbook", "playbooks/upgrade.yml", *variables(repository, "broken"))
        time.sleep(2)
    print(dict(clicks.answers))
    assert done.returncode != 0
    assert "The upgrade failed and was taken back" in done.stdout, done.stdout[-3000:]
    assert "broken on purpose" in done.stdout.split("The upgrade failed and was taken back")[1]
    assert "is kept as odoo_broken_" in done.stdout.split("The upgrade failed and was taken back")[1]
    assert images(deployment.cluster) == before
    (record,) = doors[1].call(MODEL, "read", [installed], ["name"])
    assert record["name"] == "just before"
    assert sql(deployment, "SELECT count(*) FROM odoo_deploy_plain") == "1"
    sql(deployment, "DROP TABLE odoo_deploy_plain; DROP FUNCTION odoo_deploy_plain()")
    assert set(clicks.answers) == {"right", "maintenance"}, clicks.answers
    assert doors[0].get("/web/login").status_code == 200
    # Who reads the figures of the database may do so in the one that came back; a standby has none.
    query = "SELECT count(*) FROM odoo_deploy_figures('modules_pending')"
    ask = f'runuser -u prometheus -- psql -XAtd odoo -U figures -c "{query}"'
    assert sorted(machine.run(ask).strip() for machine in deployment.machines("postgres")) == ["0", "1"]


def test_upgrade_without_a_backup_touches_nothing(
    run: Run, deployment: Deployment, doors: list[Door], installed: int, repository: str
) -> None:
    """The dump that is named is not there: the playbook ends before anything stops, and says why."""
    before = images(deployment.cluster)
    doors[0].call(MODEL, "write", [installed], {"name": "kept"})
    missing = ("-e", "odoo_k8s_backup=/nowhere/odoo.pgc")
    with Clicks(doors) as clicks:
        done = run("ansible-playbook", "playbooks/upgrade.yml", *variables(repository, "broken"), *missing)
    assert done.returncode != 0
    assert "Nothing was changed. /nowhere/odoo.pgc on pg1 cannot be restored: there is no such file" in done.stdout
    assert set(clicks.answers) == {"right"}, clicks.answers
    assert images(deployment.cluster) == before
    (record,) = doors[0].call(MODEL, "read", [installed], ["name"])
    assert record["name"] == "kept"
