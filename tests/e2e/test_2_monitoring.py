# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 2: Prometheus and cAdvisor; and, once everything runs, what they see of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from support.deployment import Cluster, Deployment, eventually
from support.odoo import BUNDLE, LOGIN_PAGE, STATIC, Door, Odoo, references
from support.panels import problems
from support.prometheus import Prometheus
from support.promql import metrics

SCRAPE = 15  # seconds between two readings
# Odoo has them from 18 on, and with its module mail. molecule/postgres_primary has a database that tells all of them.
NOT_IN_EVERY_ODOO = {"odoo_cron_failing", "odoo_mails", "odoo_mail_oldest_outgoing_seconds"}


@pytest.fixture(scope="module")
def prometheus(deployment: Deployment) -> Prometheus:
    return Prometheus(deployment)


@pytest.fixture(scope="module")
def page(prometheus: Prometheus) -> dict[str, Any]:
    """What the page of dashboards reads."""
    answer = prometheus.http.get(f"{prometheus.url}/user/dashboards.json", timeout=10)
    assert answer.status_code == 200, f"{answer.url} answered {answer.status_code}"
    return dict(answer.json())


@pytest.mark.monitoring
def test_prometheus_scrapes_itself_and_cadvisor(prometheus: Prometheus) -> None:
    """Prometheus reads itself and cAdvisor"""
    eventually(lambda: prometheus.assert_up("prometheus", "cadvisor"), seconds=4 * SCRAPE)


@pytest.mark.monitoring
def test_alert_rules_are_evaluated(prometheus: Prometheus) -> None:
    """Prometheus knows the alert rules, and none of them fails"""
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert len([rule for rule in rules if rule["type"] == "alerting"]) > 15
    failing = {rule["name"]: rule["lastError"] for rule in rules if rule["health"] == "err"}
    assert not failing, f"failing: {failing}"


@pytest.mark.monitoring
def test_cadvisor_runs_on_every_node(cluster: Cluster, prometheus: Prometheus) -> None:
    """cAdvisor runs on every node"""
    status = cluster.apps.read_namespaced_daemon_set("cadvisor", prometheus.namespace).status
    assert status.number_ready == len(cluster.core.list_node().items)


@pytest.mark.nginx
def test_every_target_is_up(prometheus: Prometheus, deployment: Deployment) -> None:
    """Every target of Prometheus is up: machines, PostgreSQL servers and, where they are shown, the proxies' figures"""
    jobs = {"node": "machines", "postgres": "postgres", "odoo": "postgres"}
    if any(machine.shows_figures() for machine in deployment.machines("nginx")):
        jobs["nginx"] = "nginx"
    eventually(lambda: prometheus.assert_up("prometheus", "alertmanager", "cadvisor", *jobs), seconds=4 * SCRAPE)
    for job, group in jobs.items():
        instances = {instance for name, instance in prometheus.targets() if name == job}
        assert instances == set(deployment.names(group)), job


@pytest.mark.nginx
def test_every_way_in_is_open(prometheus: Prometheus, deployment: Deployment) -> None:
    """Odoo's login page comes by each proxy and by the NodePort, and what serves websockets answers"""

    def check() -> None:
        found = prometheus.api("query", query="probe_success")["result"]
        closed = [series["metric"] for series in found if series["value"][1] != "1"]
        assert not closed, f"closed: {closed}"
        instances = {series["metric"]["instance"] for series in found}
        assert set(deployment.names("nginx")) < instances

    eventually(check, seconds=4 * SCRAPE)


@pytest.mark.nginx
def test_every_rule_reads_what_there_is(prometheus: Prometheus) -> None:
    """Prometheus holds every metric that an alert rule reads"""
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    named = set().union(*(metrics(rule["query"]) for rule in rules)) - NOT_IN_EVERY_ODOO

    def check() -> None:
        missing = {name for name in named if not prometheus.api("query", query=f"count({name})")["result"]}
        assert not missing, f"no series of {missing}"

    # The backups' check writes its first figures a minute after its start, and then every five.
    eventually(check, seconds=420, every=5)


@pytest.mark.nginx
def test_the_primary_tells_what_is_in_the_database(prometheus: Prometheus) -> None:
    """The primary tells what is in Odoo's database, and no standby does"""

    def instances(query: str) -> list[str]:
        return [series["metric"]["instance"] for series in prometheus.api("query", query=query)["result"]]

    def check() -> None:
        (primary,) = instances("pg_in_recovery == 0")
        for figure in ("odoo_modules_pending", "odoo_cron_overdue_seconds", 'odoo_users_active{within="24h"}'):
            assert instances(figure) == [primary], figure

    # The exporter asks the database once a minute.
    eventually(check, seconds=10 * SCRAPE)


@pytest.mark.monitoring
def test_prometheus_asks_who_it_is(prometheus: Prometheus) -> None:
    """Prometheus answers nobody without its password, where it has one"""
    strangers = requests.Session()
    strangers.trust_env = False
    wanted = 401 if prometheus.http.auth else 200
    for path in ("/", "/user/", "/metrics", "/api/v1/query?query=up", "/-/ready"):
        assert strangers.get(f"{prometheus.url}{path}", timeout=10).status_code == wanted, path


@pytest.mark.monitoring
def test_the_dashboards_are_served(page: dict[str, Any], deployment: Deployment) -> None:
    """Prometheus serves the dashboards, those of this deployment, at /user/"""
    assert page["deployment"] == deployment.name
    assert page["dashboards"]


@pytest.mark.nginx
def test_every_panel_has_figures(
    prometheus: Prometheus, page: dict[str, Any], deployment: Deployment, proxies: dict[str, Door]
) -> None:
    """Every panel of the dashboards has finite figures, of each machine that it speaks of"""

    def check() -> None:
        # Probes ask for pages only, and a rate needs a request between two readings.
        for door in proxies.values():
            page_of_login = door.follow(LOGIN_PAGE).text
            for path in references(page_of_login, STATIC)[:1] + references(page_of_login, BUNDLE)[:1]:
                assert door.get(path).status_code == 200, path
        found = problems(prometheus.api, page, time.time(), deployment.names)
        assert not found, "\n".join(found)

    # Rates of five minutes and the backups' first figures take their time on a fresh deployment.
    eventually(check, seconds=420, every=10)


@pytest.mark.odoo
def test_cadvisor_sees_odoo(prometheus: Prometheus, app: Odoo, odoo_pods: list[str]) -> None:
    """Prometheus holds cAdvisor's series of each Odoo pod, by the pod's name"""

    def check() -> None:
        query = f'container_memory_working_set_bytes{{namespace="{app.namespace}",container="odoo"}}'
        series = prometheus.api("query", query=query)["result"]
        seen = {entry["metric"]["pod"] for entry in series if float(entry["value"][1]) > 0}
        assert set(odoo_pods) <= seen, f"no series of {set(odoo_pods) - seen}"

    eventually(check, seconds=6 * SCRAPE)
