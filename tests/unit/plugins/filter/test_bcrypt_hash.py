# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes of passwords."""

from __future__ import annotations

import bcrypt
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.bcrypt_hash import bcrypt_hash

PASSWORD = "NRvhAmXgQ2PjQ8yXWZbT4cLd7eKf0sUu"  # 32 characters, as the wiring makes them


def test_the_password_fits_and_another_does_not() -> None:
    made = bcrypt_hash(PASSWORD, seed="odoo", rounds=4)
    assert bcrypt.checkpw(PASSWORD.encode(), made.encode())
    assert not bcrypt.checkpw(PASSWORD[:-1].encode(), made.encode())


def test_a_second_run_changes_nothing() -> None:
    assert bcrypt_hash(PASSWORD, seed="odoo", rounds=4) == bcrypt_hash(PASSWORD, seed="odoo", rounds=4)
    made = {bcrypt_hash(PASSWORD, seed=seed, rounds=4)[:29] for seed in ("odoo", "erp")}
    assert len(made) == 2
    assert bcrypt_hash(PASSWORD, seed="odoo")[:7] == "$2b$10$"


@pytest.mark.parametrize(
    ("password", "rounds", "message"),
    [
        ("", 4, "1 to 72 bytes"),
        ("ä" * 37, 4, "1 to 72 bytes"),
        ("a", 3, "3 rounds cannot be: say 4 to 31"),
    ],
)
def test_what_bcrypt_cannot_do_is_said(password: str, rounds: int, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        bcrypt_hash(password, seed="odoo", rounds=rounds)
