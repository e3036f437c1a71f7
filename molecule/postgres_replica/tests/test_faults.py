# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks, disks, pages and clocks that fail, and the planned work on a running pair."""

from __future__ import annotations

import time

import psycopg
import pytest
from pair import Pair, Server, changed

# 200 MB of WAL that belong to no table.
FILL = "SELECT count(pg_logical_emit_message(false, 'fill', repeat('x', 1000000))) FROM generate_series(1, 200)"


def test_network_cut_between_the_servers(pair: Pair) -> None:
    """The primary goes on alone, every command says so, and the standby catches up by itself when the cable is back."""
    primary, standby = pair.primary(), pair.standby()
    with pair.writing() as writer:
        with pair.cut(primary, standby.address):
            pair.eventually(primary, "SELECT count(*) FROM pg_stat_replication", "0")
            pair.eventually(standby, "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'", "0")
            pair.must_refuse("status.yml", f"Following nobody: {standby.name}")
            pair.must_refuse("switchover.yml", f"{standby.name} does not stream")
            pair.must_refuse("failover.yml", "use switchover.yml")
        pair.streaming()
    assert pair.primary() == primary
    assert writer.record.gap() < 2, "an asynchronous primary must not wait for its standby"
    assert writer.lost() == []


def test_network_cut_between_primary_and_clients(pair: Pair) -> None:
    """Clients cannot reach a primary that is well: a switchover gives them the other server."""
    primary, standby = pair.primary(), pair.standby()
    with pair.writing() as writer, pair.cut(primary, pair.controller):
        pair.must("switchover.yml")
        moment = time.monotonic()
        time.sleep(5)
        assert pair.primary() == standby
        assert writer.record.times[-1] > moment, "nobody could write after the switchover"
    assert writer.lost() == []


def test_disk_of_the_wal_fills(pair: Pair) -> None:
    """A full disk stops the primary, not its data: it is back when there is room, with every acknowledged row."""
    primary = pair.primary()
    unit, data = pair.unit(primary), pair.sql(primary, "SHOW data_directory")
    wal, disk = f"{data}/pg_wal", f"{data}.wal"
    pair.shell(
        primary,
        f"systemctl stop {unit} && mv {wal} {disk} && install -d -m 0700 -o postgres -g postgres {wal}"
        f" && mount -t tmpfs -o size=$(($(du -sm {disk} | cut -f1) + 64))M,mode=0700 tmpfs {wal}"
        f" && chown postgres: {wal} && cp -a {disk}/. {wal}/ && systemctl start {unit}",
    )
    try:
        with pair.writing() as writer:
            with pytest.raises(RuntimeError, match="server"):
                pair.sql(primary, FILL)
            pair.must_refuse("status.yml", "No server accepts writes")
            refused = len(writer.record.acknowledged)
            time.sleep(2)
            assert len(writer.record.acknowledged) == refused, "rows were acknowledged on a full disk"
            pair.shell(primary, f"mount -o remount,size=900M {wal}")
            assert pair.primary() == primary
        assert len(writer.record.acknowledged) > refused
        assert writer.lost() == []
        assert "No space left on device" in pair.shell(primary, "cat /var/log/postgresql/*.log")
    finally:
        pair.shell(
            primary,
            f"systemctl stop {unit}; rm -rf {disk}; cp -a {wal} {disk} && umount {wal}"
            f" && rmdir {wal} && mv {disk} {wal} && systemctl start {unit}",
        )
    pair.streaming()


def test_corrupt_page(pair: Pair) -> None:
    """Checksums refuse a page that the disk changed, status says so, and a new copy repairs a standby."""
    primary, standby = pair.primary(), pair.standby()
    unit, data = pair.unit(standby), pair.sql(standby, "SHOW data_directory")
    table = "CREATE TABLE corrupt WITH (autovacuum_enabled = false) AS SELECT generate_series(1, 1000) AS number"
    pair.sql(primary, table)
    try:
        # Nothing is left to be written to the page, so no page image in the WAL heals what is broken below.
        pair.sql(primary, "VACUUM (FREEZE) corrupt")
        pair.sql(primary, "CHECKPOINT")
        pair.caught_up()
        page = f"{data}/{pair.sql(primary, 'SELECT pg_relation_filepath($$corrupt$$)')}"
        pair.shell(
            standby,
            f"systemctl stop {unit} && printf decay | dd of={page} bs=1 seek=8000 conv=notrunc status=none"
            f" && systemctl start {unit}",
        )
        with pytest.raises(RuntimeError, match="invalid page in block 0"):
            pair.sql(standby, "SELECT sum(number) FROM corrupt")
        pair.streaming()
        pair.must_refuse("status.yml", f"Corrupt pages: {standby.name}")
        pair.must("rejoin.yml", postgres_rejoin=standby.name, postgres_rejoin_copy="true")
        assert pair.sql(standby, "SELECT sum(number) FROM corrupt") == "500500"
    finally:
        pair.sql(primary, "DROP TABLE corrupt")


