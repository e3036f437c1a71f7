#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: odoo_copy
short_description: Databases and roles of staging copies of Odoo
description:
  - A copy has a database, and a role of the same name that owns it and may do nothing else. All such roles are members
    of one group, by which C(pg_hba.conf) lets them in.
  - What has such a name but is not of that kind is somebody else's, and is left alone.
  - M(odoo_deploy.stack.odoo_import) fills the database.
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
extends_documentation_fragment: [odoo_deploy.stack.odoo_server]
options:
  act:
    description:
      - V(look) changes nothing, and says what there is.
      - V(role) makes the role, or gives it another password.
      - V(drop) removes database and role, and with the last of the roles the group.
    type: str
    choices: [look, role, drop]
    required: true
  production:
    description: Name of the database that they are copies of. The names of their databases begin with it and C(_copy_).
    type: str
    required: true
  group:
    description: Role whose members are the roles of copies. Nobody can log in as it.
    type: str
    required: true
  name:
    description: Name of the copy's database and role.
    type: str
  verifier:
    description: Of the role's password (P(odoo_deploy.stack.scram_verifier#filter)); the password itself is not sent.
    type: str
  connections:
    description: Connections that the role may have at a time.
    type: int
    default: 25
attributes:
  check_mode:
    description: V(look) works as ever; the others say that they would do something.
    support: full
"""

EXAMPLES = r"""
- name: Look
  odoo_deploy.stack.odoo_copy:
    act: look
    production: odoo
    group: odoo_copies
  become: true
  become_user: postgres
"""

RETURN = r"""
standby:
  description: Whether the server accepts no writes; then V(role) and V(drop) do nothing.
  returned: always
  type: bool
size:
  description: Bytes of production's database; 0, it is not there.
  returned: with V(look)
  type: int
copies:
  description: Databases of copies, and their bytes.
  returned: with V(look)
  type: dict
roles:
  description: Roles of copies.
  returned: with V(look)
  type: list
  elements: str
strangers:
  description: Databases and roles with names as those of copies have, which are not.
  returned: with V(look)
  type: list
  elements: str
lets_in:
  description: Whether C(pg_hba.conf) has lines for the group, from elsewhere and by the socket.
  returned: with V(look)
  type: bool
connections:
  description: Connections that the server takes.
  returned: with V(look)
  type: int
