# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count which attacks get through a proxy that stands before the scenario's hostile upstream.

The upstream (molecule/nginx_cache/files/upstream.py) tells in every answer what it was sent, so whatever a proxy stores
or passes on shows. For test machines only. ``--proxy NAME=URL`` may be given several times; a table comes out, a column
each.
Exit status 0: no attack got through the first proxy; 1: one did; 2: a proxy or the upstream does not answer.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

FRESH = itertools.count(int(time.time() * 1000))
EVIL = "evil.example"


@dataclass(frozen=True)
class Answer:
    """Status, headers by lower-case name, body as text."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True)
class Door:
    """An HTTP server, each request on a connection of its own."""

    url: str
    host: str = field(init=False)
    port: int = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        object.__setattr__(self, "host", parts.hostname or "")
        object.__setattr__(self, "port", parts.port or 80)

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """Send one request; ``X_Real_IP="1"`` is the header X-Real-IP."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body or method == "POST":
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            text = answer.read().decode("latin-1")
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)
        finally:
            connection.close()

    def raw(self, data: bytes, wait: float) -> bool:
        """Send ``data``; return whether the connection is still open after ``wait`` seconds of silence."""
        with socket.create_connection((self.host, self.port), timeout=wait) as connection:
            connection.sendall(data)
            try:
                while connection.recv(65536):
                    pass
            except TimeoutError:
                return True
            except ConnectionResetError:
                pass
            return False


@dataclass(frozen=True)
class Upstream:
    """The hostile upstream's remote control."""

    door: Door

    def mode(self, **mode: object) -> None:
        """Set how it behaves, and forget what it saw. Like Odoo it sends nothing that keeps an answer from a cache."""
        headers = dict.fromkeys(("Cache-Control", "Vary", "X-Accel-Expires"))
        self.door.ask("/_mode", "POST", json.dumps({"headers": headers, **mode}).encode())

    def seen(self) -> list[dict[str, Any]]:
        """Return the requests since the last :meth:`mode`."""
        seen: list[dict[str, Any]] = json.loads(self.door.ask("/_seen").text)
        return seen


def file(folder: str = "/web/static/src/js") -> str:
    """Return the path of a file that nobody asked for before."""
    return f"{folder}/f{next(FRESH)}.js"


def stolen(proxy: Door, path: str, **secret: str) -> bool:
    """Return whether a stranger gets what alice's request for ``path`` left behind."""
    proxy.ask(path, "GET", b"", **secret)
    return any(value in proxy.ask(path).text for value in secret.values())


def private_file(proxy: Door, upstream: Upstream) -> bool:
    """A private attachment asked for as /web/content/ID/NAME.css is stored for everybody."""
    return stolen(proxy, f"/web/content/{next(FRESH)}/x.css", Cookie="session_id=alice-secret")


def page_that_ends_like_a_file(proxy: Door, upstream: Upstream) -> bool:
    """A page of alice's behind a made-up file name is stored."""
    return stolen(proxy, f"/my/account/f{next(FRESH)}.js", Cookie="session_id=alice-secret")


def page_that_contains_static(proxy: Door, upstream: Upstream) -> bool:
    """A page whose path holds /static/ somewhere is stored, or asked for without the cookie that it needs."""
    if stolen(proxy, f"/my/account/static/{next(FRESH)}", Cookie="session_id=alice-secret"):
        return True
    return "Cookie" not in upstream.seen()[0]["headers"]


def authorization(proxy: Door, upstream: Upstream) -> bool:
    """What an Authorization header opened is stored for everybody."""
    return stolen(proxy, file(), Authorization="Basic alice-secret")


def poisoned_host(proxy: Door, upstream: Upstream) -> bool:
    """A file asked for under a foreign Host is what others get."""
    path = file()
    proxy.ask(path, Host=EVIL)
    return EVIL in proxy.ask(path).text


def poisoned_header(proxy: Door, upstream: Upstream) -> bool:
    """A header that is not in the key changes what is stored."""
    path = file()
    proxy.ask(path, X_Forwarded_Prefix=EVIL, X_Original_URL=EVIL, Origin=EVIL)
    return EVIL in proxy.ask(path).text


def foreign_host(proxy: Door, upstream: Upstream) -> bool:
    """Odoo is asked under a name that is not the site's: links in its mails lead there."""
    proxy.ask("/web/reset_password", Host=EVIL)
    return any(EVIL in str(seen["headers"]) for seen in upstream.seen())


