# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is told of which alert, as Alertmanager reads it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: alertmanager_config
short_description: Alertmanager's configuration, from who is to be told
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Makes routes by severity, groups by what an alert is about, and rules by which one alert keeps others quiet.
  - Alerts of severity C(page) arrive within seconds and come again every hour, those of severity C(warning) every day.
  - The alert C(Watchdog) goes to the dead man's switch and to nobody else.
options:
  _input:
    description:
      - Receivers, any of C(mail), C(webhook) and C(deadman).
      - C(mail) is an item of Alertmanager's C(email_configs), with C(to), C(from) and C(smarthost) at least.
      - C(webhook) and C(deadman) are items of C(webhook_configs), with C(url) at least.
      - Without C(mail) and C(webhook) nobody is told.
    type: dict
    required: true
  patience:
    description: Factor on the time that alerts are gathered before they are sent.
    type: float
    default: 1.0
"""

EXAMPLES = r"""
- name: Show what tells a chat and a dead man's switch
  ansible.builtin.debug:
    msg: "{{ receivers | odoo_deploy.stack.alertmanager_config }}"
  vars:
    receivers:
      webhook: {url: "https://chat.example.com/hooks/1"}
      deadman: {url: "https://deadman.example.com/1"}
"""

RETURN = r"""
_value:
  description: The configuration, with C(route), C(receivers) and C(inhibit_rules).
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

# What each receiver has to have.
NEEDED = {"mail": ("to", "from", "smarthost"), "webhook": ("url",), "deadman": ("url",)}

# (while these fire, these are not told, where these labels are the same)
INHIBITIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "MachineDown",
        "TargetDown|ProxyDown|UnitFailed|PostgresServerDown|OdooWayClosed|LivechatNotReachable",
        ("instance",),
    ),
    ("ProxyDown", "TargetDown|OdooWayClosed|LivechatNotReachable", ("instance",)),
    ("PostgresTwoPrimaries", "PostgresStandbyMissing|PostgresSlot.+", ()),
    ("PostgresNoPrimary", "PostgresServerDown|Odoo.+|LivechatNotReachable|Objective.+", ()),
    ("PostgresSlotLost", "PostgresStandbyMissing|PostgresSlotRetainsWal|PostgresStandbyBehind", ()),
    ("PostgresStandbyMissing", "PostgresSlotRetainsWal|PostgresStandbyBehind|PostgresReplayLag", ()),
    (
        "OdooNotReachable",
        "OdooWayClosed|OdooAnswersErrors|OdooClientsGiveUp|OdooPagesSlow|LivechatNotReachable|Objective.+",
        (),
    ),
    ("OdooAnswersErrors", "Objective.+", ()),
    ("ObjectiveBurnsFast", "ObjectiveBurnsSlowly", ("objective", "aspect")),
    ("CertificateEndsSoon", "CertificateEnds", ("instance",)),
)


def waits(first: float, next_ones: float, again: float, patience: float) -> dict[str, str]:
    """How long a group is gathered, when news of it are sent, when it is sent again; in seconds."""
    return {
        "group_wait": f"{max(1, round(first * patience))}s",
        "group_interval": f"{max(1, round(next_ones * patience))}s",
        "repeat_interval": f"{max(1, round(again * patience))}s",
    }


def checked(receivers: Mapping[str, Any]) -> None:
    """Raises ValueError where a receiver is unknown or not whole."""
    odd = sorted(set(receivers) - set(NEEDED))
    if odd:
        raise ValueError(f"no receiver is called {', '.join(odd)}; there are {', '.join(sorted(NEEDED))}")
    for name, settings in receivers.items():
        missing = [key for key in NEEDED[name] if not settings.get(key)]
        if missing:
            raise ValueError(f"the receiver {name} has no {', '.join(missing)}")


def configuration(receivers: Mapping[str, Any], patience: float = 1.0) -> dict[str, Any]:
    """The whole configuration; raises ValueError where a receiver is not whole."""
    checked(receivers)
    people: dict[str, Any] = {"name": "people"}
    if receivers.get("mail"):
        people["email_configs"] = [{"send_resolved": True, **receivers["mail"]}]
    if receivers.get("webhook"):
        people["webhook_configs"] = [{"send_resolved": True, **receivers["webhook"]}]
    deadman: dict[str, Any] = {"name": "deadman"}
    if receivers.get("deadman"):
        deadman["webhook_configs"] = [{"send_resolved": False, **receivers["deadman"]}]
    page = {"receiver": "people", "matchers": ["severity = page"], **waits(10, 60, 3600, patience)}
    return {
        "route": {
            "receiver": "people",
            "group_by": ["deployment", "part", "instance"],
            **waits(60, 300, 86400, patience),
            "routes": [
                # What was sent less than the repetition ago is left out: with 60 seconds every other one would be.
                {"receiver": "deadman", "matchers": ["alertname = Watchdog"], **waits(0, 60, 50, patience)},
                {"receiver": "nobody", "matchers": ["severity = none"]},
                page,
            ],
        },
        "receivers": [people, deadman, {"name": "nobody"}],
        "inhibit_rules": [
            {
                "source_matchers": [f"alertname = {source}"],
                "target_matchers": [f'alertname =~ "{targets}"'],
                "equal": ["deployment", *labels],
            }
            for source, targets, labels in INHIBITIONS
        ],
    }


def alertmanager_config(receivers: Mapping[str, Any], patience: Any = 1.0) -> dict[str, Any]:
    try:
        return configuration(receivers, float(patience))
    except (AttributeError, TypeError, ValueError) as problem:
        raise AnsibleFilterError(f"alertmanager_config: {problem}") from problem


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"alertmanager_config": alertmanager_config}
