# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is turned off in a copy of a database, by the tables and columns that it has."""

from __future__ import annotations

import re
import sqlite3
from types import ModuleType
from typing import Any

import pytest


class Cursor:
    """SQLite, which reads the rules' SQL as PostgreSQL does; only the catalogue is asked otherwise."""

    def __init__(self, tables: dict[str, list[str]]) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.tables = tables
        for table, columns in tables.items():
            self.connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {', '.join(columns)})")

    def execute(self, query: str, values: tuple[Any, ...] = ()) -> None:
        if "information_schema" in query:
            self.rows: list[Any] = (
                [(name,) for name in ["id", *self.tables[values[0]]]] if values[0] in self.tables else []
            )
        else:
            self.rows = self.connection.execute(query, values).fetchall()

    def fetchall(self) -> list[Any]:
        return self.rows

    def fetchone(self) -> Any:
        return self.rows[0]


TABLES = {
    "ir_mail_server": ["active", "smtp_host"],
    "ir_cron": ["active"],
    "ir_model_data": ["model", "module", "name", "res_id"],
    "payment_acquirer": ["state"],
    "auth_passkey_key": ["name"],
    "queue_job": ["state"],
    "iap_account": ["account_token"],
    "res_users": ["login"],  # no calendar is installed: its columns are missing
}
ROWS = [
    "INSERT INTO ir_mail_server (active, smtp_host) VALUES (true, 'mx.example.com'), (false, 'old'), (true, 'invalid')",
    "INSERT INTO ir_cron (active) VALUES (true), (true), (false)",
    "INSERT INTO ir_model_data (model, module, name, res_id) VALUES ('ir.cron', 'base', 'autovacuum_job', 1)",
    "INSERT INTO payment_acquirer (state) VALUES ('enabled'), ('test'), ('disabled')",
    "INSERT INTO auth_passkey_key (name) VALUES ('phone')",
    "INSERT INTO queue_job (state) VALUES ('pending'), ('done')",
    "INSERT INTO iap_account (account_token) VALUES ('secret'), ('x+disabled'), (NULL)",
]


@pytest.fixture
def cursor() -> Cursor:
    made = Cursor(TABLES)
    for row in ROWS:
        made.execute(row)
    return made


def test_everything_that_is_on_is_counted_and_turned_off(scripts: dict[str, ModuleType], cursor: Cursor) -> None:
    """Once: a second time nothing is on. Odoo's own dead end for mails and the autovacuum stay."""
    neutralise = scripts["neutralise"]
    rules = neutralise.applicable(cursor)
    assert neutralise.told(neutralise.counted(cursor, rules)) == [
        "1 outgoing mail servers",
        "1 scheduled actions",
        "1 queue jobs",
        "2 payment providers",
        "1 IAP accounts",
        "1 passkeys",
    ]
    for rule in rules:
        cursor.execute(rule.statement)
    assert neutralise.told(neutralise.counted(cursor, rules)) == []
    cursor.execute("SELECT smtp_host FROM ir_mail_server WHERE active")
    assert cursor.fetchall() == [("invalid",)]
    cursor.execute("SELECT id FROM ir_cron WHERE active")
    assert cursor.fetchall() == [(1,)]
    cursor.execute("SELECT state FROM queue_job ORDER BY id")
    assert cursor.fetchall() == [("cancelled",), ("done",)]


def test_a_table_that_lacks_a_column_is_left_alone(scripts: dict[str, ModuleType], cursor: Cursor) -> None:
    tables = {rule.table for rule in scripts["neutralise"].applicable(cursor)}
    assert tables == set(TABLES) - {"ir_model_data", "res_users"}


def test_each_rule_names_the_columns_that_it_uses(scripts: dict[str, ModuleType]) -> None:
    """Else it would fail on a database without them."""
    words = {"active", "state", "enabled", "smtp_host", "account_token", "webhook_url", "access_token"}
    for rule in scripts["neutralise"].RULES:
        used = set(re.findall(r"\w+", rule.statement)) & (
            words | {name for r in scripts["neutralise"].RULES for name in r.columns}
        )
        assert used <= {*rule.columns, rule.table}, rule
