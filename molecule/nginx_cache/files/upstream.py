# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hostile upstream: it leaks what it was sent into every answer, and misbehaves on command.

Every answer names the request it belongs to: its number, its raw path, all its headers, and a fresh session cookie. An
edge that stores or mixes up anything of one client therefore shows it to the next one, in plain text.

``POST /_mode`` with a JSON object replaces the mode (all keys optional)::

    {"status": 200, "delay": 0.0, "headers": {"Cache-Control": "private", "Vary": null}, "drop": false,
     "truncate": false, "version": "1"}

``GET /_seen`` answers with the list of requests since the last ``POST /_mode``, as
``{"method", "path", "headers", "body"}``.
Usage: upstream.py [ADDRESS:PORT ...]
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOCK = threading.Lock()
SEEN: list[dict[str, object]] = []
MODE: dict[str, object] = {}
COUNT = 0
CONTROL = ("/_mode", "/_seen")


class Handler(BaseHTTPRequestHandler):
    """Answers everything, believes everything, tells everything."""

    protocol_version = "HTTP/1.1"
    server_version = "Hostile"
    disable_nagle_algorithm = True  # head and body are two writes; the second must not wait for an ACK

    def handle_any(self) -> None:
        """Answer one request of whatever method."""
        global COUNT
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path = self.path.split("?")[0]
        if path in CONTROL:
            self.control(path, body)
            return
        with LOCK:
            COUNT += 1
            number, mode = COUNT, dict(MODE)
            SEEN.append(
                {
                    "method": self.command,
                    "path": self.path,
                    "headers": dict(self.headers.items()),
                    "body": body.decode("latin-1"),
                }
            )
        time.sleep(float(str(mode.get("delay", 0))))
        if mode.get("drop"):
            self.close_connection = True
            self.connection.close()
            return
        told = {
            "n": number,
            "path": self.path,
            "headers": dict(self.headers.items()),
            "version": mode.get("version", "1"),
        }
        text = (json.dumps(told) + "\n" + "padding " * 512).encode()
        # Like Odoo: the same file has the same ETag on every pod.
        digest = hashlib.sha256((path + str(told["version"])).encode()).hexdigest()[:12]
        etag = f'"{digest}"'
        status = int(str(mode.get("status", 200)))
        if status == 200 and self.headers.get("If-None-Match", "").removeprefix("W/") == etag:
            status, text = 304, b""
        self.send_response(status)
        self.send_header("Set-Cookie", f"session_id=upstream-{number}; Path=/; HttpOnly")
        self.send_header("X-Cache-Status", "HIT")
        self.send_header("ETag", etag)
        self.send_header("Content-Type", mimetypes.guess_type(path)[0] or "text/html")
        headers = {"Cache-Control": "public, max-age=604800", "Vary": "*", "X-Accel-Expires": "86400"}
        headers.update(dict(mode.get("headers", {})))  # type: ignore[call-overload]
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, str(value))
        if status != 304:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text[: len(text) // 2] if mode.get("truncate") else text)
        if mode.get("truncate"):
            self.close_connection = True

    def control(self, path: str, body: bytes) -> None:
        """Set the mode or tell what was seen."""
        with LOCK:
            if path == "/_mode":
                MODE.clear()
                MODE.update(json.loads(body or b"{}"))
                SEEN.clear()
            answer = json.dumps(SEEN).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = handle_any

    def log_message(self, format: str, *args: object) -> None:
        """Keep the journal short: ``/_seen`` tells more."""


def main() -> None:
    """Serve on every address given, for ever."""
    servers = []
    for listen in sys.argv[1:] or ["127.0.0.1:8069"]:
        address, port = listen.rsplit(":", 1)
        servers.append(ThreadingHTTPServer((address, int(port)), Handler))
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
