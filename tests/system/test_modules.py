# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single modules while people work: listed, installed and removed behind the maintenance page, or refused."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from conftest import Clicks, Run
from support.deployment import Cluster, Deployment
from support.odoo import Door

pytestmark = pytest.mark.slow  # minutes each; CI leaves them out

# From 14 to 19: little to load, a model with records of its own, and a field on partners.
MODULE = "base_geolocalize"
MODEL = "base.geo_provider"


def wish(verb: str, *names: str) -> tuple[str, str]:
    """What a person gives to have modules changed."""
    return "-e", json.dumps({f"odoo_k8s_modules_{verb}": names})


def installed(door: Door) -> set[str]:
    found = door.call("ir.module.module", "search_read", [["state", "=", "installed"]], ["name"])
    return {module["name"] for module in found}


def known(door: Door) -> set[str]:
    """Modules whose checksum is written down."""
    key = ["key", "=", "odoo_deploy.module_checksums"]
    (parameter,) = door.call("ir.config_parameter", "search_read", [key], ["value"])
    return set(json.loads(parameter["value"]))


def model_is_there(door: Door) -> bool:
    return bool(door.call("ir.model", "search_count", [["model", "=", MODEL]]))


def images(cluster: Cluster) -> set[str]:
    selector = "app.kubernetes.io/name=odoo,app.kubernetes.io/component in (web, cron)"
    return {pod.spec.containers[0].image for pod in cluster.pods("odoo", selector)}


@pytest.fixture(scope="module")
def before(doors: list[Door]) -> Iterator[set[str]]:
    """What was installed; afterwards that is so again."""
    there = installed(doors[0])
    assert MODULE not in there
    yield there
    left = sorted(installed(doors[0]) - there)
    if left:
        modules = doors[0].call("ir.module.module", "search", [["name", "in", left]])
        doors[0].call("ir.module.module", "button_immediate_uninstall", modules)


def test_what_is_there_is_listed(run: Run, before: set[str]) -> None:
    """With nothing changed; what can be installed is only counted until somebody asks for names."""
    done = run("./run.py", "odoo", "modules")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "changed=0" in done.stdout
    counts = f"Modules installed: {len(before)}, of these due for an update: 0, missing in the image: 0;"
    assert counts in done.stdout
    assert all(f"    {name} " in done.stdout for name in before)
    assert MODULE not in done.stdout
    asked = run("./run.py", "odoo", "modules", "--match", "base_geo*")
    assert f"    {MODULE}\n" in asked.stdout, asked.stdout[-3000:]


@pytest.mark.parametrize(
    ("verb", "name", "reason"),
    [
        ("install", "no_such_module", "the image has no module named no_such_module"),
        ("install", "No module", "allowed is a list of technical names"),
        ("upgrade", MODULE, f"{MODULE} is not installed"),
        ("remove", "web", "odoo_k8s_modules_remove names web: no deployment works without it."),
    ],
)
def test_a_name_that_cannot_be_changes_nothing(
    run: Run, deployment: Deployment, doors: list[Door], before: set[str], verb: str, name: str, reason: str
) -> None:
    pods = {pod.metadata.uid for pod in deployment.cluster.pods("odoo", "app.kubernetes.io/component=web")}
    with Clicks(doors) as clicks:
        done = run("ansible-playbook", "playbooks/upgrade.yml", *wish(verb, name))
    assert done.returncode != 0
    assert reason in " ".join(done.stdout.split()), done.stdout[-3000:]
    assert set(clicks.answers) == {"right"}, clicks.answers
    assert installed(doors[0]) == before
    assert {pod.metadata.uid for pod in deployment.cluster.pods("odoo", "app.kubernetes.io/component=web")} == pods


def test_a_plan_alone_changes_nothing(run: Run, doors: list[Door], before: set[str]) -> None:
    with Clicks(doors) as clicks:
        done = run(
            "ansible-playbook", "playbooks/upgrade.yml", *wish("install", MODULE), "-e", "odoo_k8s_plan_only=true"
        )
        other = run("ansible-playbook", "playbooks/upgrade.yml", *wish("install", MODULE), "-e", "odoo_k8s_digest=no")
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"To install: {MODULE}" in done.stdout
    assert other.returncode != 0
    assert "the plan is not the one that was shown" in other.stdout
    assert set(clicks.answers) == {"right"}, clicks.answers
    assert installed(doors[0]) == before


def test_a_module_is_installed_updated_and_removed(
    run: Run, deployment: Deployment, doors: list[Door], before: set[str]
) -> None:
    """Every click is answered rightly or by the maintenance page; the image stays, and so do other people's records."""
    image = images(deployment.cluster)
    created = doors[0].call("res.partner", "create", {"name": "from before"})
    partner = created if isinstance(created, int) else created[0]
    try:
        with Clicks(doors) as clicks:
            done = run("ansible-playbook", "playbooks/upgrade.yml", *wish("install", MODULE))
            time.sleep(2)
        assert done.returncode == 0, done.stdout[-3000:]
        assert set(clicks.answers) == {"right", "maintenance"}, clicks.answers
        assert MODULE in installed(doors[1]) & known(doors[1])
        assert doors[1].call(MODEL, "search_count", []) > 0
        assert images(deployment.cluster) == image

        again = run("ansible-playbook", "playbooks/upgrade.yml", *wish("install", MODULE))
        assert again.returncode == 0, again.stdout[-3000:]
        assert "Nothing to do: no module changed" in again.stdout

        updated = run("ansible-playbook", "playbooks/upgrade.yml", *wish("upgrade", MODULE))
        assert updated.returncode == 0, updated.stdout[-3000:]
        assert f"to update: {MODULE}" in updated.stdout

        came = sorted(installed(doors[0]) - before)
        with Clicks(doors) as clicks:
            gone = run("ansible-playbook", "playbooks/upgrade.yml", *wish("remove", *came))
            time.sleep(2)
        assert gone.returncode == 0, gone.stdout[-3000:]
        assert set(clicks.answers) == {"right", "maintenance"}, clicks.answers
        assert installed(doors[1]) == before
        assert not known(doors[1]) & set(came)
        assert not model_is_there(doors[1])
        assert images(deployment.cluster) == image
        (record,) = doors[0].call("res.partner", "read", [partner], ["name"])
        assert record["name"] == "from before"
        assert doors[0].get("/web/login").status_code == 200
    finally:
        doors[0].call("res.partner", "unlink", [partner])
