# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hashes of passwords as Prometheus compares them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bcrypt_hash
short_description: bcrypt hash of a password, the same each time
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - The salt is made of the password and the seed, so that a second run changes nothing.
  - For passwords that are generated, which nobody can look up in a table.
options:
  _input:
    description: The password, at most 72 bytes.
    type: str
    required: true
  seed:
    description: What the salt differs by, such as a deployment's name.
    type: str
    required: true
  rounds:
    description: Binary logarithm of the number of rounds.
    type: int
    default: 10
requirements: [bcrypt (Python library)]
"""

EXAMPLES = r"""
- name: Show the hash of a password
  ansible.builtin.debug:
    msg: "{{ 'a password' | odoo_deploy.stack.bcrypt_hash(seed='odoo') }}"
"""

RETURN = r"""
_value:
  description: The hash, as in C(basic_auth_users) of Prometheus.
  type: str
"""

import base64
import hashlib
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

# The alphabet of base64, and that of bcrypt.
STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
BCRYPT = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def salt(password: str, seed: str) -> str:
    """22 characters of bcrypt's alphabet."""
    digest = hashlib.sha256(f"{seed}\0{password}".encode()).digest()[:16]
    return base64.b64encode(digest).decode().rstrip("=").translate(str.maketrans(STANDARD, BCRYPT))


def bcrypt_hash(password: str, seed: str, rounds: int = 10) -> str:
    try:
        import bcrypt
    except ImportError:
        raise AnsibleFilterError("bcrypt_hash: the Python library bcrypt is missing: run ./install_dep.sh") from None
    text = str(password)
    if not text or len(text.encode()) > 72:
        raise AnsibleFilterError("bcrypt_hash: a password has 1 to 72 bytes")
    try:
        return bcrypt.hashpw(text.encode(), f"$2b${int(rounds):02}${salt(text, seed)}".encode()).decode()
    except ValueError:
        raise AnsibleFilterError(f"bcrypt_hash: {rounds} rounds cannot be: say 4 to 31") from None


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"bcrypt_hash": bcrypt_hash}
