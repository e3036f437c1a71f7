# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment under test, as the inventory tells it: machines over ssh, nodes over the Kubernetes API."""

from __future__ import annotations

import atexit
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import requests
import testinfra

ROOT = Path(__file__).resolve().parents[3]
DEPLOY_DIR = Path(os.environ.get("ODOO_DEPLOY_DIR") or ROOT / ".deploy")

Result = TypeVar("Result")


def eventually(what: Callable[[], Result], seconds: float, every: float = 1.0) -> Result:
    """The result of `what` once what it asserts holds and what it asks answers, within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return what()
        except (AssertionError, requests.ConnectionError, requests.Timeout):
            if time.monotonic() > deadline:
                raise
            time.sleep(every)


@dataclass(frozen=True)
class Machine:
    """A machine of the inventory; `address` is the one its peers use."""

    name: str
    address: str
    variables: dict[str, Any]

    @cached_property
    def host(self) -> Any:
        """testinfra's view of it, as root over Ansible's own ssh connection."""
        user, port = self.variables.get("ansible_user", "root"), self.variables.get("ansible_port", 22)
        key = self.variables.get("ansible_ssh_private_key_file", "")
        options = self.variables.get("ansible_ssh_common_args", "").strip()
        return testinfra.get_host(
            f"ssh://{user}@{self.variables['ansible_host']}:{port}?sudo=true&timeout=20",
            ssh_identity_file=key or None,
            ssh_extra_args=options or None,
            controlpath=f"{_sockets()}/{self.name}",
            controlpersist=10,
        )

    def run(self, command: str, *arguments: str) -> str:
        """Standard output of a command that must succeed there."""
        done = self.host.run(command, *arguments)
        assert done.rc == 0, f"{self.name}: {command}: {done.stderr.strip() or done.stdout.strip()}"
        return done.stdout.strip()

    def assert_running(self) -> None:
        """systemd has started everything and nothing failed."""
        state = self.host.run("systemctl is-system-running --wait").stdout.strip()
        assert state == "running", (
            f"{self.name}: {state}: {self.host.run('systemctl --failed --plain --no-legend').stdout}"
        )

    def node_exporter(self) -> str:
        """The page of metrics, where the unit says that it is."""
        said = self.run("systemctl show --property=ExecStart prometheus-node-exporter")
        listens = said.partition("--web.listen-address=")[2].split()[0]
        return requests.get(f"http://{listens}/metrics", timeout=10, proxies={"http": ""}).text

    def assert_node_exporter(self) -> None:
        """The unit runs and tells this machine's name where Prometheus asks."""
        assert self.run("systemctl is-active prometheus-node-exporter") == "active"
        assert f'nodename="{self.name}"' in self.node_exporter(), self.name

    def shows_figures(self) -> bool:
        """A proxy's figures of its access log are read by mtail, where they are wanted."""
        return bool(self.host.run("systemctl is-enabled --quiet mtail.service").rc == 0)

    def listening(self) -> set[str]:
        """Local TCP addresses that something listens on, as ADDRESS:PORT."""
        return {line.split()[3] for line in self.run("ss -Hltn").splitlines()}


@cache
def _sockets() -> str:
    """Folder of this run's shared ssh connections: a name short enough for a socket, gone with the run."""
    folder = tempfile.mkdtemp(prefix="odoo-verify-")
    atexit.register(shutil.rmtree, folder, True)
    return folder


