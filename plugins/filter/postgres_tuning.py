# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of a PostgreSQL server for Odoo, by formulas, from what the machine has."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgres_tuning
short_description: Settings of a PostgreSQL server for Odoo
version_added: 1.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Computes the settings that depend on memory, cores, disk and the number of connections.
  - Memory, WAL and cost formulas are those of pgtune (web and OLTP); each is told in C(docs/postgres.md).
  - Autovacuum and JIT follow what Odoo does to a database, which is many small updates of wide tables and joins
    that are too short for JIT.
options:
  _input:
    description: Memory of the machine that PostgreSQL may count on, in MiB.
    type: int
    required: true
  cores:
    description: Processor cores.
    type: int
    required: true
  connections:
    description: The server's C(max_connections).
    type: int
    required: true
  disk:
    description: Kind of disk under the data directory.
    type: str
    choices: [ssd, hdd, san]
    default: ssd
  version:
    description: Major version of PostgreSQL.
    type: int
    default: 15
"""

EXAMPLES = r"""
- name: Show what a machine of 16 GiB gets
  ansible.builtin.debug:
    msg: "{{ 16384 | odoo_deploy.stack.postgres_tuning(cores=4, connections=200) }}"
"""

RETURN = r"""
_value:
  description: Names and values as postgresql.conf takes them.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

# random_page_cost and effective_io_concurrency of a kind of disk, as pgtune has them.
DISKS = {"ssd": (1.1, 200), "hdd": (4.0, 2), "san": (1.1, 300)}
SMALLEST_WORK_MEM_KB = 1024
SMALLEST_MEMORY_MB = 256


def clamp(value: int, low: int, high: int) -> int:
    """The value, or the nearest end of low..high."""
    return max(low, min(value, high))


def tuning(memory: int, cores: int, connections: int, disk: str = "ssd", version: int = 15) -> dict[str, Any]:
    """Settings for a machine; raises ValueError where the connections do not fit into the memory.

    memory: MiB; connections: max_connections. Sizes are returned as text with PostgreSQL's units.
    """
    if memory < SMALLEST_MEMORY_MB:
        raise ValueError(f"PostgreSQL needs {SMALLEST_MEMORY_MB} MiB of memory at least, {memory} are given")
    if cores < 1 or connections < 1:
        raise ValueError(f"cores and connections must be 1 or more, not {cores} and {connections}")
    if disk not in DISKS:
        raise ValueError(f"disk must be one of {', '.join(sorted(DISKS))}, not {disk}")

    shared_buffers = memory // 4
    # Three sorts or hashes at once in every connection must fit beside shared_buffers.
    work_mem_kb = (memory - shared_buffers) * 1024 // (connections * 3)
    if work_mem_kb < SMALLEST_WORK_MEM_KB:
        raise ValueError(
            f"{connections} connections leave {work_mem_kb} kB of work_mem each on {memory} MiB of memory; "
            f"the least is {SMALLEST_WORK_MEM_KB} kB: "
            f"lower max_connections to {(memory - shared_buffers) // 3} or add memory"
        )
    page_cost, io_concurrency = DISKS[disk]
    max_wal = clamp(memory, 1024, 8192)
    return {
        "shared_buffers": f"{shared_buffers}MB",
        "effective_cache_size": f"{memory * 3 // 4}MB",
        "work_mem": f"{min(work_mem_kb, 64 * 1024)}kB",
        "maintenance_work_mem": f"{clamp(memory // 16, 16, 2048)}MB",
        "wal_buffers": f"{clamp(shared_buffers * 3 // 100, 1, 16)}MB",
        "max_wal_size": f"{max_wal}MB",
        "min_wal_size": f"{max_wal // 4}MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": 0.9,
        "wal_compression": "lz4" if version >= 15 else "on",
        "random_page_cost": page_cost,
        "effective_io_concurrency": io_concurrency,
        # One request of Odoo is one backend: a few parallel workers help reports, more would starve other requests.
        "max_worker_processes": max(8, cores),
        "max_parallel_workers": cores,
        "max_parallel_workers_per_gather": clamp(cores // 2, 0, 2),
        "max_parallel_maintenance_workers": clamp(cores // 2, 1, 4),
        # Odoo's hot tables (mail, stock moves, sessions) bloat at the default of a fifth.
        "autovacuum_vacuum_scale_factor": 0.05,
        "autovacuum_analyze_scale_factor": 0.02,
        "autovacuum_max_workers": clamp(cores, 3, 6),
        "autovacuum_vacuum_cost_limit": 200 if disk == "hdd" else 1000,
        "jit": "off",
    }


def postgres_tuning(
    memory: int | str, cores: int | str, connections: int | str, disk: str = "ssd", version: int | str = 15
) -> dict[str, Any]:
    """Ansible's face of tuning(): numbers may come as text, errors become AnsibleFilterError."""
    try:
        return tuning(int(memory), int(cores), int(connections), str(disk), int(version))
    except ValueError as error:
        raise AnsibleFilterError(f"postgres_tuning: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"postgres_tuning": postgres_tuning}
