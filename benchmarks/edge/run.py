# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the proxy against a plain nginx on the same machine, and against Odoo without a proxy.

Before: ``ansible-playbook benchmarks/edge/plain.yml``; after: the same with ``-e plain_state=absent``. Needs wrk.
Other configurations (``peers.yml``) take their turns too, with ``--peer``; no goal is about them.
Each figure is the median of ``--rounds`` runs. The targets take turns, so that a slow minute of the machine hits all,
there and back, so that what one leaves to do (Odoo's workers, the proxy's log) hits both of its neighbours.
Exit status 0: every goal was met; 1: some goal was missed; 2: something to measure did not answer 200.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Load:
    """One target under wrk: requests a second, latencies in milliseconds, answers that were no success."""

    requests: float
    p50: float
    p99: float
    errors: int


def milliseconds(text: str) -> float:
    """Return wrk's ``1.23ms`` in milliseconds."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if not match:
        raise ValueError(f"wrk printed {text!r} where a time was expected")
    return float(match.group(1)) * UNITS[match.group(2)]


def parse_wrk(text: str) -> Load:
    """Return the figures of what ``wrk --latency`` printed."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    spread = dict(re.findall(r"^\s+(50|99)%\s+(\S+)", text, re.M))
    if not rate or len(spread) != 2:
        raise ValueError(f"this is not wrk's output:\n{text}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = (int(refused.group(1)) if refused else 0) + (sum(map(int, broken.groups())) if broken else 0)
    return Load(float(rate.group(1)), milliseconds(spread["50"]), milliseconds(spread["99"]), errors)


def wrk(url: str, connections: int, seconds: int) -> Load:
    """Run wrk with two threads against ``url``."""
    command = ["wrk", "--latency", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", url]
    return parse_wrk(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def median(loads: list[Load]) -> Load:
    """Return the median of each figure; errors are summed."""
    return Load(
        statistics.median(load.requests for load in loads),
        statistics.median(load.p50 for load in loads),
        statistics.median(load.p99 for load in loads),
        sum(load.errors for load in loads),
    )


def once(url: str) -> tuple[int, float]:
    """Return status and milliseconds of one request on a connection of its own."""
    parts = urlsplit(url)
    start = time.perf_counter()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=60)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        answer.read()
        return answer.status, (time.perf_counter() - start) * 1e3
    finally:
        connection.close()


def added_latency(direct: str, edge: str, count: int) -> tuple[float, float]:
    """Return the medians of ``count`` requests to each, one after the other in turns, in milliseconds."""
    times: dict[str, list[float]] = {direct: [], edge: []}
    for _unused in range(count):
        for url in times:
            status, spent = once(url)
            if status != 200:
                raise RuntimeError(f"{url} answers {status}")
            times[url].append(spent)
        time.sleep(0.12)  # the proxy takes ten a second of the login page from one address
    return statistics.median(times[direct]), statistics.median(times[edge])


def main() -> int:
    """Measure, print a table and the JSON behind it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edge", required=True, metavar="URL", help="the proxy, http://ADDRESS")
    parser.add_argument(
        "--plain", required=True, metavar="URL", help="the plain nginx of plain.yml, http://ADDRESS:8088"
    )
    parser.add_argument("--odoo", required=True, metavar="URL", help="Odoo without a proxy, http://NODE:32242")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=URL", help="may be given several times")
    parser.add_argument(
        "--file", default="/web/static/src/img/favicon.ico", metavar="PATH", help="(default: %(default)s)"
    )
    parser.add_argument("--page", default="/web/login", metavar="PATH", help="(default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=10, help="of one wrk run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--connections", type=int, default=200, help="(default: %(default)s)")
    arguments = parser.parse_args()

    targets = {"edge": arguments.edge, "plain": arguments.plain, "odoo": arguments.odoo}
    targets |= {name: url for name, _sign, url in (peer.partition("=") for peer in arguments.peer)}
    try:
        for name, url in targets.items():
            status, _spent = once(url + arguments.file)
            if status != 200:
                raise RuntimeError(f"{name}: {url}{arguments.file} answers {status}")
        runs: dict[str, list[Load]] = {name: [] for name in targets}
        for number in range(arguments.rounds):
            for name, url in list(targets.items())[:: -1 if number % 2 else 1]:
                connections = 8 if name == "odoo" else arguments.connections  # more only queue in Odoo
                runs[name].append(wrk(url + arguments.file, connections, arguments.seconds))
        direct, through = added_latency(arguments.odoo + arguments.page, arguments.edge + arguments.page, 100)
    except (OSError, RuntimeError, ValueError, subprocess.CalledProcessError) as problem:
        print(f"not measured: {problem}", file=sys.stderr)
        return 2

    figures = {name: median(loads) for name, loads in runs.items()}
    edge, plain, odoo = figures["edge"], figures["plain"], figures["odoo"]
    goals = [
        ("stored file, requests/s, against plain nginx", edge.requests / plain.requests, ">=", 0.95),
        ("stored file, requests/s, against Odoo", edge.requests / odoo.requests, ">=", 50.0),
        (
            f"stored file, p99 at {arguments.connections} connections, against plain nginx",
            edge.p99 / plain.p99,
            "<=",
            1.2,
        ),
        ("page, added by the proxy, p50, ms", through - direct, "<=", 1.0),
        ("answers that failed", float(edge.errors), "<=", 0.0),
    ]
    print(f"{'':12}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'failed':>8}")
    for name, load in figures.items():
        print(f"{name:12}{load.requests:12.0f}{load.p50:10.2f}{load.p99:10.2f}{load.errors:8}")
    met = True
    for what, value, sign, goal in goals:
        good = value >= goal if sign == ">=" else value <= goal
        met &= good
        print(f"{'met   ' if good else 'MISSED'} {what}: {value:.2f} (goal {sign} {goal:g})")
    record = {name: asdict(load) for name, load in figures.items()} | {"page_ms": {"direct": direct, "edge": through}}
    print(json.dumps(record))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
