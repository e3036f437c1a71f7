# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers that the watcher could not tell are refused before it would have to."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.alert_watcher_refusals import alert_watcher_refusals

MAIL = {"to": "ops@example.com", "from": "odoo@example.com", "smarthost": "mail.example.com:587"}
HOOK = {"url": "https://chat.example.com/1"}


def test_what_is_read_is_not_refused() -> None:
    mail = MAIL | {"auth_username": "odoo", "auth_password": "p", "require_tls": True, "hello": "odoo.example.com"}
    mail |= {"tls_config": {"ca": "PEM", "insecure_skip_verify": True}, "headers": {"Subject": "other"}, "html": "<p>"}
    basic = {"basic_auth": {"username": "a", "password": "b"}, "tls_config": {"ca": "PEM"}}
    token = {"authorization": {"type": "Bearer", "credentials": "t"}}
    assert alert_watcher_refusals({"mail": mail, "webhook": HOOK | {"http_config": basic, "max_alerts": 3}}) == []
    assert alert_watcher_refusals({"webhook": HOOK | {"http_config": token, "send_resolved": False}}) == []
    assert alert_watcher_refusals({}) == []


@pytest.mark.parametrize(
    ("receivers", "named"),
    [
        ({"mail": MAIL | {"auth_secret": "hidden"}}, "has mail.auth_secret, which the watcher does not read"),
        ({"mail": MAIL | {"tls_config": {"ca_file": "/hidden"}}}, "has mail.tls_config.ca_file, which"),
        ({"webhook": HOOK | {"http_config": {"proxy_url": "hidden"}}}, "has webhook.http_config.proxy_url, which"),
        ({"webhook": {"url": ""}}, "has no webhook.url."),
        ({"mail": {"to": "a@example.com", "from": "b@example.com"}}, "has no mail.smarthost."),
        ({"deadman": HOOK}, "has deadman: there are mail and webhook."),
    ],
)
def test_what_is_not_read_is_named_without_its_value(receivers: dict[str, Any], named: str) -> None:
    (sentence,) = alert_watcher_refusals(receivers)
    assert named in sentence
    assert "hidden" not in sentence


def test_what_is_no_receiver_is_an_error_of_the_filter() -> None:
    with pytest.raises(AnsibleFilterError, match="alert_watcher_refusals: "):
        alert_watcher_refusals({"mail": "ops@example.com"})  # type: ignore[dict-item]
