# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that Patroni mends by itself, under a writer that counts what was acknowledged, and commands through it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from measure import Server
from pair import Pair, changed

# Seconds from a fault to a primary that accepts writes: the goal at a ttl of 10.
GOAL = 15
ETCD = "/var/lib/etcd/odoo_deploy"
SCOPE = "molecule-postgres-patroni"


def unchanged(pair: Pair, **extra: object) -> None:
    """A run has nothing to do, whoever is primary."""
    output = pair.must("converge.yml", **extra)
    assert changed(output) == {"0"}, re.findall(
        r"TASK \[([^]]*)\] \*+(?: ok: \[\w+\]| skipping: \[\w+\])* changed", output
    )


@contextlib.contextmanager
def watching(pair: Pair) -> Iterator[dict[str, list[float]]]:
    """The moments at which each server accepted writes; fails where both did at once."""
    watchers = {server.name: pair.watcher(server) for server in pair.servers}
    moments: dict[str, list[float]] = {}
    for watcher in watchers.values():
        watcher.start()
    try:
        yield moments
    finally:
        moments |= {name: watcher.stop().times for name, watcher in watchers.items()}
    turns = sorted((moment, name) for name, times in moments.items() for moment in times)
    changes = [name for index, (_moment, name) in enumerate(turns) if index == 0 or turns[index - 1][1] != name]
    assert len(changes) <= 2, f"both servers accepted writes in turns: {changes}"


def writable_after(pair: Pair, server: Server, moment: float) -> float:
    """Seconds from a moment until the server accepts writes."""
    watcher = pair.watcher(server)
    watcher.start()
    end = moment + 60
    while not watcher.times and time.monotonic() < end:
        time.sleep(0.05)
    watcher.stop()
    assert watcher.times, f"{server.name} did not become primary within 60 s"
    return watcher.times[0] - moment


def voter(pair: Pair) -> Server:
    """The machine that only votes."""
    return pair.site.machines["vote1"]


@pytest.mark.parametrize("turn", ["there", "back"])
def test_switchover_loses_nothing(pair: Pair, turn: str) -> None:
    """The same command as without Patroni; every acknowledged row is there, and a run changes nothing afterwards."""
    target = pair.standby()
    with watching(pair), pair.writing() as writer:
        pair.must("switchover.yml", postgres_switchover_to=target.name)
    assert pair.primary() == target
    assert writer.lost() == []
    assert writer.record.gap() < GOAL
    if turn == "there":
        unchanged(pair)
    assert f"{target.name} is the primary already" in pair.must("switchover.yml", postgres_switchover_to=target.name)


def test_killed_postmaster(pair: Pair) -> None:
    """kill -9: Patroni starts it again; nothing acknowledged is lost."""
    primary = pair.primary()
    with watching(pair), pair.writing() as writer:
        pair.shell(primary, "kill -9 $(head -1 /var/lib/postgresql/*/main/postmaster.pid)")
        time.sleep(GOAL)
    assert writer.lost() == []
    assert writer.record.gap() < GOAL


def test_killed_patroni_takes_its_server_along(pair: Pair) -> None:
    """Nobody would renew the lock of a server without Patroni: it must not go on, and is back with its Patroni."""
    primary = pair.primary()
    with watching(pair), pair.writing() as writer:
        postmaster = pair.shell(primary, "head -1 /var/lib/postgresql/*/main/postmaster.pid").strip()
        pair.shell(primary, "systemctl kill --kill-who=main --signal=KILL patroni.service")
        time.sleep(2)
        assert "gone" in pair.shell(primary, f"test -e /proc/{postmaster} || echo gone")
        time.sleep(GOAL)
    assert writer.lost() == []
    assert writer.record.gap() < GOAL
    follows(pair, pair.standby())


def test_machine_lost_and_returned(pair: Pair) -> None:
    """Power cut: the standby takes over; the old primary, which has rows of its own, is rewound, never writable."""
    old, target = pair.primary(), pair.standby()
    with pair.writing() as writer:
        # What is acknowledged from here on is on the old primary alone, so that it has to be rewound.
        pair.shell(old, f"kill -STOP {pair.sql(old, 'SELECT pid FROM pg_stat_replication')}")
        time.sleep(0.5)
        pair.kill(old)
        killed = time.monotonic()
        seconds = writable_after(pair, target, killed)
        time.sleep(4)
        first = next(moment for moment in writer.record.times if moment > killed + 1) - killed
    print(f"\nkill to writable {seconds:.1f} s, to the first row {first:.1f} s, {len(writer.lost())} rows lost")
    assert seconds < GOAL
    assert first < GOAL
    pair.must_refuse("failover.yml", f"{target.name} is primary and answers")
    pair.must_refuse("status.yml", f"Not voting: {old.name}")
    watcher = pair.watcher(old)
    watcher.start()
    pair.start(old)
    print(f"returned and streaming after {follows(pair, old):.1f} s")
    watcher.stop()
    assert watcher.answered > 0
    assert watcher.writable == 0
    assert "running pg_rewind from" in pair.shell(old, "journalctl --boot -u patroni --output cat")
    assert pair.primary() == target
    assert len(writer.lost()) < 1000  # asynchronous: the last moment's
    unchanged(pair)


