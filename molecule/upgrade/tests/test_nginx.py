# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The previous release's proxy caches."""

from __future__ import annotations

from typing import Any

import requests

testinfra_hosts = ["nginx"]


def test_proxy_caches(host: Any) -> None:
    url = f"http://{host.ansible.get_variables()['peer_address']}/web/static/src/js/upgrade.js"
    requests.get(url, timeout=20)
    assert requests.get(url, timeout=20).headers["X-Cache-Status"] == "HIT"
