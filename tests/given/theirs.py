# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else's site: a cluster of two nodes with things on it, and a registry that wants a log-in."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
LABEL = "odoo-deploy.deployment=odoo-theirs"
SUBNET = "192.168.155.0/24"
NETWORK = f"vagrant_network_{SUBNET}"
FIRST, SECOND, REGISTRY = "odoo-theirs-node1", "odoo-theirs-node2", "odoo-theirs-registry"
FIRST_ADDRESS, SECOND_ADDRESS = "192.168.155.100", "192.168.155.101"
VOLUMES = ("/var/lib/containerd", "/var/lib/kubelet", "/etc/kubernetes")
REGISTRY_HOST = "192.168.155.50:5000"


def run(*argv: str, given: str | None = None, **environment: str) -> str:
    """A command that must succeed: what it prints."""
    done = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **environment}, input=given, stdin=None if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout[-6000:]}"
    return done.stdout


def on(container: str, script: str, given: str | None = None) -> str:
    """A shell script in a container."""
    return run("docker", "exec", "-i", container, "sh", "-euc", script, given=given)


def route(action: str) -> None:
    """This host is the router to their network for every machine; the engine keeps bridges apart."""
    for direction in ("-s", "-d"):
        rule = ["DOCKER-USER", direction, SUBNET, "-j", "ACCEPT"]
        there = subprocess.run(["iptables", "-C", *rule], capture_output=True, check=False).returncode == 0
        if there == (action == "-D"):
            run("iptables", action, *rule)


def remove() -> None:
    """What the site consists of, and what an earlier one left."""
    route("-D")
    for kind, flags in (("container", ["-f"]), ("volume", ["-f"]), ("network", [])):
        found = run("docker", kind, "ls", "-q", *(["-a"] if kind == "container" else []), "--filter", f"label={LABEL}")
        if found.split():
            run("docker", kind, "rm", *flags, *found.split())


@dataclass(frozen=True)
class Site:
    """``folder`` holds what its people have: a kubeconfig with files beside it, the registry's authority and log-in."""

    folder: Path
    user: str
    password: str

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kube" / "config"

    @property
    def docker_config(self) -> Path:
        """The folder that ``docker login`` wrote to."""
        return self.folder / "docker"

    def login(self) -> dict[str, str]:
        """As the deployment is told."""
        return {"registry": REGISTRY_HOST, "username": self.user, "password": self.password}

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """By the first node's own administrator."""
        return run(
            "docker", "exec", "-i", FIRST, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *words, given=given
        )

    def objects(self, namespace: str) -> Any:
        """All that somebody made in a namespace, and the namespace, as the API server has them."""
        kinds = "configmaps,secrets,services,deployments,serviceaccounts,networkpolicies"
        listed = json.loads(self.kubectl("get", kinds, "--namespace", namespace, "--output", "json"))["items"]
        return [json.loads(self.kubectl("get", "namespace", namespace, "--output", "json")), *listed]


def make(folder: Path) -> Site:
    """Two nodes, a registry, two namespaces in use."""
    remove()
    site = Site(folder, "pull", secrets.token_hex(8))
    # Servers see the nodes' own addresses.
    run("docker", "network", "create", "--subnet", SUBNET, "--gateway", SUBNET.replace(".0/24", ".1"), "--label", LABEL,
        "--opt", "com.docker.network.bridge.enable_ip_masquerade=false", NETWORK)  # fmt: skip
    route("-I")
    own = {"ODOO_DEPLOY_NODES": str(HERE / "cluster.yml"), "ODOO_DEPLOY_DIR": str(folder / "theirs")}
    inventory = str(ROOT / "inventory" / "demo.vagrant_minikube.yml")
    run("ansible-playbook", "-i", inventory, str(ROOT / "playbooks" / "cluster.yml"),
        "-e", "k8s_cluster_kind=embedded", **own)  # fmt: skip
    _add_registry(site)
    _add_node()
    for node in (FIRST, SECOND):
        _trust(node, site)
    _write_kubeconfig(site, folder / "theirs" / "kubeconfig")
    for namespace in ("odoo", "monitoring"):
        site.kubectl("create", "namespace", namespace)
        site.kubectl("create", "configmap", "theirs", "--namespace", namespace, "--from-literal=kept=yes")
    return site


