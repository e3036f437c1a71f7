# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a staging copy of Odoo may be made or dropped, what that would do, and what the copy is made with."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_copy_plan
short_description: Whether a staging copy of Odoo may be made or dropped, and what that would do
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Decides from what M(odoo_deploy.stack.odoo_copy) saw on the servers and what is in the cluster. Changes nothing.
options:
  _input:
    description:
      - What V(look) of M(odoo_deploy.stack.odoo_copy) returned, of each server that answers, and its name, C(server).
    type: list
    elements: dict
    required: true
  act:
    description: What is to be done. V(make) also replaces a copy of that name.
    type: str
    choices: [make, drop]
    required: true
  name:
    description: Name of the copy.
    type: str
    required: true
  database:
    description: Name of production's database.
    type: str
    required: true
  namespace:
    description: Namespace of production.
    type: str
    required: true
  namespaces:
    description: Namespaces that the deployment has made for copies, as M(kubernetes.core.k8s_info) returns them.
    type: list
    elements: dict
    required: true
  cluster:
    description: C(deployments) of Odoo in all namespaces, and all C(services), likewise.
    type: dict
    required: true
  version:
    description: Major version of Odoo.
    type: str
    default: ''
  most:
    description: How many copies there may be.
    type: int
    default: 0
  connections:
    description: Connections that production and so many copies may open.
    type: int
    default: 0
  source:
    description: Name of the server that is read.
    type: str
    default: ''
  image:
    description: Image of the copy; empty, the one that production runs.
    type: str
    default: ''
  config:
    description: Production's options of odoo.conf.
    type: dict
    default: {}
  reserved:
    description: NodePorts that are another's, also if it is not there.
    type: list
    elements: int
    default: []
  address:
    description: Address of a node.
    type: str
    default: ''
  secret:
    description: With V(drop), whether there is a file with the copy's password.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    plan: "{{ seen | odoo_deploy.stack.odoo_copy_plan('drop', 'test', database='odoo', **facts) }}"
  vars:
    facts: {namespace: odoo, namespaces: [], cluster: {deployments: [], services: []}}
"""

RETURN = r"""
_value:
  description:
    - C(refusal), why it may not; empty, it may. C(summary), what it is about, in one line.
    - C(steps), what is done, and C(question), what a person agrees to; empty, there is nothing to do. C(digest) changes
      with what they agree to.
    - C(target), what the copy is called and where it is; its C(variables) are those of the role odoo_k8s in which it
      differs from production.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_backup import size
from ansible_collections.odoo_deploy.stack.plugins.module_utils.odoo_copy import (
    NAME,
    PORTS,
    Copy,
    Thing,
    choose_ports,
    copies,
    database_of,
    namespace_of,
)
from ansible_collections.odoo_deploy.stack.plugins.module_utils.plans import digest, listed

LONGEST = 63  # characters of a name, in PostgreSQL, which cuts a longer one off, and in Kubernetes
# By these a mail leaves Odoo where its database names no server. The others are the copy's own.
MAIL = ("email_from", "from_filter")
OWN = ("workers", "max_cron_threads", "db_maxconn", "db_maxconn_gevent")


@dataclass(frozen=True)
class Asked:
    """What a person asks for, and what production is."""

    name: str
    database: str
    namespace: str
    version: str
    most: int
    connections: int
    source: str
    image: str
    config: Mapping[str, Any]
    reserved: Sequence[int]
    address: str
    secret: bool
    services: Sequence[Thing] = field(default_factory=list)
    running: str = ""  # image of production; empty: it is not deployed


def stripped(config: Mapping[str, Any]) -> dict[str, Any]:
    """Production's options of odoo.conf without what sends mails, and what the copy has of its own."""
    return {key: value for key, value in config.items() if not key.startswith("smtp") and key not in MAIL + OWN}


