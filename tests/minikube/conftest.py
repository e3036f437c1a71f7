# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment of the tests' own on a real minikube with its docker driver, and somebody else's kubeconfig."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / ".deploy" / "minikube"
NAME, NETWORK = "odoo-mk", "vagrant_network_192.168.153.0/24"
ASKED = ["-e", "k8s_cluster_kind=minikube", "-e", f"k8s_cluster_minikube_force={str(os.getuid() == 0).lower()}"]
THEIRS = """\
apiVersion: v1
kind: Config
current-context: theirs
clusters: [{name: theirs, cluster: {server: "https://192.0.2.1:6443"}}]
contexts: [{name: theirs, context: {cluster: theirs, user: me}}]
users: [{name: me, user: {token: sesame}}]
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """What a person would have set, with folders of the tests' own."""
    DEPLOY.mkdir(mode=0o700, parents=True, exist_ok=True)
    theirs = DEPLOY / "theirs.kubeconfig"
    theirs.write_text(THEIRS)
    settings = {
        "ODOO_DEPLOY_NODES": ROOT / "tests/minikube/nodes.yml",
        "ODOO_DEPLOY_DIR": DEPLOY,
        "VAGRANT_DOTFILE_PATH": DEPLOY / "vagrant",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": DEPLOY / "facts",
        "ANSIBLE_CONFIG": ROOT / "ansible.cfg",
        "MINIKUBE_HOME": DEPLOY / "home",
        "KUBECONFIG": theirs,
    }
    environment = {**os.environ, **{name: str(value) for name, value in settings.items()}}
    if not privileged():
        environment["PATH"] = f"{ROOT / 'tests/minikube/bin'}:{environment['PATH']}"
        # kubelet and containerd leave alone what they may not change then.
        environment["MINIKUBE_FEATURE_GATES"] = "KubeletInUserNamespace=true"
    return environment


def privileged() -> bool:
    """Whether the engine starts a container with --privileged."""
    base = [
        *("ansible", "localhost", "-m", "ansible.builtin.include_role"),
        *("-a", "name=odoo_deploy.stack.container_image tasks_from=base", "-e", "container_image_suite=bookworm"),
    ]
    subprocess.run(base, cwd=ROOT, check=True, capture_output=True)
    done = subprocess.run(
        ["docker", "run", "--rm", "--privileged", "odoo-deploy/base:bookworm", "true"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 or "permitted" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.fixture(scope="session")
def run(environment: dict[str, str]) -> Run:
    """Runs a command in the checkout; its output is in the result."""

    def call(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=ROOT, env={**environment, **more}, timeout=1200, check=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        print(f"$ {' '.join(command)}\n{done.stdout}")
        return done

    return call


@pytest.fixture(scope="session", autouse=True)
def nothing_before_and_after(run: Run) -> Iterator[None]:
    """Neither an earlier run's deployment nor ours stays."""
    run("./teardown.sh", "--yes")
    yield
    run("./teardown.sh", "--yes")
