# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that change settings of a deployment of their own (see test.sh) and set them back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from support.deployment import Deployment  # noqa: E402


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    """What people use is never changed."""
    assert os.environ.get("ODOO_DEPLOY_NODES"), "run these through ./test.sh e2e: they change settings"
    deployment = Deployment()
    assert deployment.name != "odoo"
    return deployment
