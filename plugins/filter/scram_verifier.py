# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PostgreSQL's SCRAM-SHA-256 verifier of a password, so that no password itself is sent to a server."""

from __future__ import annotations

DOCUMENTATION = r"""
name: scram_verifier
short_description: SCRAM-SHA-256 verifier of a PostgreSQL password
version_added: 1.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Turns a password into the text that PostgreSQL keeps in C(pg_authid.rolpassword) (RFC 5803).
  - A verifier that the server has already is kept where it fits the password; a second run changes nothing.
options:
  _input:
    description: The password, printable ASCII, so that SASLprep leaves it as it is.
    type: str
    required: true
  current:
    description: The verifier that the server has now, if any.
    type: str
  iterations:
    description: Rounds of PBKDF2; 4096 is PostgreSQL's own number.
    type: int
    default: 4096
"""

EXAMPLES = r"""
- name: Give a role its password
  community.postgresql.postgresql_user:
    name: odoo
    password: "{{ odoo_password | odoo_deploy.stack.scram_verifier(current) }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: The verifier, C(SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey).
  type: str
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

VERIFIER = re.compile(r"^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$")


def verifier(password: str, salt: bytes, iterations: int) -> str:
    """The verifier of a password, RFC 5802 section 3, with the given salt (bytes)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    client_key = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    server_key = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    raw = (salt, hashlib.sha256(client_key).digest(), server_key)
    text_salt, text_stored, text_server = (base64.b64encode(part).decode("ascii") for part in raw)
    return f"SCRAM-SHA-256${iterations}:{text_salt}${text_stored}:{text_server}"


def scram_verifier(password: str, current: str | None = None, iterations: int = 4096) -> str:
    """The current verifier when it fits the password, else a new one with a random salt."""
    if not password or not all(" " <= letter <= "~" for letter in password):
        raise AnsibleFilterError("scram_verifier: a password must be printable ASCII and not empty")
    known = VERIFIER.match(current or "")
    if known:
        again = verifier(password, base64.b64decode(known.group(2)), int(known.group(1)))
        if hmac.compare_digest(again, known.group(0)):
            return again
    return verifier(password, secrets.token_bytes(16), iterations)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Name to function."""
        return {"scram_verifier": scram_verifier}