class Deployment:
    """What the inventory, the secrets' folder and the Kubernetes API say."""

    @cached_property
    def inventory(self) -> dict[str, Any]:
        command = [str(Path(sys.executable).with_name("ansible-inventory")), "--list"]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"ansible-inventory: {done.stderr.strip()}"
        return json.loads(done.stdout)

    @cached_property
    def name(self) -> str:
        """The prefix of what the engine shows, and the label of what is in the cluster."""
        return str(_plain(next(iter(self.inventory["_meta"]["hostvars"].values()))["deployment_name"]))

    def names(self, group: str) -> list[str]:
        """Hosts of a group and of its children."""
        content = self.inventory.get(group, {})
        return sorted(
            {*content.get("hosts", []), *(name for child in content.get("children", []) for name in self.names(child))}
        )

    def machines(self, group: str = "machines") -> list[Machine]:
        hostvars = self.inventory["_meta"]["hostvars"]
        return [
            Machine(name, _plain(hostvars[name]["peer_address"]), _plain(hostvars[name])) for name in self.names(group)
        ]

    @cached_property
    def nodes(self) -> dict[str, str]:
        """{name: address} of the cluster's nodes."""
        hostvars = self.inventory["_meta"]["hostvars"]
        return {name: _plain(hostvars[name]["peer_address"]) for name in self.names("kubernetes")}

    def secret(self, name: str) -> str:
        return (DEPLOY_DIR / "secrets" / name).read_text().strip()

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Every generated secret by its file's name; certificates and other public files are none."""
        files = (path for path in (DEPLOY_DIR / "secrets").iterdir() if path.is_file())
        found = {path.name: path.read_text().strip() for path in files if not path.name.endswith((".crt", ".pem"))}
        return {name: text for name, text in found.items() if len(text) >= 8}

    @cached_property
    def cluster(self) -> Cluster:
        return Cluster(self.kubeconfig)

    @property
    def kubeconfig(self) -> Path:
        return DEPLOY_DIR / "kubeconfig"


class Cluster:
    """The Kubernetes API, with the administrator's credentials."""

    def __init__(self, kubeconfig: Path) -> None:
        from kubernetes import client, config

        assert kubeconfig.stat().st_mode & 0o077 == 0, f"{kubeconfig} can be read by others"
        config.load_kube_config(str(kubeconfig))
        self.core: Any = client.CoreV1Api()
        self.apps: Any = client.AppsV1Api()
        self.client = client.ApiClient()
        configuration = self.client.configuration
        self.server, self.ca = configuration.host, configuration.ssl_ca_cert
        self.certificate = (configuration.cert_file, configuration.key_file)

    def namespaces(self, deployment: str) -> list[str]:
        """What the deployment made: its roles write its name on them. Staging copies are no part of it."""
        selector = f"odoo-deploy.deployment={deployment},!odoo-deploy.copy"
        found = self.core.list_namespace(label_selector=selector).items
        return [namespace.metadata.name for namespace in found]

    def workload(self, deployment: str, **selection: str) -> Any:
        """The one Deployment of a deployment's namespaces that a label_selector or a field_selector means."""
        namespaces = self.namespaces(deployment)
        every = self.apps.list_deployment_for_all_namespaces(**selection).items
        found = [workload for workload in every if workload.metadata.namespace in namespaces]
        names = [f"{workload.metadata.namespace}/{workload.metadata.name}" for workload in found]
        assert len(found) == 1, f"{selection} in the namespaces {namespaces} of {deployment}: {names or 'nothing'}"
        return found[0]

    def node_ports(self, namespace: str, service: str) -> dict[str, int]:
        """A Service's NodePorts, by the names of its ports."""
        return {port.name: port.node_port for port in self.core.read_namespaced_service(service, namespace).spec.ports}

    def login(self, namespace: str) -> tuple[str, str] | None:
        """Who may open Prometheus, and the password; none where everybody may."""
        found = self.core.list_namespaced_secret(namespace, field_selector="metadata.name=prometheus-login").items
        if not found:
            return None
        return base64.b64decode(found[0].data["user"]).decode(), base64.b64decode(found[0].data["password"]).decode()

    def pods(self, namespace: str, selector: str) -> list[Any]:
        """Pods that are wanted: those on their way out do not count."""
        found = self.core.list_namespaced_pod(namespace, label_selector=selector).items
        return [pod for pod in found if pod.metadata and not pod.metadata.deletion_timestamp]

    def pod_url(self, namespace: str, pod: str, port: int) -> str:
        """One pod's own address, through the API server's proxy: no Service chooses, no route is needed."""
        return f"{self.server}/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}:{port}/proxy"


def _plain(value: Any) -> Any:
    """Values without the marks that ansible-inventory puts on unsafe text."""
    if isinstance(value, dict):
        return (
            value["__ansible_unsafe"]
            if set(value) == {"__ansible_unsafe"}
            else {k: _plain(v) for k, v in value.items()}
        )
    return [_plain(item) for item in value] if isinstance(value, list) else value
