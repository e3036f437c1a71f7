# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole deployment on a real minikube: from nothing, again, stopped and started, torn down. In this order."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import ASKED, DEPLOY, NAME, NETWORK, ROOT, THEIRS, Run

ADDRESS = "192.168.153.100"


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def left() -> dict[str, str]:
    """What the engine has of the deployment and of minikube's profile."""
    found = {
        f"{kind} {label}": docker(kind, "ls", "-q", "--filter", f"label={label}={NAME}")
        for kind in ("container", "volume", "network")
        for label in ("odoo-deploy.deployment", "name.minikube.sigs.k8s.io")
    }
    found["network"] = docker("network", "ls", "-q", "--filter", f"name={NETWORK}")
    return {what: ids for what, ids in found.items() if ids}


def test_from_nothing(run: Run) -> None:
    """One command, with every check; nothing names a driver, a network or an address."""
    done = run("./run.py", "--yes", *ASKED)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^Done in .*: changed=\d+, \d+ checks passed\.$", done.stdout, re.MULTILINE)


def test_node_is_on_the_machines_network(run: Run) -> None:
    assert run("minikube", "ip", "--profile", NAME).stdout.strip() == ADDRESS
    networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", NAME))
    assert {name: network["IPAddress"] for name, network in networks.items()} == {NETWORK: ADDRESS}


def test_again_changes_nothing(run: Run) -> None:
    done = run("./run.py", "--yes", *ASKED)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^Done in .*: changed=0, ", done.stdout, re.MULTILINE), done.stdout[-4000:]


def test_status(run: Run) -> None:
    assert f"minikube profile {NAME}: {NAME} Running\n" in run("./run.py", "status").stdout


def test_stopped_and_started(run: Run) -> None:
    """A dry run and the status say that it is stopped; a run starts it, and everything serves again."""
    assert run("minikube", "stop", "--profile", NAME).returncode == 0
    dry = run("./run.py", "--dry-run", *ASKED)
    assert dry.returncode == 0, dry.stdout[-4000:]
    assert f"minikube profile {NAME} does not run; the cluster would be brought up" in dry.stdout
    assert f"{NAME} Stopped: ./run.py --steps 1 starts it" in run("./run.py", "status").stdout
    done = run("./run.py", "--yes", *ASKED)
    assert done.returncode == 0, done.stdout[-4000:]
    assert run("minikube", "ip", "--profile", NAME).stdout.strip() == ADDRESS


def test_somebody_elses_kubeconfig(run: Run) -> None:
    assert (DEPLOY / "theirs.kubeconfig").read_text() == THEIRS
    assert (DEPLOY / "kubeconfig").stat().st_mode & 0o777 == 0o600


def test_teardown(run: Run) -> None:
    """What it made is gone, at once; another network and another kubeconfig stay."""
    docker("network", "create", "--label", "created_by.minikube.sigs.k8s.io=true", "odoo-mk-neighbour")
    try:
        done = run("./teardown.sh", "--yes")
        assert done.returncode == 0, done.stdout[-4000:]
        assert docker("network", "ls", "-q", "--filter", "name=odoo-mk-neighbour")
    finally:
        docker("network", "rm", "odoo-mk-neighbour")
    assert left() == {}
    assert not (DEPLOY / "home/.minikube/profiles" / NAME).exists()
    assert (DEPLOY / "theirs.kubeconfig").read_text() == THEIRS


@pytest.fixture
def network_without_gateway() -> Iterator[None]:
    """As Vagrant makes it."""
    docker("network", "create", "--subnet", "192.168.153.0/24", NETWORK)
    yield
    docker("network", "rm", NETWORK)


@pytest.mark.usefixtures("network_without_gateway")
def test_network_without_a_gateway_is_refused(run: Run) -> None:
    done = run("./run.py", "--yes", "--steps", "1", *ASKED)
    assert done.returncode == 1
    assert "has no gateway, and minikube would put its node elsewhere" in done.stdout
    assert left() == {"network": docker("network", "ls", "-q", "--filter", f"name={NETWORK}")}
    (DEPLOY / "cluster.json").unlink()


def test_profile_of_somebody_else_is_refused(run: Run) -> None:
    profile = DEPLOY / "home/.minikube/profiles" / NAME / "config.json"
    profile.parent.mkdir(parents=True)
    profile.write_text("{}")
    try:
        done = run("./run.py", "--yes", "--steps", "1", *ASKED)
    finally:
        profile.unlink()
        profile.parent.rmdir()
    assert done.returncode == 1
    assert f"minikube has a profile {NAME} already, which this deployment did not make" in done.stdout
    assert not (DEPLOY / "cluster.json").exists()


def test_several_nodes(run: Run, tmp_path: Path) -> None:
    """Each has an address on the machines' network and the images; a second run changes nothing; all go at once."""
    nodes = tmp_path / "nodes.yml"
    nodes.write_text((ROOT / "tests/minikube/nodes.yml").read_text().replace(ADDRESS, "192.168.153.2"))
    asked = [*ASKED, "-e", "k8s_cluster_minikube_nodes=2", "-e", "k8s_cluster_minikube_memory=2200"]
    more = {"ODOO_DEPLOY_NODES": str(nodes)}
    try:
        done = run("./run.py", "--yes", "--steps", "1,2", *asked, **more)
        assert done.returncode == 0, done.stdout[-4000:]
        for name, address in ((NAME, "192.168.153.2"), (f"{NAME}-m02", "192.168.153.3")):
            networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", name))
            assert {network: entry["IPAddress"] for network, entry in networks.items()} == {NETWORK: address}
            assert "docker.io/odoo-deploy/prometheus:" in docker(
                "exec", name, "ctr", "-n", "k8s.io", "images", "ls", "-q"
            )
            # Its pod is on one of them, and both have the NodePort: the nodes' pods meet.
            assert requests.get(f"http://{address}:30090/-/healthy", timeout=10).status_code == 200
        again = run("./run.py", "--yes", "--steps", "1,2", *asked, **more)
        assert re.search(r"^Done in .*: changed=0, ", again.stdout, re.MULTILINE), again.stdout[-4000:]
        assert f"{NAME} Running, {NAME}-m02 Running" in run("./run.py", "status", **more).stdout
    finally:
        gone = run("./teardown.sh", "--yes", **more)
    assert gone.returncode == 0, gone.stdout[-4000:]
    assert left() == {}


def test_own_user() -> None:
    """What was made belongs to whoever ran this."""
    assert {path.stat().st_uid for path in DEPLOY.iterdir()} == {os.getuid()}
