# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups are worth what a restore of them brings: both sides of a moment, a damaged page, a repository that was away.

In the order of the file: later tests use the backups of earlier ones.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from backups import WRITTEN, Site, postgres, sql
from scenario import INVENTORY, ROOT
from support.deployment import Machine, eventually


def test_first_backup_was_taken(site: Site) -> None:
    """The run that set the repository up ended with a full backup; its sentinel is on both servers."""
    site.first()
    timers = ("postgres-backup@full", "postgres-backup@diff", "postgres-backup-drill", "postgres-backup-check")
    for unit in ("pgbackrest.service", *(f"{timer}.timer" for timer in timers)):
        site.keeper.run("systemctl is-active %s", unit)
        site.keeper.run("systemctl is-enabled %s", unit)
    postgres(site.keeper, f"pgbackrest --stanza={site.stanza} check")


def test_only_named_certificates_get_in(site: Site) -> None:
    """pgBackRest's server turns away who has none of the deployment's certificates, or another machine's name."""
    tls = "/etc/pgbackrest/tls"
    words = f"pgbackrest --no-config --stanza={site.stanza} --repo1-host={site.pg2.address} --repo1-host-type=tls"
    files = f"--repo1-host-ca-file={tls}/ca.crt --repo1-host-cert-file={{0}}.crt --repo1-host-key-file={{0}}.key"
    answer = postgres(site.pg1, f"{words} {files.format(tls + '/host')} repo-ls backup")
    assert site.stanza in answer
    own = "/etc/postgresql-common/odoo_deploy/server"  # signed by the same authority, with another name
    for certificate in (own, "/tmp/stranger"):
        postgres(
            site.pg1,
            "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=backup.pg1 -days 2"
            " -keyout /tmp/stranger.key -out /tmp/stranger.crt 2>/dev/null; chmod 600 /tmp/stranger.key",
        )
        done = site.pg1.host.run(
            "runuser -u postgres -- sh -c %s",
            f"cd /; {words} --io-timeout=5 {files.format(certificate)} repo-ls backup",
        )
        assert done.rc != 0, done.stdout
        assert site.stanza not in done.stdout
    address = site.pg1.address
    conninfo = f"host={address} user=backup dbname=postgres sslmode=require"
    for extra in ("sslcert=/tmp/none", f"sslcert={own}.crt sslkey={own}.key"):
        done = site.pg2.host.run("runuser -u postgres -- psql -XAtq -c 'SELECT 1' %s", f"{conninfo} {extra}")
        assert done.rc != 0, done.stdout


def test_role_backup_may_do_backups_and_nothing_else(site: Site) -> None:
    as_backup = "SET ROLE backup; "
    assert sql(site.pg1, f"{as_backup}SELECT count(*) > 0 FROM postgres_backup.sentinel") == "t"
    for statement in (
        "SELECT rolpassword FROM pg_authid",
        "CREATE TABLE public.refused ()",
        "SELECT pg_reload_conf()",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
    ):
        done = site.pg1.host.run("runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -c %s", as_backup + statement)
        assert done.rc != 0 and re.search("permission denied|must be superuser", done.stderr), statement
    assert sql(site.pg1, "SELECT has_database_privilege('backup', 'odoo', 'CONNECT')") == "f"
    assert sql(site.pg1, "SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'backup'") == "t"


def test_passphrase_stays_secret(site: Site) -> None:
    """Encrypted repository; the passphrase is in one file of mode 0600 on the keeper, in no argument and no log."""
    path = site.secrets / "postgres_backup_passphrase"
    assert oct(path.stat().st_mode)[-3:] == "600"
    passphrase = path.read_text(encoding="utf-8").split()[0]
    file = site.keeper.host.file("/etc/pgbackrest/conf.d/20-secrets.conf")
    assert (file.user, oct(file.mode)) == ("postgres", "0o600")
    assert passphrase in file.content_string
    for machine in (site.pg1, site.pg2):
        assert site.leaks(machine, passphrase) == ""
        assert oct(machine.host.file("/etc/pgbackrest/tls/host.key").mode) == "0o600"
    head = postgres(site.keeper, "head -c 8 /var/lib/pgbackrest/archive/*/archive.info")
    assert head.startswith("Salted__")


