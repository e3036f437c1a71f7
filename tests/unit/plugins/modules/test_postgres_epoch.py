# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which record of the last primary a machine keeps."""

from __future__ import annotations

from ansible_collections.odoo_deploy.stack.plugins.modules.postgres_epoch import later


def test_an_older_record_replaces_nothing() -> None:
    """Of the same number the new one counts: it is how two that contradict each other are ended."""
    assert later({"number": 3}, {"number": 2})
    assert not later({"number": 2}, {"number": 2})
    assert not later({"number": 2}, {"number": 3})
    assert not later(None, {"number": 1})
