# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how long writes stop and what is lost: switchover, failover with rejoin, a killed postmaster, 20 returns.
"patroni", when named, is the loss of the primary's machine with postgres_ha_mode: patroni.

    python benchmarks/failover/measure.py -i inventory/demo.vagrant_minikube.yml --runs 5

Runs against the PostgreSQL machines of an inventory whose machines are docker's, since it kills a container.
The controller's address must be in pg_hba.conf, since the writer runs there:
-e '{"postgres_client_addresses": ["192.168.99.100/32", "192.168.99.1/32"]}' when postgres.yml is run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psycopg
import yaml
from writer import Watcher, Writer

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Server:
    """A machine: inventory name, address, docker container and the words that reach it by ssh."""

    name: str
    address: str
    container: str
    ssh: tuple[str, ...]

    def shell(self, command: str, timeout: float = 120) -> str:
        """What the command prints as root on the machine; raises with both its outputs when it fails."""
        done = subprocess.run(
            [*self.ssh, "sudo", "sh", "-c", shlex.quote(command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {command}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stdout


@dataclass(frozen=True)
class Site:
    """What the measurement needs to know of a deployment."""

    inventory: str
    servers: tuple[Server, ...]
    machines: Mapping[str, Server]
    secrets: pathlib.Path
    extra: tuple[str, ...]

    def conninfo(self, servers: tuple[Server, ...], attributes: str = "read-write") -> str:
        password = (self.secrets / "postgres_odoo_password").read_text(encoding="utf-8").split()[0]
        names, addresses = (
            ",".join(words) for words in zip(*((one.name, one.address) for one in servers), strict=True)
        )
        return (
            f"host={names} hostaddr={addresses} dbname=odoo user=odoo password={password} "
            f"sslmode=verify-full sslrootcert={self.secrets / 'ca' / 'ca.crt'} target_session_attrs={attributes} "
            "connect_timeout=2 tcp_user_timeout=2000 keepalives_idle=1 keepalives_interval=1 keepalives_count=2"
        )

    def playbook(self, name: str, *extra: str) -> float:
        """Runs a playbook without a question; returns its seconds, raises with its output when it fails."""
        begin = time.monotonic()
        done = subprocess.run(
            [
                "ansible-playbook",
                "-i",
                self.inventory,
                str(ROOT / "playbooks" / name),
                "-e",
                "postgres_yes=true",
                *self.extra,
                *extra,
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stdout[-3000:]}{done.stderr[-1000:]}")
        return time.monotonic() - begin


def inventory(path: str, deploy: pathlib.Path, extra: tuple[str, ...]) -> Site:
    """Reads the machines from the inventory itself."""
    listing = json.loads(
        subprocess.run(
            ["ansible-inventory", "-i", path, "--list"], check=True, capture_output=True, text=True, cwd=ROOT
        ).stdout
    )
    hostvars = listing["_meta"]["hostvars"]
    names = [host for group in ("postgres_primary", "postgres_replica") for host in listing[group]["hosts"]]
    nodes = pathlib.Path(os.environ.get("ODOO_DEPLOY_NODES") or ROOT / "inventory" / "nodes.yml")
    deployment = yaml.safe_load(nodes.read_text(encoding="utf-8"))["deployment"]
    machines = {
        name: Server(name, host["peer_address"], f"{deployment}-{name}", ssh(host))
        for name, host in hostvars.items()
        if "ansible_ssh_private_key_file" in host
    }
    return Site(path, tuple(machines[name] for name in names), machines, deploy / "secrets", extra)


def ssh(host: Mapping[str, object]) -> tuple[str, ...]:
    """The command that reaches a machine as Ansible does."""
    return (
        "ssh",
        *shlex.split(str(host.get("ansible_ssh_common_args", ""))),
        *("-o", "ConnectTimeout=10", "-o", "BatchMode=yes"),
        *("-p", str(host.get("ansible_port", 22)), "-i", str(host["ansible_ssh_private_key_file"])),
        f"{host['ansible_user']}@{host['ansible_host']}",
    )


def docker(*words: str) -> None:
    subprocess.run(["docker", *words], check=True, capture_output=True)


def primary(site: Site) -> Server:
    """The one server that is writable."""
    with psycopg.connect(site.conninfo(site.servers)) as connection:
        return next(server for server in site.servers if server.name == connection.info.host)


def other(site: Site, server: Server) -> Server:
    return next(one for one in site.servers if one != server)


def measured(site: Site, name: str, act: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Runs act() under a writer; adds the write gap, the rows acknowledged and the rows lost."""
    writer = Writer(site.conninfo(site.servers), f"{name}-{time.time():.0f}")
    writer.prepare()
    writer.start()
    time.sleep(2)
    begin = time.monotonic()
    figures = act()
    time.sleep(2)
    record = writer.stop()
    figures |= {
        "write_gap_s": record.gap(begin - 1),
        "rows_acknowledged": len(record.acknowledged),
        "rows_lost": len(writer.lost()),
    }
    writer.drop()
    return figures


def switchover(site: Site) -> dict[str, float]:
    target = other(site, primary(site))
    return measured(
        site,
        "switchover",
        lambda: {"command_s": site.playbook("switchover.yml", "-e", f"postgres_switchover_to={target.name}")},
    )


def failover(site: Site) -> dict[str, float]:
    """The primary's machine is killed; failover.yml; the machine returns, is watched, rejoins."""
    old = primary(site)
    figures: dict[str, float] = {}

    def act() -> dict[str, float]:
        docker("kill", old.container)
        return {"command_s": site.playbook("failover.yml")}

    figures |= measured(site, "failover", act)
    watcher = Watcher(site.conninfo((old,), "any"))
    watcher.start()
    docker("start", old.container)
    time.sleep(10)
    figures["rejoin_s"] = site.playbook("rejoin.yml")
    time.sleep(2)
    watcher.stop()
    figures |= {"old_primary_asked": watcher.asked, "old_primary_writable": watcher.writable}
    return figures


def returns(site: Site) -> dict[str, float]:
    """After a failover the old primary's machine comes back again and again; it must never accept a write."""
    old = primary(site)
    docker("kill", old.container)
    site.playbook("failover.yml")
    asked = writable = refused = 0
    for _number in range(RETURNS):
        watcher = Watcher(site.conninfo((old,), "any"))
        watcher.start()
        docker("start", old.container)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(1)
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):  # until sshd is there
                if "not starting" in old.shell(
                    "journalctl --boot --grep 'boot guard' --output cat || true", timeout=10
                ):
                    refused += 1
                    break
        time.sleep(3)
        watcher.stop()
        docker("kill", old.container)
        asked, writable = asked + watcher.asked, writable + watcher.writable
    docker("start", old.container)
    time.sleep(10)
    return {
        "returns": RETURNS,
        "guard_refused": refused,
        "old_primary_asked": asked,
        "old_primary_writable": writable,
        "rejoin_s": site.playbook("rejoin.yml"),
    }


def crash(site: Site) -> dict[str, float]:
    """kill -9 of the postmaster: systemd starts it again, nobody promotes."""
    server = primary(site)

    def act() -> dict[str, float]:
        server.shell("kill -9 $(head -1 /var/lib/postgresql/*/main/postmaster.pid)")
        time.sleep(8)
        return {}

    return measured(site, "crash", act)


def patroni(site: Site) -> dict[str, float]:
    """The primary's machine is killed where Patroni runs the servers: nobody does anything, also when it returns."""
    old = primary(site)

    def act() -> dict[str, float]:
        docker("kill", old.container)
        time.sleep(20)
        return {}

    figures = measured(site, "patroni", act)
    watcher = Watcher(site.conninfo((old,), "any"))
    watcher.start()
    docker("start", old.container)
    begin = time.monotonic()
    ask = "runuser -u postgres -- psql -XAtqc 'SELECT status FROM pg_stat_wal_receiver' || true"
    while time.monotonic() < begin + 120:
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):  # until sshd is there
            if "streaming" in old.shell(ask, timeout=10):
                break
        time.sleep(0.2)
    figures["rejoin_s"] = time.monotonic() - begin
    time.sleep(2)
    watcher.stop()
    return figures | {"old_primary_asked": watcher.asked, "old_primary_writable": watcher.writable}


RETURNS = 20
SCENARIOS: dict[str, Callable[[Site], dict[str, float]]] = {
    "switchover": switchover,
    "failover": failover,
    "crash": crash,
    "returns": returns,
    "patroni": patroni,
}
UNASKED = ("patroni",)  # another mode of the deployment


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--inventory", default="inventory/demo.vagrant_minikube.yml")
    parser.add_argument(
        "--deploy", type=pathlib.Path, default=ROOT / ".deploy", help="folder of the deployment's secrets"
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("-e", "--extra", action="append", default=[], help="handed to ansible-playbook as -e")
    parser.add_argument(
        "scenarios", nargs="*", default=[name for name in SCENARIOS if name not in UNASKED], help=", ".join(SCENARIOS)
    )
    options = parser.parse_args()
    extra = tuple(word for value in options.extra for word in ("-e", value))
    site = inventory(options.inventory, options.deploy, extra)
    for name in options.scenarios:
        runs = []
        for number in range(1, options.runs + 1):
            figures = SCENARIOS[name](site)
            runs.append(figures)
            print(
                json.dumps(
                    {"scenario": name, "run": number} | {key: round(value, 2) for key, value in figures.items()}
                ),
                flush=True,
            )
        medians = {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}
        worst = {key: round(max(run[key] for run in runs), 2) for key in runs[0]}
        print(json.dumps({"scenario": name, "runs": len(runs), "median": medians, "worst": worst}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
