# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules for Odoo's databases do on a PostgreSQL machine, as the account of its superuser.

psycopg2 may be missing: ``MISSING`` says so then, and only ``call`` works.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_database import kept_name

try:
    import psycopg2
    from psycopg2.extensions import quote_ident

    MISSING = ""
except ImportError:
    MISSING = traceback.format_exc()

# One dump or restore at a time, also where a killed run has left one at work. "odoodbrs"
LOCK = 0x6F646F6F64627273


class Problem(Exception):
    """Something that a person has to read."""


def connect(dbname: str, port: int, user: str | None = None, secret: str | None = None) -> Any:
    """A connection by the socket in autocommit mode. The superuser finds no name but PostgreSQL's own.

    :param user: as that role, not as the superuser.
    :param secret: a ``passfile`` with its password.
    """
    connection = psycopg2.connect(
        dbname=dbname,
        port=port,
        user=user,
        passfile=secret,
        connect_timeout=10,
        application_name="odoo_database",
        # Wins over what the owner of the database has set there.
        options=None if user else "-c search_path=pg_catalog",
    )
    connection.autocommit = True
    return connection


@contextlib.contextmanager
def passfile(role: str, password: str | None) -> Iterator[str | None]:
    """A file for libpq with the password of a role, which nobody else reads; None: the role needs none."""
    if not password:
        yield None
        return
    words = [word.replace("\\", "\\\\").replace(":", "\\:") for word in (role, password)]
    with tempfile.NamedTemporaryFile("w", prefix="pgpass-") as file:  # mode 0600
        file.write(":".join(["*", "*", "*", *words]) + "\n")
        file.flush()
        yield file.name


def one(connection: Any, query: str, *values: Any) -> Any:
    """First column of the first row; None: no row."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        row = cursor.fetchone()
    return row[0] if row else None


def plain(connection: Any, table: str, *columns: str) -> None:
    """Make sure that reading these columns in this transaction runs nothing that their owner wrote.

    :raises Problem: a view would run its functions, another type its casts, as whoever reads.
    """
    execute(connection, f"LOCK TABLE {table} IN ACCESS SHARE MODE")
    if one(connection, "SELECT relkind::text FROM pg_class WHERE oid = %s::regclass", table) != "r":
        raise Problem(f"{table} is no table")
    strange = one(
        connection,
        "SELECT attname FROM pg_attribute JOIN pg_type t ON t.oid = atttypid"
        " WHERE attrelid = %s::regclass AND attname = ANY(%s) AND typnamespace <> 'pg_catalog'::regnamespace",
        table,
        list(columns),
    )
    if strange:
        raise Problem(f"{table}.{strange} is of a type that is not PostgreSQL's")


def execute(connection: Any, statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)


def call(*argv: str) -> str:
    """Output of a program; a Problem with the last line that it wrote where it fails."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        errors = [line for line in lines if "error" in line] or lines
        raise Problem(errors[0] if errors[0].startswith(argv[0]) else f"{argv[0]}: {errors[0]}")
    return done.stdout


def lines_of(said: bytes) -> list[str]:
    return said.decode(errors="replace").strip().splitlines()


@contextlib.contextmanager
def reading(*argv: str) -> Iterator[Any]:
    """What a program writes, as a stream: it may be more than there is memory.

    :raises Problem: the program failed; its first line of errors.
    """
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        pipes: Any = process
        yield pipes.stdout
        # What was not read must not keep it.
        pipes.stdout.close()
        said = lines_of(pipes.stderr.read())
    if process.returncode:
        raise Problem(said[0] if said else f"{argv[0]} ended with {process.returncode}")


