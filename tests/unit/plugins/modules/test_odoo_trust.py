# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Odoo's database is its role's, which may put anything there: the superuser reads it, and runs nothing of it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils import odoo_server
from ansible_collections.odoo_deploy.stack.plugins.modules import odoo_database, odoo_export, odoo_import

MODULES = Path(odoo_export.__file__).parent


class Server:
    """Answers by what is in the question."""

    def __init__(self, *answers: tuple[str, Any]) -> None:
        self.answers, self.asked = answers, []  # type: ignore[var-annotated]

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_unused: Any) -> None: ...

    def cursor(self) -> Server:
        return self

    def close(self) -> None: ...

    def execute(self, query: str, *_values: Any) -> None:
        self.asked.append(query)

    def fetchone(self) -> Any:
        return next(((answer,) for part, answer in self.answers if part in self.asked[-1]), None)

    def fetchall(self) -> Any:
        return next((answer for part, answer in self.answers if part in self.asked[-1]), [])

    def __iter__(self) -> Any:
        return iter(self.fetchall())


def test_the_superuser_calls_what_is_postgresqls_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the same name whose types fit better would be taken first, or one that ALTER DATABASE … SET puts first."""
    options = []

    def connect(**given: Any) -> SimpleNamespace:
        options.append(given["options"])
        return SimpleNamespace()

    driver = SimpleNamespace(connect=connect)
    monkeypatch.setattr(odoo_server, "psycopg2", driver, raising=False)
    odoo_server.connect("odoo", 5432)
    odoo_server.connect("odoo", 5432, user="odoo")
    assert options == ["-c search_path=pg_catalog", None]


@pytest.mark.parametrize("name", ["odoo_export.py", "odoo_database.py", "odoo_copy.py"])
def test_tables_of_odoo_have_their_schema(name: str) -> None:
    """Without it the superuser would not find them."""
    assert re.findall(r"(?<![.\w])(?:FROM|JOIN|INTO|UPDATE) (?:ir_|res_|http_)\w+", (MODULES / name).read_text()) == []


def test_the_state_is_read_by_pg_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads tables alone: a view in the place of one would run its functions as the superuser."""
    server, called = Server(("to_regclass", True)), []

    def call(*argv: str) -> str:
        called.append(argv)
        return "COPY public.ir_config_parameter (id, key, value) FROM stdin;\n1\todoo_deploy.state\tready\n\\.\n"

    monkeypatch.setattr(odoo_database, "connect", lambda *_unused: server)
    monkeypatch.setattr(odoo_database, "call", call)
    assert odoo_database.state("odoo", 5433) == (True, "ready")
    assert [(argv[0], argv[2], argv[-1]) for argv in called] == [("pg_dump", "5433", "odoo")]
    assert all("to_regclass" in query for query in server.asked)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([("relkind", "r")], ""),
        ([("relkind", "v")], "public.ir_attachment is no table"),
        (
            [("relkind", "r"), ("atttypid", "db_datas")],
            "public.ir_attachment.db_datas is of a type that is not PostgreSQL's",
        ),
    ],
)
def test_what_is_exported_are_tables(answers: list[tuple[str, str]], reason: str) -> None:
    server = Server(*answers)
    if not reason:
        odoo_server.plain(server, "public.ir_attachment", "id", "db_datas")
        assert server.asked[0] == "LOCK TABLE public.ir_attachment IN ACCESS SHARE MODE"
        return
    with pytest.raises(odoo_server.Problem, match=reason):
        odoo_server.plain(server, "public.ir_attachment", "id", "db_datas")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (140015, ['ALTER SCHEMA public OWNER TO "odoo"', "REVOKE CREATE ON SCHEMA public FROM PUBLIC"]),
        (150000, []),
    ],
)
def test_who_may_connect_makes_nothing_there(monkeypatch: pytest.MonkeyPatch, version: int, said: list[str]) -> None:
    """Odoo would call a function that the role of the figures has made in its schema."""
    monkeypatch.setattr(odoo_server, "quote_ident", lambda name, _connection: f'"{name}"', raising=False)
    server = Server()
    server.server_version = version  # type: ignore[attr-defined]
    odoo_server.own_schema(server, "odoo")
    assert server.asked == said


LISTING = (
    "2; 3079 16386 EXTENSION - pg_trgm \n"
    "3; 3079 16387 EXTENSION - pg_stat_statements \n"
    "3510; 0 0 COMMENT - EXTENSION pg_trgm \n"
    "223; 1259 16580 TABLE public ir_ui_view odoo\n"
)


