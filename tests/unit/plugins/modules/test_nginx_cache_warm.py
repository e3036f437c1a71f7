# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx_cache_warm against a small site that behaves like Odoo behind the proxy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

LOGIN_PAGE = "/web/login?no_autologin=1&disable_autoredirect=1"
LOGIN = """<link href="/web/content/1-0a1b2c3/web.assets_common.css"/>
<script src='/web/content/2-0a1b2c3/web.assets_frontend.js'>
<img src="/web/static/img/a.png?v=1&amp;x=2"><img src="/web/image/5"><a href="https://elsewhere/web/static/x.js">
<a href="//elsewhere/web/static/y.js"><input type="hidden" name="csrf_token" value="the-token"/>"""
BACKEND = LOGIN + '<script src="/web/content/3-0a1b2c3/web.assets_backend.js">'
STYLES = """@font-face{src:url('/web/static/fonts/f.woff2?v=4') format("woff2"),url("/web/static/fonts/gone.woff#x")}
a{background:url(../../static/b.png)} a:hover{background:url(/web/static/c.svg)}
b{background:url(data:image/png;base64,AAAA)}
i{src:url(//elsewhere/web/static/z.png)}"""
PATTERNS = ["/[a-z]+/static/.+", "/web/content/[0-9]+-[0-9a-f]{7}/.+"]


class Site(ThreadingHTTPServer):
    """The site: what it was asked, and what it holds in its cache."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, str, str]] = []
        self.stored: set[tuple[str | bytes | bytearray | int, ...]] = set()
        self.broken = ""


class Handler(BaseHTTPRequestHandler):
    """Login form, session, files with X-Cache-Status."""

    protocol_version = "HTTP/1.1"
    server: Site

    def answer(self, status: int, body: str = "", **headers: str) -> None:
        """Send one answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    def do_HEAD(self) -> None:
        """Answer as to a GET, without the body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer a page or a file."""
        encoding, cookie = self.headers["Accept-Encoding"], self.headers.get("Cookie", "")
        self.server.asked.append((self.path, self.headers["Host"], encoding, cookie))
        if self.path == self.server.broken:
            self.answer(404)
        elif self.path == LOGIN_PAGE:
            self.answer(200, LOGIN, Set_Cookie="session_id=anonymous; Path=/")
        elif self.path == "/web":
            self.answer(303, Location="/odoo" if "session_id=admin" in cookie else "https://elsewhere/login")
        elif self.path == "/odoo":
            self.answer(200, BACKEND)
        elif self.path == "/web/session/logout":
            self.answer(303)
        elif self.path.endswith("gone.woff"):
            self.answer(404)
        else:
            key = (self.server.server_address[1], self.headers["Host"], self.path, encoding)
            self.answer(
                200,
                STYLES if self.path.endswith(".css") else "x",
                X_Cache_Status="HIT" if key in self.server.stored else "MISS",
            )
            self.server.stored.add(key)

    def do_POST(self) -> None:
        """Log in."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        right = form == {"csrf_token": ["the-token"], "login": ["admin"], "password": ["pa ss&word"]}
        self.answer(303 if right else 200, Set_Cookie=f"session_id={'admin' if right else 'anonymous'}; Path=/")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    """The site, running."""
    site = Site()
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield site
    site.shutdown()


def url(site: Site) -> str:
    """Return the site's URL."""
    return f"http://127.0.0.1:{site.server_address[1]}"


def test_public_pages(module: Any, site: Site) -> None:
    """All files of the page, in each encoding, without a cookie; a second run finds them stored."""
    answer = module("nginx_cache_warm", url=url(site), name="odoo.example.com", patterns=PATTERNS)
    assert answer["files"] == [
        "/web/content/1-0a1b2c3/web.assets_common.css",
        "/web/content/2-0a1b2c3/web.assets_frontend.js",
        "/web/static/img/a.png?v=1&x=2",
        "/web/static/b.png",
        "/web/static/fonts/f.woff2?v=4",
        "/web/static/fonts/gone.woff",
    ]
    assert answer["changed"]
    # The stylesheet is found stored once: it was read for what it names. Pictures and fonts have one form.
    assert answer["fetched"] == 2 + 3 + 1 + 1 + 1
    assert {asked[1] for asked in site.asked} == {"odoo.example.com"}
    assert {asked[3] for asked in site.asked if asked[0] in answer["files"]} == {""}
    assert not module("nginx_cache_warm", url=url(site), name="odoo.example.com", patterns=PATTERNS)["changed"]


def test_each_scheme_and_name(module: Any, site: Site) -> None:
    """Every name by every URL gets its own entries; pages are read once."""
    names = ["odoo.example.com", "other.example.com"]
    answer = module("nginx_cache_warm", urls=[url(site)], names=names, patterns=PATTERNS)
    assert answer["fetched"] == 8 + 9
    assert [asked[1] for asked in site.asked if asked[0] == LOGIN_PAGE] == names[:1]


def test_user_pages(module: Any, site: Site) -> None:
    """With a login the web client's bundles are fetched too, and the session ends."""
    answer = module("nginx_cache_warm", url=url(site), patterns=PATTERNS, login="admin", password="pa ss&word")
    assert "/web/content/3-0a1b2c3/web.assets_backend.js" in answer["files"]
    assert "/web/session/logout" in {asked[0] for asked in site.asked}
    assert "pa ss" not in str(answer)


@pytest.mark.parametrize(
    ("arguments", "broken", "says"),
    [
        ({"login": "admin", "password": "wrong"}, "", "does not let admin log in"),
        ({}, LOGIN_PAGE, f"{LOGIN_PAGE} answers 404"),
        ({"pages": ["/web"]}, "", "/web answers 303"),
        ({}, "/web/static/img/a.png?v=1&x=2", "which a page names, answers 404"),
        ({"login": "admin"}, "", "password"),
        ({"url": "192.0.2.1"}, "", "not of the form http[s]://"),
        ({"url": "http://127.0.0.1:1"}, "", "refused"),
    ],
)
def test_failures_are_told(module: Any, site: Site, arguments: dict[str, Any], broken: str, says: str) -> None:
    """What failed and where, in one message."""
    site.broken = broken
    answer = module("nginx_cache_warm", **{"url": url(site), "patterns": PATTERNS, **arguments})
    assert answer["failed"]
    assert says in answer["msg"]
