#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which alerts fire and what is silenced."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_info
short_description: Tell which alerts fire and what is silenced
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Asks Alertmanager through the API server's proxy, with the rights of O(kubeconfig).
attributes:
  check_mode:
    support: full
    description: Changes nothing anyway.
options:
  kubeconfig:
    description: kubeconfig of the cluster.
    type: path
    required: true
  namespace:
    description: Namespace of Alertmanager's Service.
    type: str
    default: monitoring
requirements: [kubernetes]
"""

EXAMPLES = r"""
- name: Ask what fires
  odoo_deploy.stack.alert_info:
    kubeconfig: ~/.kube/config
  delegate_to: localhost
  register: alerts
"""

RETURN = r"""
alerts:
  description: Alerts that fire, in the form of Alertmanager's API.
  returned: success
  type: list
  elements: dict
silences:
  description: Silences, ended ones too, in the form of Alertmanager's API.
  returned: success
  type: list
  elements: dict
lines:
  description: The same for a person, without Watchdog, the worst first.
  returned: success
  type: list
  elements: str
"""

import datetime

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.odoo_deploy.stack.plugins.module_utils.alertmanager import UTC, table
from ansible_collections.odoo_deploy.stack.plugins.module_utils.alertmanager_api import (
    IMPORT_ERROR,
    Alertmanager,
    Unreachable,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kubeconfig": {"type": "path", "required": True},
            "namespace": {"type": "str", "default": "monitoring"},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=str(IMPORT_ERROR))
    try:
        alertmanager = Alertmanager(module.params["kubeconfig"], module.params["namespace"])
        alerts, silences = alertmanager.ask("GET", "alerts"), alertmanager.ask("GET", "silences")
    except Unreachable as problem:
        module.fail_json(msg=f"Nobody tells which alerts fire: {problem}")
    lines = table(alerts, silences, datetime.datetime.now(UTC))
    module.exit_json(changed=False, alerts=alerts, silences=silences, lines=lines)


if __name__ == "__main__":
    main()
