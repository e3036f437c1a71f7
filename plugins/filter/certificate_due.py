# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a certificate has to be made anew."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_due
short_description: Why a certificate has to be made anew
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Looks at a certificate's authority, names and end, and says what is wrong with it. Changes nothing.
positional: authority, names, days
options:
  _input:
    description: The certificate as PEM text, empty where there is none.
    type: str
    required: true
  authority:
    description: The authority's certificate as PEM text, empty where it is still to be made.
    type: str
    required: true
  names:
    description: Subject alternative names that it has to be for, and no other, as V(DNS:pg1) or V(IP:192.168.99.21).
    type: list
    elements: str
    required: true
  days:
    description: Days that it has to be good for from now on.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Sign a new certificate
  ansible.builtin.include_role:
    name: odoo_deploy.stack.certificate
  when: present | odoo_deploy.stack.certificate_due(authority=ca, names=['DNS:pg1'], days=30) | length > 0
"""

RETURN = r"""
_value:
  description: The reason, to be read after "the certificate has to be made anew, since"; empty where it stays.
  type: str
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.module_utils.certificate import HAS_CRYPTOGRAPHY, due


def certificate_due(pem: str, authority: str, names: Sequence[str], days: int = 30) -> str:
    """The reason as text; what cannot be judged is an error."""
    if not HAS_CRYPTOGRAPHY:
        raise AnsibleFilterError("certificate_due needs the package cryptography in Ansible's Python")
    try:
        return due(pem or "", authority or "", names, int(days))
    except ValueError as error:
        raise AnsibleFilterError(f"certificate_due: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"certificate_due": certificate_due}
