# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verification reads off Odoo's pages, by series."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "e2e"))

from support.odoo import is_of_a_user


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        # 14, its log-in page and its web client
        ('odoo.session_info = {"is_admin": false, "user_id": false, "is_frontend": true};', False),
        ('odoo.session_info = {"uid": 7, "is_system": false, "user_context": {"lang": "en_US", "uid": 7}};', True),
        # 19, the same
        ('odoo.__session_info__ = {"is_admin": false, "user_id": false, "is_frontend": true};', False),
        ('odoo.__session_info__ = {"uid": 7, "is_system": false, "user_context": {"lang": "en_US"}};', True),
        ('odoo.__session_info__ = {"uid": null};', False),
        # one that names nobody
        ("odoo.define('session_info', [])", False),
    ],
)
def test_whose_page_it_is(script: str, answer: bool) -> None:
    assert is_of_a_user(f"<head><script>\n  {script}\n  odoo.debug = '';</script></head>") is answer
