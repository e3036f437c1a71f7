# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that a person sets to a plain value, read without Ansible: what runs before it asks for a few of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml


def plain(extra_vars: Sequence[str], files: Iterable[Path]) -> dict[str, Any]:
    """Variables of `-e` (as Ansible reads it) over those of the files, a later one over an earlier one.

    A value with an expression in it, and a file that cannot be read, are left to Ansible.
    """
    found: dict[str, Any] = {}
    for file in files:
        found |= _mapping(file)
    for extra in extra_vars:
        found |= _extra(extra)
    return {name: value for name, value in found.items() if not (isinstance(value, str) and "{{" in value)}


def _extra(text: str) -> dict[str, Any]:
    if text.startswith("@"):
        return _mapping(Path(text[1:]))
    if text.lstrip().startswith(("{", "[")):
        return _load(text)
    try:
        words = shlex.split(text)
    except ValueError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def _mapping(file: Path) -> dict[str, Any]:
    try:
        return _load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _load(text: str) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return loaded if isinstance(loaded, dict) else {}
