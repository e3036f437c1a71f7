# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same promises with the repository in S3: no machine of the deployment has a copy, nobody is told the keys.

In the order of the file: later tests use the backups of earlier ones.
"""

from __future__ import annotations

import re

from backups import WRITTEN, Machine, Site, eventually, postgres, sql

BUCKET = "/srv/store/backups/odoo"


def test_first_backup_is_in_the_store(site: Site, store: Machine) -> None:
    """The run that set the repository up ended with a full backup, encrypted before it left; all have the timers."""
    label = site.first()["label"]
    for server in (site.pg1, site.pg2):
        assert server.run("ls -A /var/lib/pgbackrest") == ""
        for timer in ("postgres-backup@full", "postgres-backup@diff", "postgres-backup-check"):
            server.run("systemctl is-active %s.timer", timer)
    site.pg2.run("systemctl is-active postgres-backup-drill.timer")
    assert store.run(f"ls {BUCKET}/backup/{site.stanza}").split().count(label) == 1
    assert store.run(f"head -c 8 {BUCKET}/archive/{site.stanza}/archive.info") == "Salted__"


def test_keys_stay_secret(site: Site) -> None:
    """In one file of mode 0600 on the servers, in no argument and no log; no other authority's store gets them."""
    secret = (site.secrets / "store_key").read_text(encoding="utf-8").split()[0]
    for server in (site.pg1, site.pg2):
        file = server.host.file("/etc/pgbackrest/conf.d/20-secrets.conf")
        assert (file.user, oct(file.mode)) == ("postgres", "0o600")
        assert secret in file.content_string
        assert site.leaks(server, secret) == ""
    done = site.pg1.host.run(
        "runuser -u postgres -- pgbackrest --repo1-storage-ca-file=/etc/ssl/certs/ca-certificates.crt repo-ls"
    )
    assert done.rc != 0
    assert "unable to verify certificate" in done.stderr + done.stdout


def test_wrong_key_is_told(site: Site) -> None:
    """The store turns it away, in words; the right key mends it."""
    wrong = {"s3-key": "odoo", "s3-key-secret": "x" * 40}
    site.must_refuse("converge.yml", "failed with 403 (Forbidden)", postgres_backup_object_store_secrets=wrong)
    site.must("converge.yml")
    assert set(re.findall(r"changed=(\d+)", site.must("converge.yml"))) == {"0"}


def test_drills_are_a_servers(site: Site) -> None:
    site.must_refuse(
        "converge.yml", "postgres_backup_drill_host is store: one of pg1, pg2", postgres_backup_drill_host="store"
    )


def test_both_sides_of_a_moment(site: Site) -> None:
    """What was acknowledged before the moment is there, what came after is not; the newest state has both."""
    sql(site.pg1, "DROP TABLE IF EXISTS sentinels", "odoo")
    moment = site.write("before")
    site.write("after")
    site.archived()
    assert "The servers are not touched" in site.must("restore.yml", postgres_backup_to=moment)
    assert site.restored(WRITTEN) == "before"
    postgres(site.keeper, "postgres-backup restore")
    assert site.restored(WRITTEN) == "before,after"
    assert "Remove the restored cluster" in site.must("restore.yml", postgres_backup_remove=True)


def test_drill(site: Site) -> None:
    assert "checked it in" in site.must("backup.yml", postgres_backup_drill=True)
    assert site.metric("drill_success") == 1
    assert site.metric("repository_bytes") > 1_000_000
    assert "LAST DRILL restored" in site.must("status.yml")


def test_store_away(site: Site, store: Machine) -> None:
    """Nothing is lost while it is away, and everything is archived once it is back."""
    store.run("systemctl stop store")
    try:
        for _turn in range(3):
            sql(site.pg1, "SELECT pg_switch_wal(), pg_logical_emit_message(false, 'test', 'x')")

        def failing() -> None:
            assert sql(site.pg1, "SELECT last_failed_time > last_archived_time FROM pg_stat_archiver") == "t"

        eventually(failing, 60)
    finally:
        store.run("systemctl start store")
    site.archived()


def test_backups_follow_a_switchover(site: Site) -> None:
    """There and back: the new primary archives into the store and takes the backups."""
    for target in (site.pg2, site.pg1):
        site.must("switchover.yml", postgres_switchover_to=target.name)
        site.archived()
        site.must("backup.yml")
        timeline = sql(target, "SELECT timeline_id FROM pg_control_checkpoint()")
        assert site.info()[-1]["archive"]["stop"].startswith(f"{int(timeline):08X}")
        assert set(re.findall(r"changed=(\d+)", site.must("converge.yml"))) == {"0"}
