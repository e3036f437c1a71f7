# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of somebody else's, set up as docs/production.md says, from a folder that has no ansible.cfg.

They are reached by names and by IPv6, as a user whose sudo asks for a password; the databases' are of unequal size. The
tests follow each other: refused, tried, deployed, again, switched over.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rack import DB1, DB2, GATEWAY, PROXY1, PROXY2, ROOT, SERVERS, Rack, Server, make, own_environment, remove, upstream

BIN = Path(sys.executable).parent
# Programs that make machines or become root here: nobody may start them.
FORBIDDEN = ("vagrant", "docker", "minikube", "mmdebstrap", "sudo")
GROUPS = {"postgres_primary": [DB1], "postgres_replica": [DB2], "nginx": [PROXY1, PROXY2]}
SETTINGS = {
    "deployment_name": "odoo-servers",
    "postgres_common_sync": "on",
    # No Odoo whose pages a user of it could read.
    "nginx_warm_visitor": False,
}


class Operator:
    """Who deploys there, in a folder of their own."""

    def __init__(self, rack: Rack, folder: Path) -> None:
        self.rack, self.folder = rack, folder
        self.environment = own_environment(folder / "home", folder / "bin")
        self.password = folder / "sudo-password"
        self.password.write_text(rack.password)
        self.password.chmod(0o600)

    def call(self, program: str, *arguments: str) -> tuple[int, str]:
        """A program of Ansible: its exit code and what it prints."""
        done = subprocess.run(
            [str(BIN / program), *arguments], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def set_up(self) -> None:
        """The collection, and copies of its example with nothing changed but the hosts."""
        for program in FORBIDDEN:
            stub = self.folder / "bin" / program
            stub.parent.mkdir(exist_ok=True)
            stub.write_text(f"#!/bin/sh\necho {program} was started >&2\nexit 97\n")
            stub.chmod(0o755)
        for words in (
            ("build", str(ROOT)),
            ("install", "--offline", "--no-deps", "odoo_deploy-stack-*.tar.gz"),
        ):
            globbed = [str(next(self.folder.glob(word))) if "*" in word else word for word in words]
            code, said = self.call("ansible-galaxy", "collection", *globbed)
            assert code == 0, said
        stack = self.folder / "home/.ansible/collections/ansible_collections/odoo_deploy/stack"
        shutil.copytree(stack / "inventory" / "group_vars", self.folder / "inventory" / "group_vars")
        shutil.copy(stack / "inventory" / "wiring.example.yml", self.folder / "inventory" / "wiring.yml")
        inventory = yaml.safe_load((stack / "inventory" / "production.example.yml").read_text())
        _fill(inventory["all"]["children"])
        inventory["all"]["vars"]["ansible_ssh_common_args"] = f"-F {self.rack.ssh_config}"
        (self.folder / "inventory" / "hosts.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))
        (self.folder / "inventory/group_vars/all/production.yml").write_text(yaml.safe_dump(SETTINGS))

    def play(self, playbook: str, *arguments: str) -> tuple[int, str]:
        asked = ("-i", "inventory", "--become-password-file", str(self.password))
        return self.call("ansible-playbook", *asked, f"odoo_deploy.stack.{playbook}", *arguments)

    def deploy(self, playbook: str, *arguments: str) -> dict[str, dict[str, int]]:
        """A playbook that must succeed: each host's counts."""
        code, said = self.play(playbook, *arguments)
        assert code == 0, said[-8000:]
        return recap(said)


def _fill(groups: dict[str, Any]) -> None:
    """Each group's hosts, with the lines that the example's comments ask for."""
    for name, group in groups.items():
        if name in GROUPS:
            group["hosts"] = {server.name: _host(server) for server in GROUPS[name]}
        _fill(group.get("children", {}))
    if "kubernetes" in groups:
        groups["kubernetes"]["hosts"] = {"node1": {"ansible_host": GATEWAY}}


def _host(server: Server) -> dict[str, Any]:
    variables: dict[str, Any] = {"ansible_host": server.ssh, "peer_address": server.address}
    if server in (DB1, DB2):
        # "Servers that are containers": they see their host's.
        variables |= {"postgres_common_memory": server.memory, "postgres_common_cores": server.cores}
    return variables


def recap(said: str) -> dict[str, dict[str, int]]:
    """The counts of PLAY RECAP."""
    lines = said.rpartition("PLAY RECAP")[2].splitlines()[1:]
    split = (line.partition(":") for line in lines if " ok=" in line)
    return {
        host.strip(): {name: int(count) for name, count in (word.split("=") for word in counts.split())}
        for host, _colon, counts in split
    }


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    yield make(tmp_path_factory.mktemp("rack"))
    remove()


@pytest.fixture(scope="module")
def operator(rack: Rack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    operator = Operator(rack, tmp_path_factory.mktemp("operator"))
    operator.set_up()
    with upstream(32242, 32243):
        yield operator


@pytest.fixture
def hosts(operator: Operator) -> Iterator[Path]:
    """The inventory's hosts.yml, put back after the test."""
    path = operator.folder / "inventory" / "hosts.yml"
    before = path.read_text()
    yield path
    path.write_text(before)


def sql(server: Server, statement: str) -> str:
    return server.sh("su postgres -c 'psql -XAtq'", given=statement).strip()


def web(url: str) -> str:
    """A page, whoever signed the certificate."""
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(url, timeout=20, context=context) as answer:
        return str(answer.read().decode())


def asks_for_password(server: Server, user: str, database: str) -> bool:
    """Whether pg_hba.conf lets this host try, over TLS: "Authentication" or "Error" of the protocol's start-up."""
    context = ssl._create_unverified_context()
    with socket.create_connection((server.address, 5432), timeout=10) as plain:
        plain.sendall(bytes.fromhex("0000000804d2162f"))
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as secured:
            words = f"user\0{user}\0database\0{database}\0\0".encode()
            secured.sendall((len(words) + 8).to_bytes(4, "big") + bytes.fromhex("00030000") + words)
            return secured.recv(1) == b"R"


def test_reached(operator: Operator) -> None:
    """By name and by IPv6, and as root."""
    code, said = operator.call(
        "ansible", "machines", "-i", "inventory", "-m", "ansible.builtin.command", "-a", "id -un",
        "--become", "--become-password-file", str(operator.password),
    )  # fmt: skip
    assert code == 0, said
    assert said.split().count("root") == len(SERVERS), said


def test_wrong_password(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("sesame")
    code, said = operator.play("postgres", "--become-password-file", str(tmp_path / "wrong"))
    assert code != 0
    assert "Incorrect sudo password" in said
    assert operator.rack.password not in said


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        (f"ansible_host: {DB2.ssh}", "ansible_host: db2.invalid", "Could not resolve hostname db2.invalid"),
        (f"peer_address: {DB2.address}", f"peer_address: {DB2.ssh}", f"db2: peer_address is {DB2.ssh}."),
        (f"peer_address: {DB2.address}", f"peer_address: {DB2.ipv6}", f"db2: peer_address is {DB2.ipv6}."),
    ],
)
def test_refused_address(operator: Operator, hosts: Path, line: str, instead: str, says: str) -> None:
    """One line that names the host; no server is changed."""
    text = hosts.read_text()
    assert line in text
    hosts.write_text(text.replace(line, instead))
    code, said = operator.play("postgres")
    assert code != 0
    assert says in said
    assert all(counts.get("changed", 0) == 0 for counts in recap(said).values())


def test_cluster_of_somebody_else_is_kept(operator: Operator) -> None:
    """The package's own, which listens on 5432: refused before anything of PostgreSQL is changed on any server."""
    DB2.sh("apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends postgresql")
    theirs = "cat /etc/postgresql/*/main/pg_hba.conf; pg_lsclusters; ls /etc/postgresql-common"
    before = DB2.sh(theirs)
    assert "5432 online" in before
    code, said = operator.play("postgres")
    assert code != 0
    assert "db2 has a PostgreSQL that this deployment did not make" in said
    assert DB2.sh(theirs) == before
    DB1.sh("! test -e /etc/postgresql")
    # What the refusal says.
    DB2.sh("pg_dropcluster --stop $(pg_lsclusters --no-header | cut -d ' ' -f 1) main")
    # Another program, on every address.
    DB2.sh("systemd-run --quiet --unit theirs python3 -m http.server 5432")
    code, said = operator.play("postgres")
    DB2.sh("systemctl stop theirs")
    assert code != 0
    assert "On db2 something else listens on port 5432" in said


@pytest.mark.parametrize("playbook", ["postgres", "nginx"])
def test_trial_run(operator: Operator, playbook: str) -> None:
    """As the documentation has it, before anything is there."""
    assert operator.deploy(playbook, "--check", "--diff")["localhost"]["failed"] == 0
    for server in (DB1, *GROUPS["nginx"]):
        server.sh("! test -e /etc/postgresql; ! test -e /etc/nginx")


def test_port_of_somebody_else_is_kept(operator: Operator) -> None:
    """Whoever serves pages there goes on, and nothing of nginx is installed beside."""
    PROXY1.sh("systemd-run --quiet --unit theirs python3 -m http.server 80")
    code, said = operator.play("nginx_machines")
    assert code != 0
    assert "On proxy1 something listens on port 80 that this deployment did not put there" in said
    PROXY1.sh("! test -e /etc/nginx; systemctl stop theirs")


@pytest.mark.parametrize("playbook", ["postgres", "nginx"])
def test_deployed(operator: Operator, playbook: str) -> None:
    """Every host of its group is set up."""
    counts = operator.deploy(playbook)
    assert all(counts[server.name]["changed"] > 0 for server in GROUPS.get(playbook, [DB1, DB2]))


@pytest.mark.parametrize("playbook", ["postgres", "nginx"])
def test_again_changes_nothing(operator: Operator, playbook: str) -> None:
    assert {host: one["changed"] for host, one in operator.deploy(playbook).items() if one["changed"]} == {}


def test_machines_answer() -> None:
    """Their own figures on :9100; pages by both proxies, with and without TLS."""
    for server in SERVERS:
        assert "node_memory_MemTotal_bytes" in web(f"http://{server.address}:9100/metrics")
    for proxy in GROUPS["nginx"]:
        assert "stands in for Odoo" in web(f"https://{proxy.address}/web/login")
        assert web(f"http://{proxy.address}/nginx-health")


def test_unequal_servers_follow_each_other() -> None:
    """Each has buffers of its own size; what a standby must not have less of is the same."""
    assert sql(DB1, "SELECT application_name, state, sync_state FROM pg_stat_replication") == "db2|streaming|sync"
    assert len({sql(server, "SHOW shared_buffers") for server in (DB1, DB2)}) == 2
    assert len({sql(server, "SHOW max_worker_processes") for server in (DB1, DB2)}) == 1


def test_clients() -> None:
    """The cluster's node may log in as Odoo and as nobody else; a machine beside it may not at all."""
    assert asks_for_password(DB1, "odoo", "odoo")
    assert not asks_for_password(DB1, "postgres", "postgres")
    assert not asks_for_password(DB1, "replicator", "postgres")
    tried = f"psql 'host={DB1.address} user=odoo dbname=odoo sslmode=require' 2>&1 < /dev/null || true"
    assert "pg_hba.conf rejects connection" in DB2.sh(tried)


def test_switched_over(operator: Operator) -> None:
    """As a person does it: status, the command with its yes, status, and the run that keeps what was done."""
    code, said = operator.play("status")
    assert code == 0, said
    assert "follows db1 by slot db2" in said
    operator.deploy("switchover", "-e", "postgres_switchover_to=db2", "-e", "postgres_yes=true")
    code, said = operator.play("status")
    assert code == 0, said
    assert "follows db2 by slot db1" in said
    assert {host: one["changed"] for host, one in operator.deploy("postgres").items() if one["changed"]} == {}
