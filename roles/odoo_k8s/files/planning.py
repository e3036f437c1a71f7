# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``initialise.py`` does to a database, decided from what the database and the image say. Nothing is asked here.

Runs inside any Odoo image from 14 to 19 (Python 3.7+).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """What a person wants of single modules, beside what the deployment holds."""

    install: list[str] = field(default_factory=list)
    upgrade: list[str] = field(default_factory=list)  # also where no file changed
    remove: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Offer:
    """What the manifest of a module in the image says."""

    depends: list[str] = field(default_factory=list)
    auto: frozenset[str] | None = None  # Odoo installs it by itself once these are; None: when it is asked for
    countries: frozenset[str] = frozenset()  # by itself only where a company is in one of these
    installable: bool = True


@dataclass(frozen=True)
class Plan:
    """What a run does to the database."""

    refusal: str = ""  # not empty: nothing is done, and another try would end the same way
    fresh: bool = False  # the database is initialised by this run, or was half initialised by one that was killed
    install: list[str] = field(default_factory=list)
    update: list[str] = field(default_factory=list)
    due: list[str] = field(default_factory=list)  # files changed, but this mode updates nothing
    keep: dict[str, str] = field(default_factory=dict)  # checksums that stay as they were: those modules remain due
    bring: list[str] = field(default_factory=list)  # what Odoo installs too: dependencies, and what comes by itself
    remove: list[str] = field(default_factory=list)
    take: list[str] = field(default_factory=list)  # installed modules that depend on these, and go with them


# As Odoo sees it: in the database, with its tables. "to remove" is what a killed run has only marked.
PRESENT = ("installed", "to upgrade", "to remove")
# No deployment of this role does without them: Odoo, its web client, and messages between users.
BASIC = ("base", "web", "bus")


