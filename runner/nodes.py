# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of machines, read by the inventory's own reader."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import Any, Protocol

from runner import paths
from runner.exits import Exit, Failure

PARTS = paths.ROOT / "plugins" / "plugin_utils"


class Machine(Protocol):
    """memory is in MiB."""

    name: str
    address: str
    groups: tuple[str, ...]
    memory: int


class Nodes(Protocol):
    """The part of the reader's Deployment that the runner needs."""

    name: str
    network: str
    suite: str
    machines: tuple[Machine, ...]


def plugin_part(name: str) -> Any:
    """A module of the inventory's, which Ansible would find by the collection's name."""
    known = f"odoo_deploy_{name}"
    spec = importlib.util.spec_from_file_location(known, PARTS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def load() -> Nodes:
    """The validated list; raises Failure (exit 4) with the reader's message."""
    reader = plugin_part("nodes")
    try:
        found: Nodes = reader.load(paths.nodes_file())
    except FileNotFoundError:
        raise Failure(
            Exit.PREFLIGHT,
            "NODES_MISSING",
            f"{paths.nodes_file()} is not there",
            advice="correct ODOO_DEPLOY_NODES, or restore the file",
        ) from None
    except reader.NodesError as error:
        where = f"{paths.shown(error.path)}: {error.key}" if error.key else paths.shown(error.path)
        raise Failure(Exit.PREFLIGHT, "NODES_INVALID", f"{where}: {error.problem}", advice=error.remedy) from None
    return found


def glance() -> tuple[str | None, str | None]:
    """Deployment and network by two lines of the file: for a teardown without PyYAML or with a broken file."""
    try:
        text = paths.nodes_file().read_text(encoding="utf-8")
    except OSError:
        return None, None

    def value(key: str) -> str | None:
        match = re.search(rf"""^{key}:[ \t]*["']?([a-z0-9./-]+)["']?[ \t]*(?:#.*)?$""", text, re.MULTILINE)
        return match[1] if match else None

    return value("deployment"), value("network")
