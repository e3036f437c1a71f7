# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an expression of Prometheus reads."""

from __future__ import annotations

import re

# Operators and modifiers that look like names.
WORDS = re.compile(r"and|or|unless|on|ignoring|group_left|group_right|by|without|bool|offset|inf|nan")
LISTS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
NAME = re.compile(r"(?<![\w.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")


def metrics(expression: str) -> set[str]:
    """Names of the metrics that an expression selects by name."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    text = LISTS.sub(" ", text)
    return {name for name in NAME.findall(text) if not WORDS.fullmatch(name.lower())}
