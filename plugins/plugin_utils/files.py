# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading state that other programs write, without trusting it."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# What Ansible takes as a host's name without reading a pattern, a range, a list or a template into it.
_USABLE_NAME = re.compile(r"\w(?:[\w.-]{0,251}\w)?")


class StateError(Exception):
    """State that cannot be used; the text names the file and says why, and never holds the file's content."""


class UnknownStateError(Exception):
    """An engine or hypervisor that did not tell its machines' state; the text says which, why, and what to do."""


def printable(text: object, limit: int = 120) -> str:
    """``text`` fit for one line of a message: control and direction characters escaped, cut at ``limit`` characters."""
    line = str(text)
    if not line.isprintable():
        line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def usable_name(name: str) -> bool:
    """Whether ``name`` can be an inventory host: no template, path, pattern, range or control character in it."""
    return _USABLE_NAME.fullmatch(name) is not None


def read_bytes(path: str | Path, limit: int) -> bytes:
    """Content of the regular file at ``path``, at most ``limit`` bytes.

    Raises FileNotFoundError where there is none, StateError for all else (also a FIFO, which must not make the
    inventory wait).
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(str(path)) from None
    except (OSError, ValueError) as error:
        raise StateError(f"{printable(path)} cannot be read ({_reason(error)})") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise StateError(f"{printable(path)} is not a file")
        data = b""
        while len(data) <= limit:
            chunk = os.read(handle, min(65536, limit + 1 - len(data)))
            if not chunk:
                return data
            data += chunk
        raise StateError(f"{printable(path)} is larger than {limit} bytes")
    except OSError as error:
        raise StateError(f"{printable(path)} cannot be read ({_reason(error)})") from error
    finally:
        os.close(handle)


def read_text(path: str | Path, limit: int) -> str:
    """As read_bytes, as stripped UTF-8 text."""
    try:
        return read_bytes(path, limit).decode("utf-8").strip()
    except UnicodeDecodeError:
        raise StateError(f"{printable(path)} is not UTF-8 text") from None


def read_json(
    path: str | Path, limit: int, attempts: int = 1, pause: Callable[[float], object] = time.sleep
) -> dict[str, Any]:
    """The JSON object in the file at ``path``.

    A file that its owner rewrites in place can be read half-written: it is read up to ``attempts`` times, 10 ms apart.
    """
    for attempt in range(attempts):
        try:
            document = json.loads(read_bytes(path, limit))
            break
        except (ValueError, RecursionError):
            if attempt + 1 == attempts:
                raise StateError(f"{printable(path)} is not valid JSON") from None
            pause(0.01)
    if not isinstance(document, dict):
        raise StateError(f"{printable(path)} is not a JSON object")
    return document


def members(value: object) -> list[Any]:
    """The value where it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def mapping(value: object) -> dict[Any, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def subfolders(path: str | Path) -> list[str]:
    """Names of the folders in ``path``, sorted; none where it does not exist.

    Raises StateError where it cannot be listed.
    """
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if _is_folder(entry))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        raise StateError(f"{printable(path)} cannot be listed ({_reason(error)})") from error


def fingerprint(paths: Iterable[str | Path]) -> list[list[object]]:
    """What changes when one of the files does, in JSON's types: name, inode, size and mtime (ns) of each."""
    marks: list[list[object]] = []
    for path in paths:
        try:
            info = Path(path).stat()
            marks.append([str(path), info.st_ino, info.st_size, info.st_mtime_ns])
        except (OSError, ValueError):
            marks.append([str(path), 0, 0, 0])
    return marks


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of symbolic links
        return False


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
