# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and addresses as a certificate has them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: subject_alternative_names
short_description: Names and addresses as a certificate has them
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - What consists of digits and dots, or has a colon in it, is an address.
  - Addresses come before names; both keep their order.
options:
  _input:
    description: Names and addresses of a host.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show ['IP:192.168.99.31', 'DNS:shop.example']
  ansible.builtin.debug:
    msg: "{{ ['shop.example', '192.168.99.31'] | odoo_deploy.stack.subject_alternative_names }}"
"""

RETURN = r"""
_value:
  description: V(IP:ADDRESS) and V(DNS:NAME), as P(odoo_deploy.stack.certificate_due#filter) takes them.
  type: list
  elements: str
"""

import re
from collections.abc import Callable, Sequence

ADDRESS = re.compile(r"[0-9.]+$|.*:")


def subject_alternative_names(names: Sequence[str]) -> list[str]:
    addresses = [name for name in names if ADDRESS.match(name)]
    return [f"IP:{name}" for name in addresses] + [f"DNS:{name}" for name in names if name not in addresses]


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"subject_alternative_names": subject_alternative_names}
