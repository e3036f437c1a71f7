# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the page of dashboards at Prometheus' /user/ reads."""

from __future__ import annotations

DOCUMENTATION = r"""
name: dashboard_page
short_description: Dashboards for the page at Prometheus' /user/
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Checks the description of the dashboards and completes it with the thresholds of the alerts.
options:
  _input:
    description: The description, with C(dashboards) and C(marks).
    type: dict
    required: true
  alerts:
    description: Groups of alert rules. The dashboards name them, and each group belongs to one dashboard.
    type: list
    elements: dict
    required: true
  changes:
    description: What is different in an alert, as in P(odoo_deploy.stack.alert_rules#filter).
    type: dict
    default: {}
  deployment:
    description: Name of the deployment.
    type: str
    required: true
  scrape:
    description: How often targets are read, as Prometheus writes it.
    type: str
    default: 15s
"""

EXAMPLES = r"""
- name: Show the dashboards
  ansible.builtin.debug:
    msg: "{{ source | odoo_deploy.stack.dashboard_page(alerts=groups, deployment='odoo') }}"
  vars:
    source: "{{ lookup('ansible.builtin.file', 'dashboards.yml') | from_yaml }}"
    groups: "{{ (lookup('ansible.builtin.file', 'alerts.yml') | from_yaml).groups }}"
"""

RETURN = r"""
_value:
  description: What the page's dashboards.json holds.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.alert_rules import seconds
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import dashboards


def dashboard_page(
    source: Mapping[str, Any],
    alerts: Sequence[Mapping[str, Any]],
    deployment: str,
    changes: Mapping[str, Any] | None = None,
    scrape: str = "15s",
) -> dict[str, Any]:
    try:
        return dashboards.page(source, alerts, changes or {}, deployment=str(deployment), scrape=seconds(scrape))
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"dashboard_page: {problem}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"dashboard_page": dashboard_page}
