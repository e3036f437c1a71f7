# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much memory a pod of Odoo asks for and may hold."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_pod_memory
short_description: Memory of a pod of Odoo, request and limit
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - A pod has a master, workers, each with the wkhtmltopdf that it may start, and perhaps the process of the websockets.
  - The limit has room for all of them, and never less than C(limit_memory_hard) lets one process have.
positional: workers, others, process, worker, report
options:
  _input:
    description: Options of odoo.conf; C(limit_memory_hard) bounds the address space of one process, 0 does not.
    type: dict
    required: true
  workers:
    description: Processes that may print a report.
    type: int
    required: true
  others:
    description: Processes next to them and the master that serve, such as the one for websockets.
    type: int
    required: true
  process:
    description: MiB that one idle process needs.
    type: int
    required: true
  worker:
    description: MiB that one process may come to hold.
    type: int
    required: true
  report:
    description: MiB that the wkhtmltopdf of one worker may come to hold.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Work it out
  ansible.builtin.debug:
    msg: "{{ {'limit_memory_hard': 2684354560} | odoo_deploy.stack.odoo_pod_memory(2, 1, 120, 1024, 512) }}"
"""

RETURN = r"""
_value:
  description: C(request) and C(limit) in MiB.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any


def odoo_pod_memory(
    config: Mapping[str, Any], workers: int, others: int, process: int, worker: int, report: int
) -> dict[str, int]:
    """Memory of a pod in MiB, request and limit.

    :param config: options of odoo.conf; ``limit_memory_hard`` bounds the address space of one process, 0 does not.
    :param workers: processes that may print a report.
    :param others: processes next to them and the master that serve, such as the one for websockets.
    :param process: MiB that one idle process needs.
    :param worker: MiB that one process may come to hold.
    :param report: MiB that the wkhtmltopdf of one worker may come to hold.
    """
    workers, others, process, worker, report = (int(value) for value in (workers, others, process, worker, report))
    master = 256  # serves nobody; it and what it starts
    needed = workers * (worker + report) + others * worker + master
    alone = int(config.get("limit_memory_hard") or 0) // (1 << 20) + master
    return {"request": (workers + others + 1) * process, "limit": max(needed, alone)}


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filter of this file."""
        return {"odoo_pod_memory": odoo_pod_memory}