def test_given_options_are_in_force(site: Site) -> None:
    """WAL and backups are compressed as postgres_backup_options says, and no segment failed."""
    names = postgres(
        site.keeper, "find /var/lib/pgbackrest/archive /var/lib/pgbackrest/backup -type f -printf '%f\\n'"
    ).split()
    assert [name for name in names if re.match(r"[0-9A-F]{24}-.*\.lz4$", name)]
    assert not [name for name in names if name.endswith(".zst")]
    assert (
        sql(site.primary(), "SELECT failed_count FROM pg_stat_archiver WHERE last_failed_time > last_archived_time")
        == ""
    )


def test_the_encryption_of_a_repository_stays(site: Site) -> None:
    """Turning it off is refused before anything is touched, with the way to do it."""

    def files(machine: Machine) -> str:
        return machine.run("find /etc/pgbackrest -type f -exec sha256sum {} +")

    before = [files(machine) for machine in (site.pg1, site.pg2)]
    site.must_refuse("converge.yml", "postgres_backup_repository_path another folder", postgres_backup_encrypted=False)
    site.must_refuse(
        "converge.yml", "give postgres_backup_repository,", postgres_backup_options={"repo1-path": "/elsewhere"}
    )
    assert [files(machine) for machine in (site.pg1, site.pg2)] == before


def test_both_sides_of_a_moment(site: Site) -> None:
    """What was acknowledged before the moment is there, what came after is not; the newest state has both."""
    sql(site.pg1, "DROP TABLE IF EXISTS sentinels", "odoo")
    moment = site.write("before")
    site.write("after")
    site.archived()
    pids = [sql(server, "SELECT pg_postmaster_start_time()") for server in (site.pg1, site.pg2)]
    said = site.must("restore.yml", postgres_backup_to=moment)
    assert "The servers are not touched" in said
    assert "every table and index was checked" in said
    assert site.restored(WRITTEN) == "before"
    assert site.restored("SHOW archive_mode") == "off"
    assert site.restored("SHOW listen_addresses") == ""
    postgres(site.keeper, "postgres-backup restore")
    assert site.restored(WRITTEN) == "before,after"
    assert [sql(server, "SELECT pg_postmaster_start_time()") for server in (site.pg1, site.pg2)] == pids
    assert "Remove the restored cluster" in site.must("restore.yml", postgres_backup_remove=True)
    assert site.keeper.run("ls -A /var/lib/postgresql/scratch") == ""


def test_in_place_wants_the_name_typed(site: Site) -> None:
    site.must_refuse("restore.yml", "type the cluster's name", postgres_backup_restore_in_place="yes")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("--type time --target '2026-11-23 02:34:29'", "does not say its offset"),
        ("--type time --target '2020-01-01 00:00:00Z'", "before the end of the oldest backup"),
        ("--type time --target '2126-01-01 00:00:00Z'", "no transaction after that moment"),
        ("--type set --target 20200101-000000F", "no backup is called"),
    ],
)
def test_refused_in_words_that_help(site: Site, argv: str, words: str) -> None:
    done = site.keeper.host.run("runuser -u postgres -- sh -c %s", f"cd /; postgres-backup restore {argv}")
    assert done.rc == 1
    assert words in done.stderr


def test_drill_restores_checks_and_tells(site: Site) -> None:
    """The timer's unit; Prometheus finds time and result, and the repository's size, on :9100."""
    began = float(site.keeper.run("date +%s"))
    said = site.must("backup.yml", postgres_backup_drill=True)
    assert "checked it in" in said
    assert site.metric("drill_success") == 1
    assert site.metric("drill_timestamp_seconds") >= began
    assert site.metric("repository_bytes") > 1_000_000
    assert "drill" not in site.keeper.run("ls -A /var/lib/postgresql/scratch")
    assert "LAST DRILL restored" in site.must("status.yml")


