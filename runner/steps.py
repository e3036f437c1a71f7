# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a deployment, as data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

HEADING = "** Odoo App deployment process consists of below steps **"
QUESTION = "Are you sure want to start deployment? [y/n] > "


@dataclass(frozen=True)
class Link:
    """An address a person opens, for each inventory host of `group`."""

    title: str
    group: str
    url: str  # {address} and {name} are the host's, {port} is what the step's playbook last said (set_stats run_ports)
    port: str = ""  # its name there; the link is shown where the playbook has said it


@dataclass(frozen=True)
class Ahead:
    """What can be done of a step before what it needs is there. The step's own playbook does it too, if need be."""

    name: str  # of the playbook and the log
    waits_for: str
    needs: tuple[int, ...] = ()  # as a step's
    addresses_of: int = 0  # as a step's

    @property
    def playbook(self) -> str:
        return f"{self.name}.yml"

    @property
    def log(self) -> str:
        return f"ahead-{self.name}.log"


@dataclass(frozen=True)
class Step:
    """One step: a playbook that applies it and a pytest marker that verifies it."""

    number: int
    title: str
    name: str  # of the playbook, the marker and the log
    waits_for: str
    needs: tuple[int, ...] = ()  # steps that have to be applied before
    addresses_of: int = 0  # the step that makes the addresses it needs, where nodes.yml does not declare them
    ahead: tuple[Ahead, ...] = ()  # one after the other
    links: tuple[Link, ...] = ()
    credentials: tuple[tuple[str, str], ...] = ()  # (what, path under .deploy/)

    @property
    def playbook(self) -> str:
        return f"{self.name}.yml"

    @property
    def log(self) -> str:
        return f"step-{self.number}-{self.name}.log"


STEPS = (
    Step(1, "Starts Minikube cluster", "cluster", "the node to be Ready"),
    Step(
        2,
        "Deploys Prometheus server on minikube",
        "monitoring",
        "Prometheus to be ready",
        needs=(1,),
        links=(
            Link("Prometheus", "kubernetes", "http://{address}:{port}/", "prometheus"),
            Link("Dashboards", "kubernetes", "http://{address}:{port}/user/", "prometheus"),
        ),
        credentials=(("Prometheus login admin, password", "secrets/prometheus_password"),),
    ),
    Step(3, "Starts Postgresql Master-Slave VMs", "postgres", "the standby to stream", addresses_of=1),
    Step(
        4,
        "Deploys Odoo app on Minikube",
        "odoo",
        "the Odoo pods to be ready",
        needs=(1, 3),
        ahead=(
            Ahead("odoo_image", "Odoo's image"),
            Ahead("odoo_image_load", "Odoo's image in the cluster", needs=(1,)),
        ),
        links=(Link("Odoo, by the cluster", "kubernetes", "http://{address}:{port}/", "odoo"),),
        credentials=(("Odoo login admin, password", "secrets/odoo_admin_password"),),
    ),
    Step(
        5,
        "Starts Nginx proxies VMs",
        "nginx",
        "the proxies to answer",
        needs=(4,),
        ahead=(Ahead("nginx_machines", "the proxies' machines", addresses_of=1),),
        links=(Link("Odoo, through {name}", "nginx", "http://{address}/"),),
    ),
)


def parse_steps(text: str, steps: Sequence[Step] = STEPS) -> tuple[Step, ...]:
    """Steps of a list such as `3`, `3-5`, `2,4` or `1-2,5`, in running order, each once.

    Raises ValueError with a message for people.
    """
    last = len(steps)
    wanted: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip(), re.ASCII)
        if not match:
            raise ValueError(f"'{text}' is no list of steps: write 3, 3-5 or 2,4 (steps are 1-{last})")
        low, high = int(match[1]), int(match[2] or match[1])
        if not 1 <= low <= high <= last:
            raise ValueError(
                f"'{part.strip()}' is outside the steps 1-{last}" if low <= high else f"'{part.strip()}' runs backwards"
            )
        wanted.update(range(low, high + 1))
    return tuple(step for step in steps if step.number in wanted)


def format_steps(steps: Sequence[Step]) -> str:
    """The shortest list that parse_steps() reads back: `1-2,5`."""
    runs: list[list[int]] = []
    for number in (step.number for step in steps):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
