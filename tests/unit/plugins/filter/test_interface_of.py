# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An interface by its address, in facts as they are gathered."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.interface_of import interface_of


def interface(device: str, address: str, **more: Any) -> dict[str, Any]:
    return {"device": device, "ipv4": {"address": address}, **more}


FACTS: dict[str, Any] = {
    "interfaces": ["no_facts_of_it", "lo", "wg0", "eth0", "br-shop", "tun0", "odd", "eth1"],
    "lo": interface("lo", "127.0.0.1", ipv4_secondaries=[{"address": "192.0.2.8"}]),
    "wg0": {"device": "wg0", "active": True, "ipv6": [{"address": "2001:db8::1"}]},
    "eth0": interface("eth0", "192.0.2.3"),
    "br_shop": interface("br-shop", "192.0.2.31"),
    "tun0": {"device": "tun0", "ipv4": {}},
    "odd": "of somebody else",
    "eth1": interface("eth1", "192.0.2.3"),
    "unlisted": interface("unlisted", "192.0.2.9"),
}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("127.0.0.1", "lo"),
        ("192.0.2.31", "br-shop"),  # its own name, not that of its fact
        ("192.0.2.3", "eth0"),  # the first that has it
        ("192.0.2.8", ""),  # not its first address
        ("2001:db8::1", ""),
        ("192.0.2.9", ""),
        ("192.0.2.30", ""),
    ],
)
def test_by_address(address: str, name: str) -> None:
    assert interface_of(FACTS, address) == name


def test_without_facts() -> None:
    assert interface_of({}, "127.0.0.1") == ""
    assert interface_of({"interfaces": []}, "127.0.0.1") == ""
