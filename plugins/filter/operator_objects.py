# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects by which an operator of Prometheus watches a deployment."""

from __future__ import annotations

DOCUMENTATION = r"""
name: operator_objects
short_description: Rules, targets and probes as objects for the Prometheus operator
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Makes a C(PrometheusRule) of rule groups, a C(ServiceMonitor) for each Service, a C(ScrapeConfig) for each job with
    static targets, and a C(Probe) for each probe.
  - Jobs and instances are called as in the deployment's own Prometheus, so that the same rules and dashboards fit.
options:
  _input:
    description: What a rule file of Prometheus holds, a dictionary with C(groups).
    type: dict
    required: true
  kinds:
    description: Kinds that the cluster knows; others are left out.
    type: list
    elements: str
    required: true
  namespace:
    description: Namespace of the objects and of the Services.
    type: str
    required: true
  deployment:
    description: Name of the deployment, for the label that a teardown goes by.
    type: str
    required: true
  labels:
    description: Further labels, by which the operator chooses objects.
    type: dict
    default: {}
  services:
    description: Metric relabelings, as Prometheus writes them, by the name of the Service that they belong to.
    type: dict
    default: {}
  jobs:
    description: Items of Prometheus' C(scrape_configs) with static targets.
    type: list
    elements: dict
    default: []
  probes:
    description: Probes as in P(odoo_deploy.stack.probe_scrape_configs#filter).
    type: list
    elements: dict
    default: []
  exporter:
    description: Address of the blackbox exporter, host and port.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show the rules for an operator
  ansible.builtin.debug:
    msg: "{{ rules | odoo_deploy.stack.operator_objects(kinds=['PrometheusRule'], namespace='a', deployment='b') }}"
  vars:
    rules: {groups: [{name: own, rules: [{record: a, expr: vector(1)}]}]}
"""

RETURN = r"""
_value:
  description: Objects of Kubernetes.
  type: list
  elements: dict
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

VERSIONS = {
    "PrometheusRule": "monitoring.coreos.com/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "Probe": "monitoring.coreos.com/v1",
    "ScrapeConfig": "monitoring.coreos.com/v1alpha1",
}
# What of a scrape configuration has its place in a ScrapeConfig.
KNOWN = {"job_name", "static_configs", "metrics_path", "scheme", "params", "relabel_configs", "metric_relabel_configs"}
# The operator names the pod that answers; figures are of other pods.
NO_POD = {"action": "labeldrop", "regex": "pod|namespace|container|service|endpoint"}


def camel(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A relabeling as the operator writes it."""
    return {re.sub(r"_(\w)", lambda found: found[1].upper(), key): value for key, value in rule.items()}


def name_of(*parts: str) -> str:
    """A name that Kubernetes takes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")[:60].rstrip("-")


def service_monitors(services: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, relabelings in services.items():
        endpoint: dict[str, Any] = {"port": "http", "relabelings": [NO_POD]}
        if relabelings:
            endpoint["metricRelabelings"] = [camel(rule) for rule in relabelings]
        labels = {"app.kubernetes.io/name": name}
        yield "ServiceMonitor", name, {"selector": {"matchLabels": labels}, "endpoints": [endpoint]}


def scrape_configs(jobs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for job in jobs:
        odd = sorted(set(job) - KNOWN)
        if odd:
            raise ValueError(
                f"the job {job.get('job_name')} has {', '.join(odd)}, which no ScrapeConfig is made of: "
                "set prometheus_k8s_operator to never and write its object by hand"
            )
        spec: dict[str, Any] = {
            "staticConfigs": [dict(group) for group in job.get("static_configs") or ()],
            "relabelings": [
                *(camel(rule) for rule in job.get("relabel_configs", ())),
                {"targetLabel": "job", "replacement": job["job_name"]},
            ],
        }
        if job.get("metric_relabel_configs"):
            spec["metricRelabelings"] = [camel(rule) for rule in job["metric_relabel_configs"]]
        if job.get("metrics_path"):
            spec["metricsPath"] = job["metrics_path"]
        if job.get("scheme"):
            spec["scheme"] = job["scheme"].upper()
        if job.get("params"):
            spec["params"] = job["params"]
        yield "ScrapeConfig", name_of(job["job_name"]), spec


def probe_objects(probes: Sequence[Mapping[str, Any]], exporter: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for number, probe in enumerate(probes):
        static = {
            "static": [probe["target"]],
            "relabelingConfigs": [
                {"targetLabel": "instance", "replacement": probe["instance"]},
                {"sourceLabels": ["__param_target"], "targetLabel": "way"},
            ],
        }
        yield (
            "Probe",
            name_of(probe["job"], probe["instance"], str(number)),
            {
                "jobName": probe["job"],
                "module": probe["module"],
                "prober": {"url": exporter},
                "targets": {"staticConfig": static},
            },
        )


def objects(
    rules: Mapping[str, Any],
    kinds: Sequence[str],
    namespace: str,
    deployment: str,
    labels: Mapping[str, str] | None = None,
    services: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    jobs: Sequence[Mapping[str, Any]] = (),
    probes: Sequence[Mapping[str, Any]] = (),
    exporter: str = "",
) -> list[dict[str, Any]]:
    """The objects of the kinds that there are; raises ValueError for a kind or job that is not known."""
    odd = sorted(set(kinds) - set(VERSIONS))
    if odd:
        raise ValueError(f"{', '.join(odd)} is no kind that is made; there are {', '.join(VERSIONS)}")
    made = [("PrometheusRule", name_of(deployment), {"groups": rules["groups"]})]
    made += service_monitors(services or {})
    if "ScrapeConfig" in kinds:
        made += scrape_configs(jobs)
    made += probe_objects(probes, exporter)
    return [
        {
            "apiVersion": VERSIONS[kind],
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {**(labels or {}), "odoo-deploy.deployment": deployment},
            },
            "spec": spec,
        }
        for kind, name, spec in made
        if kind in kinds
    ]


def operator_objects(rules: Mapping[str, Any], **options: Any) -> list[dict[str, Any]]:
    try:
        return objects(rules, **options)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"operator_objects: {problem}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"operator_objects": operator_objects}
