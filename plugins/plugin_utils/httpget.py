# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP GET over a connected socket.

``import http.client`` alone costs 20 ms, ``import docker`` 130 ms and ``import kubernetes`` 230 ms, each time that
Ansible starts. The inventory makes two requests; HTTP/1.0 makes a server send a plain body and close (RFC 1945 section
7.2.2).
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

_MAX_BYTES = 64 * 1024 * 1024


class HttpError(Exception):
    """No usable answer: ``status`` is the HTTP status, or None where there was none."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


def get_json(connection: socket.socket, host: str, path: str, headers: dict[str, str], timeout: float) -> Any:
    """GET ``path`` over ``connection`` (closed by the caller) and return the JSON document of a 200 answer.

    ``timeout`` (seconds) is for the whole answer. Raises HttpError for every other outcome, OSError for a broken
    connection.
    """
    lines = [f"GET {path} HTTP/1.0", f"Host: {host}", "Accept: application/json", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise HttpError("a line break in the request")
    deadline = time.monotonic() + timeout
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8"))
    chunks: list[bytes] = []
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no whole answer within {timeout:g} s")
        connection.settimeout(left)
        chunk = connection.recv(262144)
        if not chunk:
            break
        size += len(chunk)
        if size > _MAX_BYTES:
            raise HttpError(f"the answer is larger than {_MAX_BYTES // 1024 // 1024} MiB")
        chunks.append(chunk)
    head, separator, body = b"".join(chunks).partition(b"\r\n\r\n")
    status_line, *header_lines = head.decode("latin-1").split("\r\n")
    words = status_line.split(" ", 2)
    if not separator or not words[0].startswith("HTTP/") or len(words) < 2 or not words[1].isdigit():
        raise HttpError("the answer is not HTTP")
    status = int(words[1])
    received = {
        name.strip().lower(): value.strip() for name, _colon, value in (line.partition(":") for line in header_lines)
    }
    if status != 200:
        raise HttpError(f"HTTP {status} {words[2] if len(words) > 2 else ''}".rstrip(), status)
    if "chunked" in received.get("transfer-encoding", "").lower():
        raise HttpError("the server answers HTTP/1.0 with chunks")
    if received.get("content-length", "").isdigit() and int(received["content-length"]) != len(body):
        raise HttpError("the answer is cut short")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise HttpError("the answer is not JSON") from None
