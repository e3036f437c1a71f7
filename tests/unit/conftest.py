# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For all unit tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes depends on what else the machine is at; speed is the benchmarks' business.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
