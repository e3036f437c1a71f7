# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what Odoo's image has: {"series": "19.0", "modules": [technical names]}. Run in a web pod."""

from __future__ import annotations

import json

import odoo.release

if odoo.release.version_info[0] >= 19:
    import odoo.init  # sets the packages up, so it comes first
import odoo.modules
import odoo.tools

odoo.tools.config.parse_config(["--config", "/tmp/odoo-deploy/odoo.conf", "--log-level", "error"])
odoo.modules.initialize_sys_path()
print(json.dumps({"series": odoo.release.major_version, "modules": sorted(odoo.modules.get_modules())}))