def feed(lines: Iterable[bytes], *argv: str, environment: dict[str, str] | None = None) -> list[str]:
    """Write to a program until it ends; its errors, none if it ended well."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        pipes: Any = process
        with contextlib.suppress(BrokenPipeError):
            for line in lines:
                pipes.stdin.write(line)
        with contextlib.suppress(BrokenPipeError):
            pipes.stdin.close()
        said = lines_of(pipes.stderr.read())
    if not process.returncode:
        return []
    return said or [f"{argv[0]} ended with {process.returncode}"]


def exists(server: Any, name: str) -> bool:
    return bool(one(server, "SELECT true FROM pg_database WHERE datname = %s", name))


def create(server: Any, name: str, owner: str) -> None:
    """An empty database of ``owner``, in the place of one that a killed run has left under this name."""
    ident, role = quote_ident(name, server), quote_ident(owner, server)
    execute(server, f"DROP DATABASE IF EXISTS {ident} WITH (FORCE)")
    execute(server, f"CREATE DATABASE {ident} OWNER {role} TEMPLATE template0 ENCODING 'UTF8'")
    # As the role postgres_primary leaves a database.
    execute(server, f"REVOKE CONNECT, TEMPORARY ON DATABASE {ident} FROM PUBLIC")


def own_schema(database: Any, owner: str) -> None:
    """To 14 everybody may write to schema public; from 15 on its owner is the database's, and nobody else may."""
    if database.server_version < 150000:
        execute(database, f"ALTER SCHEMA public OWNER TO {quote_ident(owner, database)}")
        execute(database, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")


def lets_in(server: Any, role: str, database: str) -> bool:
    """Whether a line of pg_hba.conf is about this role in this database by the socket."""
    query = (
        "SELECT true FROM pg_hba_file_rules WHERE type = 'local' AND %s = ANY(user_name) AND %s = ANY(database) LIMIT 1"
    )
    return bool(one(server, query, role, database))


def carried(server: Any, name: str, beside: str) -> list[tuple[Any, ...]]:
    """Statements, each with its values, that give ``beside`` what a person has set for database ``name``."""
    new = quote_ident(beside, server)
    # What a backup may have set for itself goes. The rows are copied as they are: no value of them becomes SQL.
    statements: list[tuple[Any, ...]] = [
        ("DELETE FROM pg_db_role_setting s USING pg_database d WHERE d.oid = setdatabase AND datname = %s", beside),
        (
            "INSERT INTO pg_db_role_setting (setdatabase, setrole, setconfig)"
            " SELECT n.oid, setrole, setconfig FROM pg_db_role_setting JOIN pg_database o ON o.oid = setdatabase,"
            " pg_database n WHERE o.datname = %s AND n.datname = %s",
            name,
            beside,
        ),
    ]
    with server.cursor() as cursor:
        cursor.execute(
            "SELECT r.privilege_type, pg_get_userbyid(r.grantee), r.is_grantable FROM pg_database d,"
            " aclexplode(d.datacl) r WHERE d.datname = %s AND r.grantee NOT IN (0, d.datdba) ORDER BY 2, 1",
            (name,),
        )
        for right, role, grantable in cursor.fetchall():
            option = " WITH GRANT OPTION" if grantable else ""
            statements.append((f"GRANT {right} ON DATABASE {new} TO {quote_ident(role, server)}{option}",))
    limit = one(server, "SELECT datconnlimit FROM pg_database WHERE datname = %s", name)
    statements.append((f"ALTER DATABASE {new} CONNECTION LIMIT {limit}",))
    return statements


def exchange(server: Any, name: str, beside: str, why: str) -> str:
    """``beside`` becomes ``name``, and ``name`` NAME_WHY_TIME, in one transaction. Rights, settings and limit of
    connections stay the same.

    Returns the new name of the database that was replaced; empty: there was none.
    """
    kept = kept_name(name, why, time.strftime("%Y%m%d%H%M%S", time.gmtime())) if exists(server, name) else ""
    old, new = quote_ident(name, server), quote_ident(beside, server)
    statements: list[tuple[Any, ...]] = [("BEGIN",)]
    if kept:
        statements += carried(server, name, beside)
        statements.append((f"ALTER DATABASE {old} RENAME TO {quote_ident(kept, server)}",))
    statements += [(f"ALTER DATABASE {new} RENAME TO {old}",), ("COMMIT",)]
    for left in reversed(range(20)):
        execute(
            server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (%s, %s)", name, beside
        )
        try:
            for statement in statements:
                execute(server, *statement)
            return kept
        except psycopg2.errors.ObjectInUse:
            execute(server, "ROLLBACK")
            if not left:
                raise
            time.sleep(0.5)
    raise AssertionError("the last try returns or raises")
