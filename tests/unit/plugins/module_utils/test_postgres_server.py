# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from pg_controldata, WAL locations, and the order of restarts."""

from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path

import pytest
from ansible_collections.odoo_deploy.stack.plugins.module_utils import postgres_server
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_server import (
    FLOORS,
    Server,
    fingerprint,
    floor_changes,
    floors_awaited,
    group_floors,
    leaf,
    listens,
    lsn_number,
    newest_timeline,
    newest_version,
    parse_controldata,
    patroni_runs,
    read_epoch,
    replaced_files,
    served_certificate,
    write_epoch,
)
from hypothesis import given
from hypothesis import strategies as st

CONTROL = """\
pg_control version number:            1300
Catalog version number:               202209061
Database system identifier:           7575588414273913870
Database cluster state:               shut down
pg_control last modified:             Sun Nov 22 23:46:24 2026
Latest checkpoint location:           0/3041E98
Latest checkpoint's REDO location:    0/3041E98
Latest checkpoint's TimeLineID:       2
Latest checkpoint's PrevTimeLineID:   2
Time of latest checkpoint:            Sun Nov 22 23:46:24 2026
Minimum recovery ending location:     0/0
wal_level setting:                    replica
wal_log_hints setting:                on
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
Data page checksum version:           1
"""


def test_controldata() -> None:
    control = parse_controldata(CONTROL)
    assert control["state"] == "shut down"
    assert control["timeline"] == 2
    assert control["checkpoint"] == "0/3041E98"
    assert control["checkpoint_time"] == "Sun Nov 22 23:46:24 2026"
    assert control["checksums"] is True
    assert control["floors"]["max_connections"] == 100
    assert control["floors"]["max_locks_per_transaction"] == 64


@given(st.integers(0, 2**64 - 1))
def test_lsn_is_a_number_of_bytes(position: int) -> None:
    assert lsn_number(f"{position >> 32:X}/{position & 0xFFFFFFFF:X}") == position


def test_no_lsn() -> None:
    assert lsn_number(None) is None
    assert lsn_number("") is None


@pytest.mark.parametrize(
    ("pending", "ways"),
    [
        ({}, []),
        ({"shared_buffers": ("16384", "32768")}, []),
        ({"max_connections": ("100", "200")}, ["raised"]),
        ({"max_connections": ("200", "100")}, ["lowered"]),
        ({"max_connections": ("100", "200"), "max_wal_senders": ("10", "5")}, ["lowered", "raised"]),
        ({"max_connections": ("100", None)}, []),
        # The line is gone, so PostgreSQL's own value is wanted.
        ({"max_connections": ("200", None)}, ["lowered"]),
        ({"max_prepared_transactions": ("5", "0")}, ["lowered"]),
    ],
)
def test_order_of_restarts(pending: dict[str, tuple[str, str | None]], ways: list[str]) -> None:
    """Which ways the settings go that a standby must not have lower than its primary."""
    asked = {name: {"running": running, "wanted": wanted} for name, (running, wanted) in pending.items()}
    assert floor_changes(asked) == ways


def test_standby_waits_for_every_lowered_setting() -> None:
    """Until its primary's lower ones have been replayed; PostgreSQL's default counts where a line was removed."""
    pending: dict[str, dict[str, str | None]] = {
        "max_connections": {"running": "200", "wanted": "100"},
        "max_worker_processes": {"running": "16", "wanted": None},
    }
    assert floors_awaited(pending, {"max_connections": 200, "max_worker_processes": 16}) == [
        "max_connections",
        "max_worker_processes",
    ]
    assert floors_awaited(pending, {"max_connections": 100, "max_worker_processes": 16}) == ["max_worker_processes"]
    assert floors_awaited(pending, {"max_connections": 100, "max_worker_processes": 8}) == []
    assert floors_awaited({}, {"max_connections": 200}) == []


@given(st.lists(st.dictionaries(st.sampled_from(sorted(FLOORS)), st.integers(0, 5000)), min_size=1, max_size=4))
def test_any_server_can_follow_any_other(settings: list[dict[str, int]]) -> None:
    """With the group's floors over its own settings each has as much as every other one."""
    floors = group_floors(settings)
    told = [{**FLOORS, **own, **floors} for own in settings]
    for standby in told:
        for primary in told:
            assert all(standby[name] >= primary[name] for name in FLOORS)
    assert all(floors[name] >= own[name] for own in settings for name in own)
    assert set(floors) == {name for own in settings for name in own}


def test_floor_that_is_no_number() -> None:
    assert group_floors([{"max_connections": "120", "work_mem": "4MB"}]) == {"max_connections": 120}
    with pytest.raises(ValueError, match="max_connections is not a number: many"):
        group_floors([{"max_connections": "many"}])


def test_fingerprint(tmp_path: Path) -> None:
    """Mode, owner, group and SHA-1, as the role compares them."""
    path = tmp_path / "pgpass"
    path.write_text("secret\n")
    path.chmod(0o600)
    owner = postgres_server.pwd.getpwuid(path.stat().st_uid).pw_name
    group = postgres_server.grp.getgrgid(path.stat().st_gid).gr_name
    assert fingerprint(str(path)) == f"0600 {owner} {group} fc683cd9ed1990ca2ea10b84e5e6fba048c24929"
    assert fingerprint(str(tmp_path / "missing")) is None


