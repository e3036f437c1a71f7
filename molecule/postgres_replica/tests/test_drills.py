# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Day-2 commands under a writer that counts what was acknowledged, and faults that are real."""

from __future__ import annotations

import time

import psycopg
import pytest
from pair import Pair, Server, changed


@pytest.mark.parametrize("turn", ["there", "back"])
def test_switchover_loses_nothing(pair: Pair, turn: str) -> None:
    """Both ways; writes stop for seconds at most, every acknowledged row is there."""
    target = pair.standby()
    with pair.writing() as writer:
        pair.must("switchover.yml", postgres_switchover_to=target.name)
    assert pair.primary() == target
    assert writer.lost() == []
    assert writer.record.gap() < 15  # a second alone; the benchmark measures it
    if turn == "there":
        assert changed(pair.must("converge.yml")) == {"0"}, "postgres.yml must not touch what a switchover made"
    assert f"{target.name} is the primary already" in pair.must("switchover.yml", postgres_switchover_to=target.name)


@pytest.mark.parametrize("moment", ["stopping", "stopped", "promoted"])
def test_switchover_killed_and_run_again(pair: Pair, moment: str) -> None:
    """kill -9 of the whole command around the change; the second run ends what the first began."""
    old, target = pair.primary(), pair.standby()
    with pair.writing() as writer:
        task = {
            "stopping": "Stop the old primary for good",
            "stopped": "Promote the standby once it has everything",
            "promoted": "Start the old primary as a standby",
        }[moment]
        pair.killed("switchover.yml", task, postgres_switchover_to=target.name)
        pair.must("switchover.yml", postgres_switchover_to=target.name)
    assert pair.primary() == target != old
    assert writer.lost() == []


def test_killed_postmaster_needs_nobody(pair: Pair) -> None:
    """kill -9: the same server is back within seconds and has every acknowledged row."""
    primary = pair.primary()
    with pair.writing() as writer:
        pair.shell(primary, "kill -9 $(head -1 /var/lib/postgresql/*/main/postmaster.pid)")
        time.sleep(5)
    assert pair.primary() == primary
    assert writer.lost() == []
    assert writer.record.gap() < 15


def test_primary_that_answers_is_not_failed_over(pair: Pair) -> None:
    pair.must_refuse("failover.yml", "use switchover.yml")


def test_machine_lost_and_returned(pair: Pair) -> None:
    """Power cut: no promotion without a fence, failover with one; the old primary never accepts a write again."""
    old, target = pair.primary(), pair.standby()
    with pair.writing() as writer:
        pair.kill(old)
        pair.must_refuse("failover.yml", "could be alive and could not be fenced", postgres_fence_argv="['false']")
        assert pair.sql(target, "SELECT pg_is_in_recovery()") == "t"
        pair.must("failover.yml")
    assert pair.primary() == target
    # Asynchronous: what had not reached the standby is lost, and it can only be the last rows before the cut.
    lost = writer.lost()
    assert len(lost) < 100, f"{len(lost)} acknowledged rows lost"
    pair.must_refuse("rejoin.yml", f"{old.name} does not answer")
    watcher = pair.watcher(old)
    watcher.start()
    pair.start(old)
    time.sleep(15)
    pair.must_refuse("converge.yml", "run playbooks/rejoin.yml")
    pair.must_refuse("status.yml", "Following nobody")
    pair.must("rejoin.yml")
    time.sleep(1)
    watcher.stop()
    assert watcher.answered > 0
    assert watcher.writable == 0
    assert changed(pair.must("converge.yml")) == {"0"}


def test_both_reported_primary(pair: Pair) -> None:
    """Somebody promotes by hand: every command that could make it worse refuses, rejoin names the one to give up."""
    old, rogue = pair.primary(), pair.standby()
    pair.sql(rogue, "SELECT pg_promote()")
    pair.must_refuse("status.yml", "TWO SERVERS ACCEPT WRITES")
    pair.must_refuse("failover.yml", "accept writes")
    pair.must_refuse("switchover.yml", "both accept writes")
    pair.must_refuse("converge.yml", "both accept writes")
    pair.must_refuse("rejoin.yml", "More than one server accepts writes")
    pair.must("rejoin.yml", postgres_rejoin=old.name)
    assert pair.primary() == rogue
    # The other way round too: which of the two comes first in the inventory must not matter.
    pair.sql(old, "SELECT pg_promote()")
    pair.must("rejoin.yml", postgres_rejoin=rogue.name)
    assert pair.primary() == old


def test_synchronous_loses_nothing(pair: Pair) -> None:
    """No commit without the standby; after a power cut no acknowledged row is lost and a lone survivor takes writes."""
    pair.must("converge.yml", postgres_common_sync='"on"')
    old, standby = pair.primary(), pair.standby()
    with pair.writing() as writer:
        with pair.cut(old, standby.address):
            time.sleep(1)
            acknowledged = len(writer.record.acknowledged)
            time.sleep(2)
            assert len(writer.record.acknowledged) == acknowledged, "a commit did not wait for the standby"
        pair.streaming()
        pair.kill(old)
        pair.must("failover.yml")
    assert writer.lost() == []
    pair.start(old)
    pair.must("rejoin.yml")
    assert "sync" in pair.sql(pair.primary(), "SELECT string_agg(sync_state, '') FROM pg_stat_replication")
    assert changed(pair.must("converge.yml", postgres_common_sync='"on"')) == {"0"}
    pair.must("converge.yml")


