# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One PostgreSQL server: what it listens to, whom it lets in, what its roles may, and how it comes back."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

SECRETS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "deploy" / "secrets"
ADDRESS = "192.168.123.21"


def sql(host: Any, statement: str, database: str = "postgres") -> str:
    done = host.run("runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d %s -c %s", database, statement)
    assert done.rc == 0, done.stderr
    return str(done.stdout).strip()


def connect(user: str, database: str, **changes: Any) -> psycopg.Connection[Any]:
    password = (SECRETS / f"postgres_{user}_password").read_text(encoding="utf-8").split()[0]
    words: dict[str, Any] = {
        "host": ADDRESS,
        "user": user,
        "dbname": database,
        "password": password,
        "sslmode": "verify-full",
        "sslrootcert": str(SECRETS / "ca" / "ca.crt"),
        "connect_timeout": 5,
        "autocommit": True,
    }
    return psycopg.connect(**(words | changes))


def test_version_is_the_distributions(host: Any) -> None:
    assert sql(host, "SHOW server_version_num").startswith("17")


def test_data_is_checksummed_and_rewindable(host: Any) -> None:
    assert sql(host, "SHOW data_checksums") == "on"
    assert sql(host, "SHOW wal_log_hints") == "on"


def test_settings_come_from_one_file_outside_the_data(host: Any) -> None:
    """Only postgresql.conf as Debian made it and our file; nothing by ALTER SYSTEM."""
    files = sql(host, "SELECT DISTINCT sourcefile FROM pg_file_settings WHERE applied ORDER BY 1").splitlines()
    assert files == [
        "/etc/postgresql/17/main/conf.d/10-odoo-deploy.conf",
        "/etc/postgresql/17/main/postgresql.conf",
    ]
    assert sql(host, "SELECT count(*) FROM pg_settings WHERE pending_restart") == "0"


def test_memory_is_the_machines(host: Any) -> None:
    """The list gives the machine 1 GiB; the engine's host has more."""
    assert sql(host, "SHOW shared_buffers") == "256MB"


def test_listens_on_its_address_and_loopback_only(host: Any) -> None:
    listening = {
        line.split()[3].rsplit(":", 1)[0] for line in host.check_output("ss -Hltn 'sport = :5432'").splitlines()
    }
    assert ADDRESS in listening
    assert listening <= {ADDRESS, "127.0.0.1", "[::1]"}


@pytest.mark.parametrize(("user", "database"), [("odoo", "odoo"), ("odoo", "postgres"), ("session_db", "session_db")])
def test_owners_get_in_over_tls(user: str, database: str) -> None:
    with connect(user, database) as connection:
        assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)


@pytest.mark.parametrize(
    ("user", "database", "changes", "words"),
    [
        ("odoo", "session_db", {}, "pg_hba.conf rejects"),
        ("session_db", "odoo", {}, "pg_hba.conf rejects"),
        ("odoo", "odoo", {"sslmode": "disable"}, "pg_hba.conf rejects"),
        ("odoo", "odoo", {"password": "wrong"}, "password authentication failed"),
        ("replicator", "postgres", {}, "pg_hba.conf rejects"),
        ("rewind", "postgres", {}, "pg_hba.conf rejects"),
    ],
)
def test_others_do_not(user: str, database: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=words):
        connect(user, database, **changes).close()


