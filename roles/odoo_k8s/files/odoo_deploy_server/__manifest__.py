# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: B018
{
    "name": "Odoo Deploy server",
    "summary": "Health answers, JSON logs and a warm start. Loaded server-wide, never installed in a database.",
    "version": "1.0.0",
    "author": "Odoo Deploy contributors",
    "license": "GPL-3 or any later version",
    "depends": ["web"],
    "installable": False,
}
