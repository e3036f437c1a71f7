# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other ways to the same system."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from conftest import ROOT, Run


def assert_changed_nothing(output: str) -> None:
    recap = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", output, re.MULTILINE)
    assert recap, output[-3000:]
    assert {tuple(counts) for _unused, *counts in recap} == {("0", "0", "0")}, output[-3000:]


def test_site_from_the_checkout_changes_nothing(run: Run) -> None:
    """`ansible-playbook site.yml` on a deployment of run.py says changed=0."""
    assert_changed_nothing(run("ansible-playbook", "site.yml").stdout)


def test_site_from_the_installed_collection_changes_nothing(run: Run, tmp_path: Path) -> None:
    """The built tarball, installed into an empty folder, drives the same deployment: changed=0."""
    assert run("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path), ".").returncode == 0
    (tarball,) = tmp_path.glob("odoo_deploy-stack-*.tar.gz")
    collections = tmp_path / "collections"
    # Neither the checkout's ansible.cfg nor a collection that is installed elsewhere plays a part.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": os.environ["ANSIBLE_CACHE_PLUGIN_CONNECTION"],
    }
    install = ("ansible-galaxy", "collection", "install", "--offline", "--no-deps", str(tarball))
    installed = run(*install, env=environment, cwd=tmp_path)
    assert installed.returncode == 0, installed.stdout
    stack = collections / "ansible_collections" / "odoo_deploy" / "stack"
    shutil.copytree(stack / "inventory", tmp_path / "inventory")
    environment["ANSIBLE_CONFIG"] = str(stack / "ansible.cfg")
    source = tmp_path / "inventory" / "demo.vagrant_minikube.yml"
    done = run("ansible-playbook", "-i", str(source), "odoo_deploy.stack.site", env=environment)
    assert str(ROOT / "roles") not in done.stdout
    assert_changed_nothing(done.stdout)
