# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pods' scripts decide: whether a pod may start, what the Job installs, when a probe restarts a pod."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Scripts = dict[str, ModuleType]

READY = {"initialised": True, "base_state": "installed", "base_version": "19.0.1.3", "state": "ready"}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (READY, ""),
        ({"initialised": False}, "database erp is not initialised"),
        ({**READY, "base_state": ""}, "database erp is not initialised: module base is unknown"),
        ({**READY, "base_state": "to install"}, "database erp is not initialised: module base is to install"),
        (
            {**READY, "base_version": "14.0.1.3"},
            "database erp is of Odoo 14.0.1.3, this image is 19.0: run the upgrade",
        ),
        ({**READY, "base_version": "19.01"}, "database erp is of Odoo 19.01, this image is 19.0: run the upgrade"),
        ({**READY, "state": "upgrading"}, "database erp is upgrading"),
        ({**READY, "state": ""}, "database erp is not marked ready by the init job"),
    ],
)
def test_a_pod_starts_on_a_ready_database_of_its_series(scripts: Scripts, found: dict[str, Any], reason: str) -> None:
    database = scripts["database"]
    assert database.why_not_ready(database.Found(**found), "19.0", "erp") == reason


STATES = {"base": "installed", "web": "installed", "bus": "installed", "crm": "uninstalled"}
SUMS = {"base": "b", "web": "w", "bus": "u"}


def decide(scripts: Scripts, mode: str = "init", **changes: Any) -> Any:
    """The plan for a deployment that is as it should be, except for ``changes``."""
    found = {
        "modules": ["base", "web", "bus"], "series": "19.0", "version": "19.0.1.3", "state": "ready",
        "states": STATES, "known": SUMS, "now": SUMS, "lacking": [],
    }  # fmt: skip
    return scripts["initialise"].plan(mode, **{**found, **changes})


EMPTY = {"version": "", "state": "", "states": {}, "known": {}, "now": {}}


@pytest.mark.parametrize("mode", ["init", "plan", "upgrade"])
def test_a_database_that_is_right_is_left_alone(scripts: Scripts, mode: str) -> None:
    planned = decide(scripts, mode)
    assert (planned.refusal, planned.fresh, planned.install, planned.update, planned.due, planned.keep) == (
        "", False, [], [], [], {},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "install"),
    [
        (EMPTY, ["base", "web", "bus"]),
        ({**EMPTY, "modules": []}, ["base"]),
        # Killed after base was loaded, before anything was marked ready.
        ({"state": "initialising"}, ["base"]),
        ({"state": "initialising", "states": {"base": "to install"}, "version": ""}, ["base", "web", "bus"]),
    ],
)
def test_a_first_initialisation_may_be_repeated(scripts: Scripts, changes: dict[str, Any], install: list[str]) -> None:
    planned = decide(scripts, **changes)
    assert (planned.fresh, planned.install) == (True, install)


def test_a_missing_module_is_installed_and_the_rest_left(scripts: Scripts) -> None:
    planned = decide(scripts, modules=["base", "web", "bus", "crm"])
    assert (planned.fresh, planned.install, planned.update) == (False, ["crm"], [])


def test_what_a_killed_run_marked_is_finished(scripts: Scripts) -> None:
    planned = decide(scripts, states={**STATES, "crm": "to install"})
    assert (planned.fresh, planned.install) == (False, ["base"])


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"series": "19.0", "version": "14.0.1.3"}, "the database is of Odoo 14.0.1.3, this image is 19.0."),
        ({"modules": ["base", "nowhere"], "lacking": ["nowhere"]}, "the image has no module named nowhere"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["init", "plan", "upgrade"])
def test_what_can_never_succeed_is_refused(scripts: Scripts, mode: str, changes: dict[str, Any], refusal: str) -> None:
    planned = decide(scripts, mode, **changes)
    assert planned.refusal.startswith(refusal)
    assert (planned.install, planned.update) == ([], [])


