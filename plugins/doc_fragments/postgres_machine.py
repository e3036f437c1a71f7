# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules say alike that look at a PostgreSQL machine and change nothing."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  certificate:
    description: Path of a certificate, returned as text so that the controller can judge it.
    type: path
  files:
    description: Paths of files to return the fingerprints of.
    type: list
    elements: path
    default: []
  packages:
    description: Names of Debian packages to look for.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Changes nothing, so it runs in check mode.
    support: full
  diff_mode:
    description: There is nothing to show a difference of.
    support: none
requirements:
  - Runs as root.
  - Python 3.9 or newer.
"""
