# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many targets each job of Prometheus has to have."""

from __future__ import annotations

DOCUMENTATION = r"""
name: wanted_targets
short_description: How many targets each job of Prometheus has to have
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Counts the targets that scrape configurations name. What a job discovers by itself is not counted.
  - The result is for the option C(wanted) of the filter P(odoo_deploy.stack.alert_rules#filter).
options:
  _input:
    description: Items of Prometheus' C(scrape_configs).
    type: list
    elements: dict
    required: true
  own:
    description: Counts of further jobs, by name. A job with none is left out.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show that job nginx has two targets
  ansible.builtin.debug:
    msg: "{{ configs | odoo_deploy.stack.wanted_targets }}"
  vars:
    configs:
      - {job_name: nginx, static_configs: [{targets: ["192.0.2.31:3903", "192.0.2.32:3903"]}]}
"""

RETURN = r"""
_value:
  description: A record C(targets_wanted) for each job, with C(name), C(value) and C(labels).
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError


def counts(configs: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """{JOB: NUMBER} of the targets that are written down."""
    return {
        config["job_name"]: sum(len(group.get("targets", [])) for group in config.get("static_configs") or ())
        for config in configs
    }


def wanted_targets(configs: Sequence[Mapping[str, Any]], own: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    try:
        jobs = {**{job: int(number) for job, number in (own or {}).items()}, **counts(configs)}
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"wanted_targets: this is no list of scrape configurations: {problem!r}") from problem
    return [
        {"name": "targets_wanted", "value": number, "labels": {"job": job}} for job, number in jobs.items() if number
    ]


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"wanted_targets": wanted_targets}