def dependents(names: list[str], needs: dict[str, list[str]], present: set[str]) -> list[str]:
    """Modules that are there and need one of ``names``, directly or through another."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        one = pending.pop()
        more = {name for name, needed in needs.items() if one in needed and name in present}
        pending += more - found
        found |= more
    return sorted(found - set(names))


def coming(
    install: list[str], update: list[str], offered: dict[str, Offer], present: set[str], countries: frozenset[str]
) -> tuple[dict[str, str], str]:
    """What Odoo would install, each with who needs it, and why it cannot; the rule of its ``button_install``.

    :param update: modules that are there; their new code may need more than the old did.
    """
    found: dict[str, str] = {}
    pending = [(name, "") for name in install]
    # Odoo leaves one alone that is not installable any more.
    updated = [name for name in update if name in offered and offered[name].installable]
    pending += [(needed, name) for name in updated for needed in offered[name].depends]
    while pending:
        name, needer = pending.pop(0)
        if name not in present and name not in found:
            which = f", which {needer} needs" if needer else ""
            if name not in offered:
                return found, f"the image has no module named {name}{which}"
            if not offered[name].installable:
                return found, f"{name} is not installable, by its manifest{which and f'; {needer} needs it'}"
            found[name] = needer
            pending += [(needed, name) for needed in offered[name].depends]
        if not pending:
            there = present | set(found)
            pending = [
                (name, "")
                for name, offer in offered.items()
                if name not in there and offer.installable and offer.auto is not None
                if offer.auto <= there and offer.auto & set(found)
                if not offer.countries or offer.countries & countries
            ]
    return found, ""


def plan(
    mode: str,
    modules: list[str],
    series: str,
    version: str,
    state: str,
    states: dict[str, str],
    known: dict[str, str],
    now: dict[str, str],
    lacking: list[str],
    once: bool = False,
    again: bool = False,
    moved: list[str] | None = None,
    asked: Asked | None = None,
    offered: dict[str, Offer] | None = None,
    needs: dict[str, list[str]] | None = None,
    wide: list[str] | None = None,
    countries: frozenset[str] = frozenset(),
) -> Plan:
    """Decide what to install, to update and to remove.

    :param mode: ``init``, ``upgrade``, ``import``, or ``plan``, which decides as ``upgrade`` does.
    :param modules: what the database shall hold.
    :param series: of the image, e.g. ``19.0``.
    :param version: of the module base as it was loaded last; empty: the database is not initialised.
    :param state: system parameter ``odoo_deploy.state``.
    :param states: state of each module in the database; empty: the database is not initialised.
    :param known: checksum of each module when it was loaded last; empty: nobody wrote them down.
    :param now: checksum of each installed module in the image.
    :param lacking: those of ``modules`` and of ``asked.install`` that the image does not have.
    :param once: a database of this name was initialised before.
    :param again: a person asked to initialise it all the same.
    :param moved: installed modules whose version in the image is another than the one that was loaded last.
    :param asked: what a person wants of single modules; not with ``init``.
    :param offered: the modules of the image; not with ``init``.
    :param needs: what each module of the database depends on.
    :param wide: modules that every process loads.
    :param countries: codes of the countries that the companies are in.
    """
    asked, offered = asked or Asked(), offered or {}
    fresh = states.get("base") != "installed" or state == "initialising"
    if fresh and once and not again and state != "initialising":
        return Plan(
            "the database was initialised before and is empty now. Restore a dump:"
            " playbooks/upgrade.yml -e odoo_k8s_backup=FILE -e odoo_k8s_upgrade_back=true;"
            " or begin anew, without any data: playbooks/odoo.yml -e odoo_k8s_initialise_again=true"
        )
    if mode == "init" and state == "upgrading":
        return Plan(
            "an upgrade changed a part of the database and did not end."
            " Run playbooks/upgrade.yml, which says how to go on and how to go back"
        )
    if not fresh and not version.startswith(series + "."):
        return Plan(
            f"the database is of Odoo {version}, this image is {series}."
            " Odoo cannot cross series: migrate the database first (OpenUpgrade)"
        )
    missing = [name for name in dict.fromkeys([*modules, *asked.install]) if states.get(name) != "installed"]
    unknown = [name for name in missing if name in lacking]
    if unknown:
        return Plan("the image has no module named " + ", ".join(unknown))
    present = {name for name, value in states.items() if value in PRESENT}
    # What is not there any more, an upgrade that was killed may have removed.
    removes = [name for name in dict.fromkeys(asked.remove) if name in present]
    takes = dependents(removes, needs or {}, present)
    refusal = why_not(asked, set(offered), present, removes, takes, {*BASIC, *modules, *(wide or [])}, state)
    if refusal:
        return Plan(refusal)
    gone = {*removes, *takes}
    changed = sorted(name for name, value in now.items() if known and known.get(name) != value)
    if mode == "import" and not known:
        changed = sorted(moved or [])
    unknown_code = not known and mode != "import"
    if states and mode != "init" and (unknown_code or "base" in changed or state == "upgrading"):
        # Updating base updates all that is installed. What an upgrade that was killed has updated is not known.
        changed = ["base"]
    update = [] if mode == "init" else sorted({*changed, *present.intersection(asked.upgrade)} - gone)
    if "base" in update:
        update = ["base"]
    brings: dict[str, str] = {}
    if mode != "init" and not fresh:
        there = present - gone
        updated = sorted(there) if update == ["base"] else [*update, *dependents(update, needs or {}, there)]
        brings, refusal = coming(missing, updated, offered, there, countries)
        clash = [name for name in brings if name in gone]
        if clash:
            refusal = f"{brings[clash[0]] or clash[0]} is to be installed and needs {clash[0]}, which is to be removed"
        if refusal:
            return Plan(refusal)
    bring = [name for name in brings if name not in missing]
    half_way = any(value in ("to install", "to upgrade", "to remove") for value in states.values())
    if not missing and (fresh or half_way):
        # Loading any module finishes what a killed run has marked.
        missing = ["base"]
    keep = {} if update == ["base"] else {name: known.get(name, "") for name in changed if name not in {*update, *gone}}
    return Plan("", fresh, missing, update, changed if mode == "init" else [], keep, bring, removes, takes)


def why_not(
    asked: Asked, offered: set[str], present: set[str], removes: list[str], takes: list[str], kept: set[str], state: str
) -> str:
    """Why what a person wants of single modules cannot be; empty: it can.

    :param kept: modules that the deployment wants.
    """
    named = [*asked.upgrade, *asked.remove]
    strange = [name for name in named if name not in present and name not in offered]
    if strange:
        return "neither the image nor the database has a module named " + ", ".join(strange)
    absent = [name for name in named if name not in present]
    if absent and state != "upgrading":
        return "{} {} not installed".format(", ".join(absent), "is" if len(absent) == 1 else "are")
    lost = [name for name in [*asked.upgrade, *removes, *takes] if name in present and name not in offered]
    if lost:
        return "the image has no files of {}, and Odoo needs them for this".format(", ".join(lost))
    wanted = [name for name in removes if name in kept]
    if wanted:
        return "the deployment cannot do without " + ", ".join(wanted)
    drawn = [name for name in takes if name in kept]
    if drawn:
        return "what depends on {} is removed too, but the deployment cannot do without {}".format(
            ", ".join(removes), ", ".join(drawn)
        )
    both = [name for name in [*asked.install, *asked.upgrade] if name in takes]
    if both:
        return "{} is wanted, but depends on {}, which is to be removed".format(", ".join(both), ", ".join(removes))
    return ""


def message(wanted: Plan, neutralised: list[str] | None = None, limit: int = 4000) -> str:
    """A plan as JSON that fits into a termination message (4096 bytes): long lists end in how many more there are.

    What is installed is whole, the role reckons with it; ``digest`` is of the whole plan.
    """
    told = {
        "refusal": wanted.refusal,
        "installed": wanted.install,
        "brought": wanted.bring,
        "updated": wanted.update,
        "removed": wanted.remove,
        "taken": wanted.take,
        "due": wanted.due,
        "neutralised": neutralised or [],
    }
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    shown = {name: len(told[name]) for name in ("brought", "updated", "removed", "taken", "due", "neutralised")}
    while True:
        cut = {
            name: told[name] if most == len(told[name]) else [*told[name][:most], f"{len(told[name]) - most} more"]
            for name, most in shown.items()
        }
        text = json.dumps({**told, **cut, "digest": digest})
        if len(text) <= limit or not any(shown.values()):
            return text
        longest = max(shown, key=lambda name: shown[name])
        shown[longest] //= 2
