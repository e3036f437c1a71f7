# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""debian_package against an archive on loopback: what is pinned is fetched once, whole, and with the right contents."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.modules.debian_package import (
    Package,
    Problem,
    must_be_of,
    printed_package,
    wanted_package,
)

CONTENT = b"a package"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The module's arguments for an archive that holds version 19.0-1."""
    pool = tmp_path / "archive" / "pool" / "main" / "o" / "odoo"
    pool.mkdir(parents=True)
    (pool / "odoo-19_19.0+x-1_all.deb").write_bytes(CONTENT)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "archive"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {
        "name": "odoo-19", "version": "19.0+x-1", "sha256": SHA256, "series": "19.", "pool": "main/o/odoo",
        "mirror": f"http://127.0.0.1:{server.server_port}", "folder": str(tmp_path / "kept"),
    }  # fmt: skip
    server.shutdown()
    server.server_close()


def test_fetched_once_then_kept(module: Any, archive: dict[str, Any]) -> None:
    """The second run needs no archive."""
    first = module("debian_package", **archive)
    assert (first["changed"], first["pinned"], first["sha256"]) == (True, True, SHA256)
    assert Path(first["path"]).read_bytes() == CONTENT
    second = module("debian_package", **{**archive, "mirror": "http://127.0.0.1:1"})
    assert (second["changed"], second["path"]) == (False, first["path"])


def test_a_file_that_is_spoiled_is_fetched_again(module: Any, archive: dict[str, Any]) -> None:
    path = Path(module("debian_package", **archive)["path"])
    path.write_bytes(b"half")
    assert module("debian_package", **archive)["changed"] is True
    assert path.read_bytes() == CONTENT


def test_check_mode_fetches_nothing(module: Any, archive: dict[str, Any]) -> None:
    assert module("debian_package", check=True, **archive)["changed"] is True
    assert not Path(archive["folder"]).exists()


def test_other_contents_are_refused_and_not_kept(module: Any, archive: dict[str, Any]) -> None:
    answer = module("debian_package", **{**archive, "sha256": "0" * 64})
    assert answer["failed"] is True
    assert f"has SHA-256 {SHA256}, wanted is {'0' * 64}" in answer["msg"]
    assert list(Path(archive["folder"]).iterdir()) == []


def test_an_archive_that_is_away_is_named(module: Any, archive: dict[str, Any]) -> None:
    """Being away is not being gone: no other version is looked for."""
    answer = module("debian_package", **{**archive, "mirror": "http://127.0.0.1:1"})
    assert answer["failed"] is True
    assert answer["msg"].startswith("http://127.0.0.1:1/pool/main/o/odoo/odoo-19_19.0%2Bx-1_all.deb: ")


def test_a_version_that_is_gone_is_looked_for_by_apt(module: Any, archive: dict[str, Any]) -> None:
    """The archive of this test is signed by nobody, so apt refuses it: what is not signed is never taken."""
    answer = module("debian_package", **{**archive, "version": "19.0-0"})
    assert answer["failed"] is True
    assert "apt-get" in answer["msg"]
    assert not Path(archive["folder"]).exists() or list(Path(archive["folder"]).iterdir()) == []


def test_names_of_the_archive() -> None:
    package = wanted_package("http://a/debian/", "/main/o/odoo/", "odoo-19", "1:19.0+x-1", SHA256)
    assert package == Package(
        "http://a/debian/pool/main/o/odoo/odoo-19_19.0%2Bx-1_all.deb", "odoo-19_19.0+x-1_all.deb", "1:19.0+x-1", SHA256
    )


def test_answer_of_apt() -> None:
    line = f"'http://a/pool/odoo-19_19.0%2bx-2_all.deb' odoo-19_19.0+x-2_all.deb 122533504 SHA256:{SHA256}\n"
    package = printed_package(line)
    assert (package.name, package.version, package.sha256) == ("odoo-19_19.0+x-2_all.deb", "19.0+x-2", SHA256)
    must_be_of("19.", package)
    with pytest.raises(Problem, match=r"20\.\* is wanted"):
        must_be_of("20.", package)
    for wrong in ("", "'http://a' x_1_all.deb 1 MD5Sum:abc", f"'http://a' x.deb 1 SHA256:{SHA256}"):
        with pytest.raises(Problem):
            printed_package(wrong)
