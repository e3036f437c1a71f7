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
from ansible_collections.odoo_deploy.stack.plugins.modules import odoo_database, odoo_export

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
