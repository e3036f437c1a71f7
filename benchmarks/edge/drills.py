# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people notice at the proxies while something happens behind or beside them. For a deployment of your own only.

``first-page``  a browser with an empty cache opens the login page, logs in and opens the web client: misses are counted
``flood``       wrk on /web/login and /jsonrpc; latency of another address' users, quiet and meanwhile. Bounded in time
``away``        all of Odoo's web pods away: files must go on, pages must be a 503 that says when to come back
``during``      failed requests of clients that ask without a pause while a command runs

Exit status 0: the goal was met; 1: it was missed; 2: what is needed does not answer.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import http.client
import json
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FILE = "/web/static/src/img/favicon.ico"
REFERENCE = re.compile(r"""(?:src|href)\s*=\s*["']([^"'#]+)""")
TOKEN = re.compile(r"""name="csrf_token" value="([^"]+)"|csrf_token: "([^"]+)""")
BUNDLE = re.compile(r"/web/(?:content|assets)/.+\.(?:js|css)$")
STATIC = re.compile(r"/[a-z0-9_]+/static/.+")


@dataclass(frozen=True)
class Answer:
    """Status, headers by lower-case name (the last one of a name), body."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    url: str, path: str, headers: dict[str, str] | None = None, method: str = "GET", body: bytes | None = None
) -> Answer:
    """Send one request on a connection of its own."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def files(page: bytes) -> list[str]:
    """Return the files of the same site that a page names and a proxy may store."""
    found = {html.unescape(match) for match in REFERENCE.findall(page.decode("utf-8", "replace"))}
    paths = {path: urllib.parse.urlsplit(path) for path in found}
    return sorted(
        path
        for path, parts in paths.items()
        if not parts.netloc and (BUNDLE.fullmatch(parts.path) or STATIC.fullmatch(parts.path))
    )


def first_page(arguments: argparse.Namespace) -> bool:
    """Count what a cold browser waits for Odoo to deliver."""
    misses, asked = [], 0
    login = ask(arguments.edge, "/web/login")
    token = TOKEN.search(login.body.decode())
    if login.status != 200 or not token:
        raise RuntimeError(f"{arguments.edge}/web/login answers {login.status}, without a form")
    cookie = login.headers["set-cookie"].split(";")[0]
    form = {
        "login": arguments.login,
        "password": Path(arguments.password_file).read_text().strip(),
        "csrf_token": token[1] or token[2],
    }
    kind = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    logged = ask(arguments.edge, "/web/login", kind, "POST", urllib.parse.urlencode(form).encode())
    if logged.status not in (302, 303):
        raise RuntimeError(f"Odoo does not let {arguments.login} log in (it answers {logged.status})")
    cookie = logged.headers.get("set-cookie", cookie).split(";")[0]
    client = ask(arguments.edge, "/web", {"Cookie": cookie})
    for path in sorted({*files(login.body), *files(client.body)}):
        answer = ask(arguments.edge, path, {"Cookie": cookie, "Accept-Encoding": "gzip, deflate, br"})
        asked += 1
        if answer.status != 200 or answer.headers.get("x-cache-status") != "HIT":
            misses.append(f"{path}: {answer.status} {answer.headers.get('x-cache-status')}")
    print(f"{asked} files of the login page and the web client, {len(misses)} not a HIT")
    print("\n".join(misses))
    return asked > 0 and not misses


# Runs on another machine, from its standard input: its users are not the flood's.
USERS = """
import http.client, json, sys, time
url, path, seconds = {url!r}, {path!r}, {seconds}
end, times, failed = time.monotonic() + seconds, [], 0
while time.monotonic() < end:
    start = time.perf_counter()
    try:
        connection = http.client.HTTPConnection(url, timeout=60)
        connection.request('GET', path)
        answer = connection.getresponse()
        answer.read()
        failed += answer.status != 200
        connection.close()
    except OSError:
        failed += 1
    times.append((time.perf_counter() - start) * 1e3)
    time.sleep(0.15)
print(json.dumps({{'times': times, 'failed': failed}}))
"""


