# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what the last deployment did when; changes nothing."""

from __future__ import annotations

from runner import paths
from runner.events import Output
from runner.journal import Journal
from runner.schedule import Span, bars


def run(output: Output) -> None:
    """Prints one bar a playbook and verification of the last run."""
    spans = [Span(**span) for span in Journal(paths.JOURNAL).data.get("timeline", [])]
    output.emit("timeline", spans=[vars(span) for span in spans])
    for line in bars(spans) or ["No run of this deployment is on record yet."]:
        output.say(line)
