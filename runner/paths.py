# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are: the checkout and everything a run makes."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = Path(os.environ.get("ODOO_DEPLOY_DIR") or ROOT / ".deploy").absolute()
VENV = DEPLOY / "venv"
LOG = DEPLOY / "log"
SECRETS = DEPLOY / "secrets"
LOCK = DEPLOY / "lock"
JOURNAL = DEPLOY / "journal.json"
CLUSTER = DEPLOY / "cluster.json"  # written by role k8s_cluster: which cluster it took, and why
PLAYBOOKS = ROOT / "playbooks"
TESTS = ROOT / "tests" / "e2e"


def nodes_file() -> Path:
    """The list of machines this run is about."""
    return Path(os.environ.get("ODOO_DEPLOY_NODES", ROOT / "inventory" / "nodes.yml")).absolute()


def vagrant_dir() -> Path:
    """Vagrant's own state of these machines."""
    return ROOT / os.environ.get("VAGRANT_DOTFILE_PATH", ".vagrant")


def cache_dir() -> Path:
    """Builds that outlive a deployment and may serve several."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "odoo-deploy"


def shown(path: Path) -> str:
    """The path as a person in the checkout would type it."""
    try:
        return str(path.relative_to(ROOT))
    except ValueError:
        return str(path)
