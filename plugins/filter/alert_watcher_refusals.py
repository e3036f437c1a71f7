# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which receivers the watcher could not tell, and why."""

from __future__ import annotations

DOCUMENTATION = r"""
name: alert_watcher_refusals
short_description: Receivers that the watcher could not tell
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - The role alert_watcher tells Alertmanager's receivers without Alertmanager. It reads what a message needs to arrive,
    and leaves out what changes how a message looks.
  - Any other key is refused, for a watcher that cannot tell anybody would be noticed when it is too late.
options:
  _input:
    description: Receivers, C(mail), C(webhook) or both, as the role's C(alert_watcher_receivers).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse receivers that the watcher could not tell
  ansible.builtin.assert:
    that: alert_watcher_receivers | odoo_deploy.stack.alert_watcher_refusals | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each key that is missing or not read. Values are not told, for they may be secret.
  type: list
  elements: str
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

NEEDED = {"mail": ("to", "from", "smarthost"), "webhook": ("url",)}
TLS = r"tls_config\.(ca|insecure_skip_verify)"
# What is read, and what only changes how a message looks.
READ = {
    "mail": (
        rf"to|from|smarthost|hello|auth_username|auth_password|require_tls|{TLS}"
        r"|send_resolved|html|text|headers\..*"
    ),
    "webhook": (
        r"url|send_resolved|max_alerts|timeout"
        rf"|http_config\.(basic_auth\.(username|password)|authorization\.(type|credentials)|{TLS})"
    ),
}


def keys(settings: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Names of all that is set, those within others after a dot."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from keys(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def refusals(receivers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is wrong with the receivers; empty where all could be told."""
    said = [
        f"alert_watcher_receivers has {name}: there are mail and webhook."
        for name in sorted(set(receivers) - set(NEEDED))
    ]
    for name in sorted(set(receivers) & set(NEEDED)):
        said += [
            f"alert_watcher_receivers has no {name}.{key}." for key in NEEDED[name] if not receivers[name].get(key)
        ]
        said += [
            f"alert_watcher_receivers has {name}.{key}, which the watcher does not read"
            " (in a deployment: monitoring_watcher: false leaves the watcher out)."
            for key in keys(receivers[name])
            if not re.fullmatch(READ[name], key)
        ]
    return said


def alert_watcher_refusals(receivers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    try:
        return refusals(receivers)
    except (AttributeError, TypeError) as problem:
        raise AnsibleFilterError(f"alert_watcher_refusals: {problem}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"alert_watcher_refusals": alert_watcher_refusals}