def test_drill_that_misses_a_sentinel_fails(site: Site) -> None:
    done = site.keeper.host.run("runuser -u postgres -- postgres-backup drill --sentinel never-written")
    assert done.rc == 1
    assert "sentinel never-written" in done.stderr
    assert site.metric("drill_success") == 0
    assert "LAST DRILL FAILED" in site.must("status.yml")


def test_repository_away(site: Site) -> None:
    """Nothing is lost while it is away, and everything is archived once it is back."""
    token = f"while-away-{time.time():.0f}"
    site.keeper.run("systemctl stop pgbackrest")
    try:
        sql(site.pg1, f"INSERT INTO postgres_backup.sentinel (token, type) VALUES ('{token}', 'test')")
        for _turn in range(3):
            sql(site.pg1, "SELECT pg_switch_wal(), pg_logical_emit_message(false, 'test', 'x')")

        def failing() -> None:
            assert sql(site.pg1, "SELECT last_failed_time > last_archived_time FROM pg_stat_archiver") == "t"

        eventually(failing, 60)
        site.keeper.run("systemctl start postgres-backup-check")
        assert site.metric("archive_failing") == 1
        assert int(site.pg1.run("ls /var/lib/postgresql/15/main/pg_wal/archive_status | grep -c ready$")) >= 3
    finally:
        site.keeper.run("systemctl start pgbackrest")
    site.archived()
    site.keeper.run("systemctl start postgres-backup-check")
    assert site.metric("archive_failing") == 0
    postgres(site.keeper, f"postgres-backup drill --sentinel {token}")
    assert site.metric("drill_success") == 1


def test_damaged_page(site: Site) -> None:
    """A heap page changes on the primary's disk: reads fail, the backup says which file, a restore has every row."""
    server = site.pg1
    sql(
        server,
        "CREATE TABLE damaged AS SELECT number, repeat('x', 100) AS filler FROM generate_series(1, 5000) number",
        "odoo",
    )
    rows = "SELECT count(*) || ' ' || sum(number) FROM damaged"
    whole = sql(server, rows, "odoo")
    site.must("backup.yml", postgres_backup_type="incr")
    good = site.info()[-1]["label"]
    path = sql(server, "SELECT pg_relation_filepath('damaged')", "odoo")
    sql(server, "CHECKPOINT")
    unit = "postgresql@15-main"
    server.run(f"systemctl stop {unit}")
    server.run(f"printf damaged | dd of=/var/lib/postgresql/15/main/{path} bs=1 seek=20000 conv=notrunc")
    server.run(f"systemctl start {unit}")
    done = server.host.run("runuser -u postgres -- psql -XAtq -d odoo -c %s", rows)
    assert done.rc != 0 and "invalid page in block 2" in done.stderr
    site.must_refuse("backup.yml", "wrong checksums", postgres_backup_type="incr")
    assert Path(path).name in site.keeper.run("journalctl -u postgres-backup@incr --no-pager -n 20 -o cat")
    assert site.metric("bad_pages") == 1
    site.must_refuse("status.yml", "WITH DAMAGED PAGES")
    damaged = site.info()[-1]["label"]
    site.must("restore.yml", postgres_backup_set=good)
    assert site.restored(rows) == whole
    # What was copied damaged stays so, and no restore of it passes for good.
    site.must_refuse("restore.yml", "pg_amcheck found damage", postgres_backup_set=damaged)
    sql(server, "DROP TABLE damaged", "odoo")
    sql(server, "SELECT pg_stat_reset()", "odoo")
    site.must("status.yml")
    site.must("backup.yml", postgres_backup_type="full")
    assert site.metric("bad_pages") == 0


