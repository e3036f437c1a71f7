# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts failed requests while Odoo's pods are changed under a steady load, beside a plain Deployment under the same.

    benchmarks/odoo/changes.py --kubeconfig .deploy/kubeconfig --password-file .deploy/secrets/odoo_admin_password \\
        --url http://192.168.99.31 --url http://192.168.99.32 --run 'image=ansible-playbook playbooks/odoo.yml -e …'

The load is open-loop: a slow server does not lower the ``--rate``. Each request comes on a connection of its own, as a
new visitor's. With ``--password-file`` it is the administrator's click (a POST that reads a record, which no proxy
sends twice), else ``--path`` for a stranger. A request fails that has no right answer in 10 s.

``--change`` is one of the built-in ones (through the Kubernetes API), ``--run NAME=COMMAND`` any command that changes
something. ``plain`` deploys the same image the way most charts do (no preStop, no probes, its own grace period) on a
NodePort of its own and restarts it under the same load. One JSON object a line; ``away_seconds`` is the time between
the first and the last failure.

Only for servers of your own: it makes ``--requests`` requests per change.
"""

from __future__ import annotations

import argparse
import http.client
import json
import queue
import shlex
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes


@dataclass
class Outcome:
    """What a load saw; latencies in seconds, of answered requests."""

    latencies: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    failed_at: list[float] = field(default_factory=list)

    def row(self, name: str, seconds: float) -> dict[str, object]:
        ordered = sorted(self.latencies) or [0.0]
        return {
            "change": name,
            "requests": len(self.latencies) + sum(self.failures.values()),
            "failed": sum(self.failures.values()),
            "failures": self.failures,
            "away_seconds": round(max(self.failed_at) - min(self.failed_at), 1) if self.failed_at else 0.0,
            "change_seconds": round(seconds, 1),
            "p50_ms": round(statistics.median(ordered) * 1000, 1),
            "p99_ms": round(ordered[int(len(ordered) * 0.99) - 1] * 1000, 1),
            "max_ms": round(ordered[-1] * 1000, 1),
        }


class Visitor:
    """Makes one kind of request, again and again; knows which answer is right."""

    def __init__(self, path: str, password: str = "") -> None:
        self.path, self.password, self.cookie = path, password, ""

    def log_in(self, url: str) -> None:
        """Open the session that all requests use; they go to any pod.

        :raises RuntimeError: Odoo refuses.
        """
        if not self.password:
            return
        answer = {"db": "odoo", "login": "admin", "password": self.password}
        status, body, self.cookie = self._post(url, "/web/session/authenticate", answer)
        if status != 200 or b'"uid": 2' not in body:
            raise RuntimeError(f"{url} refused the log-in: {status}")

    def _post(self, url: str, path: str, params: dict[str, Any]) -> tuple[int, bytes, str]:
        body = json.dumps({"jsonrpc": "2.0", "params": params})
        return self._request(url, "POST", path, body, {"Content-Type": "application/json"})

    def _request(
        self, url: str, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, bytes, str]:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=10)
        try:
            connection.request(method, path, body, {**headers, **({"Cookie": self.cookie} if self.cookie else {})})
            answer = connection.getresponse()
            return answer.status, answer.read(), (answer.getheader("Set-Cookie") or "").split(";")[0]
        finally:
            connection.close()

    def problem(self, url: str) -> str:
        """Make one request; empty when its answer was the right one, else what came instead."""
        try:
            if not self.password:
                status, _unused, _session = self._request(url, "GET", self.path, None, {})
                return "" if status == 200 else str(status)
            params = {"model": "res.users", "method": "read", "args": [[2], ["login"]], "kwargs": {}}
            status, body, _session = self._post(url, "/web/dataset/call_kw", params)
            return "" if status == 200 and b'"login": "admin"' in body else str(status)
        except Exception as error:  # whatever it is, the visitor has no page
            return type(error).__name__


def load(
    urls: list[str], visitor: Visitor, rate: float, requests: int, stop: threading.Event, threads: int = 64
) -> Outcome:
    """Sends at ``rate`` until ``requests`` were sent and ``stop`` is set: at least as long as the change takes."""
    outcome, lock = Outcome(), threading.Lock()
    work: queue.Queue[tuple[float, str] | None] = queue.Queue()

    def worker() -> None:
        while (item := work.get()) is not None:
            due, url = item
            problem = visitor.problem(url)
            now = time.monotonic()
            with lock:
                if problem:
                    outcome.failures[problem] = outcome.failures.get(problem, 0) + 1
                    outcome.failed_at.append(now)
                else:
                    # From when it was due, so that a stall counts for every request it holds up.
                    outcome.latencies.append(now - due)

    pool = [threading.Thread(target=worker) for _unused in range(threads)]
    for thread in pool:
        thread.start()
    started, sent = time.monotonic(), 0
    while sent < requests or not stop.is_set():
        due = started + sent / rate
        time.sleep(max(0.0, due - time.monotonic()))
        work.put((due, urls[sent % len(urls)]))
        sent += 1
    for _unused in pool:
        work.put(None)
    for thread in pool:
        thread.join()
    return outcome


class Cluster:
    """The few calls on Deployments that the changes need."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        kubernetes.config.load_kube_config(kubeconfig)
        self.apps: Any = kubernetes.client.AppsV1Api()
        self.core: Any = kubernetes.client.CoreV1Api()
        self.namespace = namespace

    def restart(self, name: str) -> None:
        stamp = {"spec": {"template": {"metadata": {"annotations": {"odoo-deploy/restarted": str(time.time())}}}}}
        self.apps.patch_namespaced_deployment(name, self.namespace, stamp)
        self.wait(name)

    def set_env(self, name: str, value: str) -> None:
        patch = {
            "spec": {
                "template": {
                    "spec": {"containers": [{"name": "odoo", "env": [{"name": "ODOO_BENCHMARK", "value": value}]}]}
                }
            }
        }
        self.apps.patch_namespaced_deployment(name, self.namespace, patch)
        self.wait(name)

    def scale(self, name: str, replicas: int) -> None:
        self.apps.patch_namespaced_deployment_scale(name, self.namespace, {"spec": {"replicas": replicas}})
        self.wait(name)

    def node_address(self) -> str:
        """Where NodePorts are, the ones that no proxy knows included."""
        addresses = self.core.list_node().items[0].status.addresses
        return next(str(address.address) for address in addresses if address.type == "InternalIP")

    def replicas(self, name: str) -> int:
        return int(self.apps.read_namespaced_deployment(name, self.namespace).spec.replicas)

    def wait(self, name: str, timeout: float = 600) -> None:
        """Until the rollout is over and no old pod is left.

        :raises TimeoutError: it is not, after ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = self.apps.read_namespaced_deployment(name, self.namespace)
            status, wanted = found.status, found.spec.replicas
            pods = self.core.list_namespaced_pod(
                self.namespace, label_selector=",".join(f"{k}={v}" for k, v in found.spec.selector.match_labels.items())
            ).items
            if (status.observed_generation or 0) >= found.metadata.generation and wanted == (
                status.updated_replicas or 0
            ) == (status.available_replicas or 0) == len(pods):
                return
            time.sleep(1)
        raise TimeoutError(f"deployment {name} did not settle in {timeout:.0f} s")

    def plain(self, port: int) -> None:
        """A Deployment of the same pods without what keeps users from noticing a change."""
        source = kubernetes.client.ApiClient().sanitize_for_serialization(
            self.apps.read_namespaced_deployment("odoo", self.namespace)
        )
        labels = {"app.kubernetes.io/name": "odoo", "app.kubernetes.io/component": "plain"}
        pod = source["spec"]["template"]["spec"]
        pod["terminationGracePeriodSeconds"] = 30
        for key in ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle"):
            pod["containers"][0].pop(key, None)
        pod["containers"][0]["resources"] = {}
        self.apps.create_namespaced_deployment(
            self.namespace,
            {
                "metadata": {"name": "odoo-plain", "labels": labels},
                "spec": {
                    "replicas": 3,
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                },
            },
        )
        self.core.create_namespaced_service(
            self.namespace,
            {
                "metadata": {"name": "odoo-plain", "labels": labels},
                "spec": {"type": "NodePort", "selector": labels, "ports": [{"port": 8069, "nodePort": port}]},
            },
        )
        self.wait("odoo-plain")

    def remove_plain(self) -> None:
        for call in (self.apps.delete_namespaced_deployment, self.core.delete_namespaced_service):
            try:
                call("odoo-plain", self.namespace)
            except kubernetes.client.ApiException as error:
                if error.status != 404:
                    raise


def command(text: str) -> tuple[str, list[str]]:
    """NAME and arguments of NAME=COMMAND."""
    name, equals, line = text.partition("=")
    if not (name and equals and line):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=COMMAND")
    return name, shlex.split(line)


def run(argv: list[str]) -> None:
    """Run a command to its end; what it says goes to standard error. Its exit code does not matter to the load."""
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    print(f"{argv[0]} ended with {done.returncode}", file=sys.stderr)


def measure(name: str, urls: list[str], options: argparse.Namespace, change: Callable[[], None]) -> dict[str, object]:
    """Runs ``change`` in the middle of a load and tells what the load saw."""
    visitor = Visitor(options.path, options.password_file.read_text().strip() if options.password_file else "")
    visitor.log_in(urls[0])
    stop, result = threading.Event(), []
    thread = threading.Thread(target=lambda: result.append(load(urls, visitor, options.rate, options.requests, stop)))
    thread.start()
    time.sleep(5)
    started = time.monotonic()
    try:
        change()
    finally:
        seconds = time.monotonic() - started
        stop.set()
        thread.join()
    row = result[0].row(name, seconds)
    print(json.dumps(row), flush=True)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", default="odoo")
    parser.add_argument("--url", action="append", required=True, help="where the load goes; several are taken in turn")
    parser.add_argument("--path", default="/web/login", help="what a stranger asks for")
    parser.add_argument("--password-file", type=Path, help="the administrator's password: clicks of a person logged in")
    parser.add_argument("--rate", type=float, default=20, help="requests a second")
    parser.add_argument("--requests", type=int, default=5000, help="least number of requests per change")
    parser.add_argument(
        "--change",
        action="append",
        choices=["restart", "config", "scale", "plain"],
        help="default: all four, or none with --run",
    )
    parser.add_argument("--run", action="append", type=command, default=[], metavar="NAME=COMMAND", help="repeatable")
    parser.add_argument("--plain-port", type=int, default=32290, help="NodePort of the plain Deployment")
    options = parser.parse_args()
    cluster = Cluster(options.kubeconfig, options.namespace)
    before = cluster.replicas("odoo")

    def scale() -> None:
        cluster.scale("odoo", before + 2)
        cluster.scale("odoo", before)

    changes: dict[str, Callable[[], None]] = {
        "restart": lambda: cluster.restart("odoo"),
        "config": lambda: cluster.set_env("odoo", str(time.time())),
        "scale": scale,
    }
    wanted = options.change or ([] if options.run else [*changes, "plain"])
    chosen = {name: change for name, change in changes.items() if name in wanted}
    chosen |= {name: lambda argv=argv: run(argv) for name, argv in options.run}  # type: ignore[misc]
    failed = sum(int(str(measure(name, options.url, options, change)["failed"])) for name, change in chosen.items())
    if "plain" in wanted:
        url = f"http://{cluster.node_address()}:{options.plain_port}"
        try:
            cluster.plain(options.plain_port)
            time.sleep(20)  # without readiness nobody knows when it serves
            measure("restart, plain Deployment", [url], options, lambda: cluster.restart("odoo-plain"))
        finally:
            cluster.remove_plain()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
