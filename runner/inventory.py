# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts as Ansible sees them: names, addresses, groups."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import engine

EVERYBODY = {"all", "ungrouped", "machines"}


@dataclass(frozen=True)
class Host:
    """address: the one the other parts of the system use; groups: direct ones first."""

    name: str
    address: str
    groups: tuple[str, ...]
    state: str


def parse(listing: dict[str, Any]) -> list[Host]:
    """Hosts of an `ansible-inventory --list` document, by address."""
    hostvars: dict[str, dict[str, Any]] = listing.get("_meta", {}).get("hostvars", {})
    groups: dict[str, list[str]] = {}
    for group, content in listing.items():
        for host in content.get("hosts", []) if isinstance(content, dict) else []:
            groups.setdefault(host, []).append(group)
    hosts = []
    for name in sorted({*hostvars, *groups}):
        facts = hostvars.get(name, {})
        address = str(facts.get("peer_address") or facts.get("ansible_host") or name)
        direct = tuple(group for group in groups.get(name, []) if group not in EVERYBODY)
        hosts.append(Host(name, address, direct, str(facts.get("vagrant_minikube_state") or "")))
    return sorted(hosts, key=lambda host: [int(part) if part.isdecimal() else 0 for part in host.address.split(".")])


def load() -> list[Host]:
    """The hosts now; raises RuntimeError with Ansible's own words."""
    listed = engine.read([sys.executable, str(Path(sys.executable).with_name("ansible-inventory")), "--list"])
    return parse(json.loads(listed))
