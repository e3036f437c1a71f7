# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection string that libpq reads back as it was meant."""

from __future__ import annotations

from ansible_collections.odoo_deploy.stack.plugins.filter.libpq_conninfo import libpq_conninfo
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def test_keywords_stay_in_order_and_lists_are_one_value() -> None:
    servers = {"host": ["pg1", "pg2"], "hostaddr": ("192.0.2.1", "192.0.2.2"), "port": 5432, "user": "backup"}
    assert libpq_conninfo(servers) == "host=pg1,pg2 hostaddr=192.0.2.1,192.0.2.2 port=5432 user=backup"


@given(user=VALUES, dbname=VALUES)
def test_libpq_reads_what_was_meant(user: str, dbname: str) -> None:
    """Spaces, quotes and backslashes, and what has nothing in it."""
    assert conninfo_to_dict(libpq_conninfo({"user": user, "dbname": dbname})) == {"user": user, "dbname": dbname}
