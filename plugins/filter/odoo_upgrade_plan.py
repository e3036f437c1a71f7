# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade of Odoo would do, in words that a person agrees to."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_upgrade_plan
short_description: The plan of an upgrade of Odoo
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Puts together what the Job C(initialise.py plan) would change in the database, and what runs now.
  - The pods' settings are applied in any case, as step 4 does; the plan tells of those that a pod reads at its start.
positional: deployment, image, config
options:
  _input:
    description: The Job's answer. Empty, with O(back), if nothing was asked.
    type: dict
    required: true
  deployment:
    description: Odoo's Deployment as M(kubernetes.core.k8s_info) returns it.
    type: dict
    required: true
  image:
    description: Image that the pods are to run.
    type: str
    required: true
  config:
    description: Hash of the configuration that they are to read, as in their label C(odoo-deploy/config).
    type: str
    required: true
  backup:
    description: A dump that exists. Without it one is made.
    type: str
    default: ''
  back:
    description: Whether the dump is restored, and no module updated.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what an upgrade would do
  ansible.builtin.debug:
    msg: "{{ answer | odoo_deploy.stack.odoo_upgrade_plan(running.resources[0], image, hash) }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusal) is why nothing can be done. C(summary), C(steps) and C(question) are for a person; without a question
      there is nothing to do. C(digest) differs where two plans do.
    - C(from) and C(to) are images; C(needed) says whether modules change, for which Odoo is stopped and dumped;
      C(installs), C(brings), C(updates) and C(removes) are modules.
  type: dict
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.odoo_deploy.stack.plugins.module_utils.plans import digest, listed


@dataclass(frozen=True)
class Running:
    """What the web pods are now."""

    image: str
    config: str
    pods: int

    @classmethod
    def of(cls, deployment: Mapping[str, Any]) -> Running:
        """As a Deployment says it."""
        spec = deployment["spec"]
        labels = spec["template"].get("metadata", {}).get("labels", {})
        return cls(
            image=spec["template"]["spec"]["containers"][0]["image"],
            config=labels.get("odoo-deploy/config", ""),
            pods=int(spec.get("replicas", 1)),
        )


@dataclass(frozen=True)
class Words:
    """What a person reads; no question: nothing to do."""

    summary: str
    steps: tuple[str, ...] = ()
    question: str = ""


def named(names: list[str]) -> str:
    return listed(names, "nothing")


def words_of_change(told: Mapping[str, list[str]], image: str, backup: str) -> Words:
    """Modules change: Odoo is stopped and dumped."""
    gone = [*told["removed"], *told["taken"]]
    brought = f" (brings {named(told['brought'])})" if told["brought"] else ""
    taken = f" (takes {named(told['taken'])} along)" if told["taken"] else ""
    steps = [
        "show the maintenance page and stop Odoo",
        f"keep {backup} to go back to" if backup else "dump the database on the primary, to go back to",
    ]
    if told["installed"] or told["brought"]:
        steps.append(f"install {named(told['installed'])}{brought}")
    if told["updated"] == ["base"]:
        steps.append("update base, and with it every module")
    elif told["updated"]:
        steps.append(f"update {named(told['updated'])}, and what depends on it")
    if gone:
        steps.append(f"remove {named(told['removed'])}{taken}, with all records of their own")
    steps.append(f"start the pods on {image}; where any of it fails: restore the dump, and start what ran before")
    return Words(
        f"To install: {named(told['installed'])}{brought}; to update: {named(told['updated'])};"
        f" to remove: {named(told['removed'])}{taken}.",
        tuple(steps),
        f"Odoo is away for minutes{f', and the records of {named(gone)} are removed' if gone else ''}",
    )


def words_of_rollout(running: Running, image: str, config: str) -> Words:
    """No module changes."""
    if not running.pods:
        return Words("No module changed: the pods are started.", (f"start the pods on {image}",), "Odoo is started")
    if running.image != image:
        return Words(
            "No module changed: the image is rolled out without a stop.",
            (f"roll the pods from {running.image} to {image}",),
            "The pods are replaced one after the other",
        )
    if running.config != config:
        return Words(
            "No module changed: the pods' settings are rolled out without a stop.",
            ("roll the pods to their new settings",),
            "The pods are replaced one after the other",
        )
    return Words("Nothing to do: no module changed, and the pods run this image.")


def odoo_upgrade_plan(
    told: Mapping[str, Any],
    deployment: Mapping[str, Any],
    image: str,
    config: str,
    backup: str = "",
    back: bool = False,
) -> dict[str, Any]:
    """The plan; see DOCUMENTATION."""
    running = Running.of(deployment)
    lists = {
        name: [str(module) for module in told.get(name, [])]
        for name in ("installed", "brought", "updated", "removed", "taken")
    }
    changes = any(lists.values())
    if back:
        words = Words(
            f"Nothing is updated: {backup} is restored, and {running.image} serves.",
            (
                "show the maintenance page and stop Odoo",
                f"restore {backup} beside the database, check it, and exchange both; the other one is kept",
                f"start the pods on {running.image}",
            ),
            "Odoo is away for minutes, and does without what was written since that dump",
        )
    elif changes:
        words = words_of_change(lists, image, backup)
    else:
        words = words_of_rollout(running, image, config)
    plan = {
        "refusal": str(told.get("refusal", "")),
        "from": running.image,
        "to": image,
        "needed": back or changes,
        "installs": lists["installed"],
        "brings": lists["brought"],
        "updates": lists["updated"],
        "removes": [*lists["removed"], *lists["taken"]],
        "summary": words.summary,
        "steps": list(words.steps),
        "question": words.question,
    }
    # The Job's lists may be cut, its digest is of the whole.
    return {**plan, "digest": digest([plan, config, told.get("digest", "")])}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        """Name to function."""
        return {"odoo_upgrade_plan": odoo_upgrade_plan}
