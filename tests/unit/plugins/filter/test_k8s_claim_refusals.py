# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be changed of a volume claim that exists."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.k8s_claim_refusals import k8s_claim_refusals, quantity

CLAIM: dict[str, Any] = {
    "spec": {"storageClassName": "standard", "resources": {"requests": {"storage": "4Gi"}}},
}


@pytest.mark.parametrize(
    ("storage_class", "size", "refused"),
    [
        ("standard", "4Gi", []),
        ("standard", "4096Mi", []),
        ("standard", "8Gi", []),
        ("standard", "4G", ["size 4Gi"]),
        ("fast", "4Gi", ["storage class standard"]),
        ("fast", "1Gi", ["storage class standard", "size 4Gi"]),
    ],
)
def test_what_differs_and_cannot(storage_class: str, size: str, refused: list[str]) -> None:
    """Another class, and less room."""
    assert k8s_claim_refusals([CLAIM], storage_class, size) == refused
    assert k8s_claim_refusals([], storage_class, size) == []


def test_quantities() -> None:
    assert quantity("1Ki") == 1024
    assert quantity("1.5G") == 1500000000
    assert quantity("100m") * 10 == quantity("1e0")
    with pytest.raises(ValueError, match="no quantity"):
        quantity("4GB")
