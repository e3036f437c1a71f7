# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's mirror, in its list of sources."""

from __future__ import annotations

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.debian_mirror import debian_mirror

DEBIAN = {"debian": "http://deb.debian.org/debian", "debian-security": "http://deb.debian.org/debian-security"}
OWN = """\
Types: deb deb-src
URIs: https://near.test/mirror/debian/
Suites: trixie trixie-updates
Components: main

Types: deb
URIs: http://near.test/debian-security
Suites: trixie-security
Components: main
"""


def test_each_archive_has_its_own() -> None:
    assert debian_mirror(OWN, "debian") == "https://near.test/mirror/debian"
    assert debian_mirror(OWN, "debian-security") == "http://near.test/debian-security"


def test_the_first_counts() -> None:
    assert debian_mirror("URIs: http://one.test/debian\nURIs: http://two.test/debian\n", "debian").startswith(
        "http://one"
    )


@pytest.mark.parametrize("archive", DEBIAN)
@pytest.mark.parametrize(
    "sources",
    [
        None,
        "",
        "URIs: mirror+file:///etc/apt/mirrors/debian.list\n",
        "URIs: http://near.test/ubuntu\n",
        "URIs: http://near.test/debian-ports\n",
        "URIs: http://near.test/debian http://far.test/debian-security\n",
        "# URIs: http://near.test/debian\n# URIs: http://near.test/debian-security\n",
        "deb http://near.test/debian trixie main\n",
    ],
)
def test_without_one_it_is_debians(sources: str | None, archive: str) -> None:
    """Also of one that is turned off, or whose line names several."""
    assert debian_mirror(sources, archive) == DEBIAN[archive]
