# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a cluster of somebody else's: two nodes, a registry that wants a log-in, namespaces that are in use.

The tests follow each other: refused, deployed, again, with the official image, torn down.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from theirs import FIRST, REGISTRY_HOST, ROOT, SECOND, Site, make, on, remove, run

HERE = Path(__file__).resolve().parent
STATE = ROOT / ".deploy" / "given"
OFFICIAL = f"{REGISTRY_HOST}/library/odoo:19.0"
OURS = {"odoo_k8s_namespace": "shop", "prometheus_k8s_namespace": "shop-monitoring"}


class Operator:
    """Who deploys there: from a checkout, with a state folder and settings of their own."""

    def __init__(self, site: Site, settings: Path) -> None:
        self.settings = settings
        self.environment = {
            "ODOO_DEPLOY_NODES": str(HERE / "nodes.yml"),
            "ODOO_DEPLOY_DIR": str(STATE),
            "VAGRANT_DOTFILE_PATH": str(STATE / "vagrant"),
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(STATE / "facts"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "KUBECONFIG": f"{site.folder}/missing:{site.kubeconfig}",
            "DOCKER_CONFIG": str(site.docker_config),
        }
        self.wanted: dict[str, Any] = {
            "k8s_cluster_context": "theirs",
            "k8s_cluster_registry": f"{REGISTRY_HOST}/team",
            "k8s_cluster_registry_login": site.login(),
        }

    def call(self, *words: str, **changed: Any) -> tuple[int, str]:
        """A command of run.py: its exit code and what it prints."""
        self.settings.write_text(json.dumps(self.wanted | changed))
        self.settings.chmod(0o600)
        done = subprocess.run(
            ["./run.py", *words, "-e", f"@{self.settings}"],
            cwd=ROOT, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def deploy(self, **changed: Any) -> str:
        """A run with its verifications, which must succeed: its last line."""
        code, said = self.call("--yes", **changed)
        assert code == 0, said[-6000:]
        return next(line for line in reversed(said.splitlines()) if line.startswith("Done in"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield make(tmp_path_factory.mktemp("theirs"))
    remove()


@pytest.fixture(scope="module")
def operator(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    operator = Operator(site, tmp_path_factory.mktemp("ours") / "settings.json")
    yield operator
    run("./teardown.sh", "--yes", **operator.environment)


@pytest.fixture(scope="module")
def before(site: Site) -> dict[str, Any]:
    """What is in the namespaces that others use."""
    return {namespace: site.objects(namespace) for namespace in ("odoo", "monitoring")}


def pods_by_node(site: Site, namespace: str) -> dict[str, str]:
    listed = json.loads(site.kubectl("get", "pods", "--namespace", namespace, "--output", "json"))["items"]
    return {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in listed}


def images(site: Site, namespace: str) -> set[str]:
    listed = json.loads(site.kubectl("get", "deployments", "--namespace", namespace, "--output", "json"))["items"]
    return {container["image"] for one in listed for container in one["spec"]["template"]["spec"]["containers"]}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"k8s_cluster_context": "nobody"}, "holds no context nobody; it has theirs, elsewhere"),
        ({"k8s_cluster_registry_login": {"registry": REGISTRY_HOST}}, "k8s_cluster_registry_login needs registry,"),
        ({}, "Namespace monitoring was there before"),
    ],
)
def test_refused_with_nothing_changed(
    operator: Operator, site: Site, before: dict[str, Any], changed: dict[str, Any], says: str
) -> None:
    """One message, and the cluster is as it was."""
    code, said = operator.call("--yes", "--steps", "1-2", **changed)
    assert code not in (0, 6), said
    assert says in " ".join(said.split())
    assert {namespace: site.objects(namespace) for namespace in before} == before


def test_deployed(operator: Operator, site: Site) -> None:
    """Everything verified; pods on both nodes run images of the registry, pulled with the log-in."""
    assert " checks" in operator.deploy(**OURS)
    for namespace in OURS.values():
        assert images(site, namespace)
        assert all(image.startswith(f"{REGISTRY_HOST}/team/") for image in images(site, namespace))
    assert set(pods_by_node(site, "shop").values()) == {"node1", "node2"}
    cadvisors = [node for pod, node in pods_by_node(site, "shop-monitoring").items() if pod.startswith("cadvisor")]
    assert sorted(cadvisors) == ["node1", "node2"]


@pytest.mark.parametrize(
    ("variable", "namespace", "secret"),
    [
        ("odoo_k8s_registry_login", "shop", "odoo-registry"),
        ("prometheus_k8s_registry_login", "shop-monitoring", "prometheus-registry"),
    ],
)
def test_login_reaches_the_pods(site: Site, variable: str, namespace: str, secret: str) -> None:
    """What is told once is the default of both."""
    found = json.loads(site.kubectl("get", "secret", secret, "--namespace", namespace, "--output", "json"))
    held = json.loads(base64.b64decode(found["data"][".dockerconfigjson"]))["auths"][REGISTRY_HOST]["auth"]
    assert base64.b64decode(held).decode() == f"{site.user}:{site.password}", variable


def test_only_the_context_is_copied(site: Site) -> None:
    """Nothing of the person's other clusters is in the deployment's folder."""
    ours = STATE / "kubeconfig"
    assert ours.stat().st_mode & 0o777 == 0o600
    assert [context["name"] for context in yaml.safe_load(ours.read_text())["contexts"]] == ["theirs"]
    assert "not-for-this-deployment" not in ours.read_text()
    assert "not-for-this-deployment" in site.kubeconfig.read_text()
    login = STATE / "docker" / "config.json"
    assert login.stat().st_mode & 0o777 == 0o600


def test_again_changes_nothing(operator: Operator) -> None:
    """Images that the registry has are not pushed as new."""
    assert "changed=0, " in operator.deploy(**OURS)


def test_official_image_of_that_registry(operator: Operator, site: Site) -> None:
    """One that is laid out as the official image, behind the log-in, takes the place of what was built."""
    (built,) = images(site, "shop")
    local = built.removeprefix(f"{REGISTRY_HOST}/team/")
    run("docker", "build", "--quiet", "--build-arg", f"BASE={local}", "--tag", OFFICIAL, str(HERE / "official"))
    run("docker", "--config", str(site.docker_config), "push", "--quiet", OFFICIAL)
    run("docker", "image", "rm", OFFICIAL)
    official = {"odoo_k8s_image_source": "official", "odoo_k8s_image_official": OFFICIAL}
    operator.deploy(**OURS, **official)
    assert images(site, "shop") != {built}
    listed = json.loads(site.kubectl("get", "pods", "--namespace", "shop", "--output", "json"))["items"]
    pod = next(pod["metadata"]["name"] for pod in listed if pod["status"]["phase"] == "Running")
    # The configuration and the database are the deployment's, not those of the image's entry point.
    command = site.kubectl("exec", "--namespace", "shop", pod, "--", "cat", "/proc/1/cmdline").split("\0")
    assert "--config" in command
    assert not {"/etc/odoo/odoo.conf", "--db_host"} & set(command)
    assert "changed=0, " in operator.deploy(**OURS, **official)


def test_teardown_leaves_what_was_there(operator: Operator, site: Site, before: dict[str, Any]) -> None:
    """Byte for byte, and nothing of the deployment's remains."""
    said = run("./teardown.sh", "--yes", **operator.environment)
    assert {namespace: site.objects(namespace) for namespace in before} == before, said
    namespaces = site.kubectl("get", "namespaces", "--output", "name").split()
    assert not {"namespace/shop", "namespace/shop-monitoring"} & set(namespaces), said
    roles = site.kubectl("get", "clusterroles,clusterrolebindings", "--selector", "odoo-deploy/deployment=odoo-given",
                         "--output", "name")  # fmt: skip
    assert not roles.split(), said
    for node in (FIRST, SECOND):
        assert on(node, "true") == ""
