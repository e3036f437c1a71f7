# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/2 requests that turn into two, or into another one, where they are written down as HTTP/1.1 for the upstream."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import time
from pathlib import Path

import pytest
from conftest import Edge

testinfra_hosts = ["tls"]

AUTHORITY = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "tls" / "ca.crt"
NAME = "odoo.example.com"
DATA, HEADERS, SETTINGS, GOAWAY = 0, 1, 4, 7
END_STREAM, END_HEADERS = 1, 4


def literal(text: bytes) -> bytes:
    """Return ``text`` as HPACK writes a string without Huffman coding (RFC 7541, 5.2)."""
    assert len(text) < 127 + 128
    return bytes([len(text)]) + text if len(text) < 127 else b"\x7f" + bytes([len(text) - 127]) + text


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame (RFC 9113, 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def request(headers: list[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """Return a request on stream 1; nothing of it is checked, for that is the proxy's task."""
    block = b"".join(b"\x00" + literal(name) + literal(value) for name, value in headers)
    head = frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), 1, block)
    return head + (frame(DATA, END_STREAM, 1, body) if body else b"")


def send(edge: Edge, data: bytes) -> set[int]:
    """Send ``data`` on a connection of its own; return the kinds of the frames that come back within two seconds."""
    context = ssl.create_default_context(cafile=str(AUTHORITY))
    context.set_alpn_protocols(["h2"])
    got = b""
    with context.wrap_socket(socket.create_connection((edge.address, 443), timeout=2), server_hostname=NAME) as tls:
        assert tls.selected_alpn_protocol() == "h2"
        tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0) + data)
        try:
            while chunk := tls.recv(65536):
                got += chunk
        except TimeoutError:
            pass
    kinds = set()
    while len(got) >= 9:
        kinds.add(got[3])
        got = got[9 + int.from_bytes(got[:3], "big") :]
    return kinds


def pseudo(
    path: bytes = b"/web/login", method: bytes = b"POST", authority: bytes = NAME.encode()
) -> list[tuple[bytes, bytes]]:
    """Return the headers that every request has."""
    return [(b":method", method), (b":scheme", b"https"), (b":path", path), (b":authority", authority)]


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: odoo.example.com\r\n\r\n"
TRICKS = {
    "H2.CL": request([*pseudo(), (b"content-length", b"0")], SMUGGLED),
    "H2.CL, too long": request([*pseudo(), (b"content-length", b"400")], SMUGGLED),
    "H2.TE": request([*pseudo(), (b"transfer-encoding", b"chunked")], b"0\r\n\r\n" + SMUGGLED),
    "H2.TE, of a file": request(
        [*pseudo(b"/web/static/s.js"), (b"transfer-encoding", b"chunked")], b"0\r\n\r\n" + SMUGGLED
    ),
    "line break in a value": request([*pseudo(), (b"x-a", b"b\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED)]),
    "line break in a name": request([*pseudo(), (b"x-a: b\r\n\r\n" + SMUGGLED, b"c")]),
    "line break in the path": request(pseudo(b"/web HTTP/1.1\r\nHost: odoo.example.com\r\n\r\n" + SMUGGLED, b"GET")),
    "line break in the method": request(pseudo(method=b"GET /smuggled HTTP/1.1\r\nHost: odoo.example.com\r\n\r\nGET")),
    "upgrade": request([*pseudo(method=b"GET"), (b"connection", b"upgrade"), (b"upgrade", b"smuggled")]),
    "second authority": request([*pseudo(method=b"GET"), (b"host", b"smuggled.example")]),
    "scheme": request([(b":method", b"GET"), (b":scheme", b"http://smuggled.example/"), *pseudo()[2:]]),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_downgrade(edge: Edge, trick: str) -> None:
    """Whatever is done in HTTP/2, the upstream sees at most the one request, and nothing of what was hidden in it."""
    send(edge, TRICKS[trick])
    time.sleep(0.2)
    seen = edge.seen()
    assert len(seen) <= 1
    for entry in seen:
        head = f"{entry['method']} {entry['path']} {entry['headers']}"
        assert "smuggled" not in head
        assert entry["headers"]["Host"] == NAME
        # A body that goes on is counted, so that nobody takes its end for the next request.
        assert "smuggled" not in entry["body"] or entry["headers"]["Content-Length"] == str(len(entry["body"]))


def test_plain_request_goes_through(edge: Edge) -> None:
    """The frames of these tests are right: without a trick they are a request, and it is answered."""
    kinds = send(edge, request(pseudo(), b"login=a"))
    (seen,) = edge.seen()
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/web/login", "login=a")
    assert {HEADERS, DATA} <= kinds
    assert GOAWAY not in kinds
