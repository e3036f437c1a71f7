# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Odoo's image comes from: the official one, or one made from Debian's packages."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_image
short_description: Where Odoo's image comes from, and why
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Decides between the official image and one that is made from Debian's packages.
  - A base image or a package that a person names is taken. Else what a deployment had stays; a new deployment gets the
    official image if its registry answers.
options:
  _input:
    description: What is wanted, V(auto), V(official) or V(debian).
    type: str
    required: true
  version:
    description: Odoo's major version.
    type: str
    required: true
  packaged:
    description: Whether a package of this version is known.
    type: bool
    default: false
  base:
    description: A base image that a person named; empty for none.
    type: str
    default: ""
  package:
    description: A package that a person named; empty for none.
    type: str
    default: ""
  official:
    description: Name of the official image.
    type: str
    default: ""
  registry:
    description: URL of the registry of the official image.
    type: str
    default: ""
  remembered:
    description: What an earlier run of this deployment decided, C(version), C(source) and C(reason); empty if new.
    type: dict
    default: {}
  here:
    description: Whether the local engine holds the official image; left out if nobody has looked.
    type: bool
  answers:
    description: Whether the registry of the official image answers; left out if nobody has asked.
    type: bool
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    choice: "{{ 'auto' | odoo_deploy.stack.odoo_image(version='19', packaged=true, official='odoo:19.0') }}"
"""

RETURN = r"""
_value:
  description:
    - C(source), one of V(named), V(official) and V(debian), and C(reason), half a sentence for people.
    - C(refusal) is not empty if nothing fits.
    - C(ask) is true if the decision hangs on O(here) and O(answers), and both were left out.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any


def odoo_image(
    wanted: str,
    version: str,
    packaged: bool = False,
    base: str = "",
    package: str = "",
    official: str = "",
    registry: str = "",
    remembered: Mapping[str, Any] | None = None,
    here: bool | None = None,
    answers: bool | None = None,
) -> dict[str, Any]:
    """Decide where the image comes from; the parameters are those of the filter."""
    before = remembered or {}
    # What was named and is named no more is forgotten; another series decides anew.
    same = before.get("version") == str(version) and before.get("source") in ("official", "debian")
    if base and package:
        return _refused("odoo_k8s_image_base and odoo_k8s_image_package are both set: name one of them")
    if base:
        return _chosen("named", f"odoo_k8s_image_base is {base}")
    if package:
        if wanted == "official":
            return _refused(
                "odoo_k8s_image_source is official, but odoo_k8s_image_package names a package: leave one out"
            )
        return _chosen("debian", f"odoo_k8s_image_package is {package}")
    no_package = (
        f"Debian has no package of Odoo {version}: name one in odoo_k8s_image_package (a .deb file or URL, such as"
        " Odoo's own nightly package), or an image in odoo_k8s_image_base or odoo_image"
    )
    if wanted == "debian" and not packaged:
        return _refused(f"odoo_k8s_image_source is debian, but {no_package}")
    if wanted != "auto":
        return _chosen(wanted, f"odoo_k8s_image_source is {wanted}")
    if same and (before["source"] == "official" or packaged):
        return _chosen(str(before["source"]), f"this deployment has it so: {before.get('reason', 'decided earlier')}")
    if str(version) == "14":
        return _chosen("debian", "Odoo 14 has always been made from Debian's packages here")
    if here is None and answers is None:
        return {"source": "", "reason": "", "refusal": "", "ask": True}
    if here:
        return _chosen("official", f"this machine's engine holds {official}")
    if answers:
        return _chosen("official", f"its registry {registry} answers")
    silent = f"the registry of {official}, {registry}, does not answer"
    return _chosen("debian", silent) if packaged else _refused(f"{silent}, and {no_package}")


def _chosen(source: str, reason: str) -> dict[str, Any]:
    return {"source": source, "reason": reason, "refusal": "", "ask": False}


def _refused(refusal: str) -> dict[str, Any]:
    return {"source": "", "reason": "", "refusal": refusal, "ask": False}


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filter of this file."""
        return {"odoo_image": odoo_image}
