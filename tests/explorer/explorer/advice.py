# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator does next: the command that the last one's refusal names, as docs/operations.md says."""

from __future__ import annotations

import re

# Commands as messages write them, and the act that they are here.
NAMED = (
    (re.compile(r"\b(?:pg_)?(rejoin|failover|switchover)\.yml\b"), None),
    (re.compile(r"\brun\.py (?:--yes )?(rejoin|failover|switchover)\b"), None),
    (re.compile(r"\bpostgres\.yml\b"), "step3"),
    (re.compile(r"\brun\.py --yes(?: --steps 3)?\b"), "step3"),
)
# What Ansible shows of itself: where a task is written, and lines of that file.
OWN = re.compile(r"^(Origin: |PLAY |TASK |PLAYBOOK|\d+ |\s*\^ |<<<|task path)")
MOST = 8


def message(output: str) -> str:
    """A command's own words, without Ansible's about files and tasks."""
    lines = [line for line in output.splitlines() if not OWN.match(line)]
    told = [index for index, line in enumerate(lines) if re.match(r"(fatal: |\[ERROR\]: )", line)]
    return " ".join(" ".join(lines[told[0] :]).split()) if told else " ".join(" ".join(lines[-40:]).split())


def named(text: str) -> list[str]:
    """The commands that a message names, in its order."""
    found: list[tuple[int, str]] = []
    for pattern, act in NAMED:
        found += [(match.start(), act or match[1]) for match in pattern.finditer(text)]
    return list(dict.fromkeys(name for _, name in sorted(found)))


def following(command: str, output: str, tried: list[str]) -> str | None:
    """The command after a refused one, None where the message names no way on.

    A command that was refused for the same reason before is not given again, unless another one was done meanwhile.
    """
    options = [name for name in named(message(output)) if name != command]
    fresh = [name for name in options if not tried or name != tried[-1]]
    return next(iter(fresh or options), None)