def variables(asked: Asked, database: str, namespace: str, ports: Sequence[int]) -> dict[str, Any]:
    """Of the role odoo_k8s, as the copy has them. Secrets of production are none of the copy's."""
    return {
        "odoo_k8s_namespace": namespace,
        "odoo_k8s_adopt_namespace": False,
        "odoo_k8s_version": asked.version,
        "odoo_k8s_image": asked.image or asked.running,
        "odoo_k8s_rollback": False,
        "odoo_k8s_record": "",
        "odoo_k8s_replicas": 1,
        "odoo_k8s_max_replicas": 0,
        "odoo_k8s_workers": 2,
        "odoo_k8s_cron_threads": 1,
        "odoo_k8s_db_maxconn": 8,
        "odoo_k8s_node_port": ports[0],
        "odoo_k8s_longpolling_node_port": ports[1],
        "odoo_k8s_config": stripped(asked.config),
        "odoo_k8s_secret_config": {},
        "odoo_k8s_egress": [],
        "odoo_k8s_base_url": "",
        "odoo_k8s_attachment_storage": "db",
        "odoo_k8s_data_claim": "",
        "odoo_k8s_initialise_again": False,
        # Sessions are a table; they may be in any database.
        "odoo_k8s_db_name": database,
        "odoo_k8s_db_user": database,
        "odoo_k8s_session_db_name": database,
        "odoo_k8s_session_db_user": database,
        "odoo_k8s_import_db_name": database,
        "odoo_k8s_import_as": "staging",
    }


def misnamed(name: str) -> str:
    if NAME.fullmatch(name):
        return ""
    return f"{name or 'nothing'} is no name of a copy: up to 20 of a-z, 0-9 and dashes, first a letter, last no dash"


def why_not(asked: Asked, seen: Thing, there: Mapping[str, Copy], database: str, ports: Sequence[int]) -> str:
    """Why the copy may not be made; empty: it may."""
    longest = max(len(database), len(namespace_of(asked.name, asked.namespace)))
    if not asked.running:
        return f"Odoo is not deployed in namespace {asked.namespace}, so there is nothing to make a copy of"
    if asked.name not in there and len(there) >= asked.most:
        drop = "drop one (./run.py odoo copy drop NAME), or " if there else ""
        return (
            f"there are {len(there)} copies ({listed(list(there))}), and odoo_k8s_copies_max is {asked.most}: {drop}"
            "raise it in your settings and let PostgreSQL make room (./run.py --yes --steps 3)"
        )
    if longest > LONGEST:
        return f"its database {database} or its namespace would have a name of more than {LONGEST} characters"
    if not seen["lets_in"]:
        return "PostgreSQL does not let copies in yet: ./run.py --yes --steps 3 has it do so"
    if seen["connections"] < asked.connections:
        return (
            f"{seen['server']} takes {seen['connections']} connections, and Odoo with {asked.most} copies may open"
            f" {asked.connections}: ./run.py --yes --steps 3 makes room"
        )
    if database in seen["strangers"]:
        return f"{seen['server']} has a database or a role {database} that is no copy's; take another name"
    if asked.name in there and there[asked.name].ending:
        return f"namespace {there[asked.name].namespace} is still being removed; wait until it is gone"
    if not ports:
        return f"the NodePorts {PORTS[0]} to {PORTS[-1]} are taken"
    return ""


