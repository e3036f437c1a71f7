# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a backup of Odoo may be brought in, and what that would do."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_import_plan
short_description: Whether a backup of Odoo may be brought in, and what that would do
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description: Decides from what M(odoo_deploy.stack.odoo_import) found in the backup. Changes nothing.
options:
  _input:
    description: What V(inspect) of M(odoo_deploy.stack.odoo_import) returned.
    type: dict
    required: true
  file:
    description: The backup, as the person named it.
    type: str
    required: true
  series:
    description: Series of the image, such as 19.0.
    type: str
    required: true
  addons:
    description: Technical names of all modules in the image.
    type: list
    elements: str
    required: true
  database:
    description: Name of Odoo's database.
    type: str
    required: true
  beside:
    description: Name of the database that is filled before it takes the place of O(database).
    type: str
    required: true
  server:
    description: Name of the primary.
    type: str
    required: true
  use:
    description: What it is brought in as.
    type: str
    choices: [production, staging]
    required: true
  incomplete:
    description: Whether it may lack files and the image modules.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    plan: "{{ found | odoo_deploy.stack.odoo_import_plan(**facts) }}"
  vars:
    facts: {file: odoo.zip, series: "19.0", addons: [base], database: odoo, beside: odoo_new, server: pg1, use: staging}
"""

RETURN = r"""
_value:
  description:
    - C(refusal), why it may not; empty, it may. C(summary), what is in the backup, in one line.
    - C(steps), what is done, and C(question), what a person agrees to. C(digest) changes with what they agree to.
  type: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_backup import size
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_database import LET_IN, too_long
from ansible_collections.odoo_deploy.stack.plugins.module_utils.plans import digest, listed

# A row on its way into PostgreSQL is text with two characters for a byte, and a value there is below 1 GB
# (PostgreSQL's documentation, "Limits").
LARGEST = 500 * 2**20
# Tables, and the WAL of loading them until it is archived.
ROOM = 2


def refusal(found: Mapping[str, Any], series: str, lacking: Sequence[str], server: str, incomplete: bool) -> str:
    """Why the backup may not be brought in; empty: it may."""
    if found["fault"]:
        return str(found["fault"])
    if found["shut"]:
        return LET_IN.format(server, "the owner of a database", listed(found["shut"]))
    if found["series"] != series:
        other = found["series"].split(".")[0]
        return (
            f"it is of Odoo {found['series']}, this deployment of {series}, and Odoo cannot cross series. Migrate it"
            f" with OpenUpgrade, or bring it into a deployment of its own with -e odoo_k8s_version={other}"
        )
    state = found["parameters"].get("odoo_deploy.state", "ready")
    if state != "ready":
        return f"it was made while its database was {state}; take one that was made before or after that"
    if lacking and not incomplete:
        return (
            f"the image lacks {len(lacking)} of its modules: {listed(lacking, most=5)}. Put them into the image"
            " (docs/odoo.md, addons) and deploy, or take it as it is: -e odoo_k8s_import_incomplete=true"
        )
    gone = [*found["missing"], *found["broken"]]
    if gone and not incomplete:
        return (
            f"{len(found['missing'])} files of its {found['attachments']} attachments are missing and"
            f" {len(found['broken'])} damaged: {listed(gone, most=2)}."
            " Take it as it is: -e odoo_k8s_import_incomplete=true"
        )
    if found["largest"] > LARGEST:
        return (
            f"its largest attachment has {size(found['largest'])}, and a row of the database holds {size(LARGEST)}:"
            " take it out in the Odoo that the backup is of, and make the backup again"
        )
    if found["free"] < ROOM * found["bytes"]:
        return (
            f"{server} has {size(found['free'])} free for the databases, and it takes {size(ROOM * found['bytes'])}:"
            f" its {size(found['bytes'])}, and as much of WAL"
        )
    return ""


def odoo_import_plan(
    found: Mapping[str, Any],
    file: str,
    series: str,
    addons: Sequence[str],
    database: str,
    beside: str,
    server: str,
    use: str,
    incomplete: bool = False,
) -> dict[str, Any]:
    modules = found.get("modules", {})
    lacking = sorted(set(modules) - set(addons))
    why = too_long(database, beside) or refusal(found, series, lacking, server, incomplete)
    if why:
        return {
            "refusal": f"{file} is not brought in: {why}. No database was changed.",
            "summary": "",
            "steps": [],
            "question": "",
            "digest": "",
        }
    amount = f"{len(modules)} modules, {found['attachments']} attachments, {size(found['bytes'])}"
    summary = f"{file}: Odoo {found['series']}, {amount}."
    prepared = {
        "production": "mail servers and scheduled actions stay as they are in it",
        "staging": "neutralised: no mail, scheduled action, payment or synchronisation goes on",
    }[use]
    lost = len(found["missing"]) + len(found["broken"])
    steps = [
        f"load it on {server} beside {database}, while Odoo serves",
        f"prepare it as {use}: {prepared}",
        "stop Odoo for about half a minute, exchange the databases, start it; everybody logs in again",
        f"keep today's database as {database}_before_TIME",
    ]
    if lost or lacking:
        steps.insert(1, f"leave out what is not there: {lost} files, modules {listed(lacking, most=5)}")
    agreed = [file, use, found["series"], modules, found["attachments"], found["bytes"], database, server]
    return {
        "refusal": "",
        "summary": summary,
        "steps": steps,
        "question": f"This replaces database {database}",
        "digest": digest(agreed),
    }


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"odoo_import_plan": odoo_import_plan}
