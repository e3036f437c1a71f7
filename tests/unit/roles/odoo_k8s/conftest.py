# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts that run in Odoo's pods, loaded where there is neither Odoo nor psycopg2."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILES = Path(__file__).parents[4] / "roles" / "odoo_k8s" / "files"
SCRIPTS = ("database", "figures", "start", "planning", "neutralise", "initialise", "probe", "modules")


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The scripts by name. psycopg2 stands for its exceptions only: what talks to a database is not run here."""
    stand_in = ModuleType("psycopg2")
    stand_in.Error = type("Error", (Exception,), {})  # type: ignore[attr-defined]
    stand_in.OperationalError = type("OperationalError", (stand_in.Error,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "psycopg2", stand_in)
    monkeypatch.syspath_prepend(str(FILES))
    for name in SCRIPTS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    loaded = {name: importlib.import_module(name) for name in SCRIPTS}
    for name in SCRIPTS:
        monkeypatch.delitem(sys.modules, name)
    return loaded
