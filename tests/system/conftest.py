# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that disturb a deployment of their own (see test.sh); each leaves it whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from support.deployment import Deployment  # noqa: E402

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def only_a_deployment_of_our_own(deployment: Deployment) -> None:
    """What people use is never disturbed."""
    assert os.environ.get("ODOO_DEPLOY_NODES"), "run these through ./test.sh e2e: they break machines on purpose"
    assert deployment.name != "odoo"


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture
def run() -> Run:
    """Runs a command in the checkout; its output is in the result."""

    def call(*command: str, timeout: float = 900, **options: object) -> subprocess.CompletedProcess[str]:
        options.setdefault("cwd", ROOT)
        return subprocess.run(
            command, timeout=timeout, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, **options,  # type: ignore[call-overload]
        )  # fmt: skip

    return call


@pytest.fixture
def deploys(run: Run) -> Callable[[], str]:
    """`./run.py --yes` must succeed, verifications included; gives what it printed."""

    def call() -> str:
        done = run("./run.py", "--yes")
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    return call
