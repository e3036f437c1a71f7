# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One context of a person's kubeconfig files, able to stand alone."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubeconfig_context
short_description: Takes one context out of kubeconfig files
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Reads kubeconfig files as kubectl does and returns a configuration that holds one context, its cluster and its user
    alone, and that can be put into any folder.
  - Of several files the first that names a cluster, a user or a context counts, and one that does not exist is passed
    over.
  - Certificates and keys that it names as files are put into it. A token's file is named by its whole path, for it
    changes while it is in use, and so is a program that is named by a relative path.
options:
  _input:
    description: Paths of the files, with a colon between them as in C(KUBECONFIG).
    type: str
    required: true
  context:
    description: Name of the context.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Take what one context needs
  ansible.builtin.set_fact:
    answer: "{{ '~/.kube/config:/etc/shop.yaml' | odoo_deploy.stack.kubeconfig_context('production') }}"
  no_log: true
"""

RETURN = r"""
_value:
  description:
    - C(config) is the configuration, empty if it cannot be had.
    - C(refusal) says in a sentence why it cannot, and is empty otherwise.
  type: dict
"""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

# What is put in, by the name under which a file holds it.
EMBEDDED = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
}


class Refusal(ValueError):
    """Why the context cannot be had, for people."""


def kubeconfig_context(paths: str, context: str) -> dict[str, Any]:
    """Return {config, refusal}; the parameters are those of the filter."""
    try:
        return {"config": _take(paths, context), "refusal": ""}
    except Refusal as refusal:
        return {"config": {}, "refusal": str(refusal)}


def _take(paths: str, context: str) -> dict[str, Any]:
    files = [Path(path).expanduser() for path in paths.split(":") if path]
    there = [file for file in files if file.is_file()]
    if not there:
        raise Refusal(f"There is no kubeconfig {paths}. Name yours in k8s_cluster_context_kubeconfig.")
    read = {file: _read(file) for file in there}
    try:
        chosen = _named(read, "contexts", context)[1]
    except KeyError:
        names = ", ".join(dict.fromkeys(name for document in read.values() for name in _names(document, "contexts")))
        raise Refusal(
            f"{paths} holds no context {context}; it has {names or 'none'}. Correct k8s_cluster_context."
        ) from None
    entries = {}
    for kind, part in (("clusters", "cluster"), ("users", "user")):
        name = str(chosen.get(part, ""))
        try:
            folder, body = _named(read, kind, name)
        except KeyError:
            raise Refusal(f"{paths}: context {context} names {part} {name or '(none)'}, which is not there.") from None
        entries[kind] = [{"name": name, part: _alone(body, folder)}]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "contexts": [{"name": context, "context": chosen}],
        **entries,
    }


def _read(file: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refusal(f"{file} cannot be read as a kubeconfig: {' '.join(str(error).split())}") from None
    return document if isinstance(document, Mapping) else {}


def _names(document: Mapping[str, Any], kind: str) -> list[str]:
    return [str(entry.get("name")) for entry in document.get(kind) or [] if isinstance(entry, Mapping)]


def _named(read: Mapping[Path, Mapping[str, Any]], kind: str, name: str) -> tuple[Path, dict[str, Any]]:
    """The folder of the first file that has an entry, and what the entry holds; KeyError: none has."""
    for file, document in read.items():
        if name in _names(document, kind):
            entry = next(entry for entry in document[kind] if str(entry.get("name")) == name)
            return file.resolve().parent, dict(entry.get(kind[:-1]) or {})
    raise KeyError(name)


def _alone(body: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A cluster or user that does not depend on the folder of its file."""
    alone = dict(body)
    for name, data in EMBEDDED.items():
        path = alone.pop(name, "")
        # As kubectl: the data win over a file.
        if path and not alone.get(data):
            try:
                alone[data] = base64.b64encode((folder / path).read_bytes()).decode("ascii")
            except OSError as error:
                raise Refusal(f"{name} {folder / path} cannot be read: {error.strerror}.") from None
    if alone.get("tokenFile"):
        alone["tokenFile"] = str(folder / alone["tokenFile"])
    command = (alone.get("exec") or {}).get("command", "")
    if "/" in command:
        alone["exec"] = {**alone["exec"], "command": str(folder / command)}
    return alone


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"kubeconfig_context": kubeconfig_context}
