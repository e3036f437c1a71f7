# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single modules: what an upgrade decides about them, and what the list says."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

Scripts = dict[str, ModuleType]

# base <- web <- bus; mail <- crm <- crm_sms, of which the last comes by itself where sms is.
DEPENDS: dict[str, list[str]] = {
    "base": [], "web": ["base"], "bus": ["web"], "mail": ["bus"], "crm": ["mail"], "sms": ["mail"],
    "crm_sms": ["crm", "sms"], "hr": ["base"], "be_hr": ["hr"], "broken": ["nowhere"], "relic": ["base"],
    "deep": ["crm_sms"],
}  # fmt: skip
BY_ITSELF = ("crm_sms", "be_hr")
HELD = ["base", "web", "bus"]


def decide(scripts: Scripts, mode: str = "plan", held: tuple[str, ...] = (), **changes: Any) -> Any:
    """The plan where base, web, bus and ``held`` are installed; install, upgrade and remove are what a person wants."""
    initialise = scripts["initialise"]
    asked = initialise.Asked(*(changes.pop(wish, []) for wish in ("install", "upgrade", "remove")))
    offered = {
        name: initialise.Offer(
            depends=needed,
            auto=frozenset(needed) if name in BY_ITSELF else None,
            countries=frozenset({"BE"} if name == "be_hr" else ()),
            installable=name != "relic",
        )
        for name, needed in DEPENDS.items()
    }
    there = [*HELD, *held]
    sums = {name: name for name in there}
    found = {
        "modules": HELD, "series": "19.0", "version": "19.0.1.3", "state": "ready", "known": sums, "now": sums,
        "states": {**dict.fromkeys(DEPENDS, "uninstalled"), **dict.fromkeys(there, "installed")},
        "lacking": [name for name in asked.install if name not in offered], "asked": asked, "offered": offered,
        "needs": DEPENDS, "wide": ["base", "web", "odoo_deploy_server"],
    }  # fmt: skip
    return initialise.plan(mode, **{**found, **changes})


@pytest.mark.parametrize("mode", ["plan", "upgrade"])
def test_a_module_brings_what_it_needs(scripts: Scripts, mode: str) -> None:
    planned = decide(scripts, mode, install=["crm"])
    assert (planned.refusal, planned.install, planned.bring) == ("", ["crm"], ["mail"])
    assert (planned.update, planned.remove, planned.take) == ([], [], [])


def test_what_comes_by_itself_is_told(scripts: Scripts) -> None:
    """As Odoo has it: once all that it wants is there, and one of that is new; some in certain countries alone."""
    assert decide(scripts, install=["crm"], held=("mail", "sms")).bring == ["crm_sms"]
    assert decide(scripts, install=["hr"], held=("mail", "sms", "crm")).bring == []
    assert decide(scripts, install=["hr"], countries=frozenset({"BE", "FR"})).bring == ["be_hr"]


def test_what_is_installed_already_is_no_change(scripts: Scripts) -> None:
    planned = decide(scripts, install=["mail", "mail", "web"], held=("mail",))
    assert (planned.refusal, planned.install, planned.bring, planned.update) == ("", [], [], [])


def test_a_module_is_updated_although_its_files_did_not_change(scripts: Scripts) -> None:
    planned = decide(scripts, upgrade=["mail"], held=("mail", "crm"))
    assert (planned.refusal, planned.update, planned.install) == ("", ["mail"], [])
    assert decide(scripts, upgrade=["mail", "base"], held=("mail",)).update == ["base"]


def test_what_is_due_is_updated_with_it(scripts: Scripts) -> None:
    """The path is the same as an upgrade's: it leaves nothing half done."""
    sums = {name: name for name in (*HELD, "mail", "hr")}
    planned = decide(scripts, upgrade=["mail"], held=("mail", "hr"), now={**sums, "hr": "new"}, known=sums)
    assert (planned.update, planned.keep) == (["hr", "mail"], {})


def test_new_code_may_bring_what_it_needs_now(scripts: Scripts) -> None:
    offer = scripts["initialise"].Offer
    offered = {**{name: offer(needed) for name, needed in DEPENDS.items()}, "mail": offer(["bus", "hr"])}
    assert decide(scripts, upgrade=["mail"], held=("mail",), offered=offered).bring == ["hr"]
    # Odoo updates what depends on it as well.
    offered = {**offered, "mail": offer(["bus"]), "crm": offer(["mail", "hr"])}
    assert decide(scripts, upgrade=["mail"], held=("mail", "crm"), offered=offered).bring == ["hr"]
    # Odoo leaves one alone that says of itself that it cannot be installed any more.
    offered["mail"] = offer(["bus", "hr"], installable=False)
    assert decide(scripts, upgrade=["mail"], held=("mail",), offered=offered).bring == []


