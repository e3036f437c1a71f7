# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx_cache_purge on files as nginx writes them: a binary header, the key, the answer's head and body."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

HEADER = bytes(range(256)) + b"\n"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of five stored answers of four paths."""
    for path, encoding in [
        ("/web/static/a.js", "br"),
        ("/web/static/a.js", ""),
        ("/web/static/lib/b.css", "gzip"),
        ("/sale/static/c.png", ""),
        ("/web/content/1-0a1b2c3/web.assets_common.js", "br"),
    ]:
        store(tmp_path, f"http|odoo.example.com|{path}||{encoding}")
    return tmp_path


def store(cache: Path, key: str) -> Path:
    """Write one stored answer under ``key`` where nginx would."""
    name = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    file = cache / name[-1] / name[-3:-1] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(HEADER + b"\nKEY: " + key.encode() + b"\nHTTP/1.1 200 OK\r\n\r\nbody\nKEY: a|b|/fake||\n")
    return file


def left(cache: Path) -> int:
    """Return how many answers are stored."""
    return sum(path.is_file() for path in cache.rglob("*"))


@pytest.mark.parametrize(
    ("patterns", "files", "paths"),
    [
        (["/web/static/a.js"], 2, 1),
        (["/web/static/*"], 3, 2),
        (["/web/content/*", "/sale/*"], 2, 2),
        (["*"], 5, 4),
        (["/WEB/static/a.js"], 0, 0),
        (["/fake"], 0, 0),
        ([], 0, 0),
    ],
)
def test_purge(module: Any, cache: Path, patterns: list[str], files: int, paths: int) -> None:
    """What matches goes, in all variants; the rest stays; a second time there is nothing to do."""
    answer = module("nginx_cache_purge", path=str(cache), paths=patterns)
    assert (answer["files"], len(answer["purged"]), answer["changed"]) == (files, paths, files > 0)
    assert left(cache) == 5 - files
    assert not module("nginx_cache_purge", path=str(cache), paths=patterns)["changed"]


def test_check_mode_removes_nothing(module: Any, cache: Path) -> None:
    """It tells what would go."""
    assert module("nginx_cache_purge", path=str(cache), paths=["*"], check=True)["files"] == 5
    assert left(cache) == 5


def test_foreign_files_stay(module: Any, cache: Path) -> None:
    """Files that nginx did not write, that have another key, or that are half written, are not touched."""
    (cache / "README").write_bytes(b"\nKEY: http|h|/x||\n")
    (cache / ("0" * 32)).write_bytes(b"\nKEY: somebody else's key\n")
    (cache / ("1" * 32)).write_bytes(b"")
    (cache / f"{'2' * 32}.0000000001").write_bytes(b"\nKEY: http|h|/x||\n")
    module("nginx_cache_purge", path=str(cache), paths=["*"])
    assert left(cache) == 4


def test_missing_folder_is_named(module: Any, tmp_path: Path) -> None:
    """One message: what is wrong and what to give instead."""
    answer = module("nginx_cache_purge", path=str(tmp_path / "none"), paths=["*"])
    assert answer["failed"]
    assert "not a folder" in answer["msg"]
    assert "proxy_cache_path" in answer["msg"]
