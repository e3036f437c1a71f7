# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines without a server keep the record of the last primary, and are asked for it; one may be off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ha_play import began, part, said

OLD: dict[str, Any] = {
    "number": 1,
    "server": "pg1",
    "timeline": 1,
    "covers": 1,
    "moment": "m",
    "system_identifier": "7",
}
NEW: dict[str, Any] = {**OLD, "number": 2, "server": "pg2", "timeline": 2, "covers": 2}
STATE = {
    "name": "pg1",
    "role": "primary",
    "timeline": 1,
    "control": {"system_identifier": "7"},
    "epoch": OLD,
    "patroni": False,
}


def test_read_and_written_where_it_can_be(tmp_path: Path) -> None:
    """nginx1 knows of a later primary than pg1 does, nginx2 of none, nginx0 is off."""
    (tmp_path / "nginx1").mkdir()
    (tmp_path / "nginx1/epoch.conf").write_text(f"odoo_deploy.epoch = '{json.dumps(NEW)}'\n")
    values = {
        "postgres_ha_witnesses": ["nginx0", "nginx1", "nginx2"],
        "postgres_common_states": [STATE],
        "postgres_common_records": (
            "{{ ['pg1', 'pg2', 'pg0'] | map('extract', hostvars) | selectattr('postgres_ha_records', 'defined')"
            " | map(attribute='postgres_ha_records') | flatten }}"
        ),
    }
    known = "odoo_deploy.stack.postgres_plan('known', ['pg1'], records=postgres_common_records)"
    record = {
        "ansible.builtin.include_tasks": part("acts/record", "")["ansible.builtin.include_tasks"],
        "vars": {"__postgres_ha_plan": {"primary": "pg1", "on": {"record": []}}},
    }
    tasks = [
        part("witnesses", ""),
        {"ansible.builtin.debug": {"msg": f"{{{{ postgres_common_states | {known} }}}}"}, "run_once": True},
        record,
    ]
    # As in playbooks that end with the first failure.
    done = said(began(tmp_path, "rejoin", tasks, "-e", json.dumps(values), "-l", "pg1,pg2", fatal=True))
    assert '"number": 2' in done
    assert "pg1 came to the end" in done
    for name in ("nginx1", "nginx2"):
        told = (tmp_path / name / "epoch.conf").read_text()
        assert '"number": 3' in told
        assert '"server": "pg1"' in told
    assert not (tmp_path / "nginx0").exists()
