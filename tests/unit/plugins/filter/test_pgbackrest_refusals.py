# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of pgBackRest that a person may not give."""

from __future__ import annotations

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.pgbackrest_refusals import pgbackrest_refusals


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("repo1-cipher-pass", "postgres_backup_cipher_passphrase"),
        ("repo1-path", "postgres_backup_repository_path"),
        ("repo1-s3-key", "postgres_backup_object_store_secrets"),
        ("repo1-s3-bucket", "postgres_backup_object_store"),
        ("pg1-path", "postgres_backup_servers"),
        ("tls-server-auth", "postgres_backup_port"),
        ("spool-path", "leave it out"),
        ("repo1-retention-full", ""),
        ("compress-level", ""),
    ],
)
def test_an_option_that_follows_from_a_variable_is_refused(name: str, instead: str) -> None:
    """The message names the variable that does it."""
    refused = pgbackrest_refusals([name, "compress-type"])
    assert len(refused) == bool(instead)
    assert all(name in sentence and instead in sentence for sentence in refused)


def test_no_option_is_no_refusal() -> None:
    """Of a role's default, an empty dict."""
    assert pgbackrest_refusals({}) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("compres-level", "compress-level"),
        ("repo1-retention-ful", "repo1-retention-full"),
        ("repo-bundle", "repo1-bundle"),
        ("type", ""),
        ("Compress-Level\n", ""),
        ("repo1-bundle", None),
        ("repo12-bundle", None),
        ("tcp-keep-alive-idle", None),
    ],
)
def test_an_option_that_no_pgbackrest_takes_is_refused(name: str, meant: str | None) -> None:
    """By the newest one's, where the machine's own cannot be asked."""
    refused = pgbackrest_refusals([name])
    assert bool(refused) == (meant is not None)
    for sentence in refused:
        assert sentence.startswith(f"postgres_backup_options has {name}: pgBackRest takes no such option in its files")
        assert not meant or sentence.endswith(f", but {meant}.")


def test_the_machines_own_pgbackrest_knows_better() -> None:
    """It takes what is newer than the list, and does not take what is newer than itself; rules hold all the same."""
    assert pgbackrest_refusals(["brand-new"], []) == []
    (refused,) = pgbackrest_refusals(["compress-type", "repo1-symlink"], ["repo1-symlink"])
    assert "repo1-symlink: pgBackRest takes no such option" in refused
    assert "but repo1-symlink" not in refused
    (refused,) = pgbackrest_refusals(["repo1-path"], [])
    assert "postgres_backup_repository" in refused
