# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment
short_description: Joins the roles of a deployment to a static inventory
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Sets the variables by which the roles of this collection agree with each other - addresses of databases and proxies,
    ports, names, where secrets are - on the groups C(all), C(machines), C(postgres), C(nginx) and C(backup).
    They are in C(inventory/wiring/) of the collection, and follow it when it is updated.
  - Lists no hosts. It stands beside the source that does, such as C(inventory/production.example.yml); the plugin
    P(odoo_deploy.stack.vagrant_minikube#inventory) does the same by itself where its O(ignore:deployment) is true.
  - Whatever is set in C(group_vars), C(host_vars), by C(-e), or by a source before this one on the same group or
    C(all), wins.
options:
  plugin:
    description: Marks the file as a source of this plugin.
    type: str
    required: true
    choices: [odoo_deploy.stack.deployment]
"""

EXAMPLES = r"""
# inventory/wiring.yml, read by: ansible-playbook -i inventory/hosts.yml -i inventory/wiring.yml odoo_deploy.stack.site
plugin: odoo_deploy.stack.deployment
"""

from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import wiring


class InventoryModule(BaseInventoryPlugin):
    NAME = "odoo_deploy.stack.deployment"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            wiring.apply(inventory, wiring.loading(loader))
        except wiring.WiringError as error:
            raise AnsibleParserError(str(error)) from None