@pytest.mark.parametrize("mode", ["plan", "upgrade"])
def test_a_removal_takes_what_depends_on_it(scripts: Scripts, mode: str) -> None:
    """Of what is installed alone, also through another module."""
    planned = decide(scripts, mode, remove=["sms", "hr"], held=("mail", "crm", "sms", "crm_sms", "hr"))
    assert (planned.refusal, planned.remove, planned.take) == ("", ["sms", "hr"], ["crm_sms"])
    planned = decide(scripts, mode, remove=["mail"], held=("mail", "crm", "sms", "crm_sms", "deep", "hr"))
    assert (planned.refusal, planned.remove, planned.take) == ("", ["mail"], ["crm", "crm_sms", "deep", "sms"])
    assert (planned.install, planned.update) == ([], [])


def test_checksums_of_removed_modules_are_not_kept(scripts: Scripts) -> None:
    """Nor is a module updated that goes."""
    sums = {name: name for name in (*HELD, "mail", "crm")}
    planned = decide(scripts, remove=["mail"], held=("mail", "crm"), known=sums, now={**sums, "crm": "new"})
    assert (planned.refusal, planned.update, planned.keep) == ("", [], {})


def test_an_update_of_everything_may_remove_as_well(scripts: Scripts) -> None:
    """What goes needs what goes with it: that is no contradiction."""
    planned = decide(scripts, upgrade=["base"], remove=["mail"], held=("mail", "crm"))
    assert (planned.refusal, planned.update, planned.remove, planned.take) == ("", ["base"], ["mail"], ["crm"])


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"install": ["nowhere"]}, "the image has no module named nowhere"),
        ({"install": ["broken"]}, "the image has no module named nowhere, which broken needs"),
        ({"install": ["relic"]}, "relic is not installable, by its manifest"),
        ({"upgrade": ["nowhere"]}, "neither the image nor the database has a module named nowhere"),
        ({"remove": ["nowhere"]}, "neither the image nor the database has a module named nowhere"),
        ({"upgrade": ["crm"]}, "crm is not installed"),
        ({"remove": ["crm", "hr"]}, "crm, hr are not installed"),
        ({"remove": ["bus"]}, "the deployment cannot do without bus"),
        ({"remove": ["mail"], "held": ("mail",), "modules": [*HELD, "mail"]}, "the deployment cannot do without mail"),
        (
            {"remove": ["mail"], "held": ("mail", "crm"), "modules": [*HELD, "crm"]},
            "what depends on mail is removed too, but the deployment cannot do without crm",
        ),
        (
            {"remove": ["mail"], "held": ("mail", "crm"), "wide": ["crm"]},
            "what depends on mail is removed too, but the deployment cannot do without crm",
        ),
        (
            {"remove": ["mail"], "upgrade": ["crm"], "held": ("mail", "crm")},
            "crm is wanted, but depends on mail, which is to be removed",
        ),
        (
            {"remove": ["mail"], "install": ["crm"], "held": ("mail", "crm")},
            "crm is wanted, but depends on mail, which is to be removed",
        ),
        (
            {"remove": ["mail"], "install": ["crm"], "held": ("mail",)},
            "crm is to be installed and needs mail, which is to be removed",
        ),
        ({"remove": ["lost"], "held": ("lost",)}, "the image has no files of lost, and Odoo needs them for this"),
        ({"upgrade": ["lost"], "held": ("lost",)}, "the image has no files of lost, and Odoo needs them for this"),
        ({"remove": ["mail"], "state": "", "states": {}, "version": ""}, "mail is not installed"),
    ],
)
@pytest.mark.parametrize("mode", ["plan", "upgrade"])
def test_what_cannot_be_is_refused(scripts: Scripts, mode: str, changes: dict[str, Any], refusal: str) -> None:
    planned = decide(scripts, mode, **changes)
    assert planned.refusal == refusal
    assert (planned.install, planned.update, planned.remove) == ([], [], [])


