# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the other scripts know about the database: how to reach it and what state it is in.

Runs inside any Odoo image from 14 to 19 (Python 3.7+, psycopg2). The connection itself is described in the
service file that PGSERVICEFILE and PGSERVICE name, so nothing here holds a host or a password.

States, written by ``initialise.py`` into the system parameter ``odoo_deploy.state``:

``initialising``  a first initialisation began and has not ended
``upgrading``     modules are being changed; no other process may work on the schema
``ready``         pods may serve
"""

from __future__ import annotations

import os

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


def why_not_ready(connection, series: str) -> str:
    """Empty when pods of this Odoo series may start; else the reason, in one line.

    :param series: Odoo's own, e.g. ``14.0``.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.ir_module_module'), to_regclass('public.ir_config_parameter')")
        if None in cursor.fetchone():
            return f"database {name()} is not initialised"
        cursor.execute("SELECT state, coalesce(latest_version, '') FROM ir_module_module WHERE name = 'base'")
        row = cursor.fetchone()
        if row is None or row[0] != "installed":
            return "database {} is not initialised: module base is {}".format(name(), row[0] if row else "unknown")
        if not row[1].startswith(series + "."):
            return f"database {name()} is of Odoo {row[1]}, this image is {series}: run the upgrade"
        cursor.execute("SELECT value FROM ir_config_parameter WHERE key = %s", (STATE,))
        row = cursor.fetchone()
        if row is None or row[0] != "ready":
            return "database {} is {}".format(name(), row[0] if row else "not marked ready by the init job")
    return ""