def test_an_installed_module_that_the_image_lost_is_no_reason_to_stop(scripts: Scripts) -> None:
    assert decide(scripts, lacking=["bus"]).refusal == ""


CHANGED = {"now": {**SUMS, "web": "new"}}


def test_changed_files_are_due_until_an_upgrade(scripts: Scripts) -> None:
    """init installs only: the old checksum stays written down, so that the next upgrade still sees the change."""
    planned = decide(scripts, "init", **CHANGED)
    assert (planned.update, planned.due, planned.keep) == ([], ["web"], {"web": "w"})
    for mode in ("plan", "upgrade"):
        planned = decide(scripts, mode, **CHANGED)
        assert (planned.update, planned.due, planned.keep) == (["web"], [], {})


@pytest.mark.parametrize("changes", [{"now": {**SUMS, "base": "new", "web": "new"}}, {"known": {}}])
def test_base_updates_all(scripts: Scripts, changes: dict[str, Any]) -> None:
    """base changed, or nobody wrote checksums down: one update of base is one of everything."""
    planned = decide(scripts, "upgrade", **changes)
    assert (planned.update, planned.keep) == (["base"], {})


def test_checksum_is_of_what_an_update_loads(scripts: Scripts, tmp_path: Path) -> None:
    checksum = scripts["initialise"].checksum
    (tmp_path / "models").mkdir()
    (tmp_path / "static").mkdir()
    (tmp_path / "models" / "a.py").write_text("a")
    before = checksum(str(tmp_path))
    (tmp_path / "static" / "b.js").write_text("b")
    (tmp_path / "README.rst").write_text("c")
    assert checksum(str(tmp_path)) == before
    (tmp_path / "models" / "a.py").rename(tmp_path / "models" / "b.py")
    assert checksum(str(tmp_path)) != before


@pytest.mark.parametrize(
    ("overdue", "running", "threads", "stuck"),
    [
        (0, 0, 1, False),
        (0, 1, 1, False),
        (3, 0, 1, True),
        # One long action on the only worker: the others wait.
        (3, 1, 1, False),
        (1, 1, 2, True),
        (1, 2, 2, False),
    ],
)
def test_a_long_action_is_not_a_stuck_worker(
    scripts: Scripts, overdue: int, running: int, threads: int, stuck: bool
) -> None:
    reason = scripts["probe"].left_lying(overdue, running, threads, 60)
    assert bool(reason) is stuck
    if stuck:
        assert f"{overdue} scheduled actions are overdue by more than 60 s" in reason


@pytest.mark.parametrize(
    ("waiting", "answer", "away", "reason"),
    [
        (True, "no answer: refused", "", ""),
        (False, "", "", ""),
        (False, "no answer: refused", "no route", ""),
        (False, "no answer: refused", "", "no answer: refused"),
        # The process itself says that only a restart helps: the database has no say.
        (False, "HTTP 500: broken", "no route", "HTTP 500: broken"),
    ],
)
def test_a_pod_is_restarted_for_its_own_fault_only(
    scripts: Scripts,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    waiting: bool,
    answer: str,
    away: str,
    reason: str,
) -> None:
    probe = scripts["probe"]
    monkeypatch.setattr(probe, "WAITING", tmp_path / "waiting")
    if waiting:
        probe.WAITING.write_text("database erp is not initialised")
    monkeypatch.setattr(probe, "odoo_answers", lambda timeout: answer)
    monkeypatch.setattr(probe, "database_away", lambda: away)
    assert probe.live(1) == reason


