# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Odoo's own database manager, by its own functions, and a person's work in the database that it restored.

``manager.py restore FILE``  restores a backup; what is in it as JSON
``manager.py work``          renames the partner REF, adds an attachment to it
``manager.py dump FILE``     writes a backup
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import odoo.release

if odoo.release.version_info[0] >= 19:
    import odoo.init  # it sets the packages up
import odoo.api
import odoo.modules
import odoo.service.db
import odoo.tools
from odoo.modules.registry import Registry

NAME = "other"
REF = "odoo-deploy-backup"


@contextlib.contextmanager
def environment() -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        if odoo.release.version_info[0] < 15:
            stack.enter_context(odoo.api.Environment.manage())
        cursor = stack.enter_context(Registry(NAME).cursor())
        yield odoo.api.Environment(cursor, 1, {})


def contents() -> dict[str, Any]:
    with environment() as env:
        everything = ["|", ("res_field", "=", False), ("res_field", "!=", False), ("type", "=", "binary")]
        attachments = env["ir.attachment"].search(everything)
        env.cr.execute("SELECT count(*) FROM ir_attachment WHERE db_datas IS NOT NULL")
        return {
            "in rows": env.cr.fetchone()[0],
            "damaged": [one.name for one in attachments if hashlib.sha1(one.raw or b"").hexdigest() != one.checksum],
            "attachments": {one.name: hashlib.sha256(one.raw or b"").hexdigest() for one in attachments},
            "partner": env["res.partner"].search([("ref", "=", REF)]).mapped("name"),
            "location": env["ir.config_parameter"].get_param("ir_attachment.location"),
        }


def work() -> None:
    with environment() as env:
        partner = env["res.partner"].search([("ref", "=", REF)])
        partner.name = "Renamed over there"
        raw = bytes(range(256)) * 1000
        env["ir.attachment"].create(
            {"name": "from over there.bin", "raw": raw, "res_model": "res.partner", "res_id": partner.id}
        )


def main() -> None:
    options = ["--db_host", "/run/other", "--db_user", "other", "--data-dir", "/tmp/data", "--log-level", "error"]
    odoo.tools.config.parse_config(options)
    odoo.modules.initialize_sys_path() if hasattr(odoo.modules, "initialize_sys_path") else None
    command, *files = sys.argv[1:]
    if command == "restore":
        odoo.service.db.restore_db(NAME, files[0], False)
        print(json.dumps(contents()))
    elif command == "work":
        work()
    else:
        with Path(files[0]).open("wb") as stream:
            odoo.service.db.dump_db(NAME, stream, "zip")


if __name__ == "__main__":
    main()
