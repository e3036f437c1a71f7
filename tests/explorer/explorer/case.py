# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sequence as a file: what a violation is written as, and what a test replays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from explorer.acts import parse
from explorer.draw import Sequence

FOUND = Path(__file__).resolve().parents[1] / "found"
KEYS = {"seed", "servers", "patroni", "sync", "closing", "violation", "diagnosis", "acts"}


class Indented(yaml.SafeDumper):
    """Lists stand below their key, as yamllint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


@dataclass(frozen=True)
class Case:
    """A named sequence; violation and diagnosis say what was seen when it was found."""

    name: str
    sequence: Sequence
    violation: str = ""
    diagnosis: str = ""
    seed: int | None = None

    def text(self) -> str:
        """The file's text."""
        sequence = self.sequence
        return "---\n" + yaml.dump(
            {
                **({"seed": self.seed} if self.seed is not None else {}),
                "servers": sequence.servers,
                "patroni": sequence.patroni,
                "sync": sequence.sync,
                "closing": sequence.closing,
                "violation": self.violation,
                "diagnosis": self.diagnosis,
                "acts": [str(act) for act in sequence.acts],
            },
            Dumper=Indented,
            sort_keys=False,
            width=120,
            allow_unicode=True,
        )


def load(path: Path) -> Case:
    """Raises ValueError that names the file."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("acts"), list) or not content["acts"]:
        raise ValueError(f"{path}: a case has acts, a list of lines")
    if unknown := sorted(set(content) - KEYS):
        raise ValueError(f"{path}: not known: {', '.join(unknown)}; there are {', '.join(sorted(KEYS))}")
    try:
        acts = tuple(parse(str(line)) for line in content["acts"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return Case(
        path.stem,
        Sequence(
            acts,
            sync=bool(content.get("sync", False)),
            closing=str(content.get("closing", "status")),
            patroni=bool(content.get("patroni", False)),
            servers=int(content.get("servers", 2)),
        ),
        violation=str(content.get("violation", "")),
        diagnosis=str(content.get("diagnosis", "")),
        seed=content.get("seed"),
    )


def cases(folder: Path = FOUND) -> list[Case]:
    """All of a folder, by name."""
    return [load(path) for path in sorted(folder.glob("*.yml"))]
