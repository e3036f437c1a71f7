# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dashboards as Grafana loads them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: grafana_dashboards
short_description: Dashboards for Grafana
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Makes the model of each dashboard. A person chooses the Prometheus in Grafana, by the variable C(datasource).
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
    description: Name of the deployment, with which titles and identifiers begin.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the dashboards
  ansible.builtin.debug:
    msg: "{{ source | odoo_deploy.stack.grafana_dashboards(alerts=groups, deployment='odoo') }}"
  vars:
    source: "{{ lookup('ansible.builtin.file', 'dashboards.yml') | from_yaml }}"
    groups: "{{ (lookup('ansible.builtin.file', 'alerts.yml') | from_yaml).groups }}"
"""

RETURN = r"""
_value:
  description: Models of dashboards by file name.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import dashboards


def grafana_dashboards(
    source: Mapping[str, Any],
    alerts: Sequence[Mapping[str, Any]],
    deployment: str,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    try:
        return dashboards.grafana(source, alerts, changes or {}, str(deployment))
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"grafana_dashboards: {problem}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"grafana_dashboards": grafana_dashboards}
