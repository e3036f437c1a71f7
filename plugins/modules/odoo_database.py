#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: odoo_database
short_description: Dumps Odoo's database before an upgrade, and restores a dump beside it
description:
  - Says which dump an upgrade may go back to, takes that dump, or puts a dump in the place of the database.
  - A dump gets its name only once it was read back whole and holds a database in state V(ready).
  - A restore fills the database NAME_restoring, checks it, and exchanges both names in one transaction.
    The database of before is kept as NAME_broken_TIME; a restore that fails leaves it where it was.
  - What is in a dump runs as O(owner), which is then the owner of all of it. Extensions that a superuser has put into
    the database before are made by the superuser; publications, subscriptions and event triggers are left out.
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
extends_documentation_fragment: [odoo_deploy.stack.odoo_server]
options:
  act:
    description:
      - V(look) changes nothing and returns RV(decision).
      - V(dump) takes a dump, and refuses where the database is not in state V(ready).
      - V(restore) puts O(file) in the place of the database.
    type: str
    choices: [look, dump, restore]
    required: true
  name:
    description: Name of the database.
    type: str
    required: true
  owner:
    description:
      - Owner of a restored database. The account of PostgreSQL's superuser must be let in as this role, by the socket,
        into the database NAME_restoring; V(look) refuses where it is not.
    type: str
    default: odoo
  folder:
    description: Folder of dumps.
    type: path
    required: true
  file:
    description: A dump (pg_dump -Fc) on this machine. Required for V(restore).
    type: path
  back:
    description: With V(look), the question is what to go back to; nothing will be updated.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says whether it would dump or restore.
    support: full
"""

EXAMPLES = r"""
- name: Restore the dump
  odoo_deploy.stack.odoo_database:
    act: restore
    name: odoo
    folder: /var/lib/postgresql/odoo-backups
    file: /var/lib/postgresql/odoo-backups/odoo-20260101T120000Z.pgc
  become: true
  become_user: postgres
"""

RETURN = r"""
standby:
  description: Whether the server accepts no writes; then nothing else was done.
  returned: always
  type: bool
decision:
  description: C(act) is dump, use or refuse; C(file) is the dump to use; C(reason) is why it refuses.
  returned: with V(look) on the server that accepts writes
  type: dict
file:
  description: The dump that was taken or restored.
  returned: with V(dump) and V(restore) on the server that accepts writes
  type: str
broken:
  description: New name of the database that was replaced; empty where there was none.
  returned: with V(restore) on the server that accepts writes
  type: str
