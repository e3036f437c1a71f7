#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: odoo_export
short_description: Writes a backup of Odoo's database as Odoo's own database manager does
description:
  - Writes a zip of C(dump.sql), C(filestore/) and C(manifest.json), which any Odoo of that series restores.
  - Everything is read in one snapshot, also on a standby. Attachments that are rows of the database become files of the
    filestore.
  - Files of a filestore outside of the database are not in it; RV(files) names them.
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
extends_documentation_fragment: [odoo_deploy.stack.odoo_server]
options:
  name:
    description: Name of the database.
    type: str
    required: true
  file:
    description: The zip. A file of that name is replaced.
    type: path
    required: true
attributes:
  check_mode:
    description: Says that it would write the file.
    support: full
"""

EXAMPLES = r"""
- name: Write a backup
  odoo_deploy.stack.odoo_export:
    name: odoo
    file: /var/tmp/odoo.zip
  become: true
  become_user: postgres
"""

RETURN = r"""
standby:
  description: Whether it was read from a standby.
  returned: success
  type: bool
series:
  description: Of Odoo, such as 19.0.
  returned: success
  type: str
modules:
  description: Number of modules that are installed.
  returned: success
  type: int
attachments:
  description: Number of files that were rows of the database.
  returned: success
  type: int
files:
  description: Files of a filestore outside of the database that rows name.
  returned: success
  type: list
  elements: str
bytes:
  description: Size of the zip.
  returned: success
  type: int
sha256:
  description: Of the zip.
  returned: success
  type: str
"""

import contextlib
import hashlib
import json
import os
import platform
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_backup import (
    BLOCK,
    END,
    FILES,
    MANIFEST,
    SQL,
    Script,
    stored_as,
)
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_server import (
    MISSING,
    Problem,
    connect,
    exists,
    one,
    plain,
    reading,
)

with contextlib.suppress(ImportError):
    import psycopg2
    from psycopg2.extensions import quote_ident

# Of this deployment alone; the other side stores attachments as it is told there.
OWN_PARAMETERS = "key = 'ir_attachment.location' OR key = 'report.url' OR key = 'odoo_deploy.state'"


def shrinks(content: bytes) -> bool:
    """Whether compressing it is worth the time, by its beginning: pictures and PDFs are compressed already."""
    start = content[:65536]
    return len(zlib.compress(start, 1)) < 0.9 * len(start)


def attachments(snapshot: Any, archive: zipfile.ZipFile) -> dict[int, str]:
    """Write each attachment that is a row as a file; the row's id → where the file is kept."""
    stored: dict[int, str] = {}
    written: set[str] = set()
    with snapshot.cursor("attachments") as cursor:
        cursor.itersize = 20
        cursor.execute("SELECT id, db_datas FROM public.ir_attachment WHERE length(db_datas) > 0 ORDER BY id")
        for row, data in cursor:
            content = bytes(data)
            stored[row] = stored_as(content)
            if stored[row] not in written:
                archive.writestr(
                    FILES + stored[row], content, zipfile.ZIP_DEFLATED if shrinks(content) else zipfile.ZIP_STORED
                )
                written.add(stored[row])
    return stored


class Rows:
    """Takes what COPY writes of table ir_attachment, and passes it on with the names of the files."""

    def __init__(self, target: IO[bytes], stored: dict[int, str]) -> None:
        self._target, self._stored, self._rest = target, stored, b""

    def write(self, block: bytes) -> None:
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            # The first two columns: see ``table``.
            row, file, others = line.split(b"\t", 2)
            name = self._stored.get(int(row))
            self._target.write(b"\t".join((row, name.encode() if name else file, others)) + b"\n")


def table(snapshot: Any, stored: dict[int, str], target: IO[bytes]) -> None:
    """The rows of ir_attachment, as pg_dump would write them, but for the contents."""
    with snapshot.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'public.ir_attachment'::regclass AND attnum > 0"
            " AND NOT attisdropped AND attgenerated = '' AND attname NOT IN ('id', 'store_fname', 'db_datas')"
            " ORDER BY attnum"
        )
        others = [quote_ident(name, snapshot) for (name,) in cursor]
        rest = ", ".join(others)
        target.write(f"\nCOPY public.ir_attachment (id, store_fname, db_datas, {rest}) FROM stdin;\n".encode())
        rows = f"SELECT id, store_fname, NULL, {rest} FROM public.ir_attachment ORDER BY id"
        cursor.copy_expert(f"COPY ({rows}) TO STDOUT", Rows(target, stored))
        target.write(b"\\.\n\n")