def follows(pair: Pair, server: Server, seconds: float = 90) -> float:
    """Waits until the server streams, which may be stopped, rewound or copied meanwhile; seconds it took."""
    begin = time.monotonic()
    while told(pair, server, "SELECT status FROM pg_stat_wal_receiver") != "streaming":
        assert time.monotonic() < begin + seconds, f"{server.name} does not follow within {seconds} s"
        time.sleep(0.5)
    return time.monotonic() - begin


def told(pair: Pair, server: Server, statement: str) -> str:
    """An answer; empty while the server gives none."""
    try:
        return pair.sql(server, statement)
    except (RuntimeError, subprocess.TimeoutExpired):
        return ""


def test_network_cut_around_the_primary(pair: Pair) -> None:
    """A primary that reaches no other voter steps down before the standby takes over, though clients reach both."""
    old, target = pair.primary(), pair.standby()
    with watching(pair) as moments, pair.writing():
        with pair.cut(old, voter(pair).address), pair.cut(old, target.address):
            seconds = writable_after(pair, target, time.monotonic())
            time.sleep(2)
        follows(pair, old)
    print(f"\ncut to writable {seconds:.1f} s, {min(moments[target.name]) - max(moments[old.name]):.1f} s without any")
    assert seconds < GOAL + 5  # what has to time out is a connection, not a process
    assert max(moments[old.name]) < min(moments[target.name])
    assert pair.primary() == target


def test_machine_that_stood_still(pair: Pair) -> None:
    """A primary whose machine was paused for longer than its lock lasts finds another one elected, and follows it.

    Until it notices it may accept writes: only a watchdog could keep it from that, which a machine here does not have.
    """
    old, target = pair.primary(), pair.standby()
    subprocess.run(["docker", "pause", old.container], check=True)
    try:
        writable_after(pair, target, time.monotonic())
        time.sleep(2)
    finally:
        subprocess.run(["docker", "unpause", old.container], check=True)
    follows(pair, old)
    assert pair.primary() == target


RENEWAL = """
import runpy
runpy.run_path("/etc/patroni/patroni")
from patroni.config import Config
from patroni.dcs import Leader, get_dcs
store = get_dcs(Config("/etc/patroni/config.yml", None))
seen = store.get_cluster()
itself = seen.get_member(store._name, fallback_to_leader=False)
store._cluster = seen._replace(leader=Leader(-1, "0", itself))
print(store._update_leader())
"""


def test_lock_of_another_server_is_left_alone(pair: Pair) -> None:
    """A standby that reads what etcd held long ago, itself as the holder, cannot renew the lock; who has it can."""
    primary, standby = pair.primary(), pair.standby()
    for server, renewed in ((standby, "False"), (primary, "True")):
        said = pair.shell(server, f"cd /; runuser -u postgres -- python3 -c {shlex.quote(RENEWAL)}")
        assert said.split()[-1] == renewed, said
        assert "-I /etc/patroni/patroni /etc/patroni/config.yml" in pair.shell(server, "ps -eo args")
    time.sleep(GOAL)
    assert pair.primary() == primary


def test_majority_of_voters_lost(pair: Pair) -> None:
    """Without two votes nobody is primary; with them the same server is again, and nothing acknowledged is lost."""
    primary, others = pair.primary(), (pair.standby(), voter(pair))
    with watching(pair), pair.writing() as writer:
        for server in others:
            server.shell("systemctl stop etcd")
        end = time.monotonic() + GOAL + 5
        while told(pair, primary, "SELECT pg_is_in_recovery()") != "t":
            assert time.monotonic() < end, "the primary did not step down"
            time.sleep(0.3)
        refused = len(writer.record.acknowledged)
        pair.must_refuse("status.yml", "No server accepts writes")
        assert len(writer.record.acknowledged) == refused
        for server in others:
            server.shell("systemctl start etcd")
        assert pair.primary() in pair.servers
    follows(pair, pair.standby())
    assert writer.lost() == []


