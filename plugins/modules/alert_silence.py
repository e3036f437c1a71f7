#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Silence the alerts that planned work causes, for a time that ends by itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_silence
short_description: Silence the alerts that planned work causes
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Writes a silence into Alertmanager, or ends it. A silence ends by itself when its time is over.
  - Reaches Alertmanager through the API server's proxy, with the rights of O(kubeconfig), so that Alertmanager needs
    no port outside.
  - Planned work does not depend on it. Where no Alertmanager is reached the module warns, changes nothing and succeeds.
attributes:
  check_mode:
    support: full
    description: Tells what would be written.
options:
  name:
    description: What the work is called. There is one silence of a name.
    type: str
    required: true
  state:
    description: V(present) silences, V(absent) ends the silence.
    type: str
    choices: [present, absent]
    default: present
  matchers:
    description:
      - What is silenced. An alert has to match all of them.
      - Each is C(LABEL=VALUE), C(LABEL=~EXPRESSION), C(LABEL!=VALUE) or C(LABEL!~EXPRESSION).
      - Required with O(state=present).
    type: list
    elements: str
    default: []
  minutes:
    description: How long the silence lasts at most.
    type: int
    default: 30
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
- name: Silence what an upgrade of Odoo causes
  odoo_deploy.stack.alert_silence:
    name: upgrade
    matchers: ["part=~odoo|edge"]
    minutes: 30
    kubeconfig: ~/.kube/config
  delegate_to: localhost

- name: Listen again
  odoo_deploy.stack.alert_silence:
    name: upgrade
    state: absent
    kubeconfig: ~/.kube/config
  delegate_to: localhost
"""

RETURN = r"""
reached:
  description: Whether an Alertmanager answered.
  returned: always
  type: bool
ends:
  description: When the silence ends, if one was written.
  returned: when a silence was written
  type: str
"""

import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.odoo_deploy.stack.plugins.module_utils.alertmanager import UTC, matcher, ours, plan
from ansible_collections.odoo_deploy.stack.plugins.module_utils.alertmanager_api import (
    IMPORT_ERROR,
    Alertmanager,
    Unreachable,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "matchers": {"type": "list", "elements": "str", "default": []},
            "minutes": {"type": "int", "default": 30},
            "kubeconfig": {"type": "path", "required": True},
            "namespace": {"type": "str", "default": "monitoring"},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=str(IMPORT_ERROR))
    wanted = module.params
    present = wanted["state"] == "present"
    if present and not wanted["matchers"]:
        module.fail_json(msg="matchers is empty: a silence of everything is written as alertname=~.+")
    if wanted["minutes"] < 1:
        module.fail_json(msg=f"minutes is {wanted['minutes']}: a silence lasts a minute at least")
    try:
        matchers = [matcher(text) for text in wanted["matchers"]]
    except ValueError as problem:
        module.fail_json(msg=str(problem))
    written: dict[str, Any] | None = None
    try:
        alertmanager = Alertmanager(wanted["kubeconfig"], wanted["namespace"])
        known = alertmanager.ask("GET", "silences")
        if present:
            now = datetime.datetime.now(UTC)
            written, ended = plan(known, wanted["name"], matchers, wanted["minutes"], now)
        else:
            ended = [one["id"] for one in ours(known, wanted["name"])]
        if not module.check_mode:
            if written:
                alertmanager.ask("POST", "silences", written)
            for one in ended:
                alertmanager.ask("DELETE", f"silence/{one}")
    except Unreachable as problem:
        module.warn(f"the alerts of {wanted['name']} are not silenced: {problem}")
        module.exit_json(changed=False, reached=False)
    result: dict[str, Any] = {"changed": bool(written or ended), "reached": True}
    if written:
        result["ends"] = written["endsAt"]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
