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
  - Autovacuum and JIT follow what Odoo does to a database, which is many small updates of wide tables and joins too short for JIT.
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

from ansible.errors import AnsibleFilterError

# random_page_cost and effective_io_concurrency of a kind of disk, as pgtune has them.
DISKS = {"ssd": (1.1, 200), "hdd": (4.0, 2), "san": (1.1, 300)}
SMALLEST_WORK_MEM_KB = 1024
SMALLEST_MEMORY_MB = 256


def clamp(value, low, high):
    """The value, or the nearest end of low..high."""
    return max(low, min(value, high))


def tuning(memory, cores, connections, disk="ssd", version=15):
    """Settings for a machine; raises ValueError where the connections do not fit into the memory.

    memory: MiB; connections: max_connections. Sizes are returned as text with PostgreSQL's units.
    """
    if memory < SMALLEST_MEMORY_MB:
        raise ValueError("PostgreSQL needs %d MiB of memory at least, %d are given" % (SMALLEST_MEMORY_MB, memory))
    if cores < 1 or connections < 1:
        raise ValueError("cores and connections must be 1 or more, not %d and %d" % (cores, connections))
    if disk not in DISKS:
        raise ValueError("disk must be one of %s, not %s" % (", ".join(sorted(DISKS)), disk))

    shared_buffers = memory // 4
    # Three sorts or hashes at once in every connection must fit beside shared_buffers.
    work_mem_kb = (memory - shared_buffers) * 1024 // (connections * 3)
    if work_mem_kb < SMALLEST_WORK_MEM_KB:
        raise ValueError(
            "%d connections leave %d kB of work_mem each on %d MiB of memory; the least is %d kB: lower max_connections to %d or add memory"
            % (connections, work_mem_kb, memory, SMALLEST_WORK_MEM_KB, (memory - shared_buffers) // 3)
        )
    page_cost, io_concurrency = DISKS[disk]
    max_wal = clamp(memory, 1024, 8192)
    settings = {
        "shared_buffers": "%dMB" % shared_buffers,
        "effective_cache_size": "%dMB" % (memory * 3 // 4),
        "work_mem": "%dkB" % min(work_mem_kb, 64 * 1024),
        "maintenance_work_mem": "%dMB" % clamp(memory // 16, 16, 2048),
        "wal_buffers": "%dMB" % clamp(shared_buffers * 3 // 100, 1, 16),
        "max_wal_size": "%dMB" % max_wal,
        "min_wal_size": "%dMB" % (max_wal // 4),
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": 0.9,
        "wal_compression": "lz4" if version >= 15 else "on",
        "random_page_cost": page_cost,
        "effective_io_concurrency": io_concurrency,
        # One request of Odoo is one backend: a few parallel workers help reports, more would starve the other requests.
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
    return settings


def postgres_tuning(memory, cores, connections, disk="ssd", version=15):
    """Ansible's face of tuning(): numbers may come as text, errors become AnsibleFilterError."""
    try:
        return tuning(int(memory), int(cores), int(connections), str(disk), int(version))
    except ValueError as error:
        raise AnsibleFilterError("postgres_tuning: %s" % error) from error


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Name to function."""
        return {"postgres_tuning": postgres_tuning}
