# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From PostgreSQL 13 to 15: what cannot be upgraded changes nothing, what was cut off goes on, and every row is there.

In the order of the file: what comes after the upgrade looks at what it made.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

SCENARIO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCENARIO.parent / "shared"))

from scenario import ROOT, enter  # noqa: E402

enter(SCENARIO)

from pair import Pair, Server, changed, the_pair  # noqa: E402

OLD, NEW = "13", "15"
UPGRADE = "postgres_major_upgrade.yml"
CUT_OFF = "run playbooks/postgres_major_upgrade.yml again"
# What a dump of both versions has to say alike.
KINDS = """
CREATE TABLE kinds (id serial PRIMARY KEY, word text, amount numeric(12, 2), moment timestamptz, tags text[],
  body jsonb, raw bytea, during tstzrange, address inet, uid uuid, file oid);
INSERT INTO kinds (word, amount, moment, tags, body, raw, during, address, uid)
  SELECT 'word ' || n, n / 7.0, timestamptz '2020-01-01 00:00+00' + n * interval '1 hour', ARRAY['a', 'b' || n],
    jsonb_build_object('n', n), decode(md5(n::text), 'hex'), tstzrange('2020-01-01', '2021-01-01'), '192.0.2.1',
    md5(n::text)::uuid
  FROM generate_series(1, 5000) n;
UPDATE kinds SET file = lo_from_bytea(0, decode(repeat(md5(id::text), 1000), 'hex')) WHERE id <= 20;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX kinds_word ON kinds USING gin (word gin_trgm_ops);
SELECT setval('kinds_id_seq', 90000);
"""
CONTENT = """
SELECT count(*) || ' ' || md5(string_agg(k::text, ',' ORDER BY id)) || ' '
  || (SELECT md5(string_agg(md5(lo_get(file)), ',' ORDER BY id)) FROM kinds WHERE file IS NOT NULL) || ' '
  || (SELECT last_value FROM kinds_id_seq) FROM kinds k
"""
ROLES = "SELECT string_agg(rolname || rolpassword, ',' ORDER BY rolname) FROM pg_authid WHERE rolcanlogin"


