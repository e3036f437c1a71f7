# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host is an address, and what is a name."""

from __future__ import annotations

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.subject_alternative_names import subject_alternative_names


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("shop.test", "DNS"),
        ("localhost", "DNS"),
        ("192.0.2.31", "IP"),
        ("192.0.2.31.example", "DNS"),
        ("10.example", "DNS"),
        ("3.de", "DNS"),
        ("2001:db8::1", "IP"),
        ("::1", "IP"),
        ("fe80::dead:beef", "IP"),
        ("*.shop.test", "DNS"),
    ],
)
def test_one(name: str, kind: str) -> None:
    assert subject_alternative_names([name]) == [f"{kind}:{name}"]


def test_addresses_come_first() -> None:
    """Each kind in its order, as a certificate that is there already has them."""
    names = ["www.shop.test", "192.0.2.31", "shop.test", "2001:db8::1", "192.0.2.30"]
    addresses = ["IP:192.0.2.31", "IP:2001:db8::1", "IP:192.0.2.30"]
    assert subject_alternative_names(names) == [*addresses, "DNS:www.shop.test", "DNS:shop.test"]
    assert subject_alternative_names([]) == []
