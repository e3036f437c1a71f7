# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is stored, what never is, and what a client sees of it."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Edge

testinfra_hosts = ["plain"]

# Seconds after which a file is past its two; nginx counts whole ones.
EXPIRED = 3.1
USER = {
    "Cookie": "session_id=alice",
    "Authorization": "Bearer alice",
    "X_Openerp_Session_Id": "alice",
    "Range": "bytes=0-3",
}


def test_file_is_stored_on_the_first_request(edge: Edge) -> None:
    """MISS, then HIT with the same body, and one request upstream."""
    path = edge.file()
    first, second = edge.ask(path), edge.ask(path)
    assert (first.cache, second.cache) == ("MISS", "HIT")
    assert first.body == second.body
    assert first.header("ETag") == second.header("ETag")
    assert len(edge.seen()) == 1


@pytest.mark.parametrize(
    "path", ["/web/content/12-0a1b2c3/web.assets_common.js", "/web/content/12-0a1b2c3/1/rtl/web.assets_frontend.css"]
)
def test_bundle_is_stored(edge: Edge, path: str) -> None:
    """Odoo 14's bundles with their fingerprint, website ID and direction."""
    edge.ask(path)
    assert edge.ask(path).cache == "HIT"


@pytest.mark.parametrize(
    "path",
    [
        "/web/login",
        "/web",
        "/",
        "/web/image/5",
        "/web/image/5/x.png",
        "/web/content/5",
        "/web/content/5/x.css",
        "/web/content/5/x.js",
        "/web/content/5-abcdef0/x.pdf",
        "/web/content/ir.attachment/5/datas/x.js",
        "/web/webclient/load_menus/abcdef",
        "/web/assets/debug/web.assets_backend.js",
        "/web/assets/any/web.assets_backend.js",
        "/web/content/%25-%25/web.assets_common.js",
        "/web/binary/company_logo",
        "/web/session/get_session_info",
        "/web/static/",
        "/web/static",
        "/web/static/.git/config",
        "/web/static/src/.hidden",
        "/Web/static/a.js",
        "/web/Static/a.js",
        "/web/login/static/a.js",
        "/my/orders.css",
        "/web/login;.css",
        "/web/login/x.css",
        "/web/static/..%252f..%252fweb/login",
        "/web/stat\u0131c/a.js".encode().decode("latin-1"),
    ],
)
def test_everything_else_is_never_stored(edge: Edge, path: str) -> None:
    """Asked twice, the upstream is asked twice, and the proxy says BYPASS."""
    answers = [edge.ask(path.encode("latin-1").decode("latin-1")) for _unused in range(2)] if path.isascii() else []
    if not path.isascii():
        raw = [
            edge.raw(b"GET " + path.encode("latin-1") + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            for _unused in range(2)
        ]
        assert all(b"X-Cache-Status: BYPASS" in answer for answer in raw)
    assert all(answer.cache == "BYPASS" for answer in answers)
    assert len(edge.seen()) == 2


def test_filling_request_carries_nothing_of_the_user(edge: Edge) -> None:
    """No cookie, no credential, no address, no argument of a session, and only headers the proxy makes itself."""
    path = edge.file()
    edge.ask(path, User_Agent="alice", Accept_Language="xx", X_Forwarded_For="10.9.9.9", Accept_Encoding="br", **USER)
    (seen,) = edge.seen()
    assert sorted(seen["headers"]) == ["Connection", "Host", "X-Forwarded-Host", "X-Forwarded-Proto"]
    assert "alice" not in str(seen)


def test_no_answer_sets_a_cookie(edge: Edge) -> None:
    """Set-Cookie of the upstream reaches nobody through the cache, neither on MISS nor on HIT."""
    path = edge.file()
    assert [edge.ask(path).header("Set-Cookie") for _unused in range(2)] == [None, None]


def test_a_cookie_that_came_over_http_is_not_secure(edge: Edge) -> None:
    """A browser would not take the flag from a page in clear, and nobody could log in."""
    cookie = edge.ask("/web/login").header("Set-Cookie")
    assert cookie and cookie.endswith("; Path=/; HttpOnly")


def test_body_of_a_request_to_a_file_is_refused(edge: Edge) -> None:
    """Only GET and HEAD reach the cache."""
    path = edge.file()
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert edge.ask(path, method, b"x=1").status == 405
    assert edge.seen() == []


@pytest.mark.parametrize("status", [201, 206, 301, 302, 304, 400, 401, 403, 404, 410, 500, 502, 503])
def test_only_200_is_stored(edge: Edge, status: int) -> None:
    """After any other answer the next request asks again and gets the file."""
    path = edge.file()
    edge.mode(status=status)
    edge.ask(path)
    edge.mode()
    answer = edge.ask(path)
    assert (answer.status, answer.cache) == (200, "MISS")


@pytest.mark.parametrize("word", ["private", "no-store", "private, max-age=10"])
def test_odoo_can_forbid_storing(edge: Edge, word: str) -> None:
    """An answer that Odoo itself calls private is not stored."""
    path = edge.file()
    edge.mode(headers={"Cache-Control": word})
    assert [edge.ask(path).cache for _unused in range(2)] == ["MISS", "MISS"]


def test_truncated_answer_is_not_stored(edge: Edge) -> None:
    """Half a file is not kept."""
    path = edge.file()
    edge.mode(truncate=True)
    with pytest.raises(http.client.IncompleteRead):
        edge.ask(path)
    edge.mode()
    answer = edge.ask(path)
    assert answer.cache == "MISS"
    assert answer.told()["path"] == path


@pytest.mark.parametrize(
    "arguments",
    ["session_id=alice", "access_token=1", "debug=assets", "v=1&x=2", "v=%31", "assets_params=%7B%7D", "download=true"],
)
def test_other_arguments_go_around_the_cache(edge: Edge, arguments: str) -> None:
    """They may change the answer, so it is neither read from the cache nor stored."""
    path = edge.file()
    edge.ask(path)
    assert [edge.ask(f"{path}?{arguments}").cache for _unused in range(2)] == ["BYPASS", "BYPASS"]
    assert edge.ask(path).told()["path"] == path


def test_version_argument_is_part_of_the_key(edge: Edge) -> None:
    """?v=1 and ?v=2 are two files."""
    path = edge.file()
    assert [edge.ask(f"{path}?v={version}").cache for version in (1, 2, 1)] == ["MISS", "MISS", "HIT"]


def test_reload_key_of_the_browser_does_not_bypass(edge: Edge) -> None:
    """F5 and developer tools send no-cache; the edge answers from the cache all the same."""
    path = edge.file()
    edge.ask(path)
    assert edge.ask(path, Cache_Control="no-cache", Pragma="no-cache").cache == "HIT"


def test_host_is_part_of_the_key(edge: Edge) -> None:
    """Two names of the site never share an entry, nor do two ports."""
    path = edge.file()
    assert [
        edge.ask(path, Host=name).cache for name in ("localhost", "odoo.example.com", "localhost:8080", "localhost")
    ] == [
        "MISS",
        "MISS",
        "MISS",
        "HIT",
    ]


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("br, gzip", "br"),
        ("gzip, deflate, br;q=1.0", "br"),
        ("gzip", "gzip"),
        ("gzip;q=0.5", "gzip"),
        ("identity", None),
        ("", None),
        ("br;q=0", None),
        ("gzip;q=0, identity", None),
        ("xbr, gzipx", None),
        ("br;q=0, gzip", "gzip"),
        ("deflate", None),
    ],
)
def test_encoding_is_what_the_client_takes(edge: Edge, accepted: str, encoding: str | None) -> None:
    """Every client gets an encoding it asked for, from the cache on the second request."""
    path = "/web/static/src/encodings.css"
    edge.ask(path, Accept_Encoding=accepted)
    answer = edge.ask(path, Accept_Encoding=accepted)
    assert answer.cache == "HIT"
    assert answer.header("Content-Encoding") == encoding
    assert answer.header("Vary") == "Accept-Encoding"