def chosen_database(proxy: Door, upstream: Upstream) -> bool:
    """The client chooses Odoo's database filter."""
    proxy.ask("/web/login", X_Odoo_Dbfilter=EVIL)
    return any(EVIL in str(seen["headers"]) for seen in upstream.seen())


def stored_error(proxy: Door, upstream: Upstream) -> bool:
    """A 404 of a file that is there again is served on."""
    path = file()
    upstream.mode(status=404)
    proxy.ask(path)
    upstream.mode()
    return proxy.ask(path).status == 404


def forced_refresh(proxy: Door, upstream: Upstream) -> bool:
    """F5, or whoever sends its header, gets past the cache: each request costs Odoo one."""
    path = file()
    for _unused in range(5):
        proxy.ask(path, Cache_Control="no-cache", Pragma="no-cache")
    return len(upstream.seen()) >= 5


def cookie_for_everybody(proxy: Door, upstream: Upstream) -> bool:
    """A stored answer sets one visitor's session cookie for the next one."""
    path = file()
    first, second = (proxy.ask(path).headers.get("set-cookie") for _unused in range(2))
    return bool(first) and first == second


def database_manager(proxy: Door, upstream: Upstream) -> bool:
    """/web/database is open."""
    return proxy.ask("/web/database/manager").status == 200


def database_service(proxy: Door, upstream: Upstream) -> bool:
    """XML-RPC's db service is open."""
    return proxy.ask("/xmlrpc/2/db", "POST", b"x").status == 200


def password_guessing(proxy: Door, upstream: Upstream) -> bool:
    """Sixty passwords in a row are all tried."""
    return all(proxy.ask("/web/login", "POST", b"login=a&password=b").status != 429 for _unused in range(60))


def upgrade(proxy: Door, upstream: Upstream) -> bool:
    """An upgrade that is no websocket reaches the upstream."""
    head = b"GET /websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    proxy.raw(head, 2)
    return any("h2c" in str(seen["headers"]) for seen in upstream.seen())


def slow_header(proxy: Door, upstream: Upstream) -> bool:
    """A client that does not finish its header holds its connection for more than twenty seconds."""
    return proxy.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-", 20)


def version(proxy: Door, upstream: Upstream) -> bool:
    """The server tells its version."""
    return any(letter.isdigit() for letter in proxy.ask("/web").headers.get("server", ""))


ATTACKS: list[Callable[[Door, Upstream], bool]] = [
    private_file,
    page_that_ends_like_a_file,
    page_that_contains_static,
    authorization,
    poisoned_host,
    poisoned_header,
    foreign_host,
    chosen_database,
    stored_error,
    forced_refresh,
    cookie_for_everybody,
    database_manager,
    database_service,
    password_guessing,
    upgrade,
    slow_header,
    version,
]


def main() -> int:
    """Attack each proxy, print who let what through."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", action="append", required=True, metavar="NAME=URL")
    parser.add_argument("--upstream", required=True, metavar="URL", help="the hostile upstream, by its own port")
    arguments = parser.parse_args()
    upstream = Upstream(Door(arguments.upstream))
    proxies = {name: Door(url) for name, _sign, url in (entry.partition("=") for entry in arguments.proxy)}
    through: dict[str, list[str]] = {name: [] for name in proxies}
    try:
        for name, door in proxies.items():
            for attack in ATTACKS:
                upstream.mode()
                if attack(door, upstream):
                    through[name].append(attack.__name__)
        upstream.mode()
    except (OSError, http.client.HTTPException) as problem:
        print(f"not attacked: {problem}", file=sys.stderr)
        return 2
    print("| attack | " + " | ".join(proxies) + " |")
    print("|---|" + "---|" * len(proxies))
    for attack in ATTACKS:
        what = (attack.__doc__ or "").split("\n", maxsplit=1)[0].rstrip(".")
        marks = ["**succeeds**" if attack.__name__ in through[name] else "-" for name in proxies]
        print(f"| {what} | " + " | ".join(marks) + " |")
    print(f"| of {len(ATTACKS)} | " + " | ".join(str(len(names)) for names in through.values()) + " |")
    return 1 if next(iter(through.values())) else 0


if __name__ == "__main__":
    sys.exit(main())
