# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the deployment's secrets out of logs and messages: a belt to the braces of `no_log`."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from pathlib import Path

MASK = "********"
SHORTEST = 8  # shorter values would mask ordinary words
PUBLIC = {".crt", ".pub", ".csr"}


def variants(text: str) -> set[str]:
    """The forms a secret file's text takes in a log: its lines, and as Kubernetes writes it."""
    lines = {line.strip() for line in text.splitlines()}
    secrets = {line for line in lines if len(line) >= SHORTEST and not line.startswith("-----")}
    if len(lines) == 1:
        secrets |= {base64.b64encode(secret.encode()).decode() for secret in secrets}
    return secrets


class Scrubber:
    """Masks whatever files of a folder hold; sees files that appear while it works."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp: tuple[tuple[str, int], ...] | None = None
        self._pattern: re.Pattern[str] | None = None

    def __call__(self, text: str) -> str:
        self._refresh()
        return self._pattern.sub(MASK, text) if self._pattern else text

    def _refresh(self) -> None:
        files = self._files()
        stamp = tuple((str(path), modified) for path, modified in files.items())
        if stamp == self._stamp:
            return
        self._stamp = stamp
        secrets: set[str] = set()
        for path in files:
            with suppress(FileNotFoundError):
                secrets |= variants(path.read_text(encoding="utf-8", errors="replace"))
        longest_first = sorted(secrets, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if secrets else None

    def _files(self) -> dict[Path, int]:
        """When each was modified, in ns. Playbooks write here meanwhile: a file may be gone once it was listed."""
        files: dict[Path, int] = {}
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):
                if path.suffix not in PUBLIC and path.is_file():
                    files[path] = path.stat().st_mtime_ns
        return files
