# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role prometheus_k8s leaves behind, after somebody spoiled it by hand and it was applied again."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from kubernetes import client, config

PROMETHEUS = "http://192.168.133.100:30090/api/v1"
MACHINE = "192.168.133.11"
testinfra_hosts = ["local://"]
WANTED = {"prometheus": "1", "alertmanager": "1", "cadvisor": "1", "node": "1", "probe-page": "1", "probe-socket": "1"}


def login() -> tuple[str, str]:
    """Who may open Prometheus, by the deployment's own secret."""
    return "admin", (Path(os.environ["ODOO_DEPLOY_DIR"]) / "secrets" / "prometheus_password").read_text().strip()


@pytest.fixture(scope="module")
def pods() -> dict[str, Any]:
    """The pods of the namespace, by app.kubernetes.io/name."""
    config.load_kube_config(str(Path(os.environ["ODOO_DEPLOY_DIR"]) / "kubeconfig"))
    found = client.CoreV1Api().list_namespaced_pod("monitoring").items
    return {pod.metadata.labels["app.kubernetes.io/name"]: pod for pod in found}


@pytest.fixture(scope="module")
def ask() -> Callable[..., Any]:
    """Asks Prometheus until there is an answer with something in it, for as long as four scrapes take."""
    http = requests.Session()
    http.trust_env = False
    http.auth = login()

    def ask(path: str, wanted: Callable[[Any], Any] = lambda data: data, **query: str) -> Any:
        answer: Any = None
        for _unused in range(60):
            try:
                answer = http.get(f"{PROMETHEUS}/{path}", params=query, timeout=5).json()["data"]
                if wanted(answer):
                    return wanted(answer)
            except (requests.RequestException, ValueError) as problem:
                answer = problem
            time.sleep(1)
        raise AssertionError(f"{path} {query}: {answer}")

    return ask


@pytest.mark.parametrize("path", ["/", "/user/", "/metrics", "/api/v1/query?query=up", "/-/ready"])
@pytest.mark.parametrize("password", ["", "wrong"])
def test_nobody_else_may_open_it(path: str, password: str) -> None:
    """401 for who has no password or a wrong one; the right one is in no object but the Secret."""
    http = requests.Session()
    http.trust_env = False
    http.auth = ("admin", password) if password else None
    assert http.get(f"http://192.168.133.100:30090{path}", timeout=5).status_code == 401


def test_the_password_is_in_the_secret_only(pods: dict[str, Any]) -> None:
    password = login()[1]
    objects = client.CoreV1Api().list_namespaced_config_map("monitoring").items
    told = [json.dumps(one.data) for one in objects] + [str(pod.to_dict()) for pod in pods.values()]
    for text in (password, base64.b64encode(f"admin:{password}".encode()).decode()):
        assert not [one for one in told if text in one]


def test_every_target_is_read(ask: Callable[..., Any]) -> None:
    """Prometheus and what it runs with, the machine under its own name, and probes of an Odoo that is not there."""
    ask("query", lambda data: len(data["result"]) == len(WANTED), query="count by (job) (up == 1)")
    found = ask("query", lambda data: data["result"], query='node_uname_info{instance="m1"}')
    assert [series["metric"]["nodename"] for series in found] == ["m1"]
    targets = ask("targets", lambda data: data["activeTargets"])
    assert f"http://{MACHINE}:9100/metrics" in {target["scrapeUrl"] for target in targets}


def test_pods_are_read_by_name(ask: Callable[..., Any], pods: dict[str, Any]) -> None:
    """cAdvisor's series carry the pod's name and namespace, and nothing of docker's labels."""
    query = 'container_memory_working_set_bytes{namespace="monitoring",container="prometheus"} > 0'
    found = [series["metric"] for series in ask("query", lambda data: data["result"], query=query)]
    # A pod that was replaced a moment ago is still among them; each pod has one series.
    names = [metric["pod"] for metric in found]
    assert names.count(pods["prometheus"].metadata.name) == 1
    assert len(names) == len(set(names))
    assert not [label for metric in found for label in metric if label.startswith("container_label_")]


