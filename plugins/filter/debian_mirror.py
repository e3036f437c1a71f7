# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mirror of an archive of Debian's that a host installs from."""

from __future__ import annotations

DOCUMENTATION = r"""
name: debian_mirror
short_description: The mirror of an archive of Debian's that a host installs from
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Of several the first counts. Without one, or where a line names several, it is Debian's own.
options:
  _input:
    description: The host's F(/etc/apt/sources.list.d/debian.sources); empty where it has none.
    type: str
    required: true
  archive:
    description: Name of the archive, V(debian) or V(debian-security).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show http://ftp.example/debian
  ansible.builtin.debug:
    msg: "{{ 'URIs: http://ftp.example/debian/' | odoo_deploy.stack.debian_mirror('debian') }}"
"""

RETURN = r"""
_value:
  description: URL of the archive, without a slash at its end.
  type: str
"""

import re
from collections.abc import Callable


def debian_mirror(sources: str | None, archive: str) -> str:
    found = re.search(rf"^URIs: (\S+/{re.escape(archive)})/?$", sources or "", re.MULTILINE)
    return found[1] if found else f"http://deb.debian.org/{archive}"


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"debian_mirror": debian_mirror}
