# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program would not read is refused before anything is changed; the batch comes after, and ends at changed=0."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

# Step, settings that it does not take, and what is said of each.
CASES = {
    "prometheus": (
        2,
        {"prometheus_k8s_retention": "15 days", "prometheus_k8s_retention_size": "2gb", "prometheus_k8s_node_port": 0},
        [
            "prometheus_k8s_retention is 15 days: allowed is whole numbers with y, w, d",
            "prometheus_k8s_retention_size is 2gb: allowed is a whole number and B, KB",
            "prometheus_k8s_node_port is 0: allowed is a port",
        ],
    ),
    "postgres": (
        3,
        {
            "postgres_common_settings": {"work_mem": "much", "no_such_setting": 1},
            "postgres_common_max_slot_wal_keep_size": "4 GB",
        },
        [
            'postgres_common_settings: invalid value for parameter "work_mem": "much"',
            'postgres_common_settings: unrecognized configuration parameter "no_such_setting"',
            "postgres_common_max_slot_wal_keep_size is 4 GB: allowed is a whole number and kB",
        ],
    ),
    "backup": (
        3,
        {
            "postgres_backup_schedule_diff": "Sun..Fri *-*-* 02:00",
            "postgres_backup_jitter": "soon",
            "postgres_backup_processes": 0,
        },
        [
            "postgres_backup_schedule_diff is Sun..Fri *-*-* 02:00: allowed is a time as systemd",
            "postgres_backup_jitter is soon: allowed is a span of time as systemd",
            "postgres_backup_processes is 0: allowed is a whole number, 1 or more",
        ],
    ),
    "odoo": (
        4,
        {"odoo_k8s_cpu_request": "100 m", "odoo_k8s_scratch_size": "1GB", "odoo_k8s_dns_cidrs": ["192.0.2.53"]},
        [
            "odoo_k8s_cpu_request is 100 m: allowed is a number and perhaps m",
            "odoo_k8s_scratch_size is 1GB: allowed is a number and perhaps m",
            "odoo_k8s_dns_cidrs is ['192.0.2.53']: allowed is a list of networks",
        ],
    ),
    "nginx": (
        5,
        {
            "nginx_cache_max_size": "5q",
            "nginx_cache_inactive": "7 days",
            "nginx_cache_rate_limits": {"login": {"rate": "1"}},
        },
        [
            "nginx_cache_max_size is 5q: allowed is a whole number and k, m or g",
            "nginx_cache_inactive is 7 days: allowed is whole numbers with y, M, w",
            "nginx_cache_rate_limits is {'login': {'rate': '1'}}: allowed is a rate such as",
        ],
    ),
    "exporter": (
        5,
        {"node_exporter_extra_options": ["--no-such-option"]},
        ["node_exporter_extra_options on nginx1: "],
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("deployment")
def test_what_would_not_be_read_is_refused(case: str, tmp_path: Path) -> None:
    """Every one in a line of its own, at once, and nothing is changed."""
    step, settings, lines = CASES[case]
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings))
    done = subprocess.run(
        ["./run.py", "--yes", "--steps", str(step), "-e", f"@{file}"],
        cwd=ROOT, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode != 0, done.stdout
    assert [line for line in lines if line not in done.stdout] == [], done.stdout
    assert re.findall(r"changed=(\d+)", done.stdout) in ([], ["0"]), done.stdout
