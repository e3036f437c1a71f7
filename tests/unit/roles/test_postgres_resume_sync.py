# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synchronous replication comes back by itself once a standby streams; psql is a program on PATH."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import jinja2
import pytest
import yaml
from ha_play import ROLE, began, said

TEMPLATE = Path(__file__).resolve().parents[3] / "roles/postgres_ha/templates/resume-sync.sh.j2"


@pytest.mark.parametrize("answers", [["1"], ["0", "0", "1"], ["fails", "1"]])
def test_resumed_with_the_first_standby_that_streams(tmp_path: Path, answers: list[str]) -> None:
    suspended, asked = tmp_path / "99-sync-suspended.conf", tmp_path / "asked"
    suspended.touch()
    rendered = jinja2.Template(TEMPLATE.read_text()).render(ansible_managed="", __postgres_ha_suspended=suspended)
    (tmp_path / "resume").write_text(rendered)
    (tmp_path / "psql").write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {asked}.sql\n'
        f'case "$*" in *pg_reload_conf*) test ! -e {suspended} && echo reloaded >> {asked}; exit ;; esac\n'
        f"echo count >> {asked}\n"
        f"answer=$(echo {' '.join(answers)} | cut -d' ' -f$(grep -c count {asked}))\n"
        'if [ "$answer" = fails ]; then exit 2; fi\n'
        'echo "$answer"\n'
    )
    (tmp_path / "sleep").write_text("#!/bin/sh\n")
    for name in ("psql", "sleep"):
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", str(tmp_path / "resume")], env=environment, capture_output=True, text=True, timeout=20, check=True
    )
    assert "commits wait for it again" in done.stdout
    assert not suspended.exists()
    assert asked.read_text().split() == ["count"] * len(answers) + ["reloaded"]
    assert f"sourcefile <> '{suspended}'" in Path(f"{asked}.sql").read_text()


@pytest.mark.parametrize("fails", [True, False])
def test_commits_wait_for_nobody_that_was_not_brought_back(tmp_path: Path, fails: bool) -> None:
    """Else the only server that is left acknowledges nothing any more."""
    tasks = yaml.safe_load((ROLE / "tasks/rejoin.yml").read_text(encoding="utf-8"))[0]["block"]
    (task,) = (task for task in tasks if task["name"] == "Let commits wait for a standby again")
    rejoin = {"ansible.builtin.fail": {}, "when": f"inventory_hostname == 'pg1' and {fails}"}
    resume = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} waits again"}, "when": task["when"]}
    values = {"__postgres_ha_plan": {"on": {"rejoin": ["pg1"]}}, "__postgres_ha_patroni": False}
    done = said(began(tmp_path, "rejoin", [rejoin, resume], "-e", json.dumps(values), "-l", "pg1,pg2"))
    assert "pg2 came to the end" in done
    assert ("pg2 waits again" in done) != fails
