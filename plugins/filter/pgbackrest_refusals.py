# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which options of pgBackRest a person may not give, and what to give instead."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pgbackrest_refusals
short_description: Options of pgBackRest that follow from a variable of the role postgres_backup
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - pgBackRest refuses an option that stands twice, and lets a command's own section hide a global one. An option that
    the role derives from a variable may therefore not be given in C(postgres_backup_options).
options:
  _input:
    description: The options that were given, by name.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse options that follow from something else
  ansible.builtin.assert:
    that: postgres_backup_options | odoo_deploy.stack.pgbackrest_refusals | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each option that is refused, with the variable to give instead.
  type: list
  elements: str
"""

import re
from collections.abc import Callable, Iterable

# The first rule that an option meets counts.
RULES = (
    (
        r"repo1-cipher-.*",
        "give postgres_backup_cipher_passphrase (in a deployment: postgres_backup_encrypted: true)",
    ),
    (
        r"repo1-(host.*|path)",
        "give postgres_backup_repository, postgres_backup_repository_path or postgres_backup_object_store",
    ),
    (
        r"repo1-(s3-key|s3-key-secret|s3-token|azure-key|gcs-key)",
        "give postgres_backup_object_store_secrets",
    ),
    (r"repo1-(type|s3-.*|azure-.*|gcs-.*|storage-.*)", "give postgres_backup_object_store"),
    (r"pg[0-9]+-.*", "it follows from postgres_backup_servers"),
    (
        r"tls-server-.*",
        "give postgres_backup_address, postgres_backup_port, postgres_backup_certificate or postgres_backup_key",
    ),
    (
        r"(lock|spool|log)-path|stanza|config.*",
        "leave it out, the services may write to the folders of the role alone",
    ),
)


def pgbackrest_refusals(names: Iterable[str]) -> list[str]:
    """What is wrong with the options of these names; empty if all may be given."""
    refused = []
    for name in names:
        instead = next((way for pattern, way in RULES if re.fullmatch(pattern, name)), "")
        if instead:
            refused.append(f"postgres_backup_options has {name}: {instead}.")
    return refused


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Name to function."""
        return {"pgbackrest_refusals": pgbackrest_refusals}
