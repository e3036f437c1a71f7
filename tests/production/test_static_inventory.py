# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to real servers (docs/production.md), gone with the machines of a running deployment.

The collection is installed, inventory/production.example.yml has the deployment's hosts in it, its cluster is a given
context. Nothing may change.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from support.deployment import DEPLOY_DIR, Deployment, Machine  # noqa: E402
from support.odoo import Odoo  # noqa: E402

BIN = Path(sys.executable).parent
NODES = Path(os.environ.get("ODOO_DEPLOY_NODES") or ROOT / "inventory" / "nodes.yml")
INVENTORY = ("-i", "inventory/hosts.yml", "-i", "inventory/wiring.yml")
# Programs that make machines or build images; where both are given nobody may start them.
FORBIDDEN = ("vagrant", "docker", "minikube", "mmdebstrap")

CONNECTION = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
)


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return Deployment()


def static_inventory(deployment: Deployment) -> dict[str, Any]:
    """The example, each group's hosts replaced by the deployment's. A host says only how it is reached."""
    inventory = yaml.safe_load((ROOT / "inventory" / "production.example.yml").read_text())

    sizes = yaml.safe_load(NODES.read_text())["machines"]

    def host(machine: Machine, group_name: str) -> dict[str, Any]:
        connection = {name: machine.variables[name] for name in CONNECTION if name in machine.variables}
        if connection["ansible_host"] != machine.address:
            connection["peer_address"] = machine.address
        if group_name.startswith("postgres"):
            # A container sees its host's memory and cores; a server says its own.
            size = sizes[machine.name]
            connection |= {"postgres_common_memory": size["memory"], "postgres_common_cores": size["cpus"]}
        return connection

    def fill(groups: dict[str, Any]) -> None:
        for name, group in groups.items():
            if "hosts" in group:
                group["hosts"] = {machine.name: host(machine, name) for machine in deployment.machines(name)}
            fill(group.get("children", {}))

    fill(inventory["all"]["children"])
    inventory["all"]["children"]["kubernetes"]["hosts"] = {
        name: {"ansible_host": address} for name, address in deployment.nodes.items()
    }
    return inventory


def settings(deployment: Deployment) -> dict[str, Any]:
    """group_vars/all/production.yml: the cluster's context, and images that it can pull, here those it runs."""
    kubeconfig = DEPLOY_DIR / "kubeconfig"

    def image(kind: str, namespace: str, name: str) -> str:
        workload = getattr(deployment.cluster.apps, f"read_namespaced_{kind}")(name, namespace)
        return workload.spec.template.spec.containers[0].image

    return {
        "deployment_name": deployment.name,
        "k8s_cluster_context": yaml.safe_load(kubeconfig.read_text())["current-context"],
        "k8s_cluster_context_kubeconfig": str(kubeconfig),
        "odoo_k8s_version": Odoo(deployment).environment["ODOO_VERSION"],
        "odoo_image": image("deployment", "odoo", "odoo"),
        "prometheus_k8s_image": image("deployment", "monitoring", "prometheus"),
        "prometheus_k8s_cadvisor_image": image("daemon_set", "monitoring", "cadvisor"),
        "prometheus_k8s_alertmanager_image": image("deployment", "monitoring", "alertmanager"),
        "prometheus_k8s_blackbox_image": image("deployment", "monitoring", "blackbox"),
    }


@pytest.fixture(scope="module")
def folder(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An operator's folder: inventory/, the secrets of the deployment, the installed collection."""
    folder = tmp_path_factory.mktemp("production")
    ansible(folder, "ansible-galaxy", "collection", "build", str(ROOT))
    archive = str(next(folder.glob("*.tar.gz")))
    ansible(folder, "ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", "collections", archive)
    installed = folder / "collections" / "ansible_collections" / "odoo_deploy" / "stack"
    shutil.copytree(installed / "inventory" / "group_vars", folder / "inventory" / "group_vars")
    shutil.copy(installed / "inventory" / "wiring.example.yml", folder / "inventory" / "wiring.yml")
    (folder / "inventory" / "hosts.yml").write_text(yaml.safe_dump(static_inventory(deployment), sort_keys=False))
    (folder / "inventory" / "group_vars" / "all" / "production.yml").write_text(yaml.safe_dump(settings(deployment)))
    (folder / ".deploy").mkdir(mode=0o700)
    shutil.copytree(DEPLOY_DIR / "secrets", folder / ".deploy" / "secrets")
    (folder / "bin").mkdir()
    for program in FORBIDDEN:
        (folder / "bin" / program).write_text(f"#!/bin/sh\necho {program} was started >&2\nexit 97\n")
        (folder / "bin" / program).chmod(0o755)
    return folder


def ansible(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of Ansible in the operator's folder, where no setting of this checkout or of the demo is seen."""
    foreign = ("ANSIBLE_", "ODOO_DEPLOY_", "VAGRANT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {
        "PATH": f"{folder / 'bin'}:{BIN}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }
    return subprocess.run(
        [str(BIN / program), *arguments],
        cwd=folder,
        env=environment,
        check=program == "ansible-galaxy",
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def play(folder: Path, playbook: str) -> dict[str, dict[str, int]]:
    """Each host's counts of a playbook that must succeed and, but for the first, change nothing."""
    done = ansible(folder, "ansible-playbook", *INVENTORY, f"odoo_deploy.stack.{playbook}")
    result = json.loads(done.stdout[done.stdout.index("{") :]) if "{" in done.stdout else {}
    assert done.returncode == 0, "\n".join([*problems(result), done.stderr]) if result else done.stdout + done.stderr
    changed = problems(result, "changed")
    assert not changed or playbook == "cluster", changed
    return result["stats"]


def problems(result: dict[str, Any], key: str = "failed") -> list[str]:
    """Tasks that failed (or changed something), with the host and what it said."""
    return [
        f"{host}: {task['task']['name']}: {said.get('msg', '')}"
        for play in result.get("plays", [])
        for task in play["tasks"]
        for host, said in task["hosts"].items()
        if said.get(key) or (key == "failed" and said.get("unreachable"))
    ]


def test_given_machines_and_cluster_are_what_the_demo_made(folder: Path, deployment: Deployment) -> None:
    """site with a static inventory of the same machines: every host is reached, none changes"""
    # The first contact with a given cluster writes its credentials and the choice into the operator's own folder.
    assert set(play(folder, "cluster")) == {"localhost"}
    kubeconfig = folder / ".deploy" / "kubeconfig"
    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    stats = play(folder, "site")
    assert set(stats) == {"localhost", *(machine.name for machine in deployment.machines())}
    assert {host: counts["changed"] for host, counts in stats.items()} == dict.fromkeys(stats, 0)
    assert min(counts["ok"] for counts in stats.values()) > 5