def test_backups_follow_a_switchover(site: Site) -> None:
    """There and back: the new primary archives, is backed up by itself, and the next run changes nothing."""
    for target in (site.pg2, site.pg1):
        site.must("switchover.yml", postgres_switchover_to=target.name)
        site.archived()
        site.keeper.run("systemctl start postgres-backup-check")
        timeline = sql(target, "SELECT timeline_id FROM pg_control_checkpoint()")
        assert site.info()[-1]["archive"]["stop"].startswith(f"{int(timeline):08X}")
        if target == site.pg2:
            said = site.must("converge.yml")
            assert set(re.findall(r"changed=(\d+)", said)) == {"0"}


def test_restore_in_place(site: Site) -> None:
    """Killed half-way and run again: both servers hold the restored moment, the old data is kept."""
    sql(site.pg1, "TRUNCATE sentinels", "odoo")
    moment = site.write("kept")
    site.write("mistake")
    site.archived()
    words = ["-e", "postgres_yes=true", "-e", f"postgres_backup_restore_in_place={site.stanza}"]
    argv = ["ansible-playbook", "-i", INVENTORY, str(ROOT / "playbooks" / "restore.yml"), *words]
    argv += ["-e", f'{{"postgres_backup_to": "{moment}"}}']
    command = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert command.stdout is not None
    for row in command.stdout:
        if "Restore beside and check" in row:
            break
    time.sleep(1)
    os.killpg(command.pid, signal.SIGKILL)
    command.wait()
    said = site.must("restore.yml", postgres_backup_restore_in_place=site.stanza, postgres_backup_to=moment)
    assert "REPLACE the databases" in said
    assert site.primary() == site.pg1
    for server in (site.pg1, site.pg2):
        eventually(lambda server=server: _has(sql(server, WRITTEN, "odoo"), "kept"), 20)
        assert (
            sql(
                server,
                "SELECT count(*) FROM pg_file_settings WHERE name ~ 'recovery_target|restore_command'"
                " AND sourcefile ~ 'auto'",
            )
            == "0"
        )
    assert "main.replaced-" in site.pg1.run("ls /var/lib/postgresql/15")
    site.must("status.yml")
    said = site.must("converge.yml")
    assert set(re.findall(r"changed=(\d+)", said)) == {"0"}
    site.archived()
    eventually(lambda: _has(site.info()[-1]["type"], "full"), 60)
    postgres(site.keeper, "postgres-backup drill")
    site.pg1.run("rm -rf /var/lib/postgresql/15/main.replaced-*")


def _has(found: str, expected: str) -> None:
    assert found == expected


def served(site: Site, machine: Machine) -> str:
    """Serial number of the certificate that a machine's pgBackRest shows to the other one."""
    asked = f"openssl s_client -connect {machine.address}:8432 </dev/null 2>/dev/null | openssl x509 -noout -serial"
    return (site.pg2 if machine == site.pg1 else site.pg1).run(asked)


def test_certificates_are_renewed(site: Site) -> None:
    """Shown at once by a server that goes on, and accepted by the other machine."""
    machines = (site.pg1, site.pg2)
    before = [(served(site, one), one.run("systemctl show --value --property=MainPID pgbackrest")) for one in machines]
    said = site.must("renew_certificates.yml")
    assert "Every certificate is good" in said
    assert set(re.findall(r"changed=(\d+)", said)) == {"0"}
    said = site.must("renew_certificates.yml", postgres_renew_all=True)
    assert "backup.pg1, backup.pg2" in said
    for one, (serial, pid) in zip(machines, before, strict=True):
        assert served(site, one) != serial
        assert one.run("systemctl show --value --property=MainPID pgbackrest") == pid, (
            "a backup would have been cut off"
        )
    postgres(site.keeper, f"pgbackrest --stanza={site.stanza} check")
    site.archived()
    site.must("backup.yml")
    assert set(re.findall(r"changed=(\d+)", site.must("converge.yml"))) == {"0"}
