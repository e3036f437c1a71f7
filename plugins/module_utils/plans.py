# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plans have in common that a person reads and agrees to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any


def digest(agreed: Any) -> str:
    """Differs where what is agreed to does."""
    return hashlib.sha256(json.dumps(agreed, sort_keys=True).encode()).hexdigest()[:16]


def listed(names: Sequence[str], none: str = "none", most: int | None = None) -> str:
    """Names in a sentence, no more than most."""
    more = len(names) - len(names[:most])
    return (", ".join(names[:most]) or none) + (f" and {more} more" if more else "")