@pytest.fixture
def odoo_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Lay out an `odoo` as a series has it: with its __init__.py to 18, without one from 19 on."""

    def lay_out(major: int) -> None:
        package = tmp_path / str(major) / "odoo"
        for name in ("api", "modules", "tools"):
            (package / name).mkdir(parents=True)
            (package / name / "__init__.py").write_text("import odoo; assert odoo.SUPERUSER_ID == 1\n")
        (package / "release.py").write_text(f"version_info = ({major}, 0, 0, 'final', 0, '')\n")
        (package / ("init.py" if major >= 19 else "__init__.py")).write_text("import odoo\nodoo.SUPERUSER_ID = 1\n")
        monkeypatch.syspath_prepend(str(package.parent))

    yield lay_out
    for name in [name for name in sys.modules if name == "odoo" or name.startswith("odoo.")]:
        del sys.modules[name]


@pytest.mark.parametrize("major", [14, 18, 19])
def test_odoo_is_there_with_its_parts(scripts: Scripts, odoo_of: Any, major: int) -> None:
    """From 19 on `import odoo` alone loads nothing, and odoo.init has to come first."""
    odoo_of(major)
    odoo = scripts["initialise"].import_odoo()
    assert odoo.api and odoo.modules and odoo.tools
    assert odoo.SUPERUSER_ID == 1


@pytest.mark.parametrize("mode", ["init", "plan", "upgrade"])
def test_an_initialised_database_that_is_empty_is_not_initialised_anew(scripts: Scripts, mode: str) -> None:
    planned = decide(scripts, mode, **EMPTY, once=True)
    assert "was initialised before and is empty now" in planned.refusal
    assert "odoo_k8s_backup=FILE" in planned.refusal
    assert "-e odoo_k8s_initialise_again=true" in planned.refusal
    assert (planned.install, planned.update) == ([], [])
    asked_for = decide(scripts, mode, **EMPTY, once=True, again=True)
    assert (asked_for.refusal, asked_for.fresh, asked_for.install) == ("", True, ["base", "web", "bus"])


def test_a_first_initialisation_that_was_killed_goes_on(scripts: Scripts) -> None:
    planned = decide(scripts, state="initialising", states={"base": "to install"}, version="", once=True)
    assert (planned.refusal, planned.fresh) == ("", True)


@pytest.mark.parametrize("changes", [{}, {"now": {**SUMS, "web": "x"}}, {"states": {**STATES, "bus": "to upgrade"}}])
def test_a_deployment_does_not_finish_what_an_upgrade_left(scripts: Scripts, changes: dict[str, Any]) -> None:
    """A half changed schema is not marked ready by the image of before."""
    assert "playbooks/upgrade.yml" in decide(scripts, "init", state="upgrading", **changes).refusal


@pytest.mark.parametrize("mode", ["plan", "upgrade"])
def test_an_upgrade_after_one_that_was_killed_updates_everything(scripts: Scripts, mode: str) -> None:
    planned = decide(scripts, mode, state="upgrading")
    assert (planned.refusal, planned.update) == ("", ["base"])


def test_an_installation_that_was_killed_is_finished_by_a_deployment(scripts: Scripts) -> None:
    planned = decide(scripts, state="installing", states={**STATES, "crm": "to install"})
    assert (planned.refusal, planned.install) == ("", ["base"])


@pytest.mark.parametrize(
    ("changes", "update"),
    [
        ({"known": {}, "moved": ["web"]}, ["web"]),  # another Odoo's backup: by the versions
        ({"known": {}, "moved": []}, []),
        ({"known": {}, "moved": ["base", "web"]}, ["base"]),
        ({"known": {"base": "1", "web": "old"}, "moved": []}, ["web"]),  # one of a deployment: by the checksums
        ({"known": {"base": "1", "web": "2"}, "moved": ["web"]}, []),
    ],
)
def test_of_a_database_that_was_brought_in_what_changed_is_updated(
    scripts: dict[str, ModuleType], changes: dict[str, Any], update: list[str]
) -> None:
    installed = {"base": "installed", "web": "installed"}
    facts = {"series": "19.0", "version": "19.0.1.3", "state": "importing", "states": installed, "lacking": []}
    wanted = scripts["planning"].plan("import", ["base"], **{**facts, "now": {"base": "1", "web": "2"}, **changes})
    assert (wanted.refusal, wanted.install, wanted.update) == ("", [], update)
