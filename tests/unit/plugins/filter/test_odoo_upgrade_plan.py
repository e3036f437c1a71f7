# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads of an upgrade, and agrees to."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_upgrade_plan import odoo_upgrade_plan


def deployment(image: str = "odoo:one", config: str = "c1", pods: int = 3) -> dict[str, Any]:
    template = {"metadata": {"labels": {"odoo-deploy/config": config}}, "spec": {"containers": [{"image": image}]}}
    return {"spec": {"replicas": pods, "template": template}}


NOTHING: dict[str, Any] = {
    "refusal": "", "installed": [], "brought": [], "updated": [], "removed": [], "taken": [], "due": [], "digest": "x",
}  # fmt: skip


def plan(told: dict[str, Any] | None = None, running: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """With the image and the configuration that run, unless told otherwise."""
    given = {"image": "odoo:one", "config": "c1", **options}
    return odoo_upgrade_plan({**NOTHING, **(told or {})}, running or deployment(), **given)


def test_nothing_to_do_asks_nothing() -> None:
    found = plan()
    assert (found["needed"], found["question"], found["steps"]) == (False, "", [])
    assert found["summary"] == "Nothing to do: no module changed, and the pods run this image."


@pytest.mark.parametrize(
    ("running", "options", "summary", "step"),
    [
        (deployment(), {"image": "odoo:two"}, "the image is rolled out without a stop", "from odoo:one to odoo:two"),
        (deployment(), {"config": "c2"}, "the pods' settings are rolled out", "to their new settings"),
        # An upgrade was killed between its end and the start of the pods.
        (deployment(pods=0), {}, "the pods are started", "start the pods on odoo:one"),
    ],
)
def test_pods_are_rolled_without_a_stop(
    running: dict[str, Any], options: dict[str, str], summary: str, step: str
) -> None:
    found = plan({}, running, **options)
    assert not found["needed"]
    assert summary in found["summary"]
    assert step in found["steps"][0]
    assert found["question"]


def test_modules_change_behind_the_maintenance_page() -> None:
    told = {"installed": ["crm"], "brought": ["mail", "utm"], "updated": ["sale"]}
    found = plan(told, image="odoo:two")
    assert found["needed"]
    assert found["summary"] == "To install: crm (brings mail, utm); to update: sale; to remove: nothing."
    assert found["steps"] == [
        "show the maintenance page and stop Odoo",
        "dump the database on the primary, to go back to",
        "install crm (brings mail, utm)",
        "update sale, and what depends on it",
        "start the pods on odoo:two; where any of it fails: restore the dump, and start what ran before",
    ]
    assert found["question"] == "Odoo is away for minutes"
    assert (found["from"], found["to"]) == ("odoo:one", "odoo:two")
    assert (found["installs"], found["brings"], found["updates"]) == (["crm"], ["mail", "utm"], ["sale"])


def test_a_removal_says_what_goes_along() -> None:
    found = plan({"removed": ["mail"], "taken": ["crm", "sale"]}, backup="/dumps/x.pgc")
    assert found["summary"] == "To install: nothing; to update: nothing; to remove: mail (takes crm, sale along)."
    assert "keep /dumps/x.pgc to go back to" in found["steps"]
    assert "remove mail (takes crm, sale along), with all records of their own" in found["steps"]
    assert found["question"].endswith("the records of mail, crm, sale are removed")
    assert found["removes"] == ["mail", "crm", "sale"]


def test_an_update_of_base_is_one_of_all() -> None:
    assert "update base, and with it every module" in plan({"updated": ["base"]})["steps"]


def test_going_back_asks_the_image_nothing() -> None:
    found = odoo_upgrade_plan({}, deployment(), "odoo:two", "c1", "/dumps/x.pgc", True)
    assert (found["needed"], found["installs"], found["refusal"]) == (True, [], "")
    assert found["summary"] == "Nothing is updated: /dumps/x.pgc is restored, and odoo:one serves."
    assert found["question"]


def test_a_refusal_is_handed_on() -> None:
    assert plan({"refusal": "crm is not installed"})["refusal"] == "crm is not installed"


def test_the_digest_tells_two_plans_apart() -> None:
    """The Job's lists may be cut: its own digest counts too."""
    same = plan({"removed": ["crm"]})["digest"]
    assert plan({"removed": ["crm"]})["digest"] == same
    others = [
        plan(),
        plan({"removed": ["hr"]}),
        plan({"removed": ["crm"], "digest": "y"}),
        plan({"removed": ["crm"]}, image="odoo:two"),
        plan({"removed": ["crm"]}, config="c2"),
        plan({"removed": ["crm"]}, backup="/dumps/x.pgc"),
        plan({"removed": ["crm"]}, deployment(image="odoo:zero")),
    ]
    assert len({same, *(other["digest"] for other in others)}) == 1 + len(others)
