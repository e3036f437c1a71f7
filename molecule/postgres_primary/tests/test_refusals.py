# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that must not get through: the run stops in words that help, and the server serves as before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCENARIO.parent / "shared"))

from scenario import INVENTORY, ROOT, enter  # noqa: E402

enter(SCENARIO)


def converge(**extra: Any) -> tuple[int, str]:
    """Exit code and words of the scenario's playbook with further variables."""
    done = subprocess.run(
        ["ansible-playbook", "-i", INVENTORY, "-e", json.dumps(extra), str(SCENARIO / "converge.yml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"postgres_common_client_connections": 250, "postgres_common_max_connections": 200}, "lower Odoo's workers"),
        ({"postgres_common_max_connections": 2000}, "lower max_connections to 256"),
        ({"postgres_common_version": "12"}, "13 to 18"),
        ({"postgres_common_sync": "on"}, "wait for ever"),
        ({"postgres_common_sync": "maybe"}, "must be one of"),
        ({"postgres_common_upstream": "pg9"}, "not another server"),
        ({"postgres_common_settings": {"work_memory": "5MB"}}, "work_memory"),
        (
            {
                "postgres_common_hba_clients": [
                    {"databases": ["odoo"], "users": ["odoo"], "addresses": ["192.168.123.1/99"]}
                ]
            },
            "postgres_common_hba_clients",
        ),
    ],
)
def test_refused_in_words_that_help(host: Any, extra: dict[str, Any], words: str) -> None:
    pid = host.check_output("head -1 /var/lib/postgresql/17/main/postmaster.pid")
    code, said = converge(**extra)
    assert code != 0, said[-3000:]
    assert words in said, said[-3000:]
    assert host.check_output("head -1 /var/lib/postgresql/17/main/postmaster.pid") == pid
    assert host.check_output("runuser -u postgres -- psql -XAtqc 'SELECT 1'") == "1"


GUARD = "boot guard: pg9 is primary on timeline 2: not starting; run playbooks/rejoin.yml"
FOLDER = "/etc/systemd/system/postgresql@17-main.service.d"


def converge_where_starting_runs(host: Any, command: str) -> str:
    """What a run says that finds the server stopped, and whose start ends with this command."""
    unit = f"[Service]\nExecStartPre=/bin/sh -c '{command}; exit 1'\n"
    host.run_expect([0], f"systemctl stop postgresql@17-main && mkdir -p {FOLDER}")
    host.run_expect([0], f"cat > {FOLDER}/refuses.conf << 'END'\n{unit}END")
    try:
        code, said = converge()
    finally:
        host.run_expect([0], f"rm {FOLDER}/refuses.conf && systemctl daemon-reload")
    assert code != 0
    assert "does not run as it was set up: " in said, said[-3000:]
    return said


def test_a_server_that_the_boot_guard_keeps_down(host: Any) -> None:
    """The run ends with the guard's own words, which name the command that helps."""
    said = converge_where_starting_runs(host, f'echo "{GUARD}" >&2')
    assert GUARD in said, said[-3000:]


def test_a_server_that_fails_by_itself_after_that(host: Any) -> None:
    """The guard's words of an earlier start are none of this one."""
    said = converge_where_starting_runs(host, "true")
    assert GUARD not in said, said[-3000:]


def test_the_right_settings_afterwards() -> None:
    """What a refused run may have written is put right by the next, and the one after changes nothing."""
    assert converge()[0] == 0
    code, said = converge()
    assert code == 0
    assert "changed=0" in said.split("PLAY RECAP")[1]
