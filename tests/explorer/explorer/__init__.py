# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws sequences of faults and commands, runs them on real PostgreSQL machines, and judges what was seen."""
