# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has been done here: .deploy/journal.json, replaced whole, so a kill leaves the old or the new one.

It informs (status, dry run, resume line, teardown); what exists is always asked of the machines themselves.
"""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from pathlib import Path
from typing import Any

VERSION = 1
RUNNING, APPLIED, VERIFIED, FAILED = "running", "applied", "verified", "failed"


class Journal:
    """data: {version, deployment, network, steps: {number: {state, started, seconds, changed, log, checks, …}}}."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: dict[str, Any] = {"version": VERSION, "steps": {}}
        try:
            loaded = json.loads(path.read_text(encoding="utf-8"))
            if loaded["version"] == VERSION and isinstance(loaded["steps"], dict):
                self.data = loaded
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError):  # somebody else's edit: nothing depends on it, so begin anew
            path.replace(path.with_suffix(".json.unreadable"))

    def step(self, number: int) -> dict[str, Any]:
        """What is known of a step, {} before its first run."""
        entry: dict[str, Any] = self.data["steps"].get(str(number), {})
        return entry

    def state(self, number: int) -> str | None:
        return self.step(number).get("state")

    def record(self, number: int, **fields: Any) -> None:
        """Adds to a step's entry and writes the file; state `running` starts a new entry."""
        entry = {} if fields.get("state") == RUNNING else self.step(number)
        if not entry:
            entry = {"started": datetime.datetime.now().astimezone().isoformat(timespec="seconds")}
        self.data["steps"][str(number)] = {**entry, **fields}
        self.write()

    @property
    def ports(self) -> dict[str, int]:
        """What the steps' playbooks said of ports that people may open."""
        return {
            name: int(port) for entry in self.data["steps"].values() for name, port in entry.get("ports", {}).items()
        }

    def write(self) -> None:
        """Replaces the file atomically."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".journal.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(self.data, file, indent=1)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink()
            raise