def make(asked: Asked, seen: Sequence[Thing], primary: Thing, there: Mapping[str, Copy]) -> dict[str, Any]:
    name, database = asked.name, database_of(asked.name, asked.database)
    namespace = namespace_of(name, asked.namespace)
    ports = choose_ports(asked.services, namespace, asked.reserved)
    refusal = why_not(asked, primary, there, database, ports)
    if refusal:
        return _plan(f"Copy {name} is not made: {refusal}. Nothing was changed.")
    before = there.get(name, Copy(name))
    reads = "standby" if any(one["standby"] for one in seen if one["server"] == asked.source) else "primary"
    steps = [
        f"read {asked.database} on the {reads} {asked.source}, while Odoo serves",
        f"load it into {database} on {primary['server']}",
        "neutralise it: no mail, scheduled action, payment or synchronisation goes on",
        f"serve it in namespace {namespace}: http://{asked.address}:{ports[0]}",
    ]
    if before.workloads:
        steps.insert(1, f"stop copy {name}")
    target = {
        "name": name,
        "namespace": namespace,
        "database": database,
        "primary": primary["server"],
        "workloads": list(before.workloads),
        "there": bool(before.namespace),
        "url": f"http://{asked.address}:{ports[0]}",
        "variables": variables(asked, database, namespace, ports),
    }
    return _plan(
        summary=f"Copy {name} of database {asked.database}, {size(primary['size'])}"
        + (f", with image {asked.image}." if asked.image else "."),
        steps=steps,
        question=f"This {f'replaces what is in copy {name}' if name in there else f'makes copy {name}'}",
        agreed=["make", name in there, target],
        target=target,
    )


def drop(asked: Asked, primary: Thing, there: Mapping[str, Copy]) -> dict[str, Any]:
    name, database = asked.name, database_of(asked.name, asked.database)
    found = there.get(name, Copy(name))
    steps = []
    if found.namespace:
        steps.append(f"remove namespace {found.namespace} with its pods")
    if found.bytes is not None:
        steps.append(f"drop database {database}, {size(found.bytes)}, on {primary['server']}")
    if found.role:
        steps.append(f"drop role {database}")
    if asked.secret:
        steps.append("remove the file with its password")
    target = {"name": name, "namespace": found.namespace, "database": database, "primary": primary["server"]}
    if not steps:
        return _plan(summary=f"There is no copy {name}. Copies that there are: {listed(list(there))}.", target=target)
    return _plan(
        summary=f"Copy {name} of database {asked.database}.",
        steps=steps,
        question=f"This removes copy {name} and what was done in it",
        # Not how large it is: somebody may work in it.
        agreed=["drop", name, found.namespace, found.bytes is None, found.role, asked.secret],
        target=target,
    )


def _plan(
    refusal: str = "",
    summary: str = "",
    steps: Sequence[str] = (),
    question: str = "",
    agreed: Any = None,
    target: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "refusal": refusal,
        "summary": summary,
        "steps": list(steps),
        "question": question,
        "digest": digest(agreed) if question else "",
        "target": dict(target or {}),
    }


def odoo_copy_plan(
    seen: Sequence[Thing],
    act: str,
    name: str,
    database: str,
    namespace: str,
    namespaces: Sequence[Thing],
    cluster: Mapping[str, Any],
    version: str = "",
    most: int = 0,
    connections: int = 0,
    source: str = "",
    image: str = "",
    config: Mapping[str, Any] | None = None,
    reserved: Sequence[int] = (),
    address: str = "",
    secret: bool = False,
) -> dict[str, Any]:
    """The plan; see RETURN."""
    primaries = [server for server in seen if not server["standby"]]
    if misnamed(name):
        return _plan(f"{misnamed(name)}. Nothing was changed.")
    if len(primaries) != 1:
        return _plan(
            "Nothing was changed. Exactly one server that accepts writes has to be reached;"
            " ./run.py pg status shows what they are."
        )
    there = copies(database, namespaces, cluster, primaries[0])
    running = [
        one["spec"]["template"]["spec"]["containers"][0]["image"]
        for one in cluster["deployments"]
        if (one["metadata"]["namespace"], one["metadata"]["name"]) == (namespace, "odoo")
    ]
    asked = Asked(
        name=name,
        database=database,
        namespace=namespace,
        version=version,
        most=int(most),
        connections=int(connections),
        source=source,
        image=image,
        config=config or {},
        reserved=[int(port) for port in reserved],
        address=address,
        secret=secret,
        services=cluster["services"],
        running=running[0] if running else "",
    )
    return make(asked, seen, primaries[0], there) if act == "make" else drop(asked, primaries[0], there)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"odoo_copy_plan": odoo_copy_plan}