def test_settings_reach_patroni(pair: Pair) -> None:
    """One place for all settings, also those that Patroni hands over: on both, restarted in order, primary kept."""
    primary, standby = pair.primary(), pair.standby()
    for connections, first in ((90, primary), (130, standby)):
        pair.must(
            "converge.yml",
            postgres_common_max_connections=connections,
            postgres_common_client_connections=60,
            postgres_common_settings=f"{{work_mem: {connections}kB}}",
        )
        started = {}
        for server in pair.servers:
            assert pair.sql(server, "SHOW max_connections") == str(connections)
            assert pair.sql(server, "SHOW work_mem") == f"{connections}kB"
            started[server] = float(pair.sql(server, "SELECT extract(epoch FROM pg_postmaster_start_time())"))
        assert min(started, key=lambda server: started[server]) == first
        assert pair.primary() == primary
    pair.must("converge.yml")
    unchanged(pair)


def outdated(pair: Pair) -> str:
    """Both servers run an older PostgreSQL than the archive has; the version of the newest package."""
    newest = set()
    for server in (pair.standby(), pair.primary()):
        newest.add(pair.outdate(server))
        patronictl(pair, server, f"restart --force {SCOPE} {server.name}")
    follows(pair, pair.standby())
    assert len(newest) == 1
    return newest.pop()


def patronictl(pair: Pair, server: Server, words: str) -> None:
    """What a person tells Patroni."""
    said = pair.shell(server, f"patronictl -c /etc/patroni/config.yml {words}")
    assert "Success" in said, said


def test_minor_upgrade_rolls(pair: Pair) -> None:
    """The same command as without Patroni, though no package's script restarts a server that Patroni runs."""
    old, target = pair.primary(), pair.standby()
    newest = outdated(pair)
    with watching(pair), pair.writing() as writer:
        pair.must("postgres_upgrade.yml")
    assert writer.lost() == []
    assert writer.record.gap() < GOAL
    assert pair.primary() == target != old
    pair.up_to_date(newest)
    again = pair.must("postgres_upgrade.yml")
    assert "Every server is up to date" in again
    assert changed(again) == {"0"}
    unchanged(pair)


def test_minor_upgrade_killed_again_and_again(pair: Pair) -> None:
    """While commits wait for the standby too: what is run then goes on, and no acknowledged row is lost."""
    pair.must("converge.yml", postgres_common_sync='"on"')
    target = pair.standby()
    newest = outdated(pair)
    with watching(pair), pair.writing() as writer:
        for task in ("Upgrade the packages", "Let Patroni restart PostgreSQL", "Let Patroni switch over"):
            pair.killed("postgres_upgrade.yml", task, 0.5)
            time.sleep(GOAL)  # what the machine or Patroni was told to do comes to its end
            follows(pair, pair.standby())
        pair.must("postgres_upgrade.yml")
    assert writer.lost() == []
    assert writer.record.gap() < GOAL
    assert pair.primary() == target
    pair.up_to_date(newest)
    pair.must("converge.yml")


def test_minor_upgrade_refused(pair: Pair) -> None:
    """Where nobody could take over, or a server that stops would stay away: one message, and no server is touched."""
    ask = "SELECT pg_postmaster_start_time()"
    began = [pair.sql(server, ask) for server in pair.servers]
    standby, witness = pair.standby(), voter(pair)
    patronictl(pair, standby, f"pause --wait {SCOPE}")
    pair.must_refuse("postgres_upgrade.yml", "Patroni is paused")
    patronictl(pair, standby, f"resume --wait {SCOPE}")
    witness.shell("systemctl stop etcd")
    pair.must_refuse("postgres_upgrade.yml", f"{witness.name} does not vote")
    witness.shell("systemctl start etcd")
    assert began == [pair.sql(server, ask) for server in pair.servers]
    standby.shell("systemctl stop patroni")
    pair.must_refuse("postgres_upgrade.yml", "Every server must answer")
    standby.shell("systemctl start patroni")
    follows(pair, standby)


def test_data_lost_on_the_standby_and_the_voter(pair: Pair) -> None:
    """What a machine made anew looks like: the run copies the data and votes the voter in again."""
    standby, witness = pair.standby(), voter(pair)
    standby.shell("systemctl stop patroni && rm -rf /var/lib/postgresql/*/main")
    witness.shell(f"systemctl stop etcd && rm -rf {ETCD}")
    pair.must("converge.yml")
    follows(pair, pair.standby())


def test_copy_on_demand(pair: Pair) -> None:
    standby = pair.standby()
    data = pair.sql(standby, "SHOW data_directory")
    standby.shell(f"touch {data}/old")
    pair.must("rejoin.yml", postgres_rejoin=standby.name, postgres_rejoin_copy="true")
    assert "gone" in standby.shell(f"test -e {data}/old || echo gone")
    follows(pair, pair.standby())


