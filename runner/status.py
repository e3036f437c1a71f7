# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what was done, what is there and who is at work; changes nothing."""

from __future__ import annotations

from typing import Any

from runner import inventory, lock, nodes, paths, platform_choice, report
from runner.events import Output, clock
from runner.exits import Exit, Failure
from runner.journal import Journal
from runner.steps import STEPS


def run(output: Output) -> None:
    """Prints steps, machines and links; raises Failure where Ansible cannot read the inventory."""
    diary, at_work = Journal(paths.JOURNAL), lock.holder(paths.LOCK)
    steps = [{"step": step.number, "title": step.title, **diary.step(step.number)} for step in STEPS]
    try:
        hosts = inventory.load() if diary.data["steps"] else []
    except RuntimeError as error:
        raise Failure(Exit.STEP_FAILED, "INVENTORY_FAILED", f"the inventory cannot be read: {error}") from error
    running = {host.name for host in hosts}
    for machine in nodes.load().machines if hosts else ():  # the inventory holds those that run
        if machine.name not in running:
            hosts.append(inventory.Host(machine.name, machine.address, machine.groups, "does not run"))
    result = report.collect(STEPS, hosts, [], diary.ports)
    working = f"{at_work.command} (process {at_work.pid}, since {at_work.started})" if at_work else ""
    minikube = platform_choice.minikube_line()
    output.emit(
        "status",
        deployment=diary.data.get("deployment"),
        network=diary.data.get("network"),
        at_work=working,
        steps=steps,
        minikube=minikube,
        **result,
    )
    name, network = diary.data.get("deployment", ""), diary.data.get("network", "")
    output.say(f"Deployment {name} on {network}" if name else "Nothing is deployed here yet: ./run.py does it.")
    if working:
        output.say(f"At work: {working}")
    if diary.data["steps"]:
        output.say()
        for line in report.table([_row(entry) for entry in steps]):
            output.say(line)
    for line in report.lines(result):
        output.say(line)
    if minikube:
        output.say(f"  {minikube}")


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    checks = entry.get("checks", [])
    good = sum(check["result"] == "passed" for check in checks)
    return (
        f"{entry['step']}. {entry['title']}",
        entry.get("state", "not run"),
        clock(entry["seconds"]) if "seconds" in entry else "",
        f"changed={entry['changed']}" if "changed" in entry else "",
        f"{good}/{len(checks)} verified" if checks else "",
        entry.get("started", "")[:16].replace("T", " "),
    )
