# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator does next: the command that the last one's refusal names, as docs/operations.md says."""

from __future__ import annotations

import re

from explorer.acts import NAMING

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


def named(text: str, choice: str) -> list[str]:
    """The commands that a message names, in its order, as lines of acts.

    choice: the server that is given where a person has to name one.
    """
    found: list[tuple[int, str]] = []
    for pattern, act in NAMED:
        for match in pattern.finditer(text):
            name = act or match[1]
            # A variable belongs to the command before it, as long as no other command stands between.
            given = re.compile(rf"[^.;]*?-e {NAMING[name]}=(\w+)").match(text, match.end()) if name in NAMING else None
            server = "" if given is None else choice if given[1].isupper() else given[1]
            found.append((match.start(), f"{name} {server}".strip()))
    return list(dict.fromkeys(name for _place, name in sorted(found)))


def following(command: str, output: str, tried: list[str], choice: str) -> str | None:
    """The command after a refused one, None where the message names no way on.

    A refused command is not its own advice. The one before it is given again only where nothing else is named.
    """
    options = [name for name in named(message(output), choice) if name != command]
    fresh = [name for name in options if not tried or name != tried[-1]]
    return next(iter(fresh or options), None)