def test_a_removal_that_was_killed_goes_on(scripts: Scripts) -> None:
    """The Job's next pod finds some of it removed, and some only marked."""
    states = {**dict.fromkeys(HELD, "installed"), "mail": "to remove", "crm": "uninstalled"}
    planned = decide(scripts, "upgrade", remove=["mail", "crm"], state="upgrading", states=states)
    assert (planned.refusal, planned.remove, planned.install, planned.update) == ("", ["mail"], ["base"], ["base"])
    done = {**states, "mail": "uninstalled"}
    planned = decide(scripts, "upgrade", remove=["mail", "crm"], state="upgrading", states=done)
    assert (planned.refusal, planned.remove) == ("", [])


def test_arguments_are_read(scripts: Scripts) -> None:
    initialise = scripts["initialise"]
    assert initialise.arguments(["init", "base", "web"]) == ("init", ["base", "web"], initialise.Asked())
    mode, modules, asked = initialise.arguments(["plan", "base", "--install", "crm", "hr", "--remove", "mail"])
    assert (mode, modules) == ("plan", ["base"])
    assert asked == initialise.Asked(["crm", "hr"], [], ["mail"])


def test_a_termination_message_is_whole(scripts: Scripts) -> None:
    """Kubernetes cuts it at 4096 bytes. Of a long list it says how many more there are; two plans stay two."""
    initialise = scripts["initialise"]
    many = [f"a_module_with_a_long_name_{number}" for number in range(400)]
    plan = initialise.Plan(install=["crm"], take=many, remove=["mail"], update=many[:90])
    text = initialise.message(plan)
    told = json.loads(text)
    assert len(text) <= 4000
    assert (told["installed"], told["removed"]) == (["crm"], ["mail"])
    assert len(told["taken"]) > 20
    assert told["taken"][-1] == f"{400 - len(told['taken']) + 1} more"
    other = initialise.Plan(install=["crm"], take=[*many[:-1], "another"], remove=["mail"], update=many[:90])
    assert json.loads(initialise.message(other))["digest"] != told["digest"]
    small = json.loads(initialise.message(initialise.Plan("why", due=["web"])))
    assert (small["refusal"], small["due"], small["taken"]) == ("why", ["web"], [])


SEEN: dict[str, Any] = {
    "series": "19.0", "database": "erp", "state": "ready", "versions": {"base": "19.0.1.3", "web": "19.0.1.0"},
    "known": {"base": "b", "web": "w"}, "now": {"base": "b", "web": "w"}, "offered": ["crm", "crm_sms", "sale"],
}  # fmt: skip


def listed(scripts: Scripts, match: str = "", **changes: Any) -> list[str]:
    modules = scripts["modules"]
    found: list[str] = modules.lines(modules.Seen(**{**SEEN, **changes}), match)
    return found


def test_the_list_counts_what_can_be_installed(scripts: Scripts) -> None:
    assert listed(scripts) == [
        "Odoo 19.0, database erp. Modules installed: 2, of these due for an update: 0, missing in the image: 0;"
        " others that can be installed: 3.",
        "Installed:",
        "  base  19.0.1.3",
        "  web   19.0.1.0",
    ]


def test_the_list_names_what_is_due_and_what_is_missing(scripts: Scripts) -> None:
    """A module whose checksum nobody wrote down is due, as for an upgrade."""
    said = listed(
        scripts, versions={**SEEN["versions"], "gone": "1.0", "new": "1.1"}, now={"base": "x", "web": "w", "new": "n"}
    )
    assert "Modules installed: 4, of these due for an update: 2, missing in the image: 1;" in said[0]
    assert said[2:] == [
        "  base  19.0.1.3  due for an update: its files changed since it was loaded",
        "  gone  1.0  MISSING: the image does not have it",
        "  new   1.1  due for an update: its files changed since it was loaded",
        "  web   19.0.1.0",
    ]


@pytest.mark.parametrize(
    ("match", "installed", "more"),
    [("crm", [], ["crm", "crm_sms"]), ("*", ["base", "web"], ["crm", "crm_sms", "sale"]), ("?as*", ["base"], [])],
)
def test_what_fits_is_named(scripts: Scripts, match: str, installed: list[str], more: list[str]) -> None:
    said = listed(scripts, match)
    assert said[1] == f"Of these, {len(installed)} and {len(more)} fit {match}."
    assert [line.split()[0] for line in said[2:] if line.startswith("  ")] == installed + more


def test_the_list_tells_of_a_database_that_is_not_ready(scripts: Scripts) -> None:
    assert listed(scripts, state="upgrading")[1] == "The database is upgrading: a job is at work, or was killed."
    assert listed(scripts, state="")[1] == "The database is not marked ready: a job is at work, or was killed."
