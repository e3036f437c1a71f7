# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Staging copies of Odoo: what they are called, and which there are. Nothing is asked here.

A copy is a namespace with label ``LABEL``, and a database that a role of the same name owns, a member of the group of
copies. A command that was killed leaves a part of that, which is a copy all the same: it can be made again, or dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# It becomes a part of a namespace's name and, with underscores, of a database's.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")
LABEL = "odoo-deploy.copy"  # of a namespace: name of the copy in it
TAKEN = "odoo-deploy.copied"  # annotation beside it: when the data was read
PORTS = range(32250, 32300)

Thing = Mapping[str, Any]


def database_of(name: str, production: str) -> str:
    return f"{production}_copy_{name.replace('-', '_')}"


def namespace_of(name: str, production: str) -> str:
    return f"{production}-copy-{name}"


def name_of(database: str, production: str) -> str:
    """A name has no underscore, so this is exact."""
    return database[len(database_of("", production)) :].replace("_", "-")


@dataclass(frozen=True)
class Copy:
    """What there is of a copy."""

    name: str
    namespace: str = ""
    ending: bool = False  # the namespace is being removed
    taken: str = ""
    workloads: tuple[str, ...] = ()  # names of its Deployments
    wanted: int = 0  # pods
    ready: int = 0
    ports: tuple[int, ...] = ()  # HTTP, longpolling or websocket
    bytes: int | None = None  # of its database; None: there is none
    role: bool = False

    @property
    def whole(self) -> bool:
        return bool(self.namespace and self.bytes is not None and self.role and len(self.workloads) == 2)


def node_ports(services: Sequence[Thing], namespace: str) -> tuple[int, ...]:
    """Of the Service of Odoo in a namespace, in its order."""
    for service in services:
        if (service["metadata"]["namespace"], service["metadata"]["name"]) == (namespace, "odoo"):
            return tuple(port["nodePort"] for port in service["spec"].get("ports", []) if "nodePort" in port)
    return ()


def taken_ports(services: Sequence[Thing]) -> set[int]:
    """NodePorts that the Services of the cluster have."""
    found = {port.get("nodePort", 0) for service in services for port in service["spec"].get("ports") or []}
    return found | {service["spec"].get("healthCheckNodePort", 0) for service in services}


def choose_ports(services: Sequence[Thing], namespace: str, reserved: Sequence[int]) -> tuple[int, ...]:
    """The two that the copy has, else the two lowest that nobody has; empty: there are none."""
    own = node_ports(services, namespace)
    if len(own) == 2:
        return own
    taken = taken_ports(services).union(reserved)
    free = [port for port in PORTS if port not in taken][:2]
    return tuple(free) if len(free) == 2 else ()


def copies(production: str, namespaces: Sequence[Thing], cluster: Mapping[str, Any], looked: Thing) -> dict[str, Copy]:
    """All of which there is something, by name.

    :param production: name of the database that they are copies of.
    :param namespaces: of the deployment's copies.
    :param cluster: ``deployments`` of any Odoo, and all ``services``.
    :param looked: what module odoo_copy saw on a server.
    """
    databases: Mapping[str, int] = looked["copies"]
    spaces = {space["metadata"]["labels"][LABEL]: space for space in namespaces}
    names = {*spaces, *(name_of(database, production) for database in [*databases, *looked["roles"]])}
    found = {}
    for name in sorted(names):
        database = database_of(name, production)
        space: Thing = spaces.get(name, {"metadata": {"name": ""}})
        namespace = space["metadata"]["name"]
        pods = [one for one in cluster["deployments"] if one["metadata"]["namespace"] == namespace]
        found[name] = Copy(
            name,
            namespace,
            ending="deletionTimestamp" in space["metadata"],
            taken=(space["metadata"].get("annotations") or {}).get(TAKEN, ""),
            workloads=tuple(sorted(one["metadata"]["name"] for one in pods)),
            wanted=sum(one["spec"].get("replicas", 1) for one in pods),
            ready=sum((one.get("status") or {}).get("readyReplicas") or 0 for one in pods),
            ports=node_ports(cluster["services"], namespace),
            bytes=databases.get(database),
            role=database in looked["roles"],
        )
    return found
