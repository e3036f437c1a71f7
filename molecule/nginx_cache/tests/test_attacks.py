# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody tries who wants another user's page, or the site to stop."""

from __future__ import annotations

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Edge

testinfra_hosts = ["plain"]


@pytest.mark.parametrize(
    "path",
    [
        "/web/session/..%2fstatic/{file}",
        "/web/login/%2e%2e/static/{file}",
        "//web/static/{file}",
        "/web/./static/{file}",
        "/web//static/{file}",
        "/%77eb/static/{file}",
        "/web/static/x/..%2f{file}",
        "/web/content/5/..%2f..%2fstatic/{file}",
    ],
)
def test_path_tricks_cannot_poison(edge: Edge, path: str) -> None:
    """However a path is written, what is stored under a file's key is what the upstream says for that path."""
    name = edge.file().rsplit("/", 1)[1]
    edge.ask(path.format(file=name), Cookie="session_id=mallory")
    answer = edge.ask(f"/web/static/{name}")
    assert answer.told()["path"] == f"/web/static/{name}"
    assert all(seen["path"] == f"/web/static/{name}" or "Cookie" in seen["headers"] for seen in edge.seen())


@pytest.mark.parametrize(
    "path",
    [
        "/web/static/..%2f..%2fweb/session/get_session_info",
        "/web/static/../session/get_session_info",
        "/web/static/%2e%2e/login",
        "/web/static/a.js%00",
        "/web/static/a.js%0a",
        "/web/static/a.js%0d%0aX-Evil:1",
        "/web/static/a%3bb.js",
        "/web/static/a%5c..%5cb.js",
        "/my/account/x%2fstatic%2fa.js",
        "/web/content/5%2f..%2f12-0a1b2c3/web.assets_common.js%3f",
        "/web/static/a.js%3fx=1",
    ],
)
def test_deception_stores_nothing(edge: Edge, path: str) -> None:
    """A page of alice's behind a file's looks is not in the cache for mallory."""
    edge.ask(path, Cookie="session_id=alice")
    answer = edge.ask(path)
    assert b"alice" not in answer.body
    assert answer.cache in ("BYPASS", "MISS") or answer.status == 400


FORGED = [
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-For",
    "X-Forwarded-Prefix",
    "X-Odoo-Dbfilter",
    "X-Original-URL",
    "Forwarded",
]
OTHER = [
    "X-Forwarded-Port",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "Origin",
    "Accept-Language",
    "User-Agent",
    "X-Openerp-Session-Id",
    "Proxy",
]


@pytest.mark.parametrize("header", FORGED + OTHER)
def test_unkeyed_headers_do_not_reach_the_filling_request(edge: Edge, header: str) -> None:
    """A header that is not in the key cannot change what is stored."""
    path = edge.file()
    edge.ask(path, **{header: "evil.example"})
    assert b"evil" not in edge.ask(path).body


@pytest.mark.parametrize("header", FORGED)
def test_forged_proxy_headers_do_not_reach_odoo(edge: Edge, header: str) -> None:
    """Pages get these headers from the proxy alone."""
    assert b"evil" not in edge.ask("/web/login", **{header: "evil.example"}).body


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:80", "localhost.evil.example", "192.168.0.1", "evil.example@localhost"]
)
def test_foreign_host_is_refused(edge: Edge, name: str) -> None:
    """A name that is not the site's gets no page and reaches no upstream."""
    assert edge.ask("/web/login", Host=name).status in (400, 421)
    assert edge.seen() == []


