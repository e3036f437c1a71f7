# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A failover stops before it promotes where a suspect could be alive, unless a person knows better."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ha_play import began, part, said


@pytest.mark.parametrize(
    ("fence", "forced", "promotes"),
    [(["true"], False, True), (["false"], False, False), ([], False, False), (["false"], True, True), ([], True, True)],
)
def test_a_suspect_that_is_not_fenced(tmp_path: Path, fence: list[str], forced: bool, promotes: bool) -> None:
    """pg0 does not answer; the command that powers it off is there and works, is there and does not, or is none."""
    values = {
        "__postgres_ha_plan": {"on": {"fence": [], "power_off": ["pg0"]}},
        "postgres_ha_fence_argv": fence,
        "postgres_ha_force_unfenced": forced,
    }
    done = said(began(tmp_path, "failover", [part("acts/fence", "")], "-e", json.dumps(values), "-l", "pg1,pg2"))
    assert ("pg1 came to the end" in done) == promotes, done
    assert ("pg0 could be alive and could not be fenced: nothing was promoted" in done) != promotes


def test_a_suspect_that_answers_is_not_off(tmp_path: Path) -> None:
    """pg9 was asked to stop, and has not said that it did; what a person knows is that pg0's machine is off."""
    values = {
        "__postgres_ha_plan": {"on": {"fence": ["pg9"], "power_off": ["pg0"]}},
        "postgres_ha_force_unfenced": True,
    }
    done = said(began(tmp_path, "failover", [part("acts/fence", "")], "-e", json.dumps(values), "-l", "pg1,pg2"))
    assert "could be alive and could not be fenced: nothing was promoted" in done
    assert "pg1 came to the end" not in done
