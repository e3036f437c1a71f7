# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL machines of the project's own playbooks, the faults that are done to them, the commands that are given.

Faults go through the container engine, past every link that they cut. Each lane is a deployment of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from explorer.acts import CLIENT, NAMING, Act
from explorer.clients import TABLE
from explorer.oracle import Seen, numbers

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOKS = {"step3": "postgres.yml"}
# Longer than any wait in a playbook; a command that takes longer hangs.
COMMAND_SECONDS = 420

# Everything that the servers' roles write. What lies there and is not in the snapshot was made by a sequence, and goes.
# In every script: what the servers' roles write, what in there is not theirs, and the units that run servers.
# A file that lies there and is not in the snapshot was made by a sequence, and goes.
WORDS = """
state='etc var/lib'
foreign='var/lib/explorer var/lib/dpkg var/lib/apt var/lib/systemd etc/hosts etc/hostname etc/resolv.conf'
units='postgresql@* patroni.service etcd.service'
"""
SNAPSHOT = rf"""
set -eu
{WORDS}
cd /
mkdir -p /var/lib/explorer
tar -cf "/var/lib/explorer/$1.tar" $(for path in $foreign; do echo "--exclude=$path"; done) $state
ls -A /run > /var/lib/explorer/run
touch /var/lib/explorer/marker
"""
RESTORE = rf"""
set -eu
{WORDS}
cd /
systemctl kill --signal=KILL $units 2>/dev/null || true
systemctl stop $units 2>/dev/null || true
for wal in /var/lib/postgresql/*/main/pg_wal; do ! mountpoint -q "$wal" || umount "$wal"; done
prune=$(for path in $foreign; do echo "-path $path -prune -o"; done)
find $state -xdev $prune -type f -cnewer /var/lib/explorer/marker -exec rm -f {{}} +
rm -rf /var/lib/postgresql
tar -xpf "/var/lib/explorer/$1.tar"
(cd /run && ls -A | grep -vxFf /var/lib/explorer/run | xargs -r rm -rf)
rm -rf /run/lock/* /run/postgres-ha
find /var/log/postgresql /var/log/patroni -type f -exec truncate -s 0 {{}} + 2>/dev/null || true
systemctl daemon-reload
systemctl reset-failed
touch /var/lib/explorer/marker
"""
START = "systemctl start --no-block postgresql@$(ls /etc/postgresql | tail -n 1)-main"
# What the server says and, where it takes one, a row for real. Its rows are read last.
PROBE = rf"""
export PGCONNECT_TIMEOUT=2
ask() {{ timeout 4 runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d odoo "$@" 2>/dev/null; }}
ask -c "SELECT 'standby=' || pg_is_in_recovery()::int" \
  -c "SELECT 'streams=' || count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'" \
  -c "SELECT 'timeline=' || CASE WHEN pg_is_in_recovery()
    THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END" || exit 0
if ask -c "INSERT INTO {TABLE} VALUES ('probe', nextval('{TABLE}_probe'))"; then echo writable=1; fi
ask -c "SELECT 'rows=' || writer || ':' || string_agg(number::text, ',') FROM {TABLE}
  WHERE writer <> 'probe' GROUP BY writer"
"""
TABLES = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (writer text, number bigint, PRIMARY KEY (writer, number));
CREATE SEQUENCE IF NOT EXISTS {TABLE}_probe;
CREATE TABLE IF NOT EXISTS {TABLE}_bulk (number bigint, filler text) WITH (fillfactor = 50);
INSERT INTO {TABLE}_bulk SELECT number, repeat('x', 400) FROM generate_series(1, 16000) AS number
  WHERE NOT EXISTS (SELECT FROM {TABLE}_bulk);
