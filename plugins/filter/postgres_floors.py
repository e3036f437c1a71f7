# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings that must be alike enough for any server of a group to follow any other."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgres_floors
short_description: Settings that a standby must not have lower than its primary, for a group of servers
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - A PostgreSQL standby refuses to run with less than its primary has of C(max_connections), C(max_worker_processes),
    C(max_wal_senders), C(max_prepared_transactions) and C(max_locks_per_transaction).
  - Any server may become the primary, so each needs the most that one of them has.
options:
  _input:
    description: Settings of each server, as postgresql.conf names them; others than these are allowed, and left out.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what a pair with 4 and 16 cores needs
  ansible.builtin.debug:
    msg: "{{ [{'max_worker_processes': 8}, {'max_worker_processes': 16}] | odoo_deploy.stack.postgres_floors }}"
"""

RETURN = r"""
_value:
  description: Names and numbers; a setting that no server names is left to PostgreSQL.
  type: dict
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_server import group_floors


def postgres_floors(settings: Sequence[dict[str, Any]]) -> dict[str, int]:
    """group_floors() for Ansible."""
    try:
        return group_floors([dict(one) for one in settings])
    except ValueError as error:
        raise AnsibleFilterError(f"postgres_floors: {error}; see postgres_common_settings") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"postgres_floors": postgres_floors}
