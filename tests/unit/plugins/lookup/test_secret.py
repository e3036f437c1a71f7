# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in files."""

from __future__ import annotations

import hashlib
import re
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible_collections.odoo_deploy.stack.plugins.lookup.secret import make, secret


def ask(path: Path) -> str:
    return secret(path, 32)


def test_made_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secrets" / "odoo_admin_password"
    made = secret(path, 48)
    assert re.fullmatch(r"[A-Za-z0-9]{48}", made)
    assert [secret(path, 32), secret(path, 48)] == [made, made]
    assert secret(tmp_path / "another", 48) != made
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path.parent, path)] == [0o700, 0o600]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_all_who_ask_at_once_get_the_same(tmp_path: Path) -> None:
    for turn in range(10):
        with ProcessPoolExecutor(8) as several:
            assert len(set(several.map(ask, [tmp_path / f"secret{turn}"] * 16))) == 1


def test_a_file_that_is_there_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("  what a person wrote \n")
    make(path, "another")
    assert secret(path, 32) == "what a person wrote"


def test_what_a_killed_process_left_holds_nobody_up(tmp_path: Path) -> None:
    """The lock of ansible.builtin.password, of versions before, is such a file too."""
    path = tmp_path / "secret"
    (tmp_path / f"{hashlib.sha1(str(path).encode()).hexdigest()}.ansible_lockfile").touch()
    (tmp_path / ".secret.abcd1234").write_text("half")
    assert len(secret(path, 32)) == 32


def lookup(terms: list[str], **options: object) -> list[str]:
    return lookup_loader.get("odoo_deploy.stack.secret", loader=DataLoader()).run(terms, {}, **options)  # type: ignore[no-any-return]


def test_as_a_lookup(tmp_path: Path) -> None:
    several = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert lookup(several, length=12) == [(tmp_path / name).read_text().strip() for name in "ab"]
    assert len(lookup(several)[0]) == 12


@pytest.mark.parametrize(
    ("content", "length", "message"),
    [
        (b" \n", 32, "secret is empty: write the secret into it, or delete it"),
        (b"\xff", 32, "secret: .* can't decode byte"),
        (None, 0, "a length of 0 cannot be: say 1 or more"),
    ],
)
def test_what_is_no_secret(tmp_path: Path, content: bytes | None, length: int, message: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AnsibleError, match=message):
        lookup([str(path)], length=length)
    assert path.exists() == (content is not None)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AnsibleError, match=r"secret: .*file"):
        lookup([str(tmp_path / "file" / "secret")])
