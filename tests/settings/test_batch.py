# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every setting of the batch has its effect, and none is left once it is set back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import urllib3
from batch import BATCH, Live, Setting
from conftest import ROOT
from support.deployment import Deployment


@pytest.fixture(scope="module", autouse=True)
def _certificate_of_our_own() -> None:
    """The proxies' authority is known to nobody here."""
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


def deploy(*words: str) -> str:
    """A run, verifications included: what it prints."""
    done = subprocess.run(
        ["./run.py", "--yes", *words], cwd=ROOT, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def readings(deployment: Deployment) -> dict[str, object]:
    """What is read for each setting, at one moment."""
    live = Live(deployment)
    return {setting.variable: setting.read(live) for setting in BATCH}


@pytest.fixture(scope="module")
def before(deployment: Deployment) -> dict[str, object]:
    return readings(deployment)


@pytest.fixture(scope="module")
def during(
    deployment: Deployment, before: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    """With the whole batch set; the run's own verification has passed by then."""
    assert before
    settings: Path = tmp_path_factory.mktemp("settings") / "settings.json"
    settings.write_text(json.dumps({setting.variable: setting.value for setting in BATCH}))
    deploy("-e", f"@{settings}")
    return readings(deployment)


@pytest.mark.parametrize("setting", BATCH, ids=str)
def test_setting_has_its_effect(setting: Setting, before: dict[str, object], during: dict[str, object]) -> None:
    """What is read is what the value makes, and it was something else before."""
    assert during[setting.variable] == setting.seen
    assert before[setting.variable] != setting.seen


def test_set_back_is_as_before(deployment: Deployment, before: dict[str, object], during: dict[str, object]) -> None:
    """A run without the settings brings everything back, and the next one changes nothing."""
    assert during
    deploy()
    assert readings(deployment) == before
    assert "changed=0, " in deploy().splitlines()[-1]
