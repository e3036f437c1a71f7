# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules say alike that work on Odoo's databases, on the machine of their server."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  port:
    description: Port of the server, which is reached by its socket.
    type: int
    default: 5432
attributes:
  diff_mode:
    description: There is nothing to show a difference of.
    support: none
requirements:
  - Runs as the account of PostgreSQL's superuser.
  - psycopg2, and PostgreSQL 13 or newer.
"""
