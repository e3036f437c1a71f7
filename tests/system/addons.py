# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addons in a git repository, as a person has them: each tag is a state of all of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

Files = Mapping[str, str]  # text by path in the folder of all addons


def repository(folder: Path, tags: Iterable[tuple[str, Files]]) -> str:
    """URL of a bare repository with its addons in folder `addons`, one commit for each tag."""
    work, bare = folder / "work", folder / "bare.git"
    work.mkdir(parents=True)
    (work / "README.md").write_text("Not an addon.\n", encoding="utf-8")
    git(work, "init", "--quiet")
    for tag, files in tags:
        for name, text in files.items():
            path = work / "addons" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        git(work, "add", ".")
        git(work, "commit", "--quiet", "-m", tag)
        git(work, "tag", tag)
    git(folder, "clone", "--quiet", "--bare", str(work), str(bare))
    return bare.as_uri()


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Proof", "-c", "user.email=proof@example.com")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def manifest(version: str, *depends: str, data: Iterable[str] = ()) -> str:
    return repr({"name": "Proof", "version": version, "depends": ["base", *depends], "data": list(data)}) + "\n"


def variables(url: str, tag: str, *modules: str) -> tuple[str, str]:
    """What a person gives to have these modules, of that tag."""
    values = {
        "odoo_k8s_addons_git": [{"url": url, "ref": tag, "folder": "addons"}],
        "odoo_k8s_modules": ["base", "web", "bus", *modules],
    }
    return "-e", json.dumps(values)
