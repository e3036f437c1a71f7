# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 3: the PostgreSQL machines. Which of them is primary is asked, not assumed."""

from __future__ import annotations

import json
import re
import uuid

import psycopg
import pytest
from support.deployment import Deployment, Machine, eventually

pytestmark = pytest.mark.postgres


def sql(machine: Machine, statement: str, database: str = "postgres") -> str:
    return machine.run("runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d %s -c %s", database, statement)


@pytest.fixture(scope="module")
def machines(deployment: Deployment) -> list[Machine]:
    return deployment.machines("postgres")


@pytest.fixture(scope="module")
def primary(machines: list[Machine]) -> Machine:
    primaries = [machine for machine in machines if sql(machine, "SELECT pg_is_in_recovery()") == "f"]
    assert len(primaries) == 1, f"primaries: {[machine.name for machine in primaries]}"
    return primaries[0]


@pytest.fixture(scope="module")
def standbys(machines: list[Machine], primary: Machine) -> list[Machine]:
    return [machine for machine in machines if machine is not primary]


def test_machines_run(machines: list[Machine]) -> None:
    """systemd is 'running' on the PostgreSQL machines: no unit failed"""
    for machine in machines:
        machine.assert_running()


def test_standby_streams(primary: Machine, standbys: list[Machine]) -> None:
    """Every standby streams from the primary through a slot of its own"""
    query = (
        "SELECT count(*) FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid"
        " WHERE r.state = 'streaming'"
    )
    assert int(sql(primary, query)) == len(standbys)
    for standby in standbys:
        assert sql(standby, "SELECT status FROM pg_stat_wal_receiver") == "streaming", standby.name


def test_synchronous_replication_is_in_force(primary: Machine, standbys: list[Machine]) -> None:
    """The primary waits for its standbys where it is set to: no suspension was left after they came back"""
    suspended = primary.run("find /etc/postgresql -name 99-sync-suspended.conf")
    assert not (standbys and suspended), (
        f"{primary.name} waits for no standby though all of them stream: {suspended} is still there"
    )
    wanted = sql(primary, "SHOW synchronous_standby_names")
    if wanted and standbys:
        assert int(sql(primary, "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')")) > 0


def test_row_reaches_the_standby(primary: Machine, standbys: list[Machine]) -> None:
    """A row written on the primary is read on the standby"""
    word = uuid.uuid4().hex
    table = f"verify_{word}"
    sql(primary, f"CREATE TABLE {table} AS SELECT '{word}' AS word")
    try:
        for standby in standbys:

            def check(standby: Machine = standby) -> None:
                assert sql(standby, f"SELECT to_regclass('{table}') IS NOT NULL") == "t"
                assert sql(standby, f"SELECT word FROM {table}") == word

            eventually(check, seconds=10, every=0.2)
    finally:
        sql(primary, f"DROP TABLE {table}")


def test_standby_refuses_writes(standbys: list[Machine]) -> None:
    """Writing on the standby is refused"""
    for standby in standbys:
        done = standby.host.run("runuser -u postgres -- psql -Xq -d postgres -c 'CREATE TABLE refused ()'")
        assert done.rc != 0
        assert "read-only transaction" in done.stderr


def test_data_is_checksummed(machines: list[Machine]) -> None:
    """Data pages carry checksums, passwords are SCRAM"""
    for machine in machines:
        assert sql(machine, "SHOW data_checksums") == "on", machine.name
        weak = sql(
            machine,
            "SELECT rolname FROM pg_authid WHERE rolpassword IS NOT NULL AND rolpassword NOT LIKE 'SCRAM-SHA-256$%'",
        )
        assert weak == "", f"{machine.name}: {weak}"


def test_strangers_are_refused(machines: list[Machine]) -> None:
    """The database turns away an address that is not listed, and a client without TLS"""
    for machine in machines:
        for mode in ("require", "disable"):
            with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects connection"):
                psycopg.connect(
                    host=machine.address, user="odoo", password="wrong", dbname="odoo", sslmode=mode, connect_timeout=5
                )


def test_listens_only_where_needed(machines: list[Machine]) -> None:
    """PostgreSQL listens on loopback and on the machines' network, nowhere else"""
    for machine in machines:
        listening = {line.split()[3].rsplit(":", 1)[0] for line in machine.run("ss -Hltn 'sport = :5432'").splitlines()}
        assert listening <= {"127.0.0.1", "[::1]", machine.address}, f"{machine.name}: {listening}"
        assert machine.address in listening


def test_backups_are_kept(deployment: Deployment, machines: list[Machine], primary: Machine) -> None:
    """Where backups are taken, a whole one is in the repository, and the WAL of this moment gets there"""
    keepers = [
        machine.name
        for machine in {machine.name: machine for machine in [*machines, *deployment.machines("backup")]}.values()
        if machine.host.run("systemctl is-enabled --quiet postgres-backup-check.timer").rc == 0
    ]
    archives = sql(primary, "SHOW archive_mode") != "off"
    assert archives == bool(keepers), (
        f"{primary.name} archives: {archives}; backups are taken by: {keepers or 'nobody'}"
    )
    if not archives:
        return
    (stanza,) = re.findall(r"--stanza=(\S+)", sql(primary, "SHOW archive_command"))
    segment = sql(primary, "SELECT pg_walfile_name(pg_switch_wal())")

    def archived() -> None:
        assert sql(primary, "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver")[:24] >= segment

    def backed_up() -> None:
        told = primary.run(f"runuser -u postgres -- pgbackrest --stanza={stanza} --output=json info")
        backups = json.loads(told)[0]["backup"]
        assert backups and not backups[-1]["error"], backups

    eventually(archived, seconds=60, every=0.3)
    eventually(backed_up, seconds=90)


def test_node_exporter_tells_its_name(machines: list[Machine]) -> None:
    """node_exporter answers on the PostgreSQL machines, with the right name"""
    for machine in machines:
        machine.assert_node_exporter()