def test_synchronous_loses_nothing(pair: Pair) -> None:
    """With postgres_common_sync a power cut of the primary loses no acknowledged row."""
    pair.must("converge.yml", postgres_common_sync='"on"')
    pair.eventually(pair.primary(), "SELECT sync_state FROM pg_stat_replication", "sync")
    old = pair.primary()
    with pair.writing() as writer:
        pair.kill(old)
        assert "Patroni failed over by itself" in pair.must("failover.yml")
    assert writer.lost() == []
    pair.must_refuse("rejoin.yml", f"{old.name} does not answer")
    pair.start(old)
    pair.must("rejoin.yml")
    unchanged(pair, postgres_common_sync='"on"')
    pair.must("converge.yml")


def test_two_voters_are_refused(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is changed."""
    nodes = Path(os.environ["ODOO_DEPLOY_NODES"]).read_text(encoding="utf-8")
    without = tmp_path / "nodes.yml"
    without.write_text("".join(line for line in nodes.splitlines(True) if "[witness]" not in line), encoding="utf-8")
    monkeypatch.setenv("ODOO_DEPLOY_NODES", str(without))
    pair.must_refuse("converge.yml", "Patroni needs three voters")
    assert changed(pair.play("converge.yml").stdout) == {"0"}


def test_manual_mode_is_refused(pair: Pair) -> None:
    """Two of them must not decide about the same servers."""
    pair.must_refuse("converge.yml", "Patroni runs pg1, but postgres_ha_mode is manual", postgres_ha_mode="manual")


def test_nobody_else_reaches_the_lock(pair: Pair) -> None:
    """etcd and Patroni's REST API hang up on whoever has no certificate of the authority."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    for port, path in ((2379, "/health"), (2380, "/members"), (8008, "/patroni")):
        try:
            with (
                socket.create_connection((pair.primary().address, port), timeout=10) as plain,
                anybody.wrap_socket(plain) as connection,
            ):
                connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                answer = connection.recv(4096)
        except (ssl.SSLError, ConnectionError):
            answer = b""
        assert answer == b"", f"{port}: {answer!r}"


def answer_of_etcd(pair: Pair, authority: str, folder: Path) -> bytes:
    """What etcd answers to a client whose certificate an authority of the deployment signed."""
    ca = pair.site.secrets / "ca"
    (folder / "usage").write_text("extendedKeyUsage=clientAuth\nsubjectAltName=DNS:postgres-etcd\n")
    for command in (
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=somebody -keyout client.key -out request",
        f"x509 -req -in request -days 1 -extfile usage -CA {ca / authority}.crt -CAkey {ca / authority}.key"
        " -set_serial 1 -out client.crt",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    client = ssl.create_default_context(cafile=str(ca / "etcd.crt"))
    client.load_cert_chain(folder / "client.crt", folder / "client.key")
    address = pair.primary().address
    try:
        with (
            socket.create_connection((address, 2379), timeout=10) as plain,
            client.wrap_socket(plain, server_hostname=address) as connection,
        ):
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return connection.recv(4096)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_the_lock_is_the_voters_own(pair: Pair, tmp_path: Path) -> None:
    """A certificate of the deployment's authority, as backups have one, opens nothing; the voters' own do."""
    assert answer_of_etcd(pair, "ca", tmp_path) == b""
    assert b"health" in answer_of_etcd(pair, "etcd", tmp_path)


def test_taken_back_and_handed_over_again(pair: Pair) -> None:
    """What docs/postgres.md says for a restore in place or a major upgrade; the data stays, and so does the primary."""
    told_by = (Path(__file__).parents[3] / "docs" / "postgres.md").read_text(encoding="utf-8")
    block = told_by.split("To take the servers back", 1)[1].split("```console\n", 1)[1].split("```", 1)[0]
    lines = [line.removeprefix("# ") for line in block.splitlines()]
    assert any("on the primary only" in line for line in lines)
    primary, standby = pair.primary(), pair.standby()
    with pair.writing() as writer:
        for server in (standby, primary):
            commands = [line for line in lines if server == primary or "on the primary only" not in line]
            server.shell("set -e\n" + "\n".join(commands))
        assert pair.primary() == primary
    assert writer.lost() == []
    pair.must("converge.yml", postgres_ha_mode="manual")
    unchanged(pair, postgres_ha_mode="manual")
    pair.must("converge.yml")
    unchanged(pair)
    assert pair.primary() == primary