def test_absolute_uri_does_not_smuggle_a_host(edge: Edge) -> None:
    """The name the request was routed by is the name that goes on."""
    got = edge.raw(b"GET http://localhost/web/login HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert b" 200 " in got.split(b"\r\n")[0]
    assert b"evil" not in got
    assert edge.ask("/web/login").status == 200


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
REQUESTS = {
    "CL.TE": (b"POST /web/login", [b"Content-Length: 44", b"Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED),
    "TE.CL": (b"POST /web/login", [b"Transfer-Encoding: xchunked", b"Content-Length: 4"], b"2a\r\n" + SMUGGLED),
    "CL.CL": (b"POST /web/login", [b"Content-Length: 4", b"Content-Length: 44"], b"abcd" + SMUGGLED),
    "body of a cached path": (b"POST /web/static/smuggle.js", [b"Content-Length: 45"], SMUGGLED),
    "h2c": (
        b"GET /web/login",
        [b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk"],
        b"",
    ),
    "h2c on websocket": (b"GET /websocket", [b"Upgrade: h2c", b"Connection: Upgrade"], b""),
}


@pytest.mark.parametrize("trick", REQUESTS)
def test_smuggling(edge: Edge, trick: str) -> None:
    """The upstream never sees a second request inside the first one's body, nor an upgrade but websocket."""
    start, headers, body = REQUESTS[trick]
    edge.raw(b"\r\n".join([start + b" HTTP/1.1", b"Host: localhost", *headers, b"", body]), wait=1.0)
    seen = edge.seen()
    # Where the proxy takes the bytes for a second request of this client, it is one: forwarded like any other.
    for entry in seen:
        assert "h2c" not in str(entry["headers"])
        if entry["path"] == "/smuggled":
            assert entry["headers"].get("X-Forwarded-For"), "it reached the upstream behind the proxy's back"


def test_websocket_upgrade_goes_through(edge: Edge) -> None:
    """The one upgrade that is meant to."""
    edge.raw(
        b"GET /websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n", wait=1.0
    )
    (seen,) = edge.seen()
    assert (seen["headers"]["Upgrade"], seen["headers"]["Connection"]) == ("websocket", "upgrade")


@pytest.mark.parametrize(
    "path",
    [
        "/web/database/manager",
        "/web/database/selector",
        "/web/database",
        "/web//database/manager",
        "/web/%64atabase/backup",
        "/en/web/database/manager",
        "/fr_BE/web/database/create",
        "/web/x/../database/drop",
        "/xmlrpc/db",
        "/xmlrpc/2/db",
        "/xmlrpc/2/db/",
        "/xmlrpc//2/%64b",
    ],
)
def test_database_services_are_blocked(edge: Edge, path: str) -> None:
    """Neither method reaches the upstream."""
    assert [edge.ask(path).status, edge.ask(path, "POST", b"x").status] == [403, 403]
    assert edge.seen() == []


def test_flood_of_logins_is_shed_with_a_page(edge: Edge) -> None:
    """Sixty passwords in a row: the burst passes, the rest gets 429 and a page; other pages are not touched."""
    answers = [edge.ask("/web/login", "POST", b"login=a&password=b") for _unused in range(60)]
    statuses = [answer.status for answer in answers]
    assert statuses[:20] == [200] * 20
    assert statuses.count(429) >= 20
    shed = answers[statuses.index(429)]
    assert shed.header("Retry-After") == "5"
    assert b"Too many" in shed.body
    assert shed.header("Content-Type") == "text/html"
    assert edge.ask("/web").status == 200


@pytest.mark.parametrize(
    ("path", "method", "most", "expected"),
    [("/web/login", "GET", 100, {200}), ("/jsonrpc", "POST", 180, {200, 429})],  # of RPC, four are served at a time
)
def test_flood_of_one_address_is_stilled(edge: Edge, path: str, method: str, most: int, expected: set[int]) -> None:
    """Twenty connections ask as soon as they are answered: beyond the burst each waits for its turn."""
    edge.mode(headers={"Connection": "close"})  # nginx does not count a try on a connection that was kept open
    end = time.monotonic() + 3

    def ask(_number: int) -> list[int]:
        statuses = []
        while time.monotonic() < end:
            statuses.append(edge.ask(path, method, b"{}" if method == "POST" else None).status)
        return statuses

    with ThreadPoolExecutor(20) as pool:
        answers = [status for statuses in pool.map(ask, range(20)) for status in statuses]
    time.sleep(6)  # until the zone has forgotten it: other tests ask for the same
    assert len(answers) <= most
    assert set(answers) <= expected


def test_normal_day_meets_no_limit(edge: Edge) -> None:
    """Ten people behind one address open the login page; an integration makes eighty calls in a row."""
    assert {edge.ask("/web/login").status for _unused in range(10)} == {200}
    assert {edge.ask("/jsonrpc", "POST", b"{}").status for _unused in range(80)} == {200}


def test_oversized_request_is_refused(edge: Edge) -> None:
    """A body beyond the limit is refused before it is read; so is a header that fills memory."""
    got = edge.raw(b"POST /web/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n")
    assert b" 413 " in got.split(b"\r\n")[0]
    got = edge.raw(b"GET /web/login HTTP/1.1\r\nHost: localhost\r\nX-Big: " + b"a" * 70000 + b"\r\n\r\n")
    assert b" 400 " in got.split(b"\r\n")[0]
    assert edge.seen() == []


def test_slow_headers_are_shed_while_others_are_served(edge: Edge) -> None:
    """A hundred clients that trickle their header are let go in fifteen seconds; meanwhile a page takes no longer."""
    slow = [socket.create_connection((edge.address, 80), timeout=20) for _unused in range(100)]
    try:
        for client in slow:
            client.sendall(b"GET /web/login HTTP/1.1\r\nHost: localhost\r\nX-")
        start = time.monotonic()
        assert edge.ask("/web").status == 200
        assert time.monotonic() - start < 1
        for client in slow:
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""  # returns when the proxy closes
        assert time.monotonic() - start < 15
    finally:
        for client in slow:
            client.close()


def test_security_headers(edge: Edge) -> None:
    """Each once, on pages, files and refusals; the server does not say its version, nor the upstream its name."""
    edge.mode(headers={"X-Frame-Options": "ALLOWALL", "Server": "Werkzeug/9", "X-Powered-By": "Odoo"})
    for path in ("/web", edge.file(), "/web/database/manager"):
        answer = edge.ask(path)
        assert answer.header("X-Frame-Options") == "SAMEORIGIN"
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Server") == "nginx"
        assert answer.header("X-Powered-By") is None
        assert answer.header("X-Request-Id")


def test_request_that_may_have_written_is_not_repeated(edge: Edge) -> None:
    """An upstream that dies on a POST gets it once; on a GET twice at most."""
    edge.mode(drop=True)
    assert edge.ask("/web/dataset/call", "POST", b"{}").status == 503
    assert len(edge.seen()) == 1
    edge.mode(drop=True)
    edge.ask("/web")
    assert len(edge.seen()) == 2


def test_pod_that_is_gone_is_never_met(edge: Edge) -> None:
    """The cluster sends three of four connections to a pod that is gone: each page comes, each form arrives once."""
    firewall = "OUTPUT -p tcp -d 127.0.0.1 --dport 8069 --syn"
    refuse = f"{firewall} -j REJECT --reject-with tcp-reset"
    draw = f"{firewall} -m statistic --mode nth --every 4 --packet 3 -j ACCEPT"
    edge.mode(headers={"Connection": "close"})
    for _unused in range(20):  # the connections that are kept open are used up
        assert edge.ask("/web").status == 200
    edge.mode(headers={"Connection": "close"})
    with edge.machine.sudo():
        edge.machine.check_output("command -v iptables || apt-get -qq install --yes --no-install-recommends iptables")
        edge.machine.check_output(f"iptables -w -A {draw} && iptables -w -A {refuse}")
        try:
            answers = [edge.ask("/web") for _unused in range(20)]
            answers += [edge.ask("/web/dataset/call", "POST", b"{}") for _unused in range(20)]
        finally:
            edge.machine.check_output(f"iptables -w -D {draw}; iptables -w -D {refuse}")
    assert {answer.status for answer in answers} == {200}
    assert len(edge.seen()) == len(answers)