def test_picture_has_one_variant(edge: Edge) -> None:
    """What does not compress is stored once for all encodings."""
    path = edge.file().replace(".js", ".png")
    assert [edge.ask(path, Accept_Encoding=accepted).cache for accepted in ("br", "gzip", "")] == ["MISS", "HIT", "HIT"]


def test_head_and_range(edge: Edge) -> None:
    """HEAD fills the cache with the whole file; a range is cut from it, and is not what is stored."""
    path = edge.file()
    head = edge.ask(path, "HEAD")
    assert (head.status, head.cache, head.body) == (200, "MISS", b"")
    part = edge.ask(path, Range="bytes=2-5")
    whole = edge.ask(path)
    assert part.status == 206
    assert whole.status == 200
    assert whole.cache == "HIT"
    assert part.body == whole.body[2:6]


def test_expired_file_is_revalidated(edge: Edge) -> None:
    """After its time the file is asked for with If-None-Match, in the background, and served at once."""
    path = edge.file()
    tag = edge.ask(path).header("ETag")
    time.sleep(EXPIRED)
    assert edge.ask(path).cache == "STALE"
    time.sleep(0.3)
    assert edge.ask(path).cache == "HIT"
    assert edge.seen()[-1]["headers"]["If-None-Match"] == tag


def test_changed_file_arrives_after_its_time(edge: Edge) -> None:
    """A new version replaces the old one by the second request after it expired."""
    path = edge.file()
    edge.ask(path)
    edge.mode(version="2")
    time.sleep(EXPIRED)
    edge.ask(path)
    time.sleep(0.3)
    assert edge.ask(path).told()["version"] == "2"


def test_one_request_fills_for_all(edge: Edge) -> None:
    """Twenty clients asking at once for a missing file cost Odoo one request."""
    path = edge.file()
    edge.mode(delay=0.5)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _unused: edge.ask(path), range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len(edge.seen()) == 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"drop": True}])
def test_stale_is_better_than_an_error(edge: Edge, fault: dict[str, object]) -> None:
    """While Odoo or its database fails, files that were stored go on being served."""
    path = edge.file()
    body = edge.ask(path).body
    edge.mode(**fault)
    time.sleep(EXPIRED)
    for _unused in range(3):
        answer = edge.ask(path)
        assert answer.status == 200
        assert answer.body == body
        time.sleep(0.2)


def test_all_pods_away(edge: Edge) -> None:
    """Stored files stay 200; a page is a clear 503 that says when to come back; pages return by themselves."""
    path = edge.file()
    edge.ask(path)
    with edge.machine.sudo():
        edge.machine.check_output("systemctl stop upstream")
        try:
            time.sleep(EXPIRED)
            assert [edge.ask(path).status for _unused in range(3)] == [200, 200, 200]
            for away in ("/web/login", edge.file()):
                answer = edge.ask(away)
                assert answer.status == 503
                assert answer.header("Retry-After") == "10"
                assert answer.header("Content-Type") == "text/html"
                assert b"not available" in answer.body
        finally:
            edge.machine.check_output("systemctl start upstream; sleep 1")
    assert edge.ask("/web/login").status == 200