def test_replaced_files() -> None:
    """Programs and libraries that are gone from the disk; not shared memory, which is marked the same way."""
    maps = (
        "55d0 r-xp 00000000 00:2e 1 /usr/lib/postgresql/15/bin/postgres (deleted)\n"
        "7f01 r--p 00000000 00:2e 2 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n"
        "7f02 r-xp 00001000 00:2e 2 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n"
        "7f03 r-xp 00000000 00:2e 3 /usr/lib/x86_64-linux-gnu/libc.so.6\n"
        "7f04 rw-s 00000000 00:01 4 /dev/zero (deleted)\n"
        "7f05 rw-s 00000000 00:19 5 /dev/shm/PostgreSQL.1 (deleted)\n"
        "7f06 rw-p 00000000 00:00 0 \n"
    )
    assert replaced_files(maps) == ["/usr/lib/postgresql/15/bin/postgres", "/usr/lib/x86_64-linux-gnu/libssl.so.3"]
    assert replaced_files("") == []


def test_leaf_is_the_first_of_a_chain() -> None:
    """However its lines are broken."""
    first, second = (
        "-----BEGIN CERTIFICATE-----\n" + body + "\n-----END CERTIFICATE-----\n" for body in ("AB\nC", "D")
    )
    assert leaf(first + second) == leaf(first.replace("AB\nC", "A\nBC")) != leaf(second)


def test_nobody_shows_a_certificate() -> None:
    """A port that is closed, and one that answers with something else than TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        answer = threading.Thread(target=lambda: listening.accept()[0].sendall(b"N"), daemon=True)
        answer.start()
        assert served_certificate(port) is None
    assert served_certificate(port) is None


def test_waits_until_a_standby_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers with the first state that follows, or with the last one when the time is over."""
    states = iter([{"following": False}, {"following": True}, {"following": False}])
    monkeypatch.setattr(Server, "state", lambda _self, _certificate: next(states))
    assert Server("15", "main").following_state(10) == {"following": True}
    assert Server("15", "main").following_state(0) == {"following": False}


def test_who_runs_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Patroni does once Debian's unit is masked; its settings alone, or a unit of somebody's own, say nothing yet."""
    config, unit = tmp_path / "config.yml", "postgresql@15-main.service"
    monkeypatch.setattr(postgres_server, "PATRONI_CONFIG", config)
    assert not patroni_runs(unit, tmp_path)
    config.touch()
    (tmp_path / unit).touch()
    assert not patroni_runs(unit, tmp_path)
    (tmp_path / unit).unlink()
    (tmp_path / unit).symlink_to("/dev/null")
    assert patroni_runs(unit, tmp_path)


def configured(folder: Path, *clusters: str) -> None:
    """Configuration folders as pg_createcluster makes them: VERSION/NAME."""
    for cluster in clusters:
        (folder / cluster).mkdir(parents=True)
        (folder / cluster / "postgresql.conf").touch()


@pytest.mark.parametrize(
    ("clusters", "newest"),
    [
        ((), "17"),  # nothing is configured: the default
        (("15/main",), "15"),
        (("13/main", "15/main"), "15"),
        (("9.6/main", "13/main"), "13"),  # by number, not by text
        (("13/replaced", "15/other"), "17"),  # clusters of other names are somebody else's
        (("13/main", "15/upgrade"), "13"),  # while a major upgrade works
    ],
)
def test_newest_version(tmp_path: Path, clusters: tuple[str, ...], newest: str) -> None:
    configured(tmp_path, *clusters)
    assert newest_version("main", "17", tmp_path) == newest


def test_version_that_is_installed_nowhere(tmp_path: Path) -> None:
    """Without a default; and a folder without postgresql.conf, as a removed package leaves it, is no cluster."""
    (tmp_path / "15" / "main").mkdir(parents=True)
    assert newest_version("main", folder=tmp_path) == "0"
    assert newest_version("main", folder=tmp_path / "missing") == "0"


def test_upgrade_that_was_cut_off(tmp_path: Path) -> None:
    """From the moment at which the old data is renamed, under whichever version the server is known by then."""
    server = Server("15", "main")
    server.data = tmp_path / "15" / "main"
    server.data.mkdir(parents=True)
    assert not server.upgrading()
    (tmp_path / "13" / "other.upgrading").mkdir(parents=True)
    assert not server.upgrading()
    (tmp_path / "13" / "main.upgrading").mkdir()
    assert server.upgrading()
    server.data = tmp_path / "13" / "main"
    assert server.upgrading()


@pytest.mark.parametrize("mark", ["server.crt", "conf.d/10-odoo-deploy.conf"])
def test_cluster_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    """The package's own, for example; one that a killed run made has the certificate, a restored one the settings."""
    monkeypatch.setattr(postgres_server, "OWN_CERTIFICATE", tmp_path / "server.crt")
    server = Server("17", "main")
    server.config = tmp_path
    assert not server.foreign()
    (tmp_path / "postgresql.conf").touch()
    assert server.foreign()
    (tmp_path / "conf.d").mkdir()
    (tmp_path / mark).touch()
    assert not server.foreign()


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1539 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 13021
   1: 15B1A8C0:1538 20B1A8C0:D431 01 00000000:00000000 00:00000000 00000000   101        0 13022
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
"""


@pytest.mark.parametrize(
    ("port", "tables", "taken"),
    [(5433, (TCP,), True), (5432, (TCP,), False), (5432, (TCP, TCP6), True), (5432, (), False)],
)
def test_port_that_is_listened_on(port: int, tables: tuple[str, ...], taken: bool) -> None:
    """A connection from that port is no listener."""
    assert listens(port, *tables) is taken


def test_port_of_a_server_that_runs_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = Server("17", "main")
        monkeypatch.setattr(server, "port", lambda: str(other.getsockname()[1]))
        assert server.port_taken()
        monkeypatch.setattr(server, "postmaster", lambda: 1)
        assert not server.port_taken()


@pytest.mark.parametrize("line", ["port = 5433\t\t# (change requires restart)", "port = '5433'"])
def test_port_as_debian_or_patroni_wrote_it(tmp_path: Path, line: str) -> None:
    server = Server("15", "main")
    assert server.port() == "5432"
    server.config = tmp_path
    (tmp_path / "postgresql.conf").write_text(f"include 'postgresql.base.conf'\n{line}\n", encoding="utf-8")
    assert server.port() == "5433"


def test_setting_of_a_server_that_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failover has to know whether commits would wait before it starts the last survivor."""
    server = Server("15", "main")
    server.config = tmp_path
    assert server.written("synchronous_standby_names") == ""
    (tmp_path / "postgresql.conf").touch()
    answers = [
        subprocess.CompletedProcess([], 0, 'FIRST 1 ("pg2")\n', ""),
        subprocess.CompletedProcess([], 1, "", "no"),
    ]
    monkeypatch.setattr(server, "run", lambda argv: answers.pop(0))
    assert server.written("synchronous_standby_names") == 'FIRST 1 ("pg2")'
    assert server.written("synchronous_standby_names") == ""


