# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in files, made where there are none yet."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
short_description: a secret kept in a file, made at its first use
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Reads the file. Where there is none, letters and digits are drawn and written to it, mode 0600, its folder 0700.
  - Any number of processes may ask at once; all get the same secret. There is no lock that waits, or that outlives
    a killed process, which P(ansible.builtin.password#lookup) has.
options:
  _terms:
    description: Paths of the files.
    type: list
    elements: path
    required: true
  length:
    description: Number of characters of a secret that is made.
    type: int
    default: 32
"""

EXAMPLES = r"""
- name: Show the length of a secret
  ansible.builtin.debug:
    msg: "{{ lookup('odoo_deploy.stack.secret', '/srv/odoo/secrets/backup_passphrase', length=48) | length }}"
"""

RETURN = r"""
_raw:
  description: The secrets, without white space around them.
  type: list
  elements: str
"""

import os
import secrets
import string
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

ALPHABET = string.ascii_letters + string.digits


def secret(path: Path, length: int) -> str:
    """The secret in the file at ``path``, made of ``length`` characters where there is none."""
    if not path.exists():
        make(path, "".join(secrets.choice(ALPHABET) for _unused in range(length)))
    kept = path.read_text(encoding="utf-8").strip()
    if not kept:
        raise AnsibleError(f"{path} is empty: write the secret into it, or delete it if nothing uses the secret yet")
    return kept


def make(path: Path, text: str) -> None:
    """Writes the file whole or not at all, and never over one that somebody else made meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


class LookupModule(LookupBase):
    """The lookup under its name."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        length = self.get_option("length")
        if length < 1:
            raise AnsibleError(f"secret: a length of {length} cannot be: say 1 or more")
        try:
            return [secret(Path(self._loader.path_dwim(term)), length) for term in terms]
        except (OSError, UnicodeDecodeError) as error:
            raise AnsibleError(f"secret: {error}") from error
