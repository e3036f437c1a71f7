# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployed Prometheus, by its API and with its log-in."""

from __future__ import annotations

from typing import Any

import requests

from support.deployment import Deployment


class Prometheus:
    def __init__(self, deployment: Deployment) -> None:
        workload = deployment.cluster.workload(deployment.name, field_selector="metadata.name=prometheus")
        self.namespace = str(workload.metadata.namespace)
        port = deployment.cluster.node_ports(self.namespace, "prometheus")["http"]
        self.url = f"http://{next(iter(deployment.nodes.values()))}:{port}"
        self.http = requests.Session()
        self.http.auth = deployment.cluster.login(self.namespace)
        self.http.trust_env = False

    def api(self, path: str, **parameters: str) -> Any:
        answer = self.http.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10)
        assert answer.status_code == 200, f"{answer.url} answered {answer.status_code}"
        return answer.json()["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """(labels, value) of each series that an expression gives now."""
        return [(found["metric"], float(found["value"][1])) for found in self.api("query", query=expression)["result"]]

    def targets(self) -> dict[tuple[str, str], tuple[str, str]]:
        """{(job, instance): (health, last error)}"""
        active = self.api("targets", state="active")["activeTargets"]
        return {(t["labels"]["job"], t["labels"]["instance"]): (t["health"], t["lastError"]) for t in active}

    def assert_up(self, *jobs: str) -> None:
        targets = {name: state for name, state in self.targets().items() if name[0] in jobs}
        assert {job for job, _unused in targets} == set(jobs)
        down = {name: error for name, (health, error) in targets.items() if health != "up"}
        assert not down, f"down: {down}"