def test_an_owner_owns_its_database_and_nothing_else() -> None:
    with connect("odoo", "odoo") as connection:
        connection.execute("CREATE TABLE scenario (word text)")
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        connection.execute("DROP TABLE scenario")
        for statement in (
            "CREATE DATABASE another",
            "CREATE ROLE another",
            "SELECT pg_read_file('/etc/passwd')",
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "SELECT rolpassword FROM pg_authid",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_strangers_may_not_even_connect(host: Any) -> None:
    """CONNECT is taken from PUBLIC, behind pg_hba.conf."""
    assert sql(host, "SELECT has_database_privilege('monitor', 'odoo', 'CONNECT')") == "f"
    assert sql(host, "SELECT has_database_privilege('odoo', 'session_db', 'CONNECT')") == "f"
    assert sql(host, "SELECT has_database_privilege('figures', 'session_db', 'CONNECT')") == "f"
    assert sql(host, "SELECT has_database_privilege('figures', 'odoo', 'CONNECT')") == "t"
    assert sql(host, "SELECT has_database_privilege('figures', 'odoo', 'TEMPORARY')") == "f"


def test_rewind_may_read_files_and_nothing_else(host: Any) -> None:
    assert sql(host, "SET ROLE rewind; SELECT count(*) > 0 FROM pg_ls_dir('.', true, true)") == "t"
    done = host.run(
        "runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -c 'SET ROLE rewind; SELECT pg_reload_conf()'"
    )
    assert done.rc != 0
    assert "permission denied" in done.stderr


def test_no_role_has_more_than_it_needs(host: Any) -> None:
    more = "(rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls)"
    assert sql(host, f"SELECT rolname FROM pg_roles WHERE {more} AND rolname <> 'postgres'") == ""
    assert sql(host, "SELECT rolname FROM pg_roles WHERE rolreplication AND rolname <> 'postgres'") == "replicator"
    assert sql(host, "SELECT count(*) FROM pg_authid WHERE rolpassword NOT LIKE 'SCRAM-SHA-256$%'") == "0"


def test_served_certificate_is_the_installed_one(host: Any) -> None:
    """The side effect renewed it under the running server, and verify-full above trusts it."""
    serial = "openssl x509 -noout -serial"
    served = host.check_output(
        f"openssl s_client -starttls postgres -connect localhost:5432 </dev/null 2>/dev/null | {serial}"
    )
    assert served == host.check_output(f"{serial} -in /etc/postgresql-common/odoo_deploy/server.crt")


def test_secrets_stay_secret(host: Any) -> None:
    """Mode 0600 where they must be kept; in no log, no argument and no file that others read."""
    for path, owner in (("server.key", "postgres"), ("pgpass", "postgres")):
        file = host.file(f"/etc/postgresql-common/odoo_deploy/{path}")
        assert (file.user, oct(file.mode)) == (owner, "0o600")
    for name in ("odoo", "session_db", "replicator", "rewind", "monitor"):
        path = SECRETS / f"postgres_{name}_password"
        assert oct(path.stat().st_mode)[-3:] == "600"
        password = path.read_text(encoding="utf-8").split()[0]
        # In brackets, so that the search does not find its own command in sudo's log.
        hidden = f"[{password[0]}]{password[1:]}"
        found = host.run("grep -rl %s /etc /var/log /run /tmp --exclude=pgpass", hidden)
        assert found.stdout == "", found.stdout
        assert password not in host.check_output("ps -eo args")
    assert oct((SECRETS / "ca" / "ca.key").stat().st_mode)[-3:] == "600"


def test_killed_postmaster_comes_back(host: Any) -> None:
    """kill -9: systemd starts it again, and every acknowledged row is there."""
    with connect("odoo", "odoo") as connection:
        connection.execute("DROP TABLE IF EXISTS killed")
        connection.execute("CREATE TABLE killed AS SELECT generate_series(1, 1000) AS number")
    host.check_output("kill -9 $(head -1 /var/lib/postgresql/17/main/postmaster.pid)")
    end = time.monotonic() + 30
    while True:
        try:
            with connect("odoo", "odoo") as connection:
                assert connection.execute("SELECT count(*) FROM killed").fetchone() == (1000,)
                connection.execute("DROP TABLE killed")
            break
        except psycopg.OperationalError:
            assert time.monotonic() < end
            time.sleep(0.2)
    while not host.service("postgresql@17-main").is_running:  # pg_ctlcluster looks once a second
        assert time.monotonic() < end
        time.sleep(0.2)
