# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registry that an image's name leads to."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_registry_url
short_description: URL of the registry that an image's name leads to
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Gives the address at which a registry says that it is one (C(/v2/)), as the engine derives it from an image's name.
options:
  _input:
    description: Name of an image.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ask the registry
  ansible.builtin.uri:
    url: "{{ 'odoo:19.0' | odoo_deploy.stack.odoo_registry_url }}"
    status_code: [200, 401]
"""

RETURN = r"""
_value:
  description: The URL.
  type: str
"""

from collections.abc import Callable
from typing import Any

DOCKER_HUB = "registry-1.docker.io"


def odoo_registry_url(image: str) -> str:
    """URL of the API of the registry that an image's name leads to.

    :param image: name of an image, as the engine takes it.
    """
    host = image.split("/", 1)[0] if "/" in image else ""
    if not ("." in host or ":" in host or host == "localhost") or host in ("docker.io", "index.docker.io"):
        host = DOCKER_HUB
    return f"{'http' if host.split(':')[0] in ('localhost', '127.0.0.1') else 'https'}://{host}/v2/"


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filter of this file."""
        return {"odoo_registry_url": odoo_registry_url}