"""

import contextlib
import platform
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_copy import database_of
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_server import (
    LOCK,
    MISSING,
    Problem,
    connect,
    execute,
    one,
)

with contextlib.suppress(ImportError):
    import psycopg2
    from psycopg2.extensions import quote_ident

MEMBERS = """
SELECT m.rolname FROM pg_auth_members JOIN pg_roles g ON g.oid = roleid JOIN pg_roles m ON m.oid = member
WHERE g.rolname = %s
"""
RIGHTS = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"


def rows(server: Any, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with server.cursor() as cursor:
        cursor.execute(query, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def members(server: Any, group: str) -> set[str]:
    return {name for (name,) in rows(server, MEMBERS, group)}


def is_role(server: Any, name: str) -> bool:
    return bool(one(server, "SELECT true FROM pg_roles WHERE rolname = %s", name))


def owner(server: Any, database: str) -> str | None:
    """None: there is no such database."""
    found: str | None = one(server, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", database)
    return found


def look(server: Any, options: dict[str, Any]) -> dict[str, Any]:
    production, group = options["production"], options["group"]
    prefix, ours = database_of("", production), members(server, group)
    found = rows(
        server,
        "SELECT datname, pg_get_userbyid(datdba), pg_database_size(oid) FROM pg_database"
        " WHERE starts_with(datname, %s)",
        prefix,
    )
    copies = {name: size for name, owned_by, size in found if owned_by == name and name in ours}
    named = {name for (name,) in rows(server, "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", prefix)}
    lines = rows(server, "SELECT DISTINCT type = 'local' FROM pg_hba_file_rules WHERE %s = ANY(user_name)", f"+{group}")
    size = one(server, "SELECT pg_database_size(oid) FROM pg_database WHERE datname = %s", production)
    return {
        "size": size or 0,
        "copies": copies,
        "roles": sorted(named & ours),
        "strangers": sorted({name for name, _owned_by, _size in found if name not in copies} | (named - ours)),
        "lets_in": len(lines) == 2,
        "connections": one(server, "SELECT current_setting('max_connections')::int"),
    }


def role(server: Any, options: dict[str, Any]) -> None:
    """Make the role, as it shall be.

    :raises Problem: there is one of this name that was not made for a copy.
    """
    name, group = options["name"], options["group"]
    there = is_role(server, name)
    if there and name not in members(server, group):
        raise Problem(f"role {name} on {platform.node()} is no copy's: it is not in group {group}. Take another name")
    ident, group_ident = quote_ident(name, server), quote_ident(group, server)
    if not is_role(server, group):
        execute(server, f"CREATE ROLE {group_ident} NOLOGIN")
    what = f"{RIGHTS} CONNECTION LIMIT {options['connections']} PASSWORD %s"
    if there:
        execute(server, f"ALTER ROLE {ident} {what}", options["verifier"])
    else:
        # In one statement: whatever is killed leaves no role outside of the group.
        execute(server, f"CREATE ROLE {ident} {what} IN ROLE {group_ident}", options["verifier"])


def drop(server: Any, options: dict[str, Any]) -> bool:
    """Whether there was something.

    :raises Problem: what has this name is no copy's.
    """
    name, group = options["name"], options["group"]
    there, ours = owner(server, name), members(server, group)
    if (there is not None and there != name) or ((there or is_role(server, name)) and name not in ours):
        raise Problem(f"database or role {name} on {platform.node()} is no copy's: left as it is")
    ident = quote_ident(name, server)
    if there:
        execute(server, f"DROP DATABASE {ident} WITH (FORCE)")
    if name in ours:
        execute(server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", name)
        execute(server, f"DROP OWNED BY {ident}")  # before PostgreSQL 15 anybody may make tables in this database
        execute(server, f"DROP ROLE {ident}")
    if ours <= {name} and is_role(server, group):
        execute(server, f"DROP ROLE {quote_ident(group, server)}")
    return bool(there or name in ours)


def on_server(options: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    with contextlib.closing(connect("postgres", options["port"])) as server:
        standby = one(server, "SELECT pg_is_in_recovery()")
        if options["act"] == "look":
            return {"standby": standby, **look(server, options)}
        if standby:
            return {"standby": True}
        prefix = database_of("", options["production"])
        if not options["name"].startswith(prefix):
            raise Problem(f"{options['name']} is no name of a copy's database: those begin with {prefix}")
        result: dict[str, Any] = {"standby": False, "changed": True}
        if check_mode:
            return result
        if not one(server, "SELECT pg_try_advisory_lock(%s)", LOCK):
            raise Problem(f"another dump, restore or import is at work on {platform.node()}; wait until it has ended")
        if options["act"] == "role":
            role(server, options)
            return result
        return {**result, "changed": drop(server, options)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "act": {"type": "str", "choices": ["look", "role", "drop"], "required": True},
            "production": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "name": {"type": "str"},
            "verifier": {"type": "str", "no_log": True},
            "connections": {"type": "int", "default": 25},
            "port": {"type": "int", "default": 5432},
        },
        required_if=[("act", "role", ("name", "verifier")), ("act", "drop", ("name",))],
        supports_check_mode=True,
    )
    if MISSING:
        module.fail_json(msg=missing_required_lib("psycopg2"), exception=MISSING)
    try:
        result = on_server(module.params, module.check_mode)
    except (Problem, psycopg2.Error, OSError) as error:
        module.fail_json(msg=str(error).strip())
    module.exit_json(**{"changed": False, **result})


if __name__ == "__main__":
    main()