def test_abandoned_slot_cannot_fill_the_disk(pair: Pair) -> None:
    """A standby that is away too long loses its slot, not the primary's disk; rejoin copies it anew."""
    small = "{wal_keep_size: 32MB, max_wal_size: 64MB, min_wal_size: 32MB}"
    pair.must("converge.yml", postgres_common_max_slot_wal_keep_size="64MB", postgres_common_settings=small)
    primary, standby = pair.primary(), pair.standby()
    pair.shell(standby, "systemctl stop postgresql@*")
    load = "SELECT count(pg_logical_emit_message(false, 'fill', repeat('x', 1000000))) FROM generate_series(1, 300)"
    pair.sql(primary, load)
    # WAL that is not in the backups' archive yet stays as well, whatever becomes of the slot.
    pair.eventually(primary, "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'", "0", 60)
    pair.sql(primary, "CHECKPOINT")
    assert pair.sql(primary, "SELECT wal_status FROM pg_replication_slots WHERE NOT active") == "lost"
    # The slot's 64 MB and a checkpoint's. Files that were renamed for later use are not kept: earlier tests made them.
    used = "length(name) = 24 AND substr(name, 9) <= substr(pg_walfile_name(pg_current_wal_lsn()), 9)"
    kept = pair.sql(primary, f"SELECT sum(size)::bigint / 1048576 FROM pg_ls_waldir() WHERE {used}")
    assert int(kept) < 200, pair.shell(primary, "ls -l /var/lib/postgresql/*/main/pg_wal")
    pair.must("rejoin.yml")
    assert pair.sql(standby, "SELECT status FROM pg_stat_wal_receiver") == "streaming"
    data = pair.sql(standby, "SHOW data_directory")
    assert pair.shell(standby, f"ls -d {data}*").split() == [data], "the old data must be gone once the copy streams"
    pair.must("converge.yml")


def test_settings_that_need_an_order(pair: Pair) -> None:
    """max_connections down and up again: lowered on the primary first, raised on the standby first."""
    servers = {"primary": pair.primary(), "standby": pair.standby()}
    for connections, first in ((90, "primary"), (130, "standby")):
        pair.must("converge.yml", postgres_common_max_connections=connections, postgres_common_client_connections=60)
        started = {}
        for role, server in servers.items():
            assert pair.sql(server, "SHOW max_connections") == str(connections)
            started[float(pair.sql(server, "SELECT extract(epoch FROM pg_postmaster_start_time())"))] = role
        assert started[min(started)] == first, f"the {first} must restart first"
    pair.must("converge.yml")


def test_clients_cannot_write_to_the_standby(pair: Pair) -> None:
    with (
        psycopg.connect(pair.site.conninfo((pair.standby(),), "any"), autocommit=True) as connection,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        connection.execute("CREATE TABLE refused ()")


def cut_both(pair: Pair) -> None:
    """Both machines lose power, and are back."""
    for server in pair.servers:
        pair.kill(server)
    for server in pair.servers:
        pair.start(server)


def test_power_cut_of_both_after_a_failover(pair: Pair) -> None:
    """The record of the last primary survives: step 3 starts that one alone, and names the command for the other."""
    old, target = pair.primary(), pair.standby()
    pair.kill(old)
    pair.must("failover.yml")
    with pair.writing() as writer:
        pass
    pair.kill(target)
    for server in (old, target):
        pair.start(server)
    pair.must_refuse("converge.yml", f"{old.name} holds the data of an old primary, and {target.name} took over")
    assert pair.primary() == target
    assert pair.shell(old, "pgrep --exact postgres || true") == ""
    assert writer.lost() == []
    pair.must("rejoin.yml")
    assert writer.lost() == []
    assert changed(pair.must("converge.yml")) == {"0"}


def test_two_primaries_without_a_record_are_not_started(pair: Pair) -> None:
    """Nobody knows which one was the last: nothing is started, and a person chooses."""
    old, target = pair.primary(), pair.standby()
    pair.kill(old)
    pair.must("failover.yml")
    with pair.writing() as writer:
        pass
    pair.shell(target, "rm /etc/postgresql-common/odoo_deploy/epoch.conf && sync")
    pair.kill(target)
    for server in (old, target):
        pair.start(server)
    pair.must_refuse("converge.yml", "were all primaries, and no record shows which one was the last")
    pair.must_refuse("failover.yml", "-e postgres_failover_to=NAME")
    pair.must("failover.yml", postgres_failover_to=target.name)
    assert pair.primary() == target
    pair.must("rejoin.yml")
    assert writer.lost() == []


@pytest.mark.parametrize(
    "task",
    [
        "Power off a suspect that does not answer",
        "Promote the standby once it has everything",
        "Record who is primary",
    ],
)
def test_failover_killed_then_a_power_cut(pair: Pair, task: str) -> None:
    """Each act killed half-way, then both machines lose power: one primary or a refusal, never two."""
    old, target = pair.primary(), pair.standby()
    pair.kill(old)
    pair.killed("failover.yml", task.replace("Power off a suspect that does not answer", "Power off a suspect"))
    time.sleep(2)
    cut_both(pair)
    done = pair.play("converge.yml")
    if done.returncode:
        assert "run playbooks/" in done.stdout.lower(), done.stdout[-3000:]
    writable = [server for server in pair.servers if not answers_in_recovery(pair, server)]
    assert len(writable) <= 1
    if not writable:
        pair.must("failover.yml", postgres_failover_to=target.name)
    pair.play("rejoin.yml")
    assert len([server for server in pair.servers if not answers_in_recovery(pair, server)]) == 1
    pair.must("converge.yml")


def answers_in_recovery(pair: Pair, server: Server) -> bool:
    """False only if the server accepts writes."""
    try:
        return pair.sql(server, "SELECT pg_is_in_recovery()") != "f"
    except RuntimeError:
        return True
