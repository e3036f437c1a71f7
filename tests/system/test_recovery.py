# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a deployment behind our back, and the run that mends it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from subprocess import DEVNULL

import requests
from conftest import ROOT, Clicks, Run
from support.deployment import Deployment, eventually
from support.odoo import Door


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def answers(url: str) -> bool:
    """A page comes, within five seconds."""
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_stopped_machine_is_left_out_of_the_inventory(run: Run, deployment: Deployment) -> None:
    """With pg2 stopped the inventory holds three machines and says one word about the fourth."""
    container = f"{deployment.name}-pg2"
    docker("stop", container)
    try:
        graph = run("ansible-inventory", "--graph").stdout
        assert "|--nginx1" in graph
        assert "|--pg1" in graph
        assert "|--pg2" not in graph
        assert graph.count("[WARNING]") == 1
        assert "pg2" in graph.split("[WARNING]")[1]
    finally:
        docker("start", container)


def test_deleted_machine_is_made_again(run: Run, deployment: Deployment, deploys: Callable[[], str]) -> None:
    """A proxy whose container was deleted comes back with the next run, and works."""
    docker("rm", "-f", f"{deployment.name}-nginx2")
    deploys()
    assert "nginx2" in {machine.name for machine in Deployment().machines("nginx")}


def test_second_run_is_told_who_holds_the_lock(run: Run) -> None:
    """Of two runs at once the second stops, names the first and changes nothing."""
    first = subprocess.Popen(["./run.py", "--yes"], cwd=ROOT, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        time.sleep(3)
        second = run("./run.py", "--yes")
        assert second.returncode == 5
        assert str(first.pid) in second.stdout
    finally:
        assert first.wait(timeout=600) == 0


def test_node_comes_back_after_a_restart(deployment: Deployment) -> None:
    """The node's container is restarted: Odoo answers through both proxies within 90 seconds."""
    proxies = [machine.address for machine in deployment.machines("nginx")]
    docker("restart", "--time", "5", f"{deployment.name}-minikube")

    def check() -> None:
        for address in proxies:
            assert answers(f"http://{address}/web/login")

    began = time.monotonic()
    eventually(check, seconds=90)
    assert time.monotonic() - began <= 90


def gone(node: str, number: str) -> None:
    """The container has no process left."""
    tasks = docker("exec", node, "ctr", "-n", "k8s.io", "tasks", "ls")
    assert not any(number in line and "RUNNING" in line for line in tasks.splitlines()), tasks


def test_pod_killed_in_mid_session_costs_no_click(deployment: Deployment, doors: list[Door]) -> None:
    """All processes of one of three pods get SIGKILL between two clicks at both proxies: no later click fails."""
    selector = "app.kubernetes.io/name=odoo,app.kubernetes.io/component=web"

    def settled() -> None:
        states = [state for pod in deployment.cluster.pods("odoo", selector) for state in pod.status.container_statuses]
        assert len(states) == 3
        assert all(state.ready for state in states)

    # The test before may not be over: a node that just started takes pods for ready that it has yet to look at.
    for _unused in range(2):
        eventually(settled, seconds=120)
        time.sleep(15)
    pod = deployment.cluster.pods("odoo", selector)[0]
    number = pod.status.container_statuses[0].container_id.rsplit("/", 1)[1]
    node = f"{deployment.name}-{pod.spec.node_name}"
    with Clicks(doors) as clicks:
        time.sleep(2)
        # A form that a dying pod took is lost, for nobody may send it twice: no click until all its processes are gone.
        with clicks.between:
            docker("exec", node, "ctr", "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", "--all", number)
            eventually(lambda: gone(node, number), seconds=5, every=0.02)
        time.sleep(15)
    assert set(clicks.answers) == {"right"}, clicks.answers
    assert clicks.answers["right"] > 50

    def restarted() -> None:
        (now,) = [p for p in deployment.cluster.pods("odoo", selector) if p.metadata.name == pod.metadata.name]
        assert now.status.container_statuses[0].restart_count == pod.status.container_statuses[0].restart_count + 1
        assert now.status.container_statuses[0].ready

    eventually(restarted, seconds=90)
