# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A browser that says exactly what it is told to, and the hostile upstream's remote control."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

FRESH = itertools.count(int(time.time() * 1000))


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: status, headers as sent (in order), body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the one value of ``name``, None where it is missing; a doubled header fails the test."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} was sent {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def cache(self) -> str | None:
        """Return X-Cache-Status."""
        return self.header("X-Cache-Status")

    def told(self) -> dict[str, Any]:
        """Return what the upstream says it was sent."""
        told: dict[str, Any] = json.loads(self.body.split(b"\n")[0])
        return told


@dataclass(frozen=True)
class Edge:
    """One proxy under test and the upstream behind it."""

    address: str
    name: str
    machine: Any = field(repr=False)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, port: int = 80, **headers: str) -> Answer:
        """Send one request on a connection of its own; ``Accept_Encoding="br"`` is Accept-Encoding."""
        connection = http.client.HTTPConnection(self.address, port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def raw(self, data: bytes, wait: float = 3.0) -> bytes:
        """Send ``data``; return all that comes until the proxy closes or ``wait`` seconds pass without a byte."""
        with socket.create_connection((self.address, 80), timeout=wait) as connection:
            connection.sendall(data)
            got = b""
            try:
                while chunk := connection.recv(65536):
                    got += chunk
            except TimeoutError:
                pass
            return got

    def mode(self, **mode: object) -> None:
        """Set the upstream's mode (see files/upstream.py); without arguments it behaves."""
        self.ask("/_mode", "POST", json.dumps(mode).encode(), port=8069)

    def seen(self) -> list[dict[str, Any]]:
        """Return the requests that reached the upstream since the last :meth:`mode`."""
        seen: list[dict[str, Any]] = json.loads(self.ask("/_seen", port=8069).body)
        return seen

    def file(self) -> str:
        """Return the path of an addon's file that no test asked for before."""
        return f"/web/static/src/js/f{next(FRESH)}.js"


@pytest.fixture
def edge(host: Any) -> Iterator[Edge]:
    """The proxy on ``host``, with an upstream that behaves before and after."""
    variables = host.ansible.get_variables()
    proxy = Edge(variables["peer_address"], variables["inventory_hostname"], host)
    proxy.mode()
    yield proxy
    proxy.mode()
