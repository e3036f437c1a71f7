# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tuning formulas: known machines, and what must hold on every machine."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.postgres_tuning import postgres_tuning, tuning
from hypothesis import assume, given
from hypothesis import strategies as st

MACHINES = {
    "memory": st.integers(256, 1 << 20),
    "cores": st.integers(1, 256),
    "connections": st.integers(1, 5000),
    "disk": st.sampled_from(["ssd", "hdd", "san"]),
    "version": st.integers(13, 18),
}


def kilobytes(text: str) -> int:
    """A size in PostgreSQL's units as kB."""
    return int(text[:-2]) * {"kB": 1, "MB": 1024}[text[-2:]]


def test_machine_of_16_gib() -> None:
    """Numbers as pgtune gives them for 16 GiB, four cores, SSD and 200 connections."""
    settings = tuning(16384, 4, 200)
    assert settings["shared_buffers"] == "4096MB"
    assert settings["effective_cache_size"] == "12288MB"
    assert settings["maintenance_work_mem"] == "1024MB"
    assert settings["wal_buffers"] == "16MB"
    assert settings["work_mem"] == "20971kB"
    assert settings["max_wal_size"] == "8192MB"
    assert settings["min_wal_size"] == "2048MB"
    assert settings["random_page_cost"] == 1.1
    assert settings["max_parallel_workers_per_gather"] == 2


def test_smallest_demo_machine() -> None:
    """1 GiB and 100 connections, the machines of the demonstration."""
    settings = tuning(1024, 1, 100)
    assert settings["shared_buffers"] == "256MB"
    assert settings["work_mem"] == "2621kB"
    assert settings["max_parallel_workers_per_gather"] == 0


@given(**MACHINES)
def test_connections_fit_into_the_memory(memory: int, cores: int, connections: int, disk: str, version: int) -> None:
    """shared_buffers and three work_mem in every connection never exceed the machine, or the machine is refused."""
    try:
        settings = tuning(memory, cores, connections, disk, version)
    except ValueError:
        assume(False)
        return
    used = kilobytes(settings["shared_buffers"]) + 3 * connections * kilobytes(settings["work_mem"])
    assert used <= memory * 1024
    assert kilobytes(settings["work_mem"]) >= 1024


@given(**MACHINES)
def test_bounds_hold(memory: int, cores: int, connections: int, disk: str, version: int) -> None:
    """PostgreSQL starts with whatever is computed: minimums, and workers within max_worker_processes."""
    try:
        settings = tuning(memory, cores, connections, disk, version)
    except ValueError:
        assume(False)
        return
    assert kilobytes(settings["wal_buffers"]) >= 32
    assert kilobytes(settings["min_wal_size"]) >= 32 * 1024
    assert kilobytes(settings["min_wal_size"]) < kilobytes(settings["max_wal_size"])
    assert settings["max_parallel_workers_per_gather"] <= settings["max_parallel_workers"]
    assert settings["max_parallel_workers"] <= settings["max_worker_processes"]
    assert 3 <= settings["autovacuum_max_workers"] <= 6


def test_more_connections_less_memory_for_each() -> None:
    sizes = [kilobytes(tuning(8192, 4, connections)["work_mem"]) for connections in (50, 100, 200, 400)]
    assert sizes == sorted(sizes, reverse=True)


def test_lz4_only_where_it_is_known() -> None:
    """wal_compression takes an algorithm from 15 on."""
    assert tuning(1024, 1, 50, version=14)["wal_compression"] == "on"
    assert tuning(1024, 1, 50, version=15)["wal_compression"] == "lz4"


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"memory": 128, "cores": 1, "connections": 10}, "256 MiB"),
        ({"memory": 1024, "cores": 0, "connections": 10}, "1 or more"),
        ({"memory": 1024, "cores": 1, "connections": 10, "disk": "tape"}, "hdd, san, ssd"),
        ({"memory": 1024, "cores": 1, "connections": 300}, "lower max_connections to 256"),
    ],
)
def test_bad_input_says_what_to_do(given_: dict[str, object], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        postgres_tuning(**given_)  # type: ignore[arg-type]


def test_numbers_as_text() -> None:
    """Ansible hands variables of the command line over as text."""
    assert postgres_tuning("1024", "2", "100", version="15") == tuning(1024, 2, 100)
