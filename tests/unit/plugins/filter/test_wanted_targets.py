# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets that a job has to have."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.wanted_targets import wanted_targets


def test_targets_are_counted_by_job() -> None:
    configs = [
        {"job_name": "nginx", "static_configs": [{"targets": ["a:1"]}, {"targets": ["b:1", "c:1"]}]},
        {"job_name": "found", "dns_sd_configs": [{"names": ["x"]}]},
        {"job_name": "nobody", "static_configs": None},
    ]
    found = wanted_targets(configs, own={"node": "4", "cadvisor": 0})
    assert found == [
        {"name": "targets_wanted", "value": 4, "labels": {"job": "node"}},
        {"name": "targets_wanted", "value": 3, "labels": {"job": "nginx"}},
    ]


@pytest.mark.parametrize("configs", [[{"static_configs": []}], ["nginx"], 7])
def test_what_is_no_configuration_is_refused(configs: object) -> None:
    with pytest.raises(AnsibleFilterError, match="no list of scrape configurations"):
        wanted_targets(configs)  # type: ignore[arg-type]
