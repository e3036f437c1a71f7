#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: odoo_import
short_description: Reads a backup of Odoo, and loads it into a database beside
description:
  - Packs what was given into one zip, reads a zip to its end, loads it, exchanges databases.
  - The SQL of the backup runs as the database's owner, whose rights are all that it has; psql takes no command of its
    own from it.
  - Files of the filestore become rows of the database. Odoo's job moves them to where attachments are kept.
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
extends_documentation_fragment: [odoo_deploy.stack.odoo_server]
options:
  act:
    description:
      - V(pack) makes O(target) of O(file), on any machine.
      - V(inspect) reads O(file) to its end and returns what is in it, and what the server has room for.
      - V(load) fills the database O(beside), which is made anew.
      - V(exchange) forgets all sessions, and puts O(beside) in the place of O(name), which is kept as NAME_before_TIME.
    type: str
    choices: [pack, inspect, load, exchange]
    required: true
  file:
    description: The backup. With V(pack), a folder or a dump as well.
    type: path
  filestore:
    description: With V(pack), a folder or a tar of the files of the filestore, if they are not in O(file).
    type: path
  target:
    description: With V(pack), the zip that is made.
    type: path
  name:
    description: Name of Odoo's database.
    type: str
  beside:
    description: Name of the database that is filled.
    type: str
  owner:
    description: Role that owns it. The account of PostgreSQL's superuser may connect as this role by the socket.
    type: str
  password:
    description: Password of O(owner), if the server asks for it also by the socket.
    type: str
  sessions:
    description: Name of the database of Odoo's sessions.
    type: str
  sessions_owner:
    description: Role that owns it. The account of PostgreSQL's superuser may connect as this role by the socket.
    type: str
  logins:
    description: With V(inspect), databases, each with the role as which it will be entered by the socket.
    type: dict
    default: {}
attributes:
  check_mode:
    description: V(inspect) works as ever; the others say that they would do something.
    support: full
requirements:
  - A psql that knows C(\restrict) (August 2025 and newer).
  - None of these for V(pack), which asks no server.
"""

EXAMPLES = r"""
- name: Read a backup
  odoo_deploy.stack.odoo_import:
    act: inspect
    file: /var/tmp/odoo.zip
    name: odoo
  become: true
  become_user: postgres
"""

RETURN = r"""
standby:
  description: Whether the server accepts no writes; then nothing else was done.
  returned: with V(inspect), V(load) and V(exchange)
  type: bool
packed:
  description: Path of the zip; O(file), if it is one.
  returned: with V(pack)
  type: str
fault:
  description: Why the backup cannot be loaded; empty, it is whole.
  returned: with V(inspect)
  type: str
series:
  description: Of Odoo, such as 19.0.
  returned: with V(inspect), if it is whole
  type: str
modules:
  description: Modules that are installed, with the version that was loaded last.
  returned: with V(inspect), if it is whole
  type: dict
parameters:
  description: System parameters that say how the database was kept.
  returned: with V(inspect), if it is whole
  type: dict
attachments:
  description: Number of attachments that have contents.
  returned: with V(inspect), if it is whole
  type: int
largest:
  description: Bytes of the largest.
  returned: with V(inspect), if it is whole
  type: int
missing:
  description: Files that the database names and the backup lacks.
  returned: with V(inspect), if it is whole
  type: list
  elements: str
broken:
  description: Files whose contents are not what their name says.
  returned: with V(inspect), if it is whole
  type: list
  elements: str
bytes:
  description: Bytes of SQL and of files.
  returned: with V(inspect), if it is whole
  type: int
free:
  description: Bytes that are free for the databases.
  returned: with V(inspect)
  type: int
shut:
  description: Databases of O(logins) of which C(pg_hba.conf) says nothing.
  returned: with V(inspect)
  type: list
  elements: str
untouched:
  description: Whether it is certain that the databases have the names that they had.
  returned: with V(exchange), if it failed
  type: bool
kept:
  description: New name of the database that was replaced; empty, there was none.
  returned: with V(exchange)
  type: str
