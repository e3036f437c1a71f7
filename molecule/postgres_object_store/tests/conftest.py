# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two servers whose backups an S3 server keeps, and that server's machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCENARIO.parent / "shared"))

from scenario import enter  # noqa: E402

enter(SCENARIO)

from backups import Deployment, Machine, Site, the_site  # noqa: E402


@pytest.fixture(scope="session")
def site() -> Site:
    return the_site(SCENARIO, ["-e", f"@{SCENARIO / 'vars/main.yml'}"])


@pytest.fixture(scope="session")
def store() -> Machine:
    return Deployment().machines("object_store")[0]