def script(name: str, port: int, snapshot: Any, stored: dict[int, str], target: IO[bytes]) -> None:
    """The SQL of the backup."""
    ident = one(snapshot, "SELECT pg_export_snapshot()")
    argv = ["pg_dump", "--port", str(port), "--dbname", name, "--snapshot", ident]
    argv += ["--no-owner", "--no-privileges", "--exclude-table-data", "public.ir_attachment"]
    for section in ("pre-data", "data", "post-data"):
        with reading(*argv, "--section", section) as output:
            for line in Script().lines(output):
                # Three dumps become one: only its end says that it is whole.
                if section == "post-data" or not line.startswith(END):
                    target.write(line)
        if section == "data":
            table(snapshot, stored, target)
            target.write(f"DELETE FROM public.ir_config_parameter WHERE {OWN_PARAMETERS};\n\n".encode())


def manifest(name: str, snapshot: Any) -> dict[str, Any]:
    """As Odoo writes it (``dump_db_manifest``)."""
    with snapshot.cursor() as cursor:
        cursor.execute(
            "SELECT name, coalesce(latest_version, '') FROM public.ir_module_module WHERE state = 'installed'"
        )
        modules = dict(cursor.fetchall())
    version = modules.get("base", "")
    major, minor = ([*version.split("."), "", ""])[:2]
    if not major.isdigit() or not minor.isdigit():
        base = version or "not installed"
        raise Problem(f"database {name} on {platform.node()} holds no Odoo whose series is known: base is {base}")
    return {
        "odoo_dump": "1",
        "db_name": name,
        "version": f"{major}.{minor}",
        "version_info": [int(major), int(minor), 0, "final", 0, ""],
        "major_version": f"{major}.{minor}",
        "pg_version": "{}.{}".format(*divmod(snapshot.server_version // 100, 100)),
        "modules": modules,
    }


def export(name: str, port: int, file: Path) -> dict[str, Any]:
    """Write the zip."""
    os.umask(0o077)
    with contextlib.closing(connect(name, port)) as snapshot:
        if one(snapshot, "SELECT to_regclass('public.ir_attachment')") is None:
            raise Problem(f"database {name} on {platform.node()} holds no Odoo")
        snapshot.autocommit = False
        snapshot.set_session(isolation_level="REPEATABLE READ", readonly=True)
        plain(snapshot, "public.ir_module_module", "name", "state", "latest_version")
        plain(snapshot, "public.ir_attachment", "id", "store_fname", "db_datas")
        said = manifest(name, snapshot)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(MANIFEST, json.dumps(said, indent=4))
            stored = attachments(snapshot, archive)
            with archive.open(SQL, "w", force_zip64=True) as target:
                script(name, port, snapshot, stored, target)
        with snapshot.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT store_fname FROM public.ir_attachment WHERE store_fname IS NOT NULL ORDER BY 1"
            )
            outside = [row for (row,) in cursor]
        standby = one(snapshot, "SELECT pg_is_in_recovery()")
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return {
        "standby": standby,
        "series": said["major_version"],
        "modules": len(said["modules"]),
        "attachments": len(stored),
        "files": outside,
        "bytes": file.stat().st_size,
        "sha256": digest.hexdigest(),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "port": {"type": "int", "default": 5432},
            "file": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    if MISSING:
        module.fail_json(msg=missing_required_lib("psycopg2"), exception=MISSING)
    options = module.params
    file = Path(options["file"])
    try:
        with contextlib.closing(connect("postgres", options["port"])) as server:
            if not exists(server, options["name"]):
                raise Problem(f"there is no database {options['name']} on {platform.node()}")
        if module.check_mode:
            module.exit_json(changed=True)
        result = export(options["name"], options["port"], file)
    except (Problem, psycopg2.Error, OSError) as error:
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        module.fail_json(msg=str(error).strip())
    module.exit_json(changed=True, **result)


if __name__ == "__main__":
    main()