def users(arguments: argparse.Namespace, seconds: int) -> subprocess.Popen[str]:
    """Start the other users; they open the login page and a file."""
    program = USERS.format(url=urllib.parse.urlsplit(arguments.edge).netloc, path="/web/login", seconds=seconds)
    process = subprocess.Popen(
        shlex.split(arguments.elsewhere), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    process.stdin.write(program)
    process.stdin.close()
    process.stdin = None
    return process


def p95(process: subprocess.Popen[str]) -> tuple[float, int, int]:
    """Return the 95th percentile in milliseconds, how many requests that is of, and how many failed."""
    output, _unused = process.communicate(timeout=300)
    told = json.loads(output)
    return statistics.quantiles(told["times"], n=20)[-1], len(told["times"]), told["failed"]


def flood(arguments: argparse.Namespace) -> bool:
    """Compare other users' latency with and without a flood."""
    met = True
    scripts = {
        "/web/login": ("POST", "application/x-www-form-urlencoded", "login=nobody&password=wrong"),
        "/jsonrpc": (
            "POST",
            "application/json",
            '{"jsonrpc":"2.0","method":"call","params":{"service":"common","method":"version","args":[]}}',
        ),
    }
    for path in arguments.path or scripts:
        method, kind, body = scripts[path]
        quiet, count, failed = p95(users(arguments, arguments.seconds))
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(
                f'wrk.method = "{method}"\nwrk.headers["Content-Type"] = "{kind}"\nwrk.body = {json.dumps(body)}\n'
            )
            script.flush()
            # The generator shares the machine with what it loads; it must not take the processor from it.
            command = [
                "nice",
                "-n",
                "19",
                "wrk",
                "-t1",
                f"-c{arguments.connections}",
                f"-d{arguments.seconds}s",
                "-s",
                script.name,
            ]
            generator = subprocess.Popen([*command, arguments.edge + path], stdout=subprocess.PIPE, text=True)
            time.sleep(1)
            loaded, _count, broken = p95(users(arguments, arguments.seconds - 2))
            output, _unused = generator.communicate(timeout=60)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
        shed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        sent = re.search(r"(\d+) requests in", output)
        ratio = loaded / quiet
        met &= ratio <= 2 and failed + broken == 0
        print(
            f"{path}: p95 quiet {quiet:.0f} ms ({count} requests), flooded {loaded:.0f} ms, ratio {ratio:.2f}; "
            f"failed {failed}/{broken}; the flood: {rate[1] if rate else '?'}/s, "
            f"{shed[1] if shed else 0} of {sent[1] if sent else '?'} shed"
        )
    return met


def away(arguments: argparse.Namespace) -> bool:
    """Take all web pods away for a while, and ask for files and pages."""
    from kubernetes import client, config

    config.load_kube_config(arguments.kubeconfig)
    apps = client.AppsV1Api()
    wanted: int = apps.read_namespaced_deployment("odoo", "odoo").to_dict()["spec"]["replicas"]

    def scale(replicas: int) -> None:
        apps.patch_namespaced_deployment_scale("odoo", "odoo", {"spec": {"replicas": replicas}})

    paths = [FILE, *files(ask(arguments.edge, "/web/login").body)]
    for path in paths:
        ask(arguments.edge, path)
    scale(0)
    good, bad, pages = 0, [], set()
    try:
        deadline = time.monotonic() + 120
        while ask(arguments.edge, "/web/login").status != 503:
            if time.monotonic() > deadline:
                raise RuntimeError("Odoo goes on answering without pods")
            time.sleep(1)
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            page = ask(arguments.edge, "/web/login")
            pages.add((page.status, page.headers.get("retry-after"), b"not available" in page.body))
            for path in paths:
                answer = ask(arguments.edge, path)
                good += answer.status == 200
                if answer.status != 200:
                    bad.append(f"{path}: {answer.status} {answer.headers.get('x-cache-status')}")
            time.sleep(0.5)
    finally:
        scale(wanted)
    start = time.monotonic()
    while ask(arguments.edge, "/web/login").status != 200:
        if time.monotonic() - start > 300:
            raise RuntimeError("Odoo did not come back")
        time.sleep(0.5)
    print(
        f"files: {good} answers 200, {len(bad)} others {sorted(set(bad))}; "
        f"pages (status, Retry-After, says so): {sorted(pages)}"
    )
    print(f"pages again {time.monotonic() - start:.0f} s after the pods were asked for")
    return not bad and pages == {(503, "10", True)}


@dataclass
class Load:
    """Clients that ask for a page and a file in turns, each request on a connection of its own."""

    edges: list[str]
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def _client(self, edge: str, path: str) -> None:
        while not self._stop.wait(0.1):  # the login page's limit is ten a second and address
            try:
                answer = ask(edge, path)
                if answer.status == 200:
                    self.answered += 1
                else:
                    self.failed.append(f"{edge}{path}: {answer.status}")
            except (OSError, http.client.HTTPException) as problem:
                self.failed.append(f"{edge}{path}: {problem!r}")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Ask from entry to exit."""
        jobs = [(edge, path) for edge in self.edges for path in ("/web/login", FILE, FILE, FILE)]
        clients = [threading.Thread(target=self._client, args=job) for job in jobs]
        for thread in clients:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in clients:
                thread.join()


def during(arguments: argparse.Namespace) -> bool:
    """Count failed requests while a command runs."""
    load = Load(arguments.edge)
    with load.running():
        time.sleep(1)
        done = subprocess.run(arguments.command, check=False, capture_output=True, text=True)
        time.sleep(1)
    print(f"{shlex.join(arguments.command)}: exit {done.returncode}")
    print(f"{load.answered} answered, {len(load.failed)} failed {sorted(set(load.failed))[:5]}")
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout)[-2000:])
    return not load.failed


def main() -> int:
    """Run one drill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    drills = parser.add_subparsers(required=True)
    drill = drills.add_parser("first-page")
    drill.add_argument("--edge", required=True, metavar="URL")
    drill.add_argument("--login", default="admin")
    drill.add_argument("--password-file", default=".deploy/secrets/odoo_admin_password")
    drill.set_defaults(drill=first_page)
    drill = drills.add_parser("flood")
    drill.add_argument("--edge", required=True, metavar="URL")
    drill.add_argument(
        "--elsewhere",
        required=True,
        metavar="COMMAND",
        help="runs Python from stdin on another machine, e.g. 'docker exec -i odoo-pg1 python3 -'",
    )
    drill.add_argument("--seconds", type=int, default=60)
    drill.add_argument("--connections", type=int, default=20)
    drill.add_argument(
        "--path", action="append", choices=["/web/login", "/jsonrpc"], help="(default: one after the other)"
    )
    drill.set_defaults(drill=flood)
    drill = drills.add_parser("away")
    drill.add_argument("--edge", required=True, metavar="URL")
    drill.add_argument("--kubeconfig", default=".deploy/kubeconfig")
    drill.add_argument("--seconds", type=int, default=60)
    drill.set_defaults(drill=away)
    drill = drills.add_parser("during")
    drill.add_argument("--edge", required=True, action="append", metavar="URL", help="may be given several times")
    drill.add_argument("command", nargs="+", help="after --")
    drill.set_defaults(drill=during)
    arguments = parser.parse_args()
    try:
        return 0 if arguments.drill(arguments) else 1
    except (OSError, RuntimeError, KeyError, ValueError, subprocess.SubprocessError) as problem:
        print(f"not measured: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
