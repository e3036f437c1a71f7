# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment in which a scenario's tests run the playbooks: its own machines, plain text."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(os.environ.get("MOLECULE_PROJECT_DIRECTORY", Path(__file__).resolve().parents[2]))
INVENTORY = os.environ.get("ODOO_TEST_INVENTORY") or str(ROOT / "inventory" / "demo.vagrant_minikube.yml")


def enter(scenario: Path) -> None:
    """Points this process and all that it starts at the scenario in a folder."""
    # What ansible prints is read by the tests; Molecule asks for colours.
    os.environ |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "PY_COLORS": "0"}
    if "MOLECULE_EPHEMERAL_DIRECTORY" in os.environ:
        ephemeral = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
        os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
        os.environ["ODOO_DEPLOY_NODES"] = str(scenario / "nodes.yml")
        os.environ["ODOO_DEPLOY_DIR"] = str(ephemeral / "deploy")
        os.environ["VAGRANT_DOTFILE_PATH"] = str(ephemeral / "vagrant")
        os.environ.setdefault("ANSIBLE_CACHE_PLUGIN_CONNECTION", str(ephemeral / "facts"))
        os.environ.setdefault("ANSIBLE_SSH_CONTROL_PATH_DIR", str(ephemeral / "ssh"))
