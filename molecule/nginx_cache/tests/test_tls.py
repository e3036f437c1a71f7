# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy that speaks TLS."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from conftest import Edge

testinfra_hosts = ["tls"]

AUTHORITY = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "tls" / "ca.crt"


def handshake(edge: Edge, name: str, *, protocols: list[str], **limits: Any) -> ssl.SSLSocket:
    """Connect to port 443 and trust only the scenario's authority; ``limits`` are attributes of the SSL context."""
    context = ssl.create_default_context(cafile=str(AUTHORITY))
    context.set_alpn_protocols(protocols)
    for key, value in limits.items():
        setattr(context, key, value)
    return context.wrap_socket(socket.create_connection((edge.address, 443), timeout=10), server_hostname=name)


def ask(edge: Edge, request: str) -> str:
    """Send one HTTP/1.1 request over TLS and return the whole answer."""
    with handshake(edge, "odoo.example.com", protocols=["http/1.1"]) as tls:
        tls.sendall(f"{request}\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while chunk := tls.recv(65536):
            got += chunk
    return got.decode("latin-1")


@pytest.mark.parametrize("path", ["/", "/web/login?redirect=%2Fweb", "/web/static/a.js"])
def test_plain_http_is_redirected(edge: Edge, path: str) -> None:
    """308 to the same name and URL; nothing reaches the upstream in clear."""
    answer = edge.ask(path, Host="odoo.example.com")
    assert (answer.status, answer.header("Location")) == (308, f"https://odoo.example.com{path}")
    assert edge.seen() == []


@pytest.mark.parametrize("name", ["odoo.example.com", "localhost"])
def test_certificate_is_the_authoritys_for_each_name(edge: Edge, name: str) -> None:
    """The chain and the name check out, for names and for the address itself."""
    for asked in (name, edge.address):
        with handshake(edge, asked, protocols=["h2"]) as tls:
            assert tls.selected_alpn_protocol() == "h2"
            assert tls.version() == "TLSv1.3"


def test_tls_1_2_is_the_oldest(edge: Edge) -> None:
    """1.2 with forward secrecy and an AEAD cipher is taken, 1.1 is not."""
    with handshake(edge, "localhost", protocols=[], maximum_version=ssl.TLSVersion.TLSv1_2) as tls:
        cipher = tls.cipher()
        assert cipher
        assert cipher[0].startswith("ECDHE-")
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]
    old = {"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1_1}
    with pytest.raises(ssl.SSLError):
        handshake(edge, "localhost", protocols=[], **old)


def test_a_cookie_that_came_over_https_is_secure(edge: Edge) -> None:
    """Odoo's session cookie gets the flag; the browser never sends it in clear."""
    answer = ask(edge, "GET /web/login HTTP/1.1\r\nHost: odoo.example.com")
    (cookie,) = [line for line in answer.splitlines() if line.lower().startswith("set-cookie:")]
    assert "session_id=" in cookie
    assert cookie.endswith("; Path=/; Secure; HttpOnly"), cookie


def test_page_says_https_to_odoo_and_hsts_to_the_browser(edge: Edge) -> None:
    """X-Forwarded-Proto and Strict-Transport-Security."""
    answer = ask(edge, "GET /web/login HTTP/1.1\r\nHost: odoo.example.com")
    assert '"X-Forwarded-Proto": "https"' in answer
    assert "\r\nStrict-Transport-Security: max-age=31536000\r\n" in answer


def test_file_is_stored(edge: Edge) -> None:
    """MISS, then HIT, over TLS too."""
    request = f"GET {edge.file()} HTTP/1.1\r\nHost: odoo.example.com"
    assert "X-Cache-Status: MISS" in ask(edge, request)
    assert "X-Cache-Status: HIT" in ask(edge, request)


def test_foreign_name_inside_a_good_handshake_is_refused(edge: Edge) -> None:
    """The name in the request counts, not the one in the handshake."""
    answer = ask(edge, "GET /web/login HTTP/1.1\r\nHost: evil.example")
    assert answer.startswith("HTTP/1.1 421 ")
    assert edge.seen() == []


def test_key_is_for_root_alone(host: Any) -> None:
    """Mode 0600, and nowhere else in the tree."""
    with host.sudo():
        key = host.file("/etc/nginx/odoo/current/tls.key")
        assert (key.user, key.mode) == ("root", 0o600)
        assert host.check_output("grep -rl 'PRIVATE KEY' /etc/nginx/odoo/current/") == "/etc/nginx/odoo/current/tls.key"
