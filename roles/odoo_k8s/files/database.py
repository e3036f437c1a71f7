# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the other scripts know about the database: how to reach it and what state it is in.

Runs inside any Odoo image from 14 to 19 (Python 3.7+, psycopg2). The connection itself is described in the
service file that PGSERVICEFILE and PGSERVICE name, so nothing here holds a host or a password.

States, written by ``initialise.py`` into the system parameter ``odoo_deploy.state``:

``initialising``  a first initialisation began and has not ended
``installing``    modules are being added by a deployment; the next deployment finishes that
``upgrading``     modules are being changed by an upgrade; only an upgrade finishes that, or goes back to a dump
``ready``         pods may serve

That a database was initialised once is remembered outside of it: in a table of the session database, and in the
ConfigMap odoo-initialised, whose database ``ODOO_INITIALISED`` names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import psycopg2

# Any 64-bit number will do as long as all jobs of all deployments on this database agree on it.
ADVISORY_LOCK = 0x6F646F6F6465706C  # "odoodepl"
STATE = "odoo_deploy.state"
CHECKSUMS = "odoo_deploy.module_checksums"


def name() -> str:
    """Name of Odoo's database, from the environment."""
    return os.environ["ODOO_DATABASE"]


def connect(timeout: int = 3, dbname: str | None = None):
    """A connection in autocommit mode to the server that accepts writes.

    :param timeout: seconds per host; libpq takes 2 as the least.
    :raises psycopg2.OperationalError: no host answers, or none of them is the primary.
    """
    connection = psycopg2.connect(dbname=dbname or name(), connect_timeout=timeout)
    connection.autocommit = True
    return connection


def session_database():
    """A connection in autocommit mode to the database of the sessions, which is on the same server."""
    connection = psycopg2.connect(os.environ["SESSION_DB_URI"])
    connection.autocommit = True
    return connection


def was_initialised() -> bool:
    """Whether a database of this name was initialised before, whatever it is now."""
    if os.environ.get("ODOO_INITIALISED") == name():
        return True
    connection = session_database()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('public.odoo_deploy_initialised')")
            if cursor.fetchone()[0] is None:
                return False
            cursor.execute("SELECT count(*) FROM public.odoo_deploy_initialised WHERE name = %s", (name(),))
            return cursor.fetchone()[0] > 0
    finally:
        connection.close()


def remember_initialised() -> None:
    """From here on no deployment initialises a database of this name anew."""
    connection = session_database()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('public.odoo_deploy_initialised')")
            if cursor.fetchone()[0] is None:
                cursor.execute(
                    "CREATE TABLE IF NOT EXISTS public.odoo_deploy_initialised"
                    " (name text PRIMARY KEY, since timestamptz NOT NULL DEFAULT now())"
                )
            cursor.execute(
                "INSERT INTO public.odoo_deploy_initialised (name) VALUES (%s) ON CONFLICT DO NOTHING", (name(),)
            )
    finally:
        connection.close()


@dataclass(frozen=True)
class Found:
    """What a database says of itself."""

    initialised: bool  # Odoo's tables are there
    base_state: str = ""  # state of the module base; empty: no such row
    base_version: str = ""  # version of base that was loaded last, e.g. 19.0.1.3
    state: str = ""  # system parameter STATE; empty: not set


def find(connection) -> Found:
    """Read what the database says of itself, by plain SQL: nothing of Odoo is loaded for it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.ir_module_module'), to_regclass('public.ir_config_parameter')")
        if None in cursor.fetchone():
            return Found(initialised=False)
        cursor.execute("SELECT state, coalesce(latest_version, '') FROM ir_module_module WHERE name = 'base'")
        base_state, base_version = cursor.fetchone() or ("", "")
        cursor.execute("SELECT value FROM ir_config_parameter WHERE key = %s", (STATE,))
        row = cursor.fetchone()
        return Found(True, base_state, base_version, row[0] if row else "")


def why_not_ready(found: Found, series: str, database: str) -> str:
    """Empty if pods of this Odoo series may start; else the reason, in one line.

    :param series: Odoo's own, e.g. ``19.0``.
    """
    if not found.initialised:
        return f"database {database} is not initialised"
    if found.base_state != "installed":
        return "database {} is not initialised: module base is {}".format(database, found.base_state or "unknown")
    if not found.base_version.startswith(series + "."):
        return f"database {database} is of Odoo {found.base_version}, this image is {series}: run the upgrade"
    if found.state != "ready":
        return "database {} is {}".format(database, found.state or "not marked ready by the init job")
    return ""