def in_odoo(pair: Pair, statement: str) -> str:
    """One value from Odoo's database, asked on the primary over TLS with Odoo's password."""
    with psycopg.connect(pair.site.conninfo(pair.servers), autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
    return str(row[0]) if row else ""


def as_superuser(pair: Pair, statement: str) -> None:
    pair.shell(
        pair.primary(), f"runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d odoo -c {json.dumps(statement)}"
    )


def hba(pair: Pair, server: Server) -> str:
    return pair.shell(server, "cat /etc/postgresql/*/main/pg_hba.conf")


def versions(pair: Pair) -> list[str]:
    return [pair.sql(server, "SHOW server_version_num")[:2] for server in pair.servers]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Two servers with rows in them, well afterwards."""
    pair = the_pair(SCENARIO)
    # The inventory knows Odoo's addresses only, and not the one of these tests.
    pair.variables["postgres_client_addresses"] = f"[{pair.controller}/32]"
    in_odoo(pair, KINDS)
    yield pair
    pair.must("status.yml")


@pytest.fixture(scope="module")
def content(pair: Pair) -> dict[str, str]:
    told = {"rows": in_odoo(pair, CONTENT), "roles": pair.sql(pair.primary(), ROLES)}
    return told | {server.name: hba(pair, server) for server in pair.servers}


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({}, "Say to which version"),
        ({"postgres_major_to": "99"}, "14 to 18"),
        ({"postgres_major_to": "18"}, "postgresql-18 could not be installed"),
        ({"postgres_major_to": NEW, "postgres_backup_enabled": "false"}, "Backups are switched off"),
        ({"postgres_major_to": NEW, "postgres_common_version": OLD}, "take it out"),
        ({"postgres_major_to": NEW, "postgres_yes": "false"}, "Nothing was changed. Answer yes"),
    ],
)
def test_refused_before_anything_is_touched(pair: Pair, extra: dict[str, str], words: str) -> None:
    began = [pair.sql(server, "SELECT pg_postmaster_start_time()") for server in pair.servers]
    pair.must_refuse(UPGRADE, words, **extra)
    assert began == [pair.sql(server, "SELECT pg_postmaster_start_time()") for server in pair.servers]


def test_other_version_in_the_variables(pair: Pair) -> None:
    """An ordinary run makes no second cluster beside the first, it names the playbook that upgrades."""
    pair.must_refuse(
        "converge.yml", f"postgres_major_upgrade.yml -e postgres_major_to={NEW}", postgres_common_version=NEW
    )
    assert versions(pair) == [OLD, OLD]


def test_extension_that_the_new_version_lacks(pair: Pair) -> None:
    """pg_upgrade --check finds it while both servers run, and neither is stopped."""
    for server in pair.servers:
        pair.install(server, f"postgresql-{OLD}-prefix")
    as_superuser(
        pair, "CREATE EXTENSION IF NOT EXISTS prefix; CREATE TABLE phones AS SELECT '49'::prefix_range AS number"
    )
    began = [pair.sql(server, "SELECT pg_postmaster_start_time()") for server in pair.servers]
    pair.must_refuse(UPGRADE, 'could not load library "$libdir/prefix"', postgres_major_to=NEW)
    assert began == [pair.sql(server, "SELECT pg_postmaster_start_time()") for server in pair.servers]
    as_superuser(pair, "DROP TABLE phones; DROP EXTENSION prefix")


def test_upgrade_that_fails_puts_the_old_primary_back(pair: Pair, content: dict[str, str]) -> None:
    """A view over a function that is gone: no check sees it, the schema's restore fails, nothing is lost."""
    primary = pair.primary()
    in_odoo(pair, "CREATE VIEW in_backup AS SELECT pg_is_in_backup()")
    with pair.writing() as writer:
        pair.must_refuse(UPGRADE, "function pg_is_in_backup() does not exist", postgres_major_to=NEW)
    assert writer.lost() == []
    assert pair.primary() == primary
    assert versions(pair) == [OLD, OLD]
    assert in_odoo(pair, CONTENT) == content["rows"]
    pair.must("status.yml")
    in_odoo(pair, "DROP VIEW in_backup")
    assert changed(pair.must("converge.yml")) == {"0"}


def killed_on_the_machine(pair: Pair, target: Server) -> None:
    """pg_upgrade and what started it end in the middle, as where the machine loses its power."""
    argv = pair.argv(UPGRADE, postgres_major_to=NEW)
    command = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    dumping = "pgrep --exact pg_upgrade >/dev/null && test -e /var/lib/postgresql/13/main.upgrading && echo yes || true"
    end = time.monotonic() + 120
    while not pair.shell(target, dumping):
        assert time.monotonic() < end, "pg_upgrade did not begin"
    time.sleep(2)
    os.killpg(command.pid, signal.SIGKILL)
    command.wait()
    ours = "pgrep --full '[p]ostgres-major.sh upgrade'"
    pair.shell(target, f"kill -9 $({ours}) 2>/dev/null; systemctl kill --signal=KILL postgres-major.service || true")
    assert pair.shell(target, "ls /etc/postgresql").split() == [OLD, NEW]
    assert pair.shell(target, f"ls /etc/postgresql/{NEW}").split() == ["upgrade"]


def test_given_up_in_the_middle(pair: Pair, content: dict[str, str]) -> None:
    """A power cut while pg_upgrade works, and a person who wants the old primary back: failover, then clearing up."""
    old, target = pair.primary(), pair.standby()
    with pair.writing() as writer:
        killed_on_the_machine(pair, target)
        pair.must_refuse("converge.yml", CUT_OFF)
        pair.must("failover.yml")
        pair.must_refuse(UPGRADE, "Run this again to upgrade", postgres_major_to=NEW)
    assert writer.lost() == []
    assert pair.primary() == old
    assert in_odoo(pair, CONTENT) == content["rows"]
    assert changed(pair.must("converge.yml")) == {"0"}


def test_cut_off_again_and_again(pair: Pair, content: dict[str, str]) -> None:
    """Killed in every part of it: what is run then refuses or goes on; in the end every acknowledged row is there."""
    old, target = pair.primary(), pair.standby()
    with pair.writing() as writer:
        pair.killed(UPGRADE, "Let pg_upgrade look at the running server", 1, postgres_major_to=NEW)
        assert pair.primary() == old
        pair.killed(UPGRADE, "Stop the standby", 0, postgres_major_to=NEW)
        pair.must_refuse("status.yml", "No server accepts writes")
        killed_on_the_machine(pair, target)
        pair.killed(UPGRADE, "Upgrade its data", 1, postgres_major_to=NEW)
        pair.must_refuse("converge.yml", CUT_OFF)
        pair.killed(UPGRADE, "Retire the old cluster", 0, postgres_major_to=NEW)
        pair.killed(UPGRADE, "Gather statistics", 1, postgres_major_to=NEW)
        pair.killed(UPGRADE, "Copy the primary's data", 0.5, postgres_major_to=NEW)
        pair.must(UPGRADE, postgres_major_to=NEW)
    assert writer.lost() == []
    assert pair.primary() == target
    assert versions(pair) == [NEW, NEW]
    assert in_odoo(pair, CONTENT) == content["rows"]
    assert pair.sql(target, ROLES) == content["roles"]
    assert in_odoo(pair, "INSERT INTO kinds (word) VALUES ('after') RETURNING id") == "90001"
    # The index, the statistics and the extension are usable as they are.
    assert (
        int(pair.shell(target, "runuser -u postgres -- psql -XAtqd odoo -c 'SELECT count(*) FROM pg_statistic'")) > 400
    )
    assert in_odoo(pair, "SELECT count(*) FROM kinds WHERE word LIKE '%word 4999%'") == "1"
    assert pair.sql(target, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "0"


def test_everything_is_as_before_on_the_new_version(pair: Pair, content: dict[str, str]) -> None:
    """Streaming, checksums, TLS and pg_hba.conf; neither postgres.yml nor a second upgrade finds anything to do."""
    assert changed(pair.must("converge.yml")) == {"0"}
    again = pair.must(UPGRADE, postgres_major_to=NEW)
    assert f"Every server has PostgreSQL {NEW} already" in again
    assert changed(again) == {"0"}
    pair.must_refuse(UPGRADE, "cannot become 14", postgres_major_to="14")
    pair.streaming()
    pair.caught_up()
    for server in pair.servers:
        assert pair.sql(server, "SHOW data_checksums") == "on"
        assert pair.sql(server, "SHOW ssl_min_protocol_version") == "TLSv1.2"
        assert pair.sql(server, "SHOW port") == "5432"
        assert pair.shell(server, "systemctl is-system-running").strip() == "running"
        assert hba(pair, server) == content[server.name]
    conninfo = pair.site.conninfo(pair.servers)
    with pytest.raises(psycopg.OperationalError, match="rejects connection"):
        psycopg.connect(conninfo.replace("sslmode=verify-full", "sslmode=disable")).close()


def test_backups_go_on(pair: Pair) -> None:
    """The repository took the new databases for its own: a backup, its restore, and WAL that is archived."""
    keeper = pair.servers[1]
    for _attempt in range(60):  # the upgrade began one
        if (
            pair.shell(keeper, "systemctl show --value --property=ActiveState postgres-backup@full").strip()
            == "inactive"
        ):
            break
        time.sleep(1)
    pair.must("backup.yml", postgres_backup_type="incr")
    pair.must("backup.yml", postgres_backup_drill="true")
    told = json.loads(
        pair.shell(keeper, "runuser -u postgres -- pgbackrest --stanza=molecule-postgres-major --output=json info")
    )[0]
    assert [one["version"] for one in told["db"]] == [OLD, NEW]
    newest = told["backup"][-1]
    assert newest["database"]["id"] == told["db"][-1]["id"]
    assert newest["error"] is False


def test_old_data_is_kept_and_can_be_dropped(pair: Pair) -> None:
    """On the server that was primary, as a cluster that does not start; what the message says removes it."""
    old = pair.standby()
    assert pair.shell(old, "pg_lsclusters --no-header").split()[:4] == [OLD, "replaced", "5432", "down,recovery"]
    pair.shell(old, "systemctl restart postgresql.service")
    assert "down" in pair.shell(old, f"pg_lsclusters --no-header {OLD} replaced")
    pair.shell(old, f"pg_dropcluster {OLD} replaced")
    for server in pair.servers:
        assert pair.shell(server, "pg_lsclusters --no-header").split()[:2] == [NEW, "main"]
        assert pair.shell(server, "ls /var/lib/postgresql").split() == [NEW, "scratch"]


def test_switchover_on_the_new_version(pair: Pair) -> None:
    """Back to the machine that was primary before."""
    target = pair.standby()
    with pair.writing() as writer:
        pair.must("switchover.yml", postgres_switchover_to=target.name)
    assert writer.lost() == []
    assert pair.primary() == target
