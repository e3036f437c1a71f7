#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_sign
short_description: Signs a certificate for a machine's public key
description:
  - Makes a certificate on the controller from a public key alone. Subject, names and usages are what the controller
    says, so that a machine gets no other identity than its own, whatever it returns.
  - Begins a day in the past, as a machine's clock may be behind. Each call signs anew; the filter
    P(odoo_deploy.stack.certificate_due#filter) says whether one is due.
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
options:
  public_key:
    description: The machine's public key as PEM text.
    type: str
    required: true
  ca_path:
    description: File with the authority's certificate.
    type: path
    required: true
  ca_key_path:
    description: File with the authority's key, without a passphrase.
    type: path
    required: true
  common_name:
    description: Common name of the subject.
    type: str
    required: true
  names:
    description: Subject alternative names, as V(DNS:pg1) or V(IP:192.168.99.21).
    type: list
    elements: str
    required: true
  usages:
    description: What the certificate proves its holder to be.
    type: list
    elements: str
    choices: [server, client]
    default: [server]
  days:
    description: Days from now that it is good for.
    type: int
    default: 397
attributes:
  check_mode:
    description: Says that it would sign.
    support: full
  diff_mode:
    description: There is nothing to show a difference of.
    support: none
requirements:
  - cryptography 42 or newer
"""

EXAMPLES = r"""
- name: Sign the machine's certificate
  odoo_deploy.stack.certificate_sign:
    public_key: "{{ machine.public_key }}"
    ca_path: .deploy/secrets/ca/ca.crt
    ca_key_path: .deploy/secrets/ca/ca.key
    common_name: "{{ inventory_hostname }}"
    names: ["DNS:{{ inventory_hostname }}"]
  delegate_to: localhost
"""

RETURN = r"""
certificate:
  description: The certificate as PEM text; empty in check mode.
  returned: success
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.odoo_deploy.stack.plugins.module_utils.certificate import HAS_CRYPTOGRAPHY, USAGES, sign


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "public_key": {"type": "str", "required": True, "no_log": False},
            "ca_path": {"type": "path", "required": True},
            "ca_key_path": {"type": "path", "required": True, "no_log": False},
            "common_name": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "usages": {"type": "list", "elements": "str", "choices": list(USAGES), "default": ["server"]},
            "days": {"type": "int", "default": 397},
        },
        supports_check_mode=True,
    )
    if not HAS_CRYPTOGRAPHY:
        module.fail_json(msg=missing_required_lib("cryptography"))
    wanted = module.params
    if module.check_mode:
        module.exit_json(changed=True, certificate="")
    try:
        signed = sign(
            wanted["public_key"],
            Path(wanted["ca_path"]).read_text(),
            Path(wanted["ca_key_path"]).read_bytes(),
            wanted["common_name"],
            wanted["names"],
            wanted["usages"],
            wanted["days"],
        )
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"Cannot sign a certificate for {wanted['common_name']}: {error}")
    module.exit_json(changed=True, certificate=signed)


if __name__ == "__main__":
    main()