def test_the_alert_rules_are_in_force(ask: Callable[..., Any]) -> None:
    groups = ask("rules", lambda data: data["groups"])
    alerts = [rule for group in groups for rule in group["rules"] if rule["type"] == "alerting"]
    assert len(alerts) >= 40
    assert {rule["health"] for rule in alerts} <= {"ok", "unknown"}
    assert all(rule["annotations"]["runbook"].endswith(f"#{rule['name'].lower()}") for rule in alerts)


def test_what_is_wanted_is_what_there_is(ask: Callable[..., Any]) -> None:
    """The counts that alerts compare with, by job."""

    def counts(expression: str) -> dict[str, str]:
        found = ask("query", lambda data: data["result"], query=expression)
        return {series["metric"]["job"]: series["value"][1] for series in found}

    assert counts("targets_wanted") == WANTED
    assert counts("count by (job) (up)") == WANTED


def test_probes_say_what_they_saw(ask: Callable[..., Any]) -> None:
    """Nobody serves Odoo here: the exporter is asked, and tells so."""
    found = ask("query", lambda data: data["result"], query="probe_success")
    assert {(series["metric"]["job"], series["value"][1]) for series in found} == {
        ("probe-page", "0"),
        ("probe-socket", "0"),
    }


def test_grafana_finds_the_dashboards() -> None:
    """By the label that its sidecar goes by."""
    config.load_kube_config(str(Path(os.environ["ODOO_DEPLOY_DIR"]) / "kubeconfig"))
    (found,) = client.CoreV1Api().list_config_map_for_all_namespaces(label_selector="grafana_dashboard=1").items
    assert len(found.data) == 6
    assert all(json.loads(text)["panels"] for text in found.data.values())


def test_an_operator_that_came_later_is_served() -> None:
    """The kinds that the cluster knows, with the deployment's own rules; a probe of former days is gone."""
    config.load_kube_config(str(Path(os.environ["ODOO_DEPLOY_DIR"]) / "kubeconfig"))
    api = client.CustomObjectsApi()

    def names(plural: str) -> dict[str, Any]:
        found = api.list_namespaced_custom_object("monitoring.coreos.com", "v1", "monitoring", plural)["items"]
        return {thing["metadata"]["name"]: thing["spec"] for thing in found}

    (rules,) = names("prometheusrules").values()
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    assert {"Watchdog", "OdooNotReachable", "ObjectiveBurnsFast"} <= alerts
    assert set(names("servicemonitors")) == {"cadvisor", "alertmanager"}
    probes = names("probes")
    assert {probe["jobName"] for probe in probes.values()} == {"probe-page", "probe-socket"}
    assert "probe-page-closed-0" not in probes


def test_what_is_kept_is_bounded(ask: Callable[..., Any]) -> None:
    flags = ask("status/flags")
    assert (flags["storage.tsdb.retention.time"], flags["storage.tsdb.retention.size"]) == ("15d", "2GiB")


@pytest.mark.parametrize("name", ["prometheus", "cadvisor", "alertmanager", "blackbox"])
def test_neither_talks_to_the_api(pods: dict[str, Any], name: str) -> None:
    """No token of a service account in any of their containers."""
    spec = pods[name].spec
    mounts = [mount.mount_path for container in spec.containers for mount in container.volume_mounts]
    assert "/var/run/secrets/kubernetes.io/serviceaccount" not in mounts
    assert spec.automount_service_account_token is False


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "blackbox"])
def test_it_is_nobody_special(pods: dict[str, Any], name: str) -> None:
    spec = pods[name].spec
    assert spec.security_context.run_as_non_root
    (container,) = spec.containers
    assert container.security_context.capabilities.drop == ["ALL"]
    assert container.security_context.read_only_root_filesystem
