# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the first request that a fresh Odoo pod gets with the same pod's later ones.

    benchmarks/odoo/first.py --kubeconfig .deploy/kubeconfig --rounds 5

Each round deletes one web pod, waits until the one that takes its place is ready, and asks that one alone (through
the API server, on a connection that is open already) for ``--path``. Readiness is the moment from which users come.
Exit status 0: the goal was met; 1: it was missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any

import kubernetes

WEB = "app.kubernetes.io/name=odoo,app.kubernetes.io/component=web"
GOAL = 2.0  # times the steady request


class Pods:
    """Odoo's web pods, by name."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        kubernetes.config.load_kube_config(kubeconfig)
        self.core: Any = kubernetes.client.CoreV1Api()
        self.namespace = namespace

    def ready(self) -> set[str]:
        """Pods that get requests."""
        return {
            pod.metadata.name
            for pod in self.core.list_namespaced_pod(self.namespace, label_selector=WEB).items
            if not pod.metadata.deletion_timestamp
            and any(state.type == "Ready" and state.status == "True" for state in pod.status.conditions or [])
        }

    def replace(self, name: str, timeout: float = 300) -> str:
        """Delete a pod; return the one that is ready in its place.

        :raises TimeoutError: none is after ``timeout`` seconds.
        """
        before = self.ready()
        self.core.delete_namespaced_pod(name, self.namespace)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if fresh := self.ready() - before:
                return str(fresh.pop())
            time.sleep(0.05)
        raise TimeoutError(f"no pod took the place of {name} in {timeout:.0f} s")

    def ask(self, name: str, path: str) -> float:
        """Milliseconds of one request to one pod; an answer that is no success raises."""
        began = time.perf_counter()
        self.core.connect_get_namespaced_pod_proxy_with_path(
            f"{name}:8069", self.namespace, path.lstrip("/"), _preload_content=False
        ).read()
        return (time.perf_counter() - began) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", default="odoo")
    parser.add_argument("--path", default="/web/login")
    parser.add_argument("--rounds", type=int, default=5, help="fresh pods (default: %(default)s)")
    parser.add_argument("--steady", type=int, default=40, help="later requests to each (default: %(default)s)")
    options = parser.parse_args()
    pods = Pods(options.kubeconfig, options.namespace)
    ratios = []
    for _unused in range(options.rounds):
        old = sorted(pods.ready())[0]
        pods.ask(old, options.path)  # opens the connection
        fresh = pods.replace(old)
        first = pods.ask(fresh, options.path)
        later = [pods.ask(fresh, options.path) for _each in range(options.steady)]
        steady = statistics.median(later)
        ratios.append(first / steady)
        row = {
            "pod": fresh,
            "first_ms": round(first, 1),
            "steady_ms": round(steady, 1),
            "worst_ms": round(max(later), 1),
        }
        print(json.dumps(row | {"ratio": round(ratios[-1], 2)}), flush=True)
        time.sleep(5)
    median = statistics.median(ratios)
    print(
        f"{'met' if median <= GOAL else 'MISSED'}: first request, times the steady one: {median:.2f} (goal <= {GOAL:g})"
    )
    return 0 if median <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
