# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which names of databases and users differ from those that a deployed Odoo has."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_database_refusals
short_description: Names of databases and users that a deployed Odoo does not have
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Under another name of its database Odoo would be initialised anew, beside the data that it has; a new user of a
    database does not own what is in it. The role odoo_k8s asks this filter before anything is changed.
options:
  _input:
    description: Odoo's Deployment as M(kubernetes.core.k8s_info) returns it, in a list; empty where there is none.
    type: list
    elements: dict
    required: true
  secrets:
    description: The Secret that its pods read, likewise. Without it no user is compared.
    type: list
    elements: dict
    required: true
  wanted:
    description: Variables of the role and the names that they have, by C(odoo_k8s_db_name) and its like.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse another database
  ansible.builtin.assert:
    that: >-
      running.resources
      | odoo_deploy.stack.odoo_database_refusals(secret.resources, {'odoo_k8s_db_name': odoo_k8s_db_name}) | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each name that differs, with the variable, its value, what it is now, and what to do.
  type: list
  elements: str
"""

import base64
import configparser
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

WHY = {
    "odoo_k8s_db_name": "Odoo's data is in {}: it would begin with another, empty database",
    "odoo_k8s_session_db_name": "the sessions are in {}: all people would be logged out",
    "odoo_k8s_db_user": "what is in Odoo's database belongs to {}",
    "odoo_k8s_session_db_user": "what is in the sessions' database belongs to {}",
}


def in_use(deployment: Mapping[str, Any], secrets: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What a Deployment and its Secret say, by variable; what they do not say is not there."""
    pod = deployment["spec"]["template"]["spec"]
    told = {one["name"]: one.get("value", "") for one in pod["containers"][0].get("env", [])}
    found = {
        "odoo_k8s_db_name": told.get("ODOO_DATABASE", ""),
        "odoo_k8s_session_db_name": unquote(urlsplit(told.get("SESSION_DB_URI", "")).path.lstrip("/")),
    }
    for secret in secrets:
        services = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        services.read_string(base64.b64decode(secret["data"].get("pg_service.conf", "")).decode())
        found["odoo_k8s_db_user"] = services.get("odoo", "user", fallback="")
        found["odoo_k8s_session_db_user"] = services.get("session_db", "user", fallback="")
    return {variable: name for variable, name in found.items() if name}


def odoo_database_refusals(
    deployments: Sequence[Mapping[str, Any]], secrets: Sequence[Mapping[str, Any]], wanted: Mapping[str, str]
) -> list[str]:
    """A sentence for each name that is wanted and differs; nothing where Odoo is not deployed."""
    refused = []
    for deployment in deployments:
        remove = f"kubectl delete namespace {deployment['metadata']['namespace']}; the databases stay"
        for variable, name in in_use(deployment, secrets).items():
            if wanted.get(variable, name) == name:
                continue
            way = "and run again" if variable.endswith("_name") else "and name another database with it"
            refused.append(
                f"{variable} is {wanted[variable]}, but {WHY[variable].format(name)}. Nothing was changed. Set it back;"
                f" or remove the old Odoo first ({remove}) {way}."
            )
    return refused


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Name to function."""
        return {"odoo_database_refusals": odoo_database_refusals}
