# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How minikube is started, and what its nodes are made of."""

from __future__ import annotations

DOCUMENTATION = r"""
name: minikube_plan
short_description: How minikube is started, and what its nodes are made of
version_added: 1.1.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Decides from what is asked for and what this host has.
  - Reads the profile of that name in the folder of minikube if there is one.
options:
  _input:
    description: Name of the profile of minikube.
    type: str
    required: true
  driver:
    description: Driver of minikube.
    type: str
    required: true
  network:
    description: Network of machines and nodes in CIDR form.
    type: str
    required: true
  gateway:
    description: Address of this host there.
    type: str
    required: true
  address:
    description: Address of the first node there.
    type: str
    required: true
  force:
    description: Let root use the docker driver.
    type: bool
    default: false
  memory:
    description: Memory of a node in MiB.
    type: int
    default: 4096
  cpus:
    description: Processors of a node.
    type: int
    default: 2
  nodes:
    description: How many nodes.
    type: int
    default: 1
  parts:
    description: Where the images of the node and of Kubernetes come from; V(auto) takes the vendor where it answers.
    type: str
    default: auto
    choices: [auto, vendor, built]
  image:
    description: Image of the node, once it was built here.
    type: str
    default: ""
  kubernetes:
    description: Version of Kubernetes in it.
    type: str
    default: ""
  vendor_answers:
    description: Whether the vendor answers; without it, it was not asked.
    type: bool
  version:
    description: Version of minikube that is installed.
    type: str
    default: ""
  tested:
    description: Version of minikube that parts can be built for.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Start minikube
  ansible.builtin.command:
    argv: "{{ plan.argv }}"
  vars:
    plan: >-
      {{ 'odoo' | odoo_deploy.stack.minikube_plan(driver='docker', network='192.168.99.0/24', gateway='192.168.99.1',
         address='192.168.99.100') }}
"""

RETURN = r"""
_value:
  description:
    - Keys C(parts), C(argv), C(refusal), C(exists), C(home) and C(architecture).
    - C(parts) is vendor or built, or empty while that depends on whether the vendor answers.
    - C(refusal) is empty where nothing is in the way; C(exists) says whether there is such a profile.
    - C(home) is the folder of minikube, C(architecture) the name that it has for that of this host.
  type: dict
"""

import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import files, minikube, minikube_plan

_MAX_JSON = 4 * 1024 * 1024
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def make_plan(profile: str, **options: Any) -> dict[str, Any]:
    """The plan as a dict."""
    home = minikube.home_folder(os.environ)
    image_before: str | None = None
    try:
        image_before = str(
            files.read_json(home / "profiles" / profile / "config.json", _MAX_JSON).get("KicBaseImage", "")
        )
    except FileNotFoundError:
        pass
    except files.StateError as error:
        raise AnsibleFilterError(f"minikube_plan: {error}") from error
    options |= {name: int(options[name]) for name in ("memory", "cpus", "nodes") if name in options}
    if options.get("vendor_answers", "") in (None, ""):  # templates make either of what was not asked
        options["vendor_answers"] = None
    options |= {name: boolean(options[name]) for name in ("force", "vendor_answers") if options.get(name) is not None}
    try:
        plan = minikube_plan.plan(minikube_plan.Wish(profile=profile, image_before=image_before, **options))
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(f"minikube_plan: {error}") from error
    machine = platform.machine()
    return {
        **asdict(plan),
        "exists": image_before is not None,
        "home": str(home),
        "architecture": _ARCHITECTURES.get(machine, machine),
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        """Name to function."""
        return {"minikube_plan": make_plan}
