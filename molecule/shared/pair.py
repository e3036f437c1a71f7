# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pair of servers, the playbooks that are run against it, and the writer that counts rows."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from scenario import INVENTORY, ROOT

sys.path.insert(0, str(ROOT / "benchmarks" / "failover"))

from measure import Server, Site, inventory
from writer import Watcher, Writer


def changed(output: str) -> set[str]:
    """What each host's changed= says in a playbook's recap."""
    return set(re.findall(r"changed=(\d+)", output))


@dataclass
class Pair:
    """Two servers, either of which may be the primary, their scenario's folder, and variables for every playbook."""

    site: Site
    scenario: Path
    variables: dict[str, object] = field(default_factory=dict)

    @property
    def servers(self) -> tuple[Server, ...]:
        return self.site.servers

    def argv(self, name: str, **extra: object) -> list[str]:
        folder = self.scenario if name == "converge.yml" else ROOT / "playbooks"
        words = [f"-e{{{key}: {value}}}" for key, value in {"postgres_yes": "true", **self.variables, **extra}.items()]
        return ["ansible-playbook", "-i", INVENTORY, str(folder / name), *words]

    def play(self, name: str, **extra: object) -> subprocess.CompletedProcess[str]:
        """A playbook's output and exit code, stderr after stdout."""
        done = subprocess.run(
            self.argv(name, **extra), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
        )
        done.stdout = " ".join((done.stdout + done.stderr).split())  # YAML output breaks lines
        return done

    def must(self, name: str, **extra: object) -> str:
        done = self.play(name, **extra)
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    def must_refuse(self, name: str, words: str, **extra: object) -> None:
        done = self.play(name, **extra)
        assert done.returncode != 0, done.stdout[-3000:]
        assert words in done.stdout, done.stdout[-3000:]

    def killed(self, name: str, task: str, seconds: float = 0, **extra: object) -> None:
        """kill -9 of a whole playbook some time after a task began."""
        argv = self.argv(name, **extra)
        command = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert command.stdout is not None
        said = []
        for line in command.stdout:
            said.append(line)
            if line.startswith("TASK") and task in line:
                break
        else:
            pytest.fail(f"{task} did not come: {''.join(said[-40:])}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(seconds)
        os.killpg(command.pid, signal.SIGKILL)
        command.wait()

    def primary(self) -> Server:
        end = time.monotonic() + 30
        while True:
            try:
                with psycopg.connect(self.site.conninfo(self.servers)) as connection:
                    return next(server for server in self.servers if server.name == connection.info.host)
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def standby(self) -> Server:
        primary = self.primary()
        return next(server for server in self.servers if server != primary)

    def shell(self, server: Server, command: str) -> str:
        """Runs as root on a server's machine."""
        return server.shell(command)

    def sql(self, server: Server, statement: str) -> str:
        """One value, asked as the superuser over the server's socket."""
        out = server.shell(f"runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -c {shlex.quote(statement)}")
        return (out.splitlines() or [""])[-1].strip()

    def install(self, server: Server, package: str) -> None:
        """A tool that only a test needs."""
        server.shell(f"dpkg -s {package} >/dev/null 2>&1 || apt-get install -qq -y --no-install-recommends {package}")

    def package(self, server: Server, version: str) -> str:
        """Which package of a major version the server has."""
        return server.shell(f"dpkg-query --show --showformat='${{Version}}' postgresql-{version}")

    def outdate(self, server: Server) -> str:
        """Makes a minor upgrade due; the version of the package that it leads to."""
        version = self.version(server)
        newest = self.package(server, version)
        # An older version of the archive; where it has none, dpkg is told that the installed one is older.
        server.shell(
            f"older=$(apt-cache madison postgresql-{version} | awk 'NR == 2 {{print $3}}')\n"
            f'if [ -n "$older" ]; then DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --allow-downgrades'
            f' "postgresql-{version}=$older" "postgresql-client-{version}=$older"\n'
            f'else sed -i "/^Package: postgresql-{version}$/,/^$/s/^Version: .*/Version: {version}.0-0/"'
            " /var/lib/dpkg/status; fi"
        )
        assert self.package(server, version) != newest
        return newest

    def up_to_date(self, newest: str) -> None:
        """Every server has the package and runs what it brought."""
        for server in self.servers:
            assert self.package(server, newest.partition(".")[0]) == newest
            assert self.sql(server, "SHOW server_version").split()[0] == newest.partition("-")[0].partition("+")[0]
            maps = server.shell("cat /proc/$(head -1 /var/lib/postgresql/*/main/postmaster.pid)/maps")
            assert "/postgres (deleted)" not in maps, "the server still runs the replaced program"

    @property
    def controller(self) -> str:
        """Where the machines see the writer: the network's first address (converge.yml lets it in)."""
        return self.servers[0].address.rpartition(".")[0] + ".1"

    @contextlib.contextmanager
    def cut(self, server: Server, address: str) -> Iterator[None]:
        """Packets between the server and an address vanish, as where a cable is pulled; ssh is spared."""
        self.install(server, "iptables")
        rules = [f"INPUT -s {address} -p tcp ! --dport 22 -j DROP", f"OUTPUT -d {address} -p tcp ! --sport 22 -j DROP"]
        server.shell(" && ".join(f"iptables -w -I {rule}" for rule in rules))
        try:
            yield
        finally:
            server.shell("; ".join(f"iptables -w -D {rule}" for rule in rules))

    def unit(self, server: Server) -> str:
        """The server's systemd unit, such as postgresql@15-main.service."""
        return server.shell("systemctl list-units --all --plain --no-legend 'postgresql@*'").split()[0]

    def version(self, server: Server) -> str:
        """The major version that runs, whoever runs it."""
        return self.sql(server, "SHOW server_version_num")[:2]

    def caught_up(self) -> None:
        """Waits until the standby replayed what the primary has written."""
        lsn = self.sql(self.primary(), "SELECT pg_current_wal_lsn()")
        self.eventually(self.standby(), f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'", "t")

    def streaming(self) -> None:
        """Waits until the standby streams."""
        self.eventually(self.standby(), "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'", "1", 60)

    def eventually(self, server: Server, statement: str, wanted: str, seconds: float = 30) -> None:
        """Asks until the answer is the wanted one."""
        end = time.monotonic() + seconds
        while (answer := self.sql(server, statement)) != wanted:
            assert time.monotonic() < end, f"{server.name}: {statement}: {answer}, not {wanted} within {seconds} s"
            time.sleep(0.3)

    def kill(self, server: Server) -> None:
        """The machine's power is cut, if it has any: a command may have fenced it."""
        state = ["docker", "inspect", "--format", "{{.State.Running}}", server.container]
        if subprocess.run(state, check=True, capture_output=True, text=True).stdout.strip() == "true":
            subprocess.run(["docker", "kill", server.container], check=True, capture_output=True)

    def start(self, server: Server) -> None:
        """The machine's power is back; waits until one can log in."""
        subprocess.run(["docker", "start", server.container], check=True, capture_output=True)
        end = time.monotonic() + 60
        while True:
            try:
                server.shell("true", timeout=10)
                return
            except (RuntimeError, subprocess.TimeoutExpired):
                assert time.monotonic() < end, f"{server.name} lets nobody in"
                time.sleep(0.2)

    def watcher(self, server: Server) -> Watcher:
        return Watcher(self.site.conninfo((server,), "any"))

    @contextlib.contextmanager
    def healthy(self) -> Iterator[Pair]:
        """The pair, healthy after the block too. One that is not fails there, and is mended for the next."""
        yield self
        told = self.play("status.yml")
        if told.returncode:
            self.mend()
            pytest.fail(f"not healthy afterwards: {told.stdout[-3000:]}")

    def mend(self) -> None:
        """What an operator would try, whatever a test that failed half-way left."""
        units = "systemctl list-units --all --plain --no-legend 'postgresql@*' | cut -d ' ' -f 1"
        for server in self.servers:
            self.start(server)
            with contextlib.suppress(RuntimeError):
                server.shell(f"{units} | xargs -r systemctl start")
        if self.play("converge.yml").returncode == 0:
            return
        choices: list[dict[str, object]] = [{}, *({"postgres_failover_to": server.name} for server in self.servers)]
        next((choice for choice in choices if self.play("failover.yml", **choice).returncode == 0), None)
        for server in self.servers:  # a failover fences
            self.start(server)
        for name in ("rejoin.yml", "converge.yml"):
            self.play(name)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """Rows are written for a second before, during and two seconds after the block, and until there are some."""
        writer = Writer(self.site.conninfo(self.servers), f"{time.time():.3f}")
        writer.prepare()
        writer.start()
        time.sleep(1)
        try:
            yield writer
            time.sleep(2)
            end = time.monotonic() + 30
            while len(writer.record.acknowledged) <= 50:
                assert time.monotonic() < end, f"{len(writer.record.acknowledged)} rows were written"
                time.sleep(0.2)
        finally:
            writer.stop()


def the_pair(scenario: Path, **variables: object) -> Pair:
    """The servers of the scenario that was entered, and variables for every playbook."""
    deploy = Path(os.environ.get("ODOO_DEPLOY_DIR") or ROOT / ".deploy")
    return Pair(inventory(INVENTORY, deploy, ()), scenario, variables)


@pytest.fixture
def pair(whole: Pair) -> Iterator[Pair]:
    """The pair, healthy after each test and so before the next one."""
    with whole.healthy():
        yield whole