"""

import contextlib
import itertools
import os
import platform
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_backup import (
    CUSTOM,
    FILES,
    SQL,
    Damaged,
    Script,
    archive_of,
    filestore,
    opened,
    pack,
)
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_server import (
    LOCK,
    MISSING,
    Problem,
    connect,
    create,
    exchange,
    execute,
    exists,
    feed,
    lets_in,
    one,
    own_schema,
    passfile,
    reading,
)

with contextlib.suppress(ImportError):
    import psycopg2

# Of the database they were made for; Odoo makes them again.
BUNDLES = (
    "DELETE FROM ir_attachment WHERE res_model = 'ir.ui.view' AND coalesce(res_id, 0) = 0 AND type = 'binary'"
    " AND (url LIKE '/web/assets/%' OR url LIKE '/web/content/%')"
)
IMPORTING = (
    "INSERT INTO ir_config_parameter (key, value, create_date, write_date) VALUES"
    " ('odoo_deploy.state', 'importing', now(), now()) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


@contextlib.contextmanager
def sql(archive: zipfile.ZipFile, folder: Path) -> Iterator[Iterator[bytes]]:
    """The lines of the backup's SQL; a custom dump is written to ``folder`` for pg_restore, which seeks in it.

    :raises Damaged: the dump cannot be read to its end.
    """
    with contextlib.ExitStack() as stack:
        if SQL in archive.namelist():
            yield iter(stack.enter_context(opened(archive, SQL)))
            return
        custom = folder / f"{secrets.token_hex(8)}.{CUSTOM}"
        stack.callback(custom.unlink, missing_ok=True)
        with opened(archive, CUSTOM) as stream, custom.open("wb") as target:
            shutil.copyfileobj(stream, target)
        argv = ("pg_restore", "--no-owner", "--no-privileges", "--file", "-", str(custom))
        yield iter(stack.enter_context(reading(*argv)))


def inspect(server: Any, options: dict[str, Any]) -> dict[str, Any]:
    """What is in the backup, read to its end."""
    file = Path(options["file"])
    data = one(server, "SELECT current_setting('data_directory')")
    shut = [database for database, role in options["logins"].items() if not lets_in(server, role, database)]
    found: dict[str, Any] = {"fault": "", "free": shutil.disk_usage(data).free, "shut": shut}
    try:
        with archive_of(str(file)) as archive:
            script = Script()
            with sql(archive, file.parent) as lines:
                for _line in script.lines(lines):
                    pass
            contents = script.contents
            if not contents.whole:
                raise Damaged("its SQL ends in the middle: pg_dump's last line is missing")
            if not contents.series:
                raise Damaged("its database holds no Odoo: module base is not installed there")
            store = filestore(archive, contents.files)
            files = sum(entry.file_size for entry in archive.infolist() if entry.filename.startswith(FILES))
    except (Damaged, Problem) as damaged:
        return {**found, "fault": str(damaged)}
    kept = ("database.uuid", "web.base.url", "odoo_deploy.state", "database.is_neutralized")
    return {
        **found,
        "series": contents.series,
        "modules": contents.modules,
        "parameters": {key: contents.parameters[key] for key in kept if key in contents.parameters},
        "attachments": contents.attachments,
        "largest": max(contents.largest, store.largest),
        "missing": store.missing,
        "broken": store.broken,
        "bytes": contents.bytes + files,
    }


def load(server: Any, options: dict[str, Any]) -> None:
    """Fill the database beside.

    :raises Problem: psql stopped; the database beside stays as it is then, and is replaced by the next try.
    """
    beside, owner, port = options["beside"], options["owner"], options["port"]
    create(server, beside, owner)
    with contextlib.closing(connect(beside, port)) as fresh:
        own_schema(fresh, owner)
        with fresh.cursor() as cursor:
            cursor.execute("SELECT name FROM pg_settings")
            settings = [name for (name,) in cursor]
    with passfile(owner, options["password"]) as secret:
        with archive_of(options["file"]) as archive:
            there = set(archive.namelist())

            def content(name: str) -> bytes | None:
                if FILES + name not in there:
                    return None
                with opened(archive, FILES + name) as stream:
                    return stream.read()

            with sql(archive, Path(options["file"]).parent) as lines:
                run(beside, owner, port, Script(settings, content).lines(lines), secret)
        with contextlib.closing(connect(beside, port, owner, secret)) as loaded:
            execute(loaded, BUNDLES)
            execute(loaded, IMPORTING)
            execute(loaded, "ANALYZE")


def run(database: str, role: str, port: int, lines: Iterator[bytes], secret: str | None) -> None:
    """Run SQL that is not trusted: as ``role``, and restricted, so that no line of it is a command for psql itself."""
    environment = {**os.environ, **({"PGPASSFILE": secret} if secret else {})}
    argv = ["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--output", "/dev/null"]
    argv += ["--port", str(port), "--username", role, "--dbname", database]
    key = secrets.token_hex(16)
    restricted = itertools.chain([f"\\restrict {key}\n".encode()], lines, [f"\n\\unrestrict {key}\n".encode()])
    said = feed(restricted, *argv, environment=environment)
    if said:
        if any("invalid command \\restrict" in line for line in said):
            raise Problem(
                f"psql on {platform.node()} is older than August 2025 and would run commands that hide in a backup:"
                " ./run.py pg upgrade brings PostgreSQL's packages up to date"
            )
        errors = [line for line in said if "ERROR" in line or "FATAL" in line or "error" in line] or said
        raise Problem(
            f"the backup cannot be loaded into PostgreSQL on {platform.node()}: {(errors or ['psql failed'])[0]}"
        )


def forget_sessions(options: dict[str, Any]) -> None:
    """Who was logged in to the database before is not logged in to the new one.

    As the owner of the table, whose triggers and rules run with it.

    :raises Problem: they are there still.
    """
    # Sessions may be in Odoo's own database: then those of the one that takes its place count.
    database = options["beside"] if options["sessions"] == options["name"] else options["sessions"]
    try:
        with contextlib.closing(connect(database, options["port"], options["sessions_owner"])) as sessions:
            if one(sessions, "SELECT to_regclass('public.http_sessions')") is not None:
                execute(sessions, "DELETE FROM public.http_sessions")
    except psycopg2.Error as error:
        raise Problem(f"sessions of {options['sessions']} cannot be forgotten: {str(error).strip()}") from error


def not_done(error: Exception) -> bool:
    """Whether the server has said that a statement failed. Lost (no code) or stopped (57), it may have committed."""
    code = getattr(error, "pgcode", None) or ""
    return bool(code) and not code.startswith("57")


def on_server(options: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    with contextlib.closing(connect("postgres", options["port"])) as server:
        if one(server, "SELECT pg_is_in_recovery()"):
            return {"standby": True}
        if options["act"] == "inspect":
            return {"standby": False, **inspect(server, options)}
        result: dict[str, Any] = {"standby": False, "changed": True}
        if check_mode:
            return result
        if not one(server, "SELECT pg_try_advisory_lock(%s)", LOCK):
            raise Problem(f"another dump, restore or import is at work on {platform.node()}; wait until it has ended")
        if options["act"] == "load":
            load(server, options)
            return result
        if not exists(server, options["beside"]):
            raise Problem(f"there is no database {options['beside']} on {platform.node()}")
        # First: what fails here leaves both databases as they are.
        if options["sessions"]:
            forget_sessions(options)
        result["kept"] = exchange(server, options["name"], options["beside"], "before")
        return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "act": {"type": "str", "choices": ["pack", "inspect", "load", "exchange"], "required": True},
            "file": {"type": "path"},
            "filestore": {"type": "path"},
            "target": {"type": "path"},
            "name": {"type": "str"},
            "beside": {"type": "str"},
            "owner": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "sessions": {"type": "str"},
            "sessions_owner": {"type": "str"},
            "logins": {"type": "dict", "default": {}},
            "port": {"type": "int", "default": 5432},
        },
        required_if=[
            ("act", "pack", ("file", "target")),
            ("act", "inspect", ("file",)),
            ("act", "load", ("file", "beside", "owner")),
            ("act", "exchange", ("name", "beside")),
        ],
        required_by={"sessions": ("sessions_owner",)},
        supports_check_mode=True,
    )
    options = module.params
    if options["act"] == "pack":
        module.exit_json(**packed(module))
    if MISSING:
        module.fail_json(msg=missing_required_lib("psycopg2"), exception=MISSING)
    try:
        result = on_server(options, module.check_mode)
    except (Problem, Damaged, psycopg2.Error, OSError) as error:
        module.fail_json(msg=str(error).strip(), untouched=isinstance(error, Problem) or not_done(error))
    module.exit_json(**{"changed": False, **result})


def packed(module: AnsibleModule) -> dict[str, Any]:
    file, target = Path(module.params["file"]), Path(module.params["target"])
    files = module.params["filestore"]
    if not file.exists():
        module.fail_json(msg=f"there is no {file}")
    if file.is_file() and zipfile.is_zipfile(file):
        return {"changed": False, "packed": str(file)}
    if not module.check_mode:
        part = Path(f"{target}.part")
        try:
            pack(file, Path(files) if files else None, part)
            part.rename(target)
        except (Damaged, OSError) as error:
            module.fail_json(msg=f"{file} cannot be brought in: {error}")
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
    return {"changed": True, "packed": str(target)}


if __name__ == "__main__":
    main()
