# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects for an operator of Prometheus, and those that are left over."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.k8s_leftovers import k8s_leftovers
from ansible_collections.odoo_deploy.stack.plugins.filter.operator_objects import operator_objects

RULES = {"groups": [{"name": "g", "rules": [{"record": "a", "expr": "vector(1)"}]}]}
JOB = {
    "job_name": "postgres",
    "static_configs": [{"targets": ["192.0.2.1:9187"], "labels": {"instance": "pg1"}}],
    "metric_relabel_configs": [{"source_labels": ["a"], "target_label": "b", "regex": "c_d"}],
    "scheme": "https",
}
PROBE = {"job": "probe-page", "module": "page", "target": "http://192.0.2.3/web", "instance": "nginx1"}
EVERY = ["PrometheusRule", "ServiceMonitor", "Probe", "ScrapeConfig"]


def made(**options: Any) -> dict[str, dict[str, Any]]:
    """The objects by kind and name."""
    given = {
        "kinds": EVERY,
        "namespace": "watch",
        "deployment": "erp",
        "exporter": "blackbox.watch.svc:9115",
        **options,
    }
    objects = operator_objects(RULES, **given)
    assert {thing["metadata"]["namespace"] for thing in objects} <= {"watch"}
    return {f"{thing['kind']} {thing['metadata']['name']}": thing for thing in objects}


def test_only_kinds_that_the_cluster_knows_are_made() -> None:
    options: dict[str, Any] = {"jobs": [JOB], "probes": [PROBE], "services": {"cadvisor": []}}
    assert list(made(**options)) == [
        "PrometheusRule erp", "ServiceMonitor cadvisor", "ScrapeConfig postgres", "Probe probe-page-nginx1-0",
    ]  # fmt: skip
    assert list(made(kinds=["PrometheusRule", "Probe"], **options)) == [
        "PrometheusRule erp", "Probe probe-page-nginx1-0",
    ]  # fmt: skip
    assert made(kinds=[], **options) == {}


def test_the_operator_chooses_by_labels_and_a_teardown_by_its_own() -> None:
    labels = made(labels={"release": "stack"})["PrometheusRule erp"]["metadata"]["labels"]
    assert labels == {"release": "stack", "odoo-deploy.deployment": "erp"}


def test_jobs_keep_their_names_and_relabelings() -> None:
    spec = made(jobs=[JOB])["ScrapeConfig postgres"]["spec"]
    assert spec["staticConfigs"] == JOB["static_configs"]
    assert spec["relabelings"] == [{"targetLabel": "job", "replacement": "postgres"}]
    assert spec["metricRelabelings"] == [{"sourceLabels": ["a"], "targetLabel": "b", "regex": "c_d"}]
    assert spec["scheme"] == "HTTPS"


def test_figures_of_pods_are_not_those_of_who_tells_them() -> None:
    relabelings = [{"regex": "container_label_x", "action": "labelmap", "replacement": "pod"}]
    (endpoint,) = made(services={"cadvisor": relabelings})["ServiceMonitor cadvisor"]["spec"]["endpoints"]
    assert endpoint["metricRelabelings"] == relabelings
    assert endpoint["relabelings"] == [{"action": "labeldrop", "regex": "pod|namespace|container|service|endpoint"}]


def test_a_probe_is_called_as_everywhere() -> None:
    spec = made(probes=[PROBE])["Probe probe-page-nginx1-0"]["spec"]
    assert (spec["jobName"], spec["module"]) == ("probe-page", "page")
    assert spec["prober"] == {"url": "blackbox.watch.svc:9115"}
    assert spec["targets"]["staticConfig"]["static"] == ["http://192.0.2.3/web"]
    assert {"targetLabel": "instance", "replacement": "nginx1"} in spec["targets"]["staticConfig"]["relabelingConfigs"]


def test_names_are_what_kubernetes_takes() -> None:
    (name,) = (
        thing["metadata"]["name"]
        for thing in made(kinds=["Probe"], probes=[{**PROBE, "instance": "A_b." * 30}]).values()
    )
    assert len(name) <= 60
    assert name.strip("-") == name == name.lower()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["PodMonitor"]}, "PodMonitor is no kind that is made"),
        ({"jobs": [{"job_name": "a", "dns_sd_configs": []}]}, "the job a has dns_sd_configs, which no ScrapeConfig"),
        ({"probes": [{"job": "a"}]}, "'target'"),
    ],
)
def test_what_no_object_is_made_of_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        made(**options)


def test_a_job_without_its_kind_does_no_harm() -> None:
    assert list(made(kinds=["PrometheusRule"], jobs=[{"job_name": "a", "dns_sd_configs": []}])) == [
        "PrometheusRule erp"
    ]


def thing(kind: str, name: str, namespace: str = "watch") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def test_what_is_left_over() -> None:
    there = [thing("Probe", "a"), thing("Probe", "b"), thing("ServiceMonitor", "a")]
    assert k8s_leftovers(there, wanted=[thing("Probe", "a"), thing("Rule", "b")]) == [
        {"api": "v1", "kind": "Probe", "name": "b"},
        {"api": "v1", "kind": "ServiceMonitor", "name": "a"},
    ]
    assert k8s_leftovers([], wanted=[]) == []
    with pytest.raises(AnsibleFilterError, match="no objects of Kubernetes"):
        k8s_leftovers([{"kind": "Probe"}], wanted=[])
