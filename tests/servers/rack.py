# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else's servers: a user with a key, whose sudo asks for a password; names that only their ssh knows."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
LABEL = "odoo-deploy.deployment=odoo-servers"
NETWORK = "odoo-servers"
SUBNET, SUBNET6 = "192.168.177.0/24", "fd00:177::/64"
GATEWAY = "192.168.177.1"
DOMAIN = "servers.test"

# What systemd needs in a container, as the Vagrantfile has it.
SYSTEMD = (
    "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--security-opt", "seccomp=unconfined",
    "--security-opt", "apparmor=unconfined", "--cgroupns=private", "--stop-signal", "SIGRTMIN+3",
    "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp",
    "--env", "container=docker", "--env", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
)  # fmt: skip


@dataclass(frozen=True)
class Server:
    """memory in MiB. ``ssh`` is what its people call it by: a name of their ssh_config, or an IPv6 address."""

    name: str
    number: int
    memory: int
    cores: int
    by_ipv6: bool = False

    @property
    def address(self) -> str:
        return f"192.168.177.{self.number}"

    @property
    def ipv6(self) -> str:
        return f"fd00:177::{self.number}"

    @property
    def ssh(self) -> str:
        return self.ipv6 if self.by_ipv6 else f"{self.name}.{DOMAIN}"

    @property
    def container(self) -> str:
        return f"odoo-servers-{self.name}"

    def sh(self, script: str, given: str | None = None) -> str:
        """A shell script there, as root."""
        return run("docker", "exec", "-i", self.container, "sh", "-euc", script, given=given)


DB1, DB2 = Server("db1", 21, 2048, 4), Server("db2", 22, 1024, 1)
PROXY1, PROXY2 = Server("proxy1", 31, 512, 1), Server("proxy2", 32, 512, 1, by_ipv6=True)
SERVERS = (DB1, DB2, PROXY1, PROXY2)


def run(*argv: str, given: str | None = None) -> str:
    """A command that must succeed: what it prints."""
    done = subprocess.run(
        argv, cwd=ROOT, input=given, stdin=None if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout[-6000:]}"
    return done.stdout


def remove() -> None:
    """The servers and their network, also those that an earlier test left."""
    for kind, flags in (("container", ["-f", "-v"]), ("network", [])):
        found = run("docker", kind, "ls", "-q", *(["-a"] if kind == "container" else []), "--filter", f"label={LABEL}")
        if found.split():
            run("docker", kind, "rm", *flags, *found.split())


@dataclass(frozen=True)
class Rack:
    """``ssh_config`` is their people's: names, the key, the servers' own keys."""

    ssh_config: Path
    password: str


def make(folder: Path) -> Rack:
    """Four servers of unequal size, with nothing on them."""
    remove()
    run("ansible-playbook", str(HERE / "image.yml"))
    run("docker", "network", "create", "--label", LABEL, "--ipv6", "--subnet", SUBNET, "--gateway", GATEWAY,
        "--subnet", SUBNET6, NETWORK)  # fmt: skip
    rack = Rack(folder / "ssh_config", secrets.token_hex(8))
    key = folder / "id_ed25519"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    for server in SERVERS:
        memory = f"{server.memory}m"
        run("docker", "run", "--detach", "--name", server.container, "--hostname", server.name, "--label", LABEL,
            "--network", NETWORK, "--ip", server.address, "--ip6", server.ipv6, "--memory", memory,
            "--memory-swap", memory, *SYSTEMD, "odoo-deploy/vm:trixie")  # fmt: skip
    known = [f"{server.address},{server.ipv6} {_settle(server, rack, key)}" for server in SERVERS]
    (folder / "known_hosts").write_text("\n".join(known) + "\n")
    hosts = [f"Host {server.ssh}\n  HostName {server.address}" for server in SERVERS if not server.by_ipv6]
    common = ["Host *", f"  IdentityFile {key}", "  IdentitiesOnly yes", f"  UserKnownHostsFile {folder}/known_hosts"]
    rack.ssh_config.write_text("\n".join([*hosts, *common, ""]))
    return rack


def _settle(server: Server, rack: Rack, key: Path) -> str:
    """The user deploy in place of the image's; the server's own key."""
    server.sh("rm /etc/sudoers.d/vagrant; useradd --create-home --shell /bin/bash deploy")
    server.sh("chpasswd", given=f"deploy:{rack.password}\n")
    server.sh("umask 077; echo 'deploy ALL=(ALL:ALL) ALL' > /etc/sudoers.d/deploy")
    server.sh(
        "install -d -m 0700 -o deploy -g deploy ~deploy/.ssh; cat > ~deploy/.ssh/authorized_keys;"
        " chown deploy: ~deploy/.ssh/authorized_keys; chmod 0600 ~deploy/.ssh/authorized_keys",
        given=key.with_suffix(".pub").read_text(),
    )
    return server.sh(
        "until systemctl is-active --quiet ssh; do sleep 0.2; done; cat /etc/ssh/ssh_host_ed25519_key.pub"
    ).strip()


class _Page(BaseHTTPRequestHandler):
    """What the proxies find where Odoo would be."""

    def do_GET(self) -> None:
        body = b"<!DOCTYPE html><title>stands in for Odoo</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def upstream(*ports: int) -> Iterator[None]:
    """Pages on this host, which is the only node that the servers are told of."""
    servers = [ThreadingHTTPServer((GATEWAY, port), _Page) for port in ports]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def own_environment(folder: Path, path: Path) -> dict[str, str]:
    """An operator's, with a home of their own and no setting of Ansible's or of a deployment."""
    foreign = ("ANSIBLE_", "ODOO_DEPLOY_", "VAGRANT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"HOME": str(folder), "PATH": f"{path}:{os.environ['PATH']}"}
