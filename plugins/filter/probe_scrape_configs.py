# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Prometheus asks the blackbox exporter to try."""

from __future__ import annotations

DOCUMENTATION = r"""
name: probe_scrape_configs
short_description: Scrape configurations for probes by the blackbox exporter
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Makes a job of Prometheus for each kind of probe, so that a rule selects a kind by the label C(job).
  - Each target keeps its C(instance) and gets the label C(way), the address that is tried.
options:
  _input:
    description: Probes, each with C(job), C(module) (of the exporter), C(target) and C(instance).
    type: list
    elements: dict
    required: true
  exporter:
    description: Address of the blackbox exporter, host and port.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show a job that tries a login page
  ansible.builtin.debug:
    msg: "{{ probes | odoo_deploy.stack.probe_scrape_configs(exporter='blackbox:9115') }}"
  vars:
    probes:
      - {job: probe-page, module: page, target: "http://192.0.2.31/web/login", instance: nginx1}
"""

RETURN = r"""
_value:
  description: Items of Prometheus' C(scrape_configs).
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

KEYS = ("job", "module", "target", "instance")


def configs(probes: Sequence[Mapping[str, Any]], exporter: str) -> list[dict[str, Any]]:
    """A scrape configuration for each job; raises ValueError where a probe is not whole or a job has two modules."""
    jobs: dict[str, dict[str, Any]] = {}
    for probe in probes:
        missing = [key for key in KEYS if not probe.get(key)]
        if missing:
            raise ValueError(f"the probe {dict(probe)} has no {', '.join(missing)}")
        job = jobs.setdefault(
            probe["job"],
            {
                "job_name": probe["job"],
                "metrics_path": "/probe",
                "params": {"module": [probe["module"]]},
                "static_configs": [],
                "relabel_configs": [
                    {"source_labels": ["__address__"], "target_label": "__param_target"},
                    {"source_labels": ["__address__"], "target_label": "way"},
                    {"target_label": "__address__", "replacement": exporter},
                ],
            },
        )
        if job["params"]["module"] != [probe["module"]]:
            raise ValueError(
                f"the job {probe['job']} has two modules, {job['params']['module'][0]} and {probe['module']}"
            )
        job["static_configs"].append({"targets": [probe["target"]], "labels": {"instance": probe["instance"]}})
    return list(jobs.values())


def probe_scrape_configs(probes: Sequence[Mapping[str, Any]], exporter: str) -> list[dict[str, Any]]:
    try:
        return configs(probes, str(exporter))
    except (AttributeError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"probe_scrape_configs: {problem}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"probe_scrape_configs": probe_scrape_configs}
