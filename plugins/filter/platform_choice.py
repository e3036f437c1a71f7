# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who makes the machines, and which cluster goes with them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: platform_choice
short_description: Who makes the machines, and which cluster goes with them
version_added: 1.1.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Decides from what is asked for, what the deployment runs on already and what this host is, and says why.
  - A combination that cannot work is refused with its reason and the line to type.
options:
  _input:
    description: Who makes the machines.
    type: str
    required: true
    choices: [docker, libvirt, virtualbox, given]
  provider_before:
    description: Who made those that exist; empty without any.
    type: str
    default: ""
  kind:
    description: Cluster that is asked for.
    type: str
    default: auto
    choices: [auto, embedded, minikube, context]
  context:
    description: Context of a cluster that exists; empty without any.
    type: str
    default: ""
  driver:
    description: Driver of minikube; empty takes the one that shares a network with the machines.
    type: str
    default: ""
  force:
    description: Let root use the docker driver of minikube.
    type: bool
    default: false
  root:
    description: Whether root runs this; without it, whoever runs Ansible.
    type: bool
  minikube_installed:
    description: Whether minikube is installed.
    type: bool
    default: false
  earlier:
    description: What this filter chose before; empty before the first run.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  ansible.builtin.assert:
    that: choice.refusal == ''
    fail_msg: "{{ choice.refusal }}."
  vars:
    choice: "{{ 'docker' | odoo_deploy.stack.platform_choice(kind='minikube', minikube_installed=true) }}"
"""

RETURN = r"""
_value:
  description:
    - Keys C(provider), C(kind), C(driver), C(context), C(force), C(reason) and C(refusal).
    - C(refusal) is empty where nothing is in the way.
  type: dict
"""

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import platforms

_FLAGS = ("force", "root", "minikube_installed")


def platform_choice(provider: str, **options: Any) -> dict[str, Any]:
    """The choice as a dict."""
    flags = {"root": os.geteuid() == 0}
    flags |= {name: boolean(options.pop(name), strict=True) for name in _FLAGS if name in options}
    try:
        wish = platforms.Wish(provider=provider, **options, **flags)
    except TypeError as error:
        raise AnsibleFilterError(f"platform_choice: {error}") from error
    return asdict(platforms.choose(wish))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        """Name to function."""
        return {"platform_choice": platform_choice}
