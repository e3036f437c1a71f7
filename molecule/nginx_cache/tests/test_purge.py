# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Purging a cache that is in use."""

from __future__ import annotations

import json
import time

from conftest import Edge

testinfra_hosts = ["plain"]


def purge(edge: Edge, *paths: str) -> int:
    """Purge ``paths`` with the collection's module, wait the second it takes, and return how many files went."""
    arguments = json.dumps({"path": "/var/cache/nginx", "paths": paths})
    answer = edge.machine.ansible("odoo_deploy.stack.nginx_cache_purge", arguments, check=False, become=True)
    time.sleep(1.5)
    files: int = answer["files"]
    return files


def test_purged_file_is_fetched_anew_in_every_variant(edge: Edge) -> None:
    """All encodings, hosts and versions of one path go; its neighbour stays."""
    path, other = edge.file(), edge.file()
    variants = [{"Accept_Encoding": "br"}, {"Accept_Encoding": "gzip"}, {"Host": "localhost"}, {}]
    for headers in variants:
        edge.ask(path, **headers)
    edge.ask(f"{path}?v=2")
    edge.ask(other)
    assert purge(edge, path) == 5
    assert [edge.ask(path, **headers).cache for headers in variants] == ["MISS"] * 4
    assert edge.ask(other).cache in ("HIT", "STALE")


def test_purge_of_everything(edge: Edge) -> None:
    """Nothing is left, nothing breaks, and the cache fills again."""
    path = edge.file()
    edge.ask(path)
    assert purge(edge, "*") >= 1
    assert purge(edge, "*") == 0
    assert [edge.ask(path).cache for _unused in range(2)] == ["MISS", "HIT"]