def test_clock_that_is_behind(pair: Pair) -> None:
    """A standby two hours behind follows, its lag is told by the primary's clock, and it can take over."""
    primary, standby = pair.primary(), pair.standby()
    unit, environment = pair.unit(standby), f"/etc/postgresql/{pair.version(standby)}/main/environment"
    pair.install(standby, "libfaketime")
    library = pair.shell(standby, "ls /usr/lib/*/faketime/libfaketime.so.1").strip()
    skew = f"LD_PRELOAD = '{library}'\\nFAKETIME = '-2h'\\nFAKETIME_DONT_FAKE_MONOTONIC = '1'\\n"
    pair.shell(
        standby, f'cp {environment} /tmp/environment && printf "{skew}" >> {environment} && systemctl restart {unit}'
    )
    try:
        behind = time.time() - float(pair.sql(standby, "SELECT extract(epoch FROM clock_timestamp())"))
        assert 7100 < behind < 7300
        folder = "/etc/postgresql-common/odoo_deploy"
        verify = f"openssl verify -CAfile {folder}/ca.crt {folder}/server.crt"
        pair.shell(standby, f"LD_PRELOAD={library} FAKETIME=-2h {verify}")
        pair.streaming()
        pair.must("status.yml")
        with pair.writing() as writer:
            lag = pair.sql(primary, "SELECT coalesce(extract(epoch FROM replay_lag), 0) FROM pg_stat_replication")
            assert -1 < float(lag) < 10, f"lag of {lag} s"
            pair.must("switchover.yml", postgres_switchover_to=standby.name)
        assert pair.primary() == standby
        assert writer.lost() == []
    finally:
        pair.shell(standby, f"cat /tmp/environment > {environment} && systemctl restart {unit}")
    pair.streaming()


def test_minor_upgrade_rolls(pair: Pair) -> None:
    """Standby, switchover, old primary: both run the newer version, and no acknowledged row is lost."""
    old, target = pair.primary(), pair.standby()
    newest = {pair.outdate(server) for server in (target, old)}
    assert len(newest) == 1
    pair.streaming()
    with pair.writing() as writer:
        pair.must("postgres_upgrade.yml")
    assert writer.lost() == []
    assert writer.record.gap() < 15
    assert pair.primary() == target
    pair.up_to_date(newest.pop())
    again = pair.must("postgres_upgrade.yml")
    assert "Every server is up to date" in again
    assert changed(again) == {"0"}


def shown(pair: Pair, server: Server) -> str:
    """Serial number of the certificate that clients are shown."""
    asked = "openssl s_client -starttls postgres -connect 127.0.0.1:5432 </dev/null 2>/dev/null"
    return pair.shell(server, f"{asked} | openssl x509 -noout -serial")


def test_certificates_are_renewed(pair: Pair) -> None:
    """Renewed on demand and shown at once, no connection is dropped, and what trusted the authority still does."""
    authority = pair.site.secrets / "ca" / "ca.crt"
    trusted = authority.with_name("before.crt")
    trusted.write_bytes(authority.read_bytes())
    before = {server.name: shown(pair, server) for server in pair.servers}
    with psycopg.connect(pair.site.conninfo(pair.servers), autocommit=True) as connection:
        idle = pair.must("renew_certificates.yml")
        assert "Every certificate is good" in idle
        assert changed(idle) == {"0"}
        pair.must("renew_certificates.yml", postgres_renew_all="true")
        renewed = {server.name: shown(pair, server) for server in pair.servers}
        assert all(renewed[name] != before[name] for name in renewed)
        assert authority.read_bytes() == trusted.read_bytes(), "the authority must be kept unless asked"
        pair.must("renew_certificates.yml", postgres_renew_authority="true")
        assert authority.read_bytes() != trusted.read_bytes()
        assert connection.execute("SELECT 1").fetchone() == (1,), "the connection of before was dropped"
    for certificate in (authority, trusted):
        conninfo = pair.site.conninfo(pair.servers).replace(str(authority), str(certificate))
        with psycopg.connect(conninfo) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    trusted.unlink()
    assert changed(pair.must("converge.yml")) == {"0"}
