# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to PostgreSQL in libpq's words."""

from __future__ import annotations

DOCUMENTATION = r"""
name: libpq_conninfo
short_description: A connection to PostgreSQL in libpq's words
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Keywords keep their order. A list becomes one value, as libpq takes several servers.
  - A value that is empty, or has spaces, quotes or backslashes in it, is quoted (PostgreSQL's documentation, 34.1.1.1).
options:
  _input:
    description: Values, or lists of them, by keyword.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show host=pg1,pg2 port=5432 dbname=odoo
  ansible.builtin.debug:
    msg: "{{ {'host': ['pg1', 'pg2'], 'port': 5432, 'dbname': 'odoo'} | odoo_deploy.stack.libpq_conninfo }}"
"""

RETURN = r"""
_value:
  description: keyword=value, separated by spaces.
  type: str
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

PLAIN = re.compile(r"[^\s'\\]+")


def quoted(value: Any) -> str:
    """As it stands in a connection string."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if PLAIN.fullmatch(text) else "'" + re.sub(r"(['\\])", r"\\\1", text) + "'"


def libpq_conninfo(keywords: Mapping[str, Any]) -> str:
    return " ".join(f"{keyword}={quoted(value)}" for keyword, value in keywords.items())


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"libpq_conninfo": libpq_conninfo}