"""

import contextlib
import glob
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_database import (
    READY,
    Decision,
    Seen,
    decide,
    extensions_in,
    only_superuser,
    restorable,
    restoring,
    state_in,
    tables_in,
)
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_server import (
    LOCK,
    MISSING,
    Problem,
    call,
    connect,
    create,
    exchange,
    execute,
    exists,
    lets_in,
    one,
    own_schema,
)

with contextlib.suppress(ImportError):
    import psycopg2
    from psycopg2.extensions import quote_ident


def fault(file: str) -> str:
    """Why the dump cannot be restored; empty: it was read to its end and holds a database that pods may serve."""
    if not Path(file).is_file():
        return "there is no such file"
    try:
        call("pg_restore", "--file", os.devnull, file)
        state = state_in(call("pg_restore", "--data-only", "--table", "ir_config_parameter", "--file", "-", file))
        superusers = only_superuser(call("pg_restore", "--list", file))
    except Problem as problem:
        return str(problem)
    if superusers:
        return f"only a superuser could restore {superusers} in it, and it is restored as the owner of the database"
    return "" if state == READY else "the database in it is {}".format(state or "not one that a deployment made ready")


def state(name: str, port: int) -> tuple[bool, str]:
    """Whether Odoo's tables are in the database, and its state.

    Whoever owns the database may have put a view in the place of a table: pg_dump runs nothing of his as the superuser.
    """
    with contextlib.closing(connect(name, port)) as database:
        if not one(database, "SELECT to_regclass('public.ir_module_module') IS NOT NULL"):
            return False, ""
        if not one(database, "SELECT to_regclass('public.ir_config_parameter') IS NOT NULL"):
            return False, ""
    argv = ("pg_dump", "--port", str(port), "--data-only", "--table", "public.ir_config_parameter", "--dbname", name)
    return True, state_in(call(*argv))


def look(server: Any, options: dict[str, Any]) -> Decision:
    name, port = options["name"], options["port"]
    there = exists(server, name)
    initialised, now = state(name, port) if there else (False, "")
    dumps = sorted(map(str, Path(options["folder"]).glob(glob.escape(name) + "-*.pgc")), reverse=True)
    seen = Seen(
        server=platform.node(),
        name=name,
        exists=there,
        initialised=initialised,
        state=now,
        dumps=dumps,
        given=options["file"] or "",
        given_fault=fault(options["file"]) if options["file"] else "",
        owner=options["owner"],
        lets_in=lets_in(server, options["owner"], restoring(name)),
    )
    return decide(seen, options["back"])


def dump(server: Any, options: dict[str, Any]) -> str:
    """Path of the new dump."""
    name, port, folder = options["name"], options["port"], Path(options["folder"])
    decision = look(server, {**options, "file": None, "back": False})
    if decision.act != "dump":
        raise Problem(decision.reason)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in folder.glob(glob.escape(name) + "-*.pgc.part"):
        old.unlink()
    file = folder / "{}-{}.pgc".format(name, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    part = Path(f"{file}.part")
    os.umask(0o077)
    try:
        call("pg_dump", "--port", str(port), "--format", "custom", "--file", str(part), "--dbname", name)
        wrong = fault(str(part))
        if wrong:
            raise Problem(f"the dump of {name} cannot be gone back to: {wrong}")
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.rename(file)
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    return str(file)


def superusers_extensions(name: str, port: int, owner: str) -> set[str]:
    """Those that the superuser has put into a database."""
    with contextlib.closing(connect(name, port)) as database, database.cursor() as cursor:
        cursor.execute("SELECT extname FROM pg_extension WHERE pg_get_userbyid(extowner) <> %s", (owner,))
        return {extension for (extension,) in cursor}


def fill(beside: str, port: int, owner: str, file: str, listing: str, extensions: set[str]) -> None:
    """Restore a dump as the owner of the database: whatever is in it may do what that role may."""
    with contextlib.closing(connect(beside, port)) as fresh:
        own_schema(fresh, owner)
        for extension in extensions_in(listing):
            if extension in extensions:
                execute(fresh, f"CREATE EXTENSION {quote_ident(extension, fresh)} SCHEMA public CASCADE")
    with tempfile.NamedTemporaryFile("w", prefix="restore-") as contents:
        contents.write(restorable(listing))
        contents.flush()
        argv = ["--username", owner, "--no-owner", "--exit-on-error", "--use-list", contents.name, "--dbname", beside]
        call("pg_restore", "--port", str(port), *argv, file)


def restore(server: Any, options: dict[str, Any]) -> str:
    """New name of the database that was replaced; empty where there was none."""
    name, port, file, owner = options["name"], options["port"], options["file"], options["owner"]
    wrong = fault(file)
    if wrong:
        raise Problem(f"{file} cannot be restored: {wrong}")
    beside, listing = restoring(name), call("pg_restore", "--list", file)
    extensions = superusers_extensions(name, port, owner) if exists(server, name) else set()
    create(server, beside, owner)
    fill(beside, port, owner, file, listing, extensions)
    with contextlib.closing(connect(beside, port)) as restored:
        own_schema(restored, owner)  # the dump may hold other rights
        tables = one(
            restored,
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind IN ('r', 'p') AND nspname !~ '^pg_' AND nspname <> 'information_schema'",
        )
    wanted = tables_in(listing)
    if tables != wanted:
        raise Problem(f"{beside} has {tables} tables, {file} has {wanted}")
    found = state(beside, port)[1]
    if found != READY:
        raise Problem(f"{beside} is {found or 'not marked ready'}")
    return exchange(server, name, beside, "broken")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "act": {"type": "str", "choices": ["look", "dump", "restore"], "required": True},
            "name": {"type": "str", "required": True},
            "owner": {"type": "str", "default": "odoo"},
            "port": {"type": "int", "default": 5432},
            "folder": {"type": "path", "required": True},
            "file": {"type": "path"},
            "back": {"type": "bool", "default": False},
        },
        required_if=[("act", "restore", ("file",))],
        supports_check_mode=True,
    )
    if MISSING:
        module.fail_json(msg=missing_required_lib("psycopg2"), exception=MISSING)
    options = module.params
    result: dict[str, Any] = {"changed": False}
    try:
        with contextlib.closing(connect("postgres", options["port"])) as server:
            result["standby"] = one(server, "SELECT pg_is_in_recovery()")
            if result["standby"]:
                module.exit_json(**result)
            if options["act"] == "look":
                result["decision"] = vars(look(server, options))
                module.exit_json(**result)
            result["changed"] = True
            result["file"] = options["file"] or ""
            if module.check_mode:
                module.exit_json(**result)
            if not one(server, "SELECT pg_try_advisory_lock(%s)", LOCK):
                raise Problem(f"another dump or restore is at work on {platform.node()}; wait until it has ended")
            if options["act"] == "dump":
                result["file"] = dump(server, options)
            else:
                result["broken"] = restore(server, options)
    except (Problem, psycopg2.Error, OSError) as error:
        module.fail_json(msg=str(error).strip())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