def _add_node() -> None:
    """A second node of the first one's image, joined as kubeadm has it; pods reach each other by a route on each."""
    image = json.loads(run("docker", "inspect", FIRST))[0]["Config"]["Image"]
    run("docker", "run", "--detach", "--name", SECOND, "--hostname", "node2", "--label", LABEL, "--network", NETWORK,
        "--ip", SECOND_ADDRESS, "--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE",
        "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
        "--device-cgroup-rule", "a *:* rwm", "--cgroupns", "private",
        "--stop-signal", "SIGRTMIN+3", "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec",
        *(word for path in VOLUMES for word in ("--mount", _volume(path))), image)  # fmt: skip
    on(SECOND, "until ctr version > /dev/null 2>&1; do sleep 0.3; done")
    # What nothing here could pull: the pause image, which each pod begins with.
    pause = on(FIRST, "ctr -n k8s.io images ls -q | grep '^registry.k8s.io/pause:'").strip()
    saved = subprocess.Popen(
        ["docker", "exec", FIRST, "ctr", "-n", "k8s.io", "images", "export", "-", pause], stdout=subprocess.PIPE
    )
    subprocess.run(
        ["docker", "exec", "-i", SECOND, "ctr", "-n", "k8s.io", "images", "import", "-"], stdin=saved.stdout, check=True
    )
    assert saved.wait() == 0
    # kube-proxy is a unit of the node; the second one's identity is made where the authority is.
    proxy = on(
        FIRST,
        "kubeadm kubeconfig user --config /etc/kubernetes/kubeadm.yaml --client-name system:kube-proxy 2> /dev/null",
    )
    on(SECOND, "umask 077; cat > /etc/kubernetes/kube-proxy.conf", given=proxy)
    unit = (
        "[Unit]\nConditionPathExists=\nConditionPathExists=/etc/kubernetes/kube-proxy.conf\n[Service]\nExecStartPre=\n"
    )
    own = "/etc/systemd/system/kube-proxy.service.d"
    on(SECOND, f"mkdir -p {own}; cat > {own}/own.conf", given=unit)
    on(SECOND, "sed -i 's#10.244.0.0/24#10.244.1.0/24#' /etc/cni/net.d/10-bridge.conflist; systemctl daemon-reload")
    join = on(FIRST, "kubeadm token create --print-join-command 2> /dev/null").strip()
    on(
        SECOND,
        f"{join} --ignore-preflight-errors=SystemVerification --cri-socket unix:///run/containerd/containerd.sock",
    )
    on(SECOND, "systemctl restart kube-proxy")
    on(FIRST, f"ip route replace 10.244.1.0/24 via {SECOND_ADDRESS}")
    on(SECOND, f"ip route replace 10.244.0.0/24 via {FIRST_ADDRESS}")


def _volume(path: str) -> str:
    return f"type=volume,source={SECOND}-{path.rpartition('/')[2]},target={path},volume-label={LABEL}"


def _add_registry(site: Site) -> None:
    """TLS by an authority of its own, known to nobody, and one user."""
    address = REGISTRY_HOST.partition(":")[0]
    machine = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=odoo-deploy/node")
    run("docker", "build", "--quiet", "--build-arg", f"BASE={machine.split()[0]}", "--tag", "odoo-theirs/registry",
        "--label", LABEL, str(HERE / "registry"))  # fmt: skip
    run("docker", "run", "--detach", "--name", REGISTRY, "--label", LABEL, "--network", NETWORK,
        "--ip", address, "--entrypoint", "sleep", "odoo-theirs/registry", "infinity")  # fmt: skip
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}},
        "http": {"addr": ":5000", "tls": {"certificate": "/etc/registry/tls.crt", "key": "/etc/registry/tls.key"}},
        "auth": {"htpasswd": {"realm": "theirs", "path": "/etc/registry/htpasswd"}},
    }
    on(
        REGISTRY,
        "mkdir -p /etc/registry /var/lib/registry; cat > /etc/registry/config.yml",
        given=yaml.safe_dump(config),
    )
    on(REGISTRY, f"htpasswd -Bic /etc/registry/htpasswd {site.user}", given=site.password)
    on(
        REGISTRY,
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=theirs -addext 'subjectAltName = IP:"
        f"{address}' -keyout /etc/registry/tls.key -out /etc/registry/tls.crt 2> /dev/null",
    )
    run("docker", "exec", "--detach", REGISTRY, "docker-registry", "serve", "/etc/registry/config.yml")
    authority = on(REGISTRY, "cat /etc/registry/tls.crt")
    (site.folder / "registry.crt").write_text(authority)
    # The engine's own way to know a registry's authority.
    trusted = Path("/etc/docker/certs.d") / REGISTRY_HOST
    trusted.mkdir(parents=True, exist_ok=True)
    (trusted / "ca.crt").write_text(authority)
    site.docker_config.mkdir(mode=0o700)
    run("docker", "--config", str(site.docker_config), "login", "--username", site.user, "--password-stdin",
        REGISTRY_HOST, given=site.password)  # fmt: skip


def _trust(node: str, site: Site) -> None:
    """The nodes' own way: containerd's hosts.toml. They have no log-in; the pods bring it."""
    folder = f"/etc/containerd/certs.d/{REGISTRY_HOST}"
    on(node, f"mkdir -p {folder}; cat > {folder}/ca.crt", given=(site.folder / "registry.crt").read_text())
    on(node, f"cat > {folder}/hosts.toml", given=f'[host."https://{REGISTRY_HOST}"]\n  ca = "{folder}/ca.crt"\n')
    on(
        node,
        'grep -q certs.d /etc/containerd/config.toml || printf \'\\n[plugins."io.containerd.grpc.v1.cri".registry]\\n'
        '  config_path = "/etc/containerd/certs.d"\\n\' >> /etc/containerd/config.toml; systemctl restart containerd',
    )


def _write_kubeconfig(site: Site, made: Path) -> None:
    """As people have it: more than one context, certificates as files beside it."""
    document = yaml.safe_load(made.read_text())
    folder = site.kubeconfig.parent
    folder.mkdir()
    (cluster,), (user,) = document["clusters"], document["users"]
    for body, name in (
        (cluster["cluster"], "certificate-authority"),
        (user["user"], "client-certificate"),
        (user["user"], "client-key"),
    ):
        (folder / name).write_bytes(base64.b64decode(body.pop(f"{name}-data")))
        body[name] = name
    document["contexts"][0]["name"] = "theirs"
    document["current-context"] = "elsewhere"
    document["contexts"].append({"name": "elsewhere", "context": {"cluster": "elsewhere", "user": "elsewhere"}})
    document["clusters"].append({"name": "elsewhere", "cluster": {"server": "https://192.0.2.1:6443"}})
    document["users"].append({"name": "elsewhere", "user": {"token": "not-for-this-deployment"}})
    site.kubeconfig.write_text(yaml.safe_dump(document))
    site.kubeconfig.chmod(0o600)
