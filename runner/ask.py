# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a person before anything changes."""

from __future__ import annotations

import sys
from typing import TextIO

from runner.exits import Exit, Failure


def confirm(question: str, stream: TextIO) -> None:
    """Returns on `y` or `yes`; raises Failure (exit 3) on `n`, and where nobody can answer."""
    while True:
        stream.write(question)
        stream.flush()
        answer = sys.stdin.readline()
        if not answer:
            stream.write("\n")
            raise Failure(
                Exit.DECLINED,
                "NO_ANSWER",
                "nobody answered",
                advice="say --yes where nobody is at the keyboard; nothing was changed",
            )
        if answer.strip().lower() in ("y", "yes"):
            return
        if answer.strip().lower() in ("n", "no"):
            raise Failure(Exit.DECLINED, "DECLINED", "declined", advice="nothing was changed")
        stream.write("Please answer y or n.\n")
