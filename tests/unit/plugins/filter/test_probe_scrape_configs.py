# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that try what people use."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.probe_scrape_configs import probe_scrape_configs

PAGE = {"job": "probe-page", "module": "page", "target": "http://192.0.2.31/web/login", "instance": "nginx1"}


def test_a_job_for_each_kind_with_all_its_targets() -> None:
    other = {**PAGE, "target": "https://192.0.2.32/web/login", "instance": "nginx2"}
    socket = {"job": "probe-socket", "module": "socket", "target": "192.0.2.31:80", "instance": "nginx1"}
    page, tried = probe_scrape_configs([PAGE, socket, other], exporter="blackbox:9115")
    assert (page["job_name"], page["params"]) == ("probe-page", {"module": ["page"]})
    assert page["static_configs"] == [
        {"targets": ["http://192.0.2.31/web/login"], "labels": {"instance": "nginx1"}},
        {"targets": ["https://192.0.2.32/web/login"], "labels": {"instance": "nginx2"}},
    ]
    assert page["relabel_configs"][-1] == {"target_label": "__address__", "replacement": "blackbox:9115"}
    assert tried["params"] == {"module": ["socket"]}
    assert probe_scrape_configs([], exporter="blackbox:9115") == []


@pytest.mark.parametrize(
    ("probes", "message"),
    [
        ([{**PAGE, "target": ""}], "has no target"),
        ([PAGE, {**PAGE, "module": "tls"}], "the job probe-page has two modules, page and tls"),
        (["http://192.0.2.31"], "probe_scrape_configs"),
    ],
)
def test_a_probe_that_is_not_whole_is_named(probes: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        probe_scrape_configs(probes, exporter="blackbox:9115")