ALTER TABLE {TABLE} OWNER TO odoo;
ALTER TABLE {TABLE}_bulk OWNER TO odoo;
"""
CHAIN = "EXPLORER"


def run(argv: list[str], timeout: float = 120, check: bool = True, **more: object) -> subprocess.CompletedProcess[str]:
    """A program's output; raises RuntimeError with it when the program fails and that is not expected."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout, **more)  # type: ignore[call-overload]
    if check and done.returncode:
        raise RuntimeError(f"{shlex.join(argv)[:300]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


@dataclass
class Result:
    """What became of a command."""

    code: int
    output: str
    killed: bool = False
    late: bool = False  # it did not end in time


@dataclass
class Lane:
    """Two or three servers, under Patroni a witness too, in a network of their own."""

    name: str
    network: str  # such as 192.168.82
    folder: Path
    count: int = 2
    patroni: bool = False
    cuts: set[tuple[str, ...]] = field(default_factory=set)
    isolated: set[str] = field(default_factory=set)
    sync: bool = False

    @property
    def servers(self) -> tuple[str, ...]:
        return tuple(f"pg{number}" for number in range(1, self.count + 1))

    @property
    def witnesses(self) -> tuple[str, ...]:
        return ("vote1",) if self.patroni and self.count < 3 else ()

    @property
    def machines(self) -> tuple[str, ...]:
        return (*self.servers, *self.witnesses)

    def address(self, machine: str) -> str:
        return f"{self.network}.1" if machine == CLIENT else f"{self.network}.{21 + self.machines.index(machine)}"

    def container(self, machine: str) -> str:
        return f"{self.name}-{machine}"

    # -- making the machines

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.folder / "facts"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "ssh"),
            "ODOO_DEPLOY_DIR": str(self.folder / "deploy"),
            "ODOO_DEPLOY_NODES": str(self.folder / "nodes.yml"),
            "VAGRANT_DOTFILE_PATH": str(self.folder / "vagrant"),
            "VAGRANT_DEFAULT_PROVIDER": "docker",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def up(self) -> None:
        """Makes the machines where they are missing, sets PostgreSQL up, and keeps what a sequence begins with."""
        self.folder.mkdir(parents=True, exist_ok=True)
        groups = {"pg1": ["postgres_primary"], **{name: ["postgres_replica"] for name in self.servers[1:]}}
        nodes = {
            "deployment": self.name,
            "network": f"{self.network}.0/24",
            "suite": "bookworm",
            "machines": {
                name: {
                    "address": self.address(name),
                    "groups": groups.get(name, ["witness"]),
                    "memory": 1024,
                    "cpus": 2,
                }
                for name in self.machines
            },
            "cluster": {"name": "none", "address": f"{self.network}.100"},
        }
        (self.folder / "nodes.yml").write_text("---\n" + yaml.safe_dump(nodes, sort_keys=False), encoding="utf-8")
        demo = str(ROOT / "inventory" / "demo.vagrant_minikube.yml")
        # Machines that were left as a sequence had made them.
        for machine in self.machines:
            if self.state(machine) == "paused":
                run(["docker", "unpause", self.container(machine)])
            if self.state(machine) == "exited":
                run(["docker", "start", self.container(machine)])
        mark, made = self.folder / "ready", self._made_of()
        snapshots = run(
            ["docker", "exec", self.container("pg1"), "ls", "/var/lib/explorer"], check=False
        ).stdout.split()
        if mark.exists() and mark.read_text(encoding="ascii") == made and "async.tar" in snapshots:
            return
        self._must(["-i", demo, "playbooks/machines.yml", "-e", "machines_group="], 900)
        listing = json.loads(run(["ansible-inventory", "-i", demo, "--list"], env=self.environment, cwd=ROOT).stdout)
        self._inventory(listing["_meta"]["hostvars"], groups)
        for machine in self.machines:
            self.exec(
                machine,
                "command -v iptables >/dev/null || "
                "{ apt-get update -qq; apt-get install -qq -y --no-install-recommends iptables; }",
                300,
            )
        with contextlib.suppress(RuntimeError):
            self._heal_links()
        mark.unlink(missing_ok=True)
        if "async.tar" in snapshots:
            self.reset()
        for sync in (True, False):
            self.sync = sync
            self._must(self._playbook("step3"), 900)
            self.sql(next(seen.server for seen in self.look() if not seen.standby), TABLES)
            self._snapshot("sync" if sync else "async")
        mark.write_text(made, encoding="ascii")

    def _made_of(self) -> str:
        """Changes with the code that sets the servers up, and with what they begin with."""
        total = hashlib.sha256(f"{TABLES}{SNAPSHOT}{self.machines}{self.patroni}".encode())
        folders = ("roles/postgres_*", "roles/node_exporter", "playbooks", "plugins/*", "inventory/wiring")
        for folder in (found for pattern in folders for found in sorted(ROOT.glob(pattern))):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix != ".pyc":
                    total.update(path.read_bytes())
        return total.hexdigest()

    def _inventory(self, hostvars: dict[str, dict[str, object]], groups: dict[str, list[str]]) -> None:
        """Names every machine, also one that is off, as an inventory of real servers does."""
        folder = self.folder / "inventory"
        folder.mkdir(exist_ok=True)
        link = folder / "group_vars"
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / "inventory" / "group_vars")
        hosts = {
            name: {
                "ansible_host": self.address(name),
                "peer_address": self.address(name),
                **{
                    key: hostvars[name][key]
                    for key in ("ansible_user", "ansible_ssh_private_key_file", "ansible_ssh_common_args")
                },
                "deployment_name": self.name,
                "postgres_common_memory": 1024,
                "postgres_common_cores": 2,
                "postgres_ha_mode": "patroni" if self.patroni else "manual",
                "postgres_backup_enabled": False,
                "postgres_client_addresses": [f"{self.address(CLIENT)}/32"],
                "postgres_fence_argv": ["docker", "stop", "--time", "0", self.name + "-{{ postgres_fence_name }}"],
                # Seconds that a guard waits for silent peers: less than the default, since containers boot in one.
                "postgres_common_boot_guard_wait": 20,
            }
            for name in self.machines
        }
        listed: dict[str, object] = {
            group: {"hosts": {name: {} for name in self.servers if groups[name] == [group]}}
            for group in ("postgres_primary", "postgres_replica")
        }
        content = {
            "all": {
                "hosts": hosts,
                "children": {
                    "machines": {
                        "children": {
                            "postgres": {"children": listed},
                            "witness": {"hosts": {name: {} for name in self.witnesses}},
                        }
                    }
                },
            }
        }
        (folder / "hosts.yml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        (folder / "wiring.yml").write_text("plugin: odoo_deploy.stack.deployment\n", encoding="utf-8")

    def _must(self, words: list[str], timeout: float) -> None:
        run(["ansible-playbook", *words], timeout, cwd=ROOT, env=self.environment)

    def _snapshot(self, name: str) -> None:
        """Servers are stopped, the primary first, so that the standbys have all of it; then started again.

        Under Patroni the primary is the last: it would hand its role over.
        """
        self._wait_healthy(60)
        primary = next(seen.server for seen in self.look() if seen.writable)
        for server in sorted(self.servers, key=lambda name: (name == primary) == self.patroni):
            self.exec(server, "systemctl stop 'postgresql@*' patroni 2>/dev/null || true")
        for machine in self.machines if self.patroni else ():
            self.exec(machine, "systemctl stop etcd")
        for machine in self.machines:
            self.exec(machine, f"set -- {name}\n{SNAPSHOT}", 120)
        self.reset(name == "sync")

    def down(self) -> None:
        """Takes the machines away."""
        run(["./teardown.sh", "--yes"], 300, cwd=ROOT, env=self.environment)

    # -- looking at them

    def state(self, machine: str) -> str:
        """The container's state, such as running, paused, exited; empty without one."""
        return run(
            ["docker", "inspect", "--format", "{{.State.Status}}", self.container(machine)], check=False
        ).stdout.strip()

    def exec(self, machine: str, script: str, timeout: float = 60) -> str:
        """Runs as root on the machine, past every network."""
        return run(["docker", "exec", self.container(machine), "sh", "-c", script], timeout).stdout

    def sql(self, server: str, statements: str) -> str:
        return run(
            [
                "docker",
                "exec",
                "-i",
                self.container(server),
                "runuser",
                "-u",
                "postgres",
                "--",
                "psql",
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                "odoo",
            ],
            input=statements,
        ).stdout.strip()

    def look(self) -> tuple[Seen, ...]:
        """All servers at the same moment."""
        with ThreadPoolExecutor(len(self.servers)) as pool:
            return tuple(pool.map(self.look_at, self.servers))

    def suspended(self) -> list[str]:
        """Primaries whose commits wait for nobody."""
        question = "SELECT NOT pg_is_in_recovery() AND current_setting('synchronous_standby_names') = ''"
        return [server for server in self.servers if self.sql(server, question) == "t"]

    def look_at(self, server: str) -> Seen:
        moment = time.monotonic()
        try:
            done = run(["docker", "exec", self.container(server), "sh", "-c", PROBE], 30, check=False)
        except subprocess.TimeoutExpired:
            return Seen(server, moment)
        facts = [line.partition("=")[::2] for line in done.stdout.splitlines() if "=" in line]
        rows = "\n".join(value for key, value in facts if key == "rows")
        told = dict(facts)
        if "timeline" not in told:
            return Seen(server, moment)
        return Seen(
            server,
            moment,
            writable=told.get("writable") == "1",
            standby=told.get("standby") == "1",
            streams=told.get("streams") == "1",
            timeline=int(told["timeline"]),
            rows=numbers(rows),
        )

    def conninfo(self, servers: tuple[str, ...]) -> str:
        """As Odoo's: libpq tries every server of the list until one is writable."""
        secrets = self.folder / "deploy" / "secrets"
        password = (secrets / "postgres_odoo_password").read_text(encoding="utf-8").split()[0]
        return (
            f"host={','.join(servers)} hostaddr={','.join(map(self.address, servers))} dbname=odoo user=odoo "
            f"password={password} sslmode=verify-full sslrootcert={secrets / 'ca' / 'ca.crt'} "
            "target_session_attrs=read-write connect_timeout=2 tcp_user_timeout=2000 keepalives_idle=1 "
            "keepalives_interval=1 keepalives_count=2"
        )

    # -- beginning anew

    def reset(self, sync: bool = False) -> None:
        """Every fault away, every server's data and settings as they were kept."""
        self.sync = sync
        self.cuts, self.isolated = set(), set()
        for socket_path in (self.folder / "ssh").glob("*"):
            run(["ssh", "-O", "exit", "-o", f"ControlPath={socket_path}", "none"], check=False)
        with ThreadPoolExecutor(len(self.machines)) as pool:
            list(pool.map(lambda machine: self._reset_one(machine, "sync" if sync else "async"), self.machines))
        for machine in self.witnesses:
            self.exec(machine, "systemctl start --no-block etcd")
        for server in reversed(self.servers):
            self.exec(server, "systemctl start --no-block etcd patroni" if self.patroni else START)
        self._wait_healthy(90)

    def _reset_one(self, machine: str, name: str) -> None:
        if self.state(machine) == "paused":
            run(["docker", "unpause", self.container(machine)])
        if self.state(machine) != "running":
            run(["docker", "start", self.container(machine)])
        self._wait_booted(machine)
        self.exec(machine, f"iptables -w -F {CHAIN} 2>/dev/null || true")
        self.exec(machine, f"set -- {name}\n{RESTORE}", 120)

    def _wait_healthy(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            seen = self.look()
            if sum(one.writable for one in seen) == 1 and sum(one.streams for one in seen) == len(seen) - 1:
                return
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name}: the servers are not healthy after {seconds:g} s: {seen}")
            time.sleep(0.3)

    def _wait_booted(self, machine: str, seconds: float = 60) -> None:
        """Until systemd has started what belongs to a boot, the ssh server among it."""
        end = time.monotonic() + seconds
        while (
            "active"
            not in run(
                ["docker", "exec", self.container(machine), "systemctl", "is-active", "ssh"], check=False
            ).stdout.split()
        ):
            if time.monotonic() > end:
                raise RuntimeError(f"{machine} does not boot within {seconds:g} s")
            time.sleep(0.2)

    # -- faults

    def do(self, act: Act) -> None:
        """A fault or a repair. What is so already stays so: a command may have done it."""
        name = act.machines[0] if act.machines else ""
        container = self.container(name)
        match act.kind:
            case "kill":
                run(["docker", "kill", container], check=False)
                if self.state(name) == "paused":
                    run(["docker", "unpause", container], check=False)
            case "start":
                self.start(name)
            case "freeze":
                run(["docker", "pause", container], check=False)
            case "thaw":
                run(["docker", "unpause", container], check=False)
            case "stop":
                self._quietly(name, "systemctl stop 'postgresql@*' patroni")
            case "crash":
                self._quietly(name, "kill -9 $(head -1 /var/lib/postgresql/*/main/postmaster.pid)")
            case "hang":
                self._quietly(name, "pkill -STOP -u postgres -x postgres")
            case "resume":
                self._quietly(name, "pkill -CONT -u postgres -x postgres")
            case "cut" | "heal":
                (self.cuts.add if act.kind == "cut" else self.cuts.discard)(act.machines)
                self._links()
            case "isolate" | "join":
                (self.isolated.add if act.kind == "isolate" else self.isolated.discard)(name)
                self._links()
            case "fill":
                self._quietly(name, FILL)
            case "free":
                self._quietly(name, FREE)
            case "wait":
                time.sleep(act.seconds)
            case _:
                raise ValueError(f"not a fault: {act}")

    def start(self, machine: str) -> None:
        """Power is back; links that were cut are so from the first moment. Waits until one can log in."""
        state = self.state(machine)
        if state == "running":
            return
        # It stood still for a failover that was refused, and so did not power it off.
        run(["docker", "unpause" if state == "paused" else "start", self.container(machine)])
        self._links_of(machine)
        self._wait_booted(machine)

    def start_all(self) -> None:
        """Every machine that is off, as run.py does."""
        for machine in self.machines:
            if self.state(machine) == "exited":
                self.start(machine)

    def _quietly(self, machine: str, script: str) -> None:
        """On a machine that may be off, or whose PostgreSQL may not run: then nothing is to be done."""
        with contextlib.suppress(RuntimeError):
            self.exec(machine, script, 120)

    def _links(self) -> None:
        for machine in self.machines:
            if self.state(machine) == "running":
                self._links_of(machine)

    def _heal_links(self) -> None:
        self.cuts, self.isolated = set(), set()
        self._links()

    def _links_of(self, machine: str) -> None:
        """The packets that this machine drops: of both ends, since either may be started anew without the other."""
        rules = []
        for one in self.isolated:
            peer = f"{self.network}.0/24" if one == machine else f"{self.address(one)}/32"
            rules += [f"-s {peer} -j DROP", f"-d {peer} -j DROP"]
        for link in self.cuts:
            if machine not in link:
                continue
            (peer,) = {*link} - {machine}
            if peer == CLIENT:
                rules += [
                    f"-s {self.address(CLIENT)} -p tcp ! --dport 22 -j DROP",
                    f"-d {self.address(CLIENT)} -p tcp ! --sport 22 -j DROP",
                ]
            else:
                rules += [f"-s {self.address(peer)} -j DROP", f"-d {self.address(peer)} -j DROP"]
        chain = [
            f"iptables -w -N {CHAIN} 2>/dev/null && iptables -w -I INPUT -j {CHAIN}"
            f" && iptables -w -I OUTPUT -j {CHAIN}",
            f"iptables -w -F {CHAIN}",
        ]
        # Machines talk to themselves by these addresses too.
        own = [f"iptables -w -A {CHAIN} -o lo -j RETURN", f"iptables -w -A {CHAIN} -i lo -j RETURN"]
        self.exec(
            machine, "; ".join([*chain, *(own if rules else []), *(f"iptables -w -A {CHAIN} {rule}" for rule in rules)])
        )

    # -- commands

    def _playbook(self, name: str, to: str = "") -> list[str]:
        words = [
            "-i",
            str(self.folder / "inventory"),
            str(ROOT / "playbooks" / PLAYBOOKS.get(name, f"{name}.yml")),
            "-e",
            "postgres_yes=true",
        ]
        words += ["-e", json.dumps({"postgres_common_sync": "on" if self.sync else "off"})]
        if to:
            words += ["-e", f"{NAMING[name]}={to}"]
        return words

    def command(self, name: str, to: str = "", killed_at: int = 0, killed_after: float = 0.0) -> Result:
        """Gives a command, and kills it (kill -9 of the whole process group) some time after its Nth task began."""
        if name == "step3":
            self.start_all()
        process = subprocess.Popen(
            ["ansible-playbook", *self._playbook(name, to)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        result = Result(0, "")
        ended = threading.Event()

        def end(late: bool) -> None:
            if not ended.is_set():
                result.killed, result.late = True, late
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

        timers = [threading.Timer(COMMAND_SECONDS, end, (True,))]
        timers[0].start()
        lines, tasks = [], 0
        for line in process.stdout:
            lines.append(line)
            if line.startswith("TASK ["):
                tasks += 1
                if tasks == killed_at:
                    timers.append(threading.Timer(killed_after, end, (False,)))
                    timers[-1].start()
        result.code = process.wait()
        ended.set()
        for timer in timers:
            timer.cancel()
        result.output = "".join(lines)
        return result

    def reachable(self, machine: str) -> bool:
        """Whether its ssh server answers."""
        try:
            with socket.create_connection((self.address(machine), 22), 2) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


FILL = r"""
set -eu
data=$(ls -d /var/lib/postgresql/*/main) unit=postgresql@$(basename "$(dirname "$data")")-main
if [ -e /etc/patroni/config.yml ]; then unit=patroni; fi
systemctl stop "$unit"
mv "$data/pg_wal" "$data.wal"
install -d -m 0700 -o postgres -g postgres "$data/pg_wal"
mount -t tmpfs -o "size=$(($(du -sm "$data.wal" | cut -f1) + 20))M,mode=0700" tmpfs "$data/pg_wal"
chown postgres: "$data/pg_wal"
cp -a "$data.wal/." "$data/pg_wal/"
systemctl start "$unit"
dd if=/dev/zero of="$data/pg_wal/filler" bs=1M 2>/dev/null || true
fill="SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000)) FROM generate_series(1, 100)"
runuser -u postgres -- psql -XAtq -c "$fill" >/dev/null 2>&1 || true
"""
FREE = r"""
set -eu
data=$(ls -d /var/lib/postgresql/*/main) unit=postgresql@$(basename "$(dirname "$data")")-main
if [ -e /etc/patroni/config.yml ]; then unit=patroni; fi
was=$(systemctl is-active "$unit" || true)
systemctl stop "$unit"
rm -f "$data/pg_wal/filler"
rm -rf "$data.wal"
cp -a "$data/pg_wal" "$data.wal"
umount "$data/pg_wal"
rmdir "$data/pg_wal"
mv "$data.wal" "$data/pg_wal"
if [ "$was" != inactive ]; then systemctl start --no-block "$unit"; fi
"""