@pytest.fixture
def quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Identifiers are quoted by psycopg2, which is not here."""
    for module in (odoo_server, odoo_database):
        monkeypatch.setattr(module, "quote_ident", lambda name, _connection: f'"{name}"', raising=False)


@pytest.mark.usefixtures("quoted")
def test_a_dump_is_restored_as_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of a table, a trigger, an expression of an index in it: they run while it is restored."""
    server = Server(
        ("pg_extension", [("pg_stat_statements",)]),
        ("FROM pg_database WHERE datname", True),
        ("count(*)", 1),
    )
    server.server_version = 150000  # type: ignore[attr-defined]
    called, lists = [], []

    def call(*argv: str) -> str:
        called.append(argv)
        if "--use-list" in argv:
            lists.append(Path(argv[argv.index("--use-list") + 1]).read_text())
        return LISTING

    monkeypatch.setattr(odoo_database, "connect", lambda *_unused: server)
    monkeypatch.setattr(odoo_database, "call", call)
    monkeypatch.setattr(odoo_database, "fault", lambda _file: "")
    monkeypatch.setattr(odoo_database, "state", lambda *_unused: (True, "ready"))
    monkeypatch.setattr(odoo_database, "exchange", lambda *_unused: "odoo_broken_1")
    options = {"name": "odoo", "owner": "shop", "port": 5433, "file": "/dumps/x.pgc"}
    assert odoo_database.restore(server, options) == "odoo_broken_1"
    (filled,) = [argv for argv in called if "--use-list" in argv]
    assert filled[filled.index("--username") + 1] == "shop"
    assert "--no-owner" in filled and filled[filled.index("--dbname") + 1] == "odoo_restoring"
    assert "COMMENT - EXTENSION" not in lists[0] and "ir_ui_view" in lists[0]
    # What the superuser has put into the database before, and nothing that a dump asks for.
    made = [query for query in server.asked if query.startswith("CREATE EXTENSION")]
    assert made == ['CREATE EXTENSION "pg_stat_statements" SCHEMA public CASCADE']


class Failed(Exception):
    """As psycopg2's errors: with the code that the server gave, if it gave one."""

    def __init__(self, code: str | None) -> None:
        super().__init__("no")
        self.pgcode = code


@pytest.mark.parametrize(("kept_in", "entered"), [("session_db", "session_db"), ("odoo", "odoo_importing")])
def test_sessions_are_forgotten_as_their_owner_before_anything_else(
    monkeypatch: pytest.MonkeyPatch, kept_in: str, entered: str
) -> None:
    """A trigger of their table runs as whoever deletes them. What fails there leaves both databases where they are."""
    done: list[Any] = []
    server = Server(("advisory", True), ("pg_database", True), ("to_regclass", "http_sessions"))

    def connect(database: str, _port: int, user: str | None = None) -> Server:
        done.append((database, user))
        return server

    monkeypatch.setattr(odoo_import, "connect", connect)
    monkeypatch.setattr(odoo_import, "exchange", lambda *given: done.append(given[1:]) or "odoo_before_1")
    monkeypatch.setattr(odoo_import, "psycopg2", SimpleNamespace(Error=Failed), raising=False)
    options = {
        "act": "exchange", "name": "odoo", "beside": "odoo_importing", "port": 5432, "sessions": kept_in,
        "sessions_owner": "sessions",
    }  # fmt: skip
    assert odoo_import.on_server(options, check_mode=False)["kept"] == "odoo_before_1"
    assert done == [("postgres", None), (entered, "sessions"), ("odoo", "odoo_importing", "before")]
    assert server.asked[-1] == "DELETE FROM public.http_sessions"


@pytest.mark.parametrize(("code", "certain"), [("55006", True), (None, False), ("57P01", False)])
def test_only_a_server_that_said_so_has_not_exchanged_them(code: str | None, certain: bool) -> None:
    assert odoo_import.not_done(Failed(code)) == certain


@pytest.mark.usefixtures("quoted")
def test_what_takes_the_place_of_a_database_has_its_rights_and_settings() -> None:
    """In the transaction that renames them."""
    rights = [("CONNECT", "figures", False), ("CREATE", "bi", True)]
    server = Server(("aclexplode", rights), ("datconnlimit", 33), ("SELECT true FROM pg_database", True))
    kept = odoo_server.exchange(server, "odoo", "odoo_importing", "before")
    changes = server.asked[server.asked.index("BEGIN") :]
    assert [line.split(" (")[0].split(" USING")[0] for line in changes[:3]] == [
        "BEGIN",
        "DELETE FROM pg_db_role_setting s",
        "INSERT INTO pg_db_role_setting",
    ]
    assert changes[3:] == [
        'GRANT CONNECT ON DATABASE "odoo_importing" TO "figures"',
        'GRANT CREATE ON DATABASE "odoo_importing" TO "bi" WITH GRANT OPTION',
        'ALTER DATABASE "odoo_importing" CONNECTION LIMIT 33',
        f'ALTER DATABASE "odoo" RENAME TO "{kept}"',
        'ALTER DATABASE "odoo_importing" RENAME TO "odoo"',
        "COMMIT",
    ]