@pytest.mark.parametrize(
    ("names", "timeline"),
    [
        ([], 0),
        (["000000010000000000000003", "archive_status"], 1),
        # Promoted, and killed before the first checkpoint: the control file still says 1.
        (["000000010000000000000003", "00000002.history", "000000020000000000000003"], 2),
        # A server that parted from its primary has fetched the history of a timeline that it cannot follow.
        (["000000010000000000000003", "00000002.history"], 1),
        (["000000010000000000000003.partial", "0000000A0000000000000003"], 10),
    ],
)
def test_timeline_that_the_wal_shows(names: list[str], timeline: int) -> None:
    assert newest_timeline(names) == timeline


def test_record_of_the_last_primary(tmp_path: Path) -> None:
    """As a setting that PostgreSQL reads, and the same again; what is damaged is not taken for no record."""
    path = tmp_path / "odoo_deploy" / "epoch.conf"
    assert read_epoch(path) is None
    record = {"number": 2, "timeline": 3, "covers": 3, "server": "pg2", "moment": "2026-11-27T10:00:00Z"}
    write_epoch(record, path)
    assert read_epoch(path) == record
    assert [line.partition(" = ")[0] for line in path.read_text().splitlines()][1:] == ["odoo_deploy.epoch"]
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in path.parent.iterdir()] == ["epoch.conf"]
    path.write_text("odoo_deploy.epoch = '", encoding="utf-8")
    with pytest.raises(RuntimeError, match="holds no record"):
        read_epoch(path)


def test_rejoin_that_was_cut_off(tmp_path: Path) -> None:
    server = Server("15", "main")
    server.data = tmp_path / "main"
    assert not server.rewinding()
    (tmp_path / "main.rewinding").touch()
    assert server.rewinding()


@pytest.mark.parametrize(
    ("said", "name", "word"),
    [
        ("8192\n", "work_mem", ""),
        (
            '2026-11-27 23:19:57.737 GMT [6405] FATAL:  invalid value for parameter "work_mem": "foo"\n',
            "work_mem",
            'invalid value for parameter "work_mem": "foo"',
        ),
        (
            'x FATAL:  invalid value for parameter "log_statement": "a"\nx HINT:  Available values: none, ddl.\n',
            "log_statement",
            'invalid value for parameter "log_statement": "a"; Available values: none, ddl',
        ),
        (
            'x FATAL:  unrecognized configuration parameter "nosuch"\n',
            "nosuch",
            'unrecognized configuration parameter "nosuch"',
        ),
        ('x FATAL:  configuration file "/etc/postgresql.conf" contains errors\n', "work_mem", ""),
    ],
)
def test_postgresqls_word_on_a_setting(said: str, name: str, word: str) -> None:
    """What it says of the setting that it was asked about, and of no other."""
    assert postgres_server.refusal(said, name) == word
