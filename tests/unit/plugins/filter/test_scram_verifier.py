# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SCRAM verifiers: the known answer of an independent implementation, and idempotence."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.scram_verifier import scram_verifier
from hypothesis import given, settings
from hypothesis import strategies as st

# RFC 7677, section 3: password "pencil", the salt and the server signature's key of its example.
KNOWN = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_known_answer() -> None:
    """The example of RFC 7677 fits its password, so it is returned as it is."""
    assert scram_verifier("pencil", KNOWN) == KNOWN


def test_other_password_gets_another_verifier() -> None:
    assert scram_verifier("pencils", KNOWN) != KNOWN


def test_salt_is_random() -> None:
    assert scram_verifier("secret") != scram_verifier("secret")


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60))
def test_second_run_changes_nothing(password: str) -> None:
    first = scram_verifier(password)
    assert first.startswith("SCRAM-SHA-256$4096:")
    assert scram_verifier(password, first) == first


@pytest.mark.parametrize("current", ["", None, "md5abc", "SCRAM-SHA-256$broken"])
def test_no_usable_verifier(current: str | None) -> None:
    assert scram_verifier("secret", current).startswith("SCRAM-SHA-256$4096:")


@pytest.mark.parametrize("password", ["", "pässword", "tab\there"])
def test_password_that_saslprep_would_change_is_refused(password: str) -> None:
    with pytest.raises(AnsibleFilterError, match="printable ASCII"):
        scram_verifier(password)
