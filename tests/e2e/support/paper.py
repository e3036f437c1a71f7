# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a printed page, read as a person reads it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

DOTS_PER_INCH = "200"  # tesseract wants letters of 20 dots and more


def read(pdf: bytes) -> list[str]:
    """The text of each page. Debian's wkhtmltopdf draws the letters of a web font, so a PDF library finds none."""
    with tempfile.TemporaryDirectory(prefix="odoo-paper-") as folder:
        draw = ["pdftoppm", "-r", DOTS_PER_INCH, "-gray", "-", f"{folder}/page"]
        subprocess.run(draw, input=pdf, check=True, capture_output=True)
        return [_letters(picture) for picture in sorted(Path(folder).iterdir())]


def _letters(picture: Path) -> str:
    """--psm 6: one block, so that the columns of a table stay on their line."""
    command = ["tesseract", str(picture), "-", "--psm", "6"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
