# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that are known to work: what the timers, backup.yml and restore.yml run on the machine, as the user postgres.

backup TYPE   writes a sentinel row on the primary, takes a full, diff or incr backup, fails where a page was damaged
restore       brings a backup back into a scratch cluster and checks it; never touches the server's own data
drill         restores the newest backup, checks it, removes it
check         writes the metrics; takes a backup where there is none, or none since a promotion
swap          exchanges the data directory of the stopped server and a restored one that was checked
remove        stops the scratch cluster and removes its data

Exit codes: 0 done; 1 a check or a program failed, the last line says which; 2 bad command line.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import datetime
import json
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/pgbackrest/postgres-backup.json")
# Restores run with a file of their own, which knows no server: what is not in it cannot be overwritten.
RESTORE = ("--config=/etc/pgbackrest/restore.conf", "--config-include-path=/etc/pgbackrest/conf.d")
UTC = datetime.timezone.utc
# What counts as a backup of a type: a full one is also as good as a differential one.
KINDS = {"full": ("full",), "diff": ("full", "diff"), "any": ("full", "diff", "incr")}

# A row per backup; what is older than any backup is kept goes.
SENTINEL_SQL = """
INSERT INTO postgres_backup.sentinel (token, type) VALUES (:'token', :'type');
DELETE FROM postgres_backup.sentinel WHERE moment < now() - interval '400 days';
"""
SERVER_SQL = """
SELECT json_build_object(
  'timeline', ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int,
  'archived', coalesce(extract(epoch FROM last_archived_time), 0),
  'failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
  'slots', coalesce((SELECT json_agg(json_build_object('name', slot_name, 'active', active,
      'lost', coalesce(wal_status = 'lost', false),
      'retained', coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)) ORDER BY slot_name)
    FROM pg_replication_slots WHERE slot_type = 'physical'), '[]'))
FROM pg_stat_archiver
"""
FOUND_SQL = """
SELECT json_build_object(
  'tokens', coalesce(json_agg(token ORDER BY moment), '[]'),
  'newest', extract(epoch FROM max(moment)),
  'timeline', ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int)
FROM postgres_backup.sentinel
"""
DATABASES_SQL = "SELECT datname FROM pg_database WHERE datallowconn"
SIZES_SQL = "SELECT json_object_agg(datname, pg_database_size(oid)) FROM pg_database WHERE datallowconn"


class Failed(Exception):
    """What went wrong, in words for the person who reads the journal."""


@dataclass(frozen=True)
class Settings:
    """What the role wrote. conninfo: how to reach the server that accepts writes; bin: folder of PostgreSQL's programs.

    state: folder of the metrics and of the drill's memory; scratch: of restored clusters; port: of their sockets.
    """

    stanza: str
    conninfo: str
    bin: str
    state: str
    scratch: str
    port: int
    memory_mb: int

    @property
    def metrics(self) -> Path:
        return Path(self.state, "metrics", "postgres_backup.prom")

    @property
    def memory(self) -> Path:
        return Path(self.state, "drill.json")

    @classmethod
    def read(cls, path: Path = SETTINGS) -> Settings:
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Backup:
    """One backup of the repository; times in seconds since 1970, sizes in bytes, timeline of its last WAL segment.

    bad_pages: some page had a wrong checksum when it was copied; sentinel: token of the row written right before it.
    """

    label: str
    type: str
    start: int
    stop: int
    timeline: int
    bad_pages: bool
    stored: int
    size: int
    sentinel: str

    @classmethod
    def of(cls, told: dict[str, Any]) -> Backup:
        return cls(
            label=told["label"],
            type=told["type"],
            start=told["timestamp"]["start"],
            stop=told["timestamp"]["stop"],
            timeline=int(told["archive"]["stop"][:8], 16),
            bad_pages=bool(told.get("error")),
            stored=told["info"]["repository"]["delta"],
            size=told["info"]["size"],
            sentinel=(told.get("annotation") or {}).get("sentinel", ""),
        )


@dataclass(frozen=True)
class Server:
    """One server as a client finds it: role is primary, standby, or empty where it does not answer.

    certificate_end: when what it shows to clients ends, seconds since 1970; None where that was not seen.
    """

    name: str
    role: str
    certificate_end: float | None = None


def say(words: str) -> None:
    print(words, flush=True)


def run(argv: Sequence[str], stdin: str = "", shown: bool = False) -> str:
    """Standard output; raises Failed with the program's last words. shown: its output goes to ours as it comes."""
    done = subprocess.run(
        list(argv),
        input=stdin,
        stdout=None if shown else subprocess.PIPE,
        stderr=subprocess.STDOUT if shown else subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        cwd="/",
    )
    if done.returncode:
        raise Failed(f"{Path(argv[0]).name} ended with {done.returncode}: {(done.stderr or '').strip()[-2000:]}")
    return done.stdout or ""


def quietly(argv: Sequence[str]) -> int:
    """Exit code; what a server would keep of our terminal and pipes is closed."""
    null = subprocess.DEVNULL
    return subprocess.run(list(argv), stdin=null, stdout=null, stderr=null, check=False, cwd="/").returncode


def backups(told: list[dict[str, Any]], stanza: str) -> list[Backup]:
    """The stanza's backups, oldest first; told is what C(pgbackrest info --output=json) says."""
    missing = {"status": {"code": 1, "message": "there is no such stanza"}}
    found: dict[str, Any] = next((one for one in told if one["name"] == stanza), missing)
    if found["status"]["code"] not in (0, 2):  # 2: no backup yet
        raise Failed(f"the repository says of {stanza}: {found['status']['message']}; run postgres.yml")
    return [Backup.of(one) for one in found.get("backup", [])]


def moment(text: str) -> datetime.datetime:
    """A time with its offset from UTC, such as C(2026-11-23 02:34:29.5+00:00); raises Failed without the offset."""
    tidy = re.sub(r"([+-]\d\d)$", r"\1:00", text.strip().replace("Z", "+00:00"))
    tidy = re.sub(r"\.(\d{1,6})", lambda found: f".{found[1]:0<6}", tidy)  # Python 3.10 reads three or six digits
    try:
        when = datetime.datetime.fromisoformat(tidy)
    except ValueError:
        raise Failed(f"{text!r} is no time: write it as 2026-11-23 02:34:29+00:00") from None
    if when.tzinfo is None:
        raise Failed(f"{text!r} does not say its offset from UTC: add +00:00 or the one it has")
    return when.astimezone(UTC)


def chosen(known: Sequence[Backup], kind: str, target: str) -> Backup:
    """The backup a restore starts from. kind: latest, time (target: a moment) or set (target: a label)."""
    if not known:
        raise Failed("the repository holds no backup")
    if kind == "set":
        named = [backup for backup in known if backup.label == target]
        if not named:
            raise Failed(f"no backup is called {target!r}; there are {', '.join(backup.label for backup in known)}")
        return named[0]
    if kind == "latest":
        return known[-1]
    earlier = [backup for backup in known if backup.stop <= moment(target).timestamp()]
    if not earlier:
        first = datetime.datetime.fromtimestamp(known[0].stop, UTC)
        raise Failed(f"{target} is before the end of the oldest backup, {first}: nothing can be restored from then")
    return earlier[-1]


def restore_arguments(kind: str, target: str, backup: Backup) -> list[str]:
    """What pgBackRest is told; the scratch cluster ends its recovery by accepting writes and archives nothing."""
    argv = ["--archive-mode=off", f"--set={backup.label}"]
    if kind == "time":
        when = moment(target).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        return [*argv, "--type=time", f"--target={when}", "--target-action=promote"]
    if kind == "set":
        return [
            *argv,
            "--type=immediate",
            "--target-action=promote",
            "--recovery-option=recovery_target_timeline=current",
        ]
    return argv


def line(name: str, value: float, **labels: str) -> str:
    shown = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"postgres_{name}{'{' + shown + '}' if shown else ''} {value:.15g}"


def each(conninfo: str) -> dict[str, str]:
    """How to reach each server by itself, by its name; conninfo: how to reach the one that accepts writes."""
    words = dict(word.split("=", 1) for word in conninfo.split())
    if "hostaddr" not in words:
        return {socket.gethostname(): conninfo}
    pairs = zip(words["host"].split(","), words["hostaddr"].split(","))  # noqa: B905 (3.9)
    alone = (words | {"host": name, "hostaddr": address, "target_session_attrs": "any"} for name, address in pairs)
    return {one["host"]: " ".join(f"{key}={value}" for key, value in one.items()) for one in alone}


def certificate_end(address: str, port: int = 5432) -> float | None:
    """When the certificate ends that a server shows, seconds since 1970; begins as libpq does, by an SSLRequest."""
    from cryptography import x509

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # looked at, not trusted
    try:
        with socket.create_connection((address, port), timeout=5) as plain:
            plain.sendall(bytes.fromhex("0000000804d2162f"))
            if plain.recv(1) != b"S":
                return None
            with context.wrap_socket(plain) as secured:
                shown = secured.getpeercert(binary_form=True) or b""
                # Else the server logs a reset connection.
                with contextlib.suppress(OSError):
                    secured.unwrap()
    except OSError:
        return None
    return x509.load_der_x509_certificate(shown).not_valid_after.replace(tzinfo=UTC).timestamp()


def families(servers: Sequence[Server], slots: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of the textfile about each server, and each slot of the one that accepts writes."""
    told: list[tuple[str, str, str, dict[str, float]]] = [
        ("server_up", "1 where the server answers.", "server", {one.name: int(bool(one.role)) for one in servers}),
        (
            "server_primary",
            "1 where the server accepts writes.",
            "server",
            {one.name: int(one.role == "primary") for one in servers},
        ),
        (
            "certificate_end_timestamp_seconds",
            "When the certificate that the server shows ends.",
            "server",
            {one.name: one.certificate_end for one in servers if one.certificate_end is not None},
        ),
        ("slot_active", "1 where a standby streams by the slot.", "slot", {s["name"]: int(s["active"]) for s in slots}),
        (
            "slot_lost",
            "1 where WAL that the slot's standby needs is gone.",
            "slot",
            {s["name"]: int(s["lost"]) for s in slots},
        ),
        (
            "slot_retained_bytes",
            "WAL that is kept for the slot's standby, which is what it is behind.",
            "slot",
            {s["name"]: s["retained"] for s in slots},
        ),
    ]
    lines = []
    for name, text, label, values in told:
        if values:
            lines += [f"# HELP postgres_{name} {text}", f"# TYPE postgres_{name} gauge"]
            lines += [line(name, value, **{label: of}) for of, value in values.items()]
    return lines


def metrics(
    known: Sequence[Backup],
    server: dict[str, Any] | None,
    drill: dict[str, Any],
    now: float,
    servers: Sequence[Server] = (),
) -> str:
    """The textfile for node_exporter: times are seconds since 1970, 0 where a thing has not happened yet."""
    newest = known[-1] if known else None
    told: list[tuple[str, str, float]] = [
        ("bad_pages", "1 where the newest backup met a damaged page.", int(bool(newest and newest.bad_pages))),
        ("backups", "Backups in the repository.", len(known)),
        ("repository_bytes", "What the backups take, without WAL.", sum(one.stored for one in known)),
        ("database_bytes", "Size of the databases at the newest backup.", newest.size if newest else 0),
        ("primary_up", "1 where a server that accepts writes answered.", int(server is not None)),
    ]
    if server is not None:
        told += [
            ("archived_timestamp_seconds", "When a WAL segment was last archived.", server["archived"]),
            ("archive_failing", "1 where the last WAL segment could not be archived.", int(server["failing"])),
        ]
    told += [
        ("drill_timestamp_seconds", "End of the last restore drill.", drill.get("stop", 0)),
        ("drill_success", "1 where the last restore drill found everything.", int(drill.get("ok", False))),
        ("drill_seconds", "How long the last restore drill took.", drill.get("seconds", 0)),
        ("check_timestamp_seconds", "When these figures were taken.", now),
    ]
    name, text = (
        "last_timestamp_seconds",
        "End of the newest backup: a full one, at least a differential, any.",
    )
    lines = [f"# HELP postgres_backup_{name} {text}", f"# TYPE postgres_backup_{name} gauge"]
    for kind, kinds in KINDS.items():
        stop = max((one.stop for one in known if one.type in kinds), default=0)
        lines.append(line(f"backup_{name}", stop, type=kind))
    for name, text, value in told:
        lines += [f"# HELP postgres_backup_{name} {text}", f"# TYPE postgres_backup_{name} gauge"]
        lines.append(line(f"backup_{name}", value))
    lines += families(servers, (server or {}).get("slots", []))
    return "\n".join(lines) + "\n"


def overdue(known: Sequence[Backup], server: dict[str, Any]) -> str:
    """Why a backup has to be taken now, empty where none has to.

    Segments that an old primary had not archived yet are in no archive: from a promotion on, only a backup that was
    taken after it can be relied on.
    """
    if not known:
        return "there is no backup yet"
    if known[-1].timeline != server["timeline"]:
        return f"the newest backup is of timeline {known[-1].timeline}, the primary is on {server['timeline']}"
    return ""


def replace(path: Path, text: str) -> None:
    """Writes a file that all may read, so that a reader sees the old or the new one."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o644)
    beside.replace(path)


def exchange(one: Path, other: Path) -> None:
    """renameat2(2) with RENAME_EXCHANGE: both names exist at any moment, also when the power goes."""
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), swap):
        why = os.strerror(ctypes.get_errno())
        raise Failed(f"{one} and {other} cannot be exchanged, they have to be on one disk: {why}")


def running(data: Path) -> bool:
    """Whether a server runs on a data directory; what a dead one left there does not count."""
    try:
        pid = int((data / "postmaster.pid").read_text(encoding="ascii").split()[0])
        return Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "postgres"
    except (OSError, ValueError, IndexError):
        return False


class Keeper:
    """The machine that takes backups and restores them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def pgbackrest(self, *words: str) -> list[str]:
        return ["pgbackrest", f"--stanza={self.settings.stanza}", *words]

    def sql(self, statement: str, conninfo: str, **variables: str) -> str:
        words = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        return run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *words, "-d", conninfo], stdin=statement).strip()

    def known(self) -> list[Backup]:
        return backups(json.loads(run(self.pgbackrest(*RESTORE, "--output=json", "info"))), self.settings.stanza)

    def server(self) -> dict[str, Any] | None:
        """What the primary says of its archive, or None where none answers here."""
        try:
            told: dict[str, Any] = json.loads(self.sql(SERVER_SQL, self.settings.conninfo))
        except Failed as error:
            say(f"no primary answers: {error}")
            return None
        return told

    def is_primary(self) -> bool:
        """True with a repository on a disk: then the connection finds the primary wherever it is."""
        conninfo = self.settings.conninfo
        return "target_session_attrs" in conninfo or self.sql("SELECT pg_is_in_recovery()", conninfo) == "f"

    def drilled(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads(self.settings.memory.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return told

    def servers(self) -> list[Server]:
        """Every server, asked by itself: two that accept writes would not be seen by a client that takes the first."""
        found = []
        for name, conninfo in each(self.settings.conninfo).items():
            words = dict(word.split("=", 1) for word in conninfo.split())
            try:
                role = "standby" if self.sql("SELECT pg_is_in_recovery()", conninfo) == "t" else "primary"
            except Failed:
                role = ""
            found.append(Server(name, role, certificate_end(words.get("hostaddr", "127.0.0.1"))))
        return found

    def report(self) -> None:
        figures = metrics(self.known(), self.server(), self.drilled(), time.time(), self.servers())
        replace(self.settings.metrics, figures)

    def backup(self, kind: str) -> None:
        if not self.is_primary():
            say("this server is a standby: its primary takes the backup")
            return
        token = f"{datetime.datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}-{secrets.token_hex(8)}"
        self.sql(SENTINEL_SQL, self.settings.conninfo, token=token, type=kind)
        say(f"sentinel {token} written, taking a {kind} backup")
        # A page that is torn because it is being written is read again by pgBackRest, so what it tells is damage.
        words = (f"--type={kind}", f"--annotation=sentinel={token}", "--log-level-console=info", "backup")
        run(self.pgbackrest(*words), shown=True)
        self.report()
        newest = self.known()[-1]
        if newest.bad_pages:
            detail = run(self.pgbackrest(*RESTORE, f"--set={newest.label}", "info"))
            where = ", ".join(re.findall(r"page checksum error: (.+)", detail)) or "see pgbackrest info"
            raise Failed(
                f"backup {newest.label} holds pages with wrong checksums ({where}): the primary's disk is damaged;"
                " restore from a backup before it"
            )
        say(f"backup {newest.label} holds {newest.size} bytes")

    def check(self) -> None:
        self.report()
        server = self.server()
        if server is None or not self.is_primary():
            return
        why = overdue(self.known(), server)
        if why:
            say(f"taking a backup: {why}")
            self.backup("diff")

    # Scratch clusters: BASE/data, and beside it settings, socket, log, and scratch.json, the mark that it is one.

    def base(self, into: str) -> Path:
        return Path(self.settings.scratch, into)

    def start_scratch(self, base: Path, port: int) -> None:
        """Recovers and accepts writes; returns when it does. Nobody reaches it but by the socket in its own folder."""
        wanted = {
            "data_directory": base / "data",
            "hba_file": base / "hba.conf",
            "ident_file": base / "ident.conf",
            "listen_addresses": "",
            "unix_socket_directories": base / "run",
            "unix_socket_permissions": "0700",
            "port": port,
            "cluster_name": "scratch",
            "archive_mode": "off",
            # Recovery without read-only clients needs none of the primary's sizes.
            "hot_standby": "off",
            "max_connections": 20,
            "shared_buffers": f"{max(32, min(self.settings.memory_mb // 16, 1024))}MB",
            "maintenance_work_mem": "64MB",
            "max_wal_senders": 0,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        (base / "postgresql.conf").write_text("".join(f"{name} = '{value}'\n" for name, value in wanted.items()))
        (base / "hba.conf").write_text("local all all peer\n")
        (base / "ident.conf").write_text("")
        log = base / "server.log"
        pg_ctl = [f"{self.settings.bin}/pg_ctl", "-D", str(base / "data")]
        quietly([*pg_ctl, "-l", str(log), "-W", "-o", f"-c config_file={base / 'postgresql.conf'}", "start"])
        # pg_ctl would wait for the end of recovery only where clients may read during it.
        conninfo = f"host={base / 'run'} port={port} user=postgres dbname=postgres"
        while quietly(["psql", "-XAtq", "-d", conninfo, "-c", "SELECT 1"]):
            time.sleep(0.3)
            if quietly([*pg_ctl, "status"]):
                tail = log.read_text(errors="replace").splitlines()[-12:] if log.exists() else []
                fatal = next((one for one in tail if re.search("FATAL:  (?!the database system is)", one)), "")
                if "before configured recovery target" in fatal:
                    raise Failed("the archive holds no transaction after that moment: restore without a time")
                raise Failed("the restored cluster did not start: " + (fatal or " | ".join(tail)))

    def stop_scratch(self, base: Path, how: str = "fast") -> None:
        if running(base / "data"):
            argv = [f"{self.settings.bin}/pg_ctl", "-D", str(base / "data"), "-w", "-t", "300", "-m", how, "stop"]
            if quietly(argv):
                raise Failed(f"the scratch cluster in {base} does not stop, see {base / 'server.log'}")

    def remove(self, into: str) -> None:
        """Removes a scratch cluster. Only what this program made is touched: its folder carries a mark."""
        base = self.base(into)
        if not base.exists():
            return
        if not (base / "scratch.json").exists() and any(base.iterdir()):
            raise Failed(f"{base} is no scratch cluster of this program: it is left as it is")
        self.stop_scratch(base, "immediate")
        # The mark goes last, so that a removal that was cut off can be repeated.
        for one in base.iterdir():
            if one.is_dir():
                shutil.rmtree(one)
            elif one.name != "scratch.json":
                one.unlink()
        shutil.rmtree(base)
        say(f"removed {base}")

    def room(self, base: Path, backup: Backup) -> None:
        free, wanted = shutil.disk_usage(base).free >> 20, int(backup.size * 1.1) + 512 * 2**20 >> 20
        if free < wanted:
            raise Failed(f"{base} has {free} MiB free, a restore needs {wanted}")

    def restore(self, kind: str, target: str, into: str, port: int, sentinel: str = "") -> dict[str, Any]:
        """Restores, recovers, checks; leaves the cluster running. sentinel: a token that must be there too.

        Returns what was found: set, timeline, sentinel (the newest), sentinels (how many), databases with sizes in
        bytes, data, socket and port.
        """
        backup = chosen(self.known(), kind, target)
        base = self.base(into)
        self.remove(into)
        base.mkdir(mode=0o700)
        replace(base / "scratch.json", json.dumps({"kind": kind, "target": target, "set": backup.label}))
        for folder in ("run", "data"):
            (base / folder).mkdir(mode=0o700)
        self.room(base, backup)
        say(f"restoring {backup.label} into {base / 'data'}")
        words = restore_arguments(kind, target, backup)
        run(self.pgbackrest(*RESTORE, f"--pg1-path={base / 'data'}", *words, "restore"))
        say("recovering")
        self.start_scratch(base, port)
        return self.examine(base, port, kind, target, backup, sentinel)

    def examine(self, base: Path, port: int, kind: str, target: str, backup: Backup, sentinel: str) -> dict[str, Any]:
        socket = f"host={base / 'run'} port={port} user=postgres"
        found = json.loads(self.sql(FOUND_SQL, f"{socket} dbname=postgres"))
        for token in filter(None, (backup.sentinel, sentinel)):
            if token not in found["tokens"]:
                raise Failed(f"sentinel {token}, older than backup {backup.label}, is not in the restored data")
        if kind == "time" and found["newest"] is not None and found["newest"] > moment(target).timestamp():
            raise Failed(f"the restored data holds a sentinel that was written after {target}")
        say("checking every table and index")
        made = []
        for name in self.sql(DATABASES_SQL, f"{socket} dbname=postgres").splitlines():
            database = f"{socket} dbname='{name}'"
            if self.sql("SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'", database) == "0":
                self.sql("CREATE EXTENSION amcheck", database)
                made.append(database)
        amcheck = Path(self.settings.bin, "pg_amcheck")
        if amcheck.exists():  # from 14 on
            argv = [str(amcheck), "-h", str(base / "run"), "-p", str(port), "-U", "postgres", "--all"]
            done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False, cwd="/")
            if done.returncode:
                words = (done.stdout + done.stderr).strip()[:2000]
                raise Failed(f"pg_amcheck found damage in what {backup.label} restored: {words}")
        for database in made:
            self.sql("DROP EXTENSION amcheck", database)
        return {
            "set": backup.label,
            "timeline": found["timeline"],
            "sentinel": found["tokens"][-1] if found["tokens"] else "",
            "sentinels": len(found["tokens"]),
            "databases": json.loads(self.sql(SIZES_SQL, f"{socket} dbname=postgres")),
            "data": str(base / "data"),
            "socket": str(base / "run"),
            "port": port,
        }

    def settle(self, base: Path) -> None:
        """Makes a checked scratch cluster fit to become the live one: stopped cleanly, free of the recovery's settings.

        Its timeline's history and whole segments were made while it archived nothing; they are marked for the archiver.
        """
        self.stop_scratch(base)
        data = base / "data"
        control = run([f"{self.settings.bin}/pg_controldata", "-D", str(data)])
        told = {key: value.strip() for key, _colon, value in (one.partition(":") for one in control.splitlines())}
        if told["Database cluster state"] != "shut down":
            raise Failed(f"the restored cluster did not shut down cleanly: {told['Database cluster state']}")
        current = told["Latest checkpoint's REDO WAL file"]
        status = data / "pg_wal" / "archive_status"
        for file in sorted((data / "pg_wal").iterdir()):
            whole = re.fullmatch(f"{current[:8]}[0-9A-F]{{16}}", file.name) and file.name < current
            if whole or file.name == f"{current[:8]}.history":
                (status / f"{file.name}.ready").touch(mode=0o600)
        ours = re.compile(
            r"(restore_command|recovery_target\w*|archive_mode)\b|# Recovery settings generated by pgBackRest"
        )
        kept = [one for one in (data / "postgresql.auto.conf").read_text().splitlines() if not ours.match(one)]
        (data / "postgresql.auto.conf").write_text("\n".join(kept) + "\n")
        self.checksums(data)
        replace(base / "scratch.json", json.dumps({"settled": True}))

    def checksums(self, data: Path) -> None:
        """Reads every page of a stopped cluster."""
        run([f"{self.settings.bin}/pg_checksums", "--check", "-D", str(data)])

    def swap(self, data: Path) -> None:
        """Exchanges the live data directory and a settled one in one step; prints where the old one is kept."""
        base = self.base("restore")
        new = base / "data"
        if not json.loads((base / "scratch.json").read_text(encoding="utf-8")).get("settled"):
            raise Failed(f"{new} was not checked and settled")
        for folder in (data, new):
            if running(folder):
                raise Failed(f"a server runs on {folder}")
        kept = data.with_name(f"{data.name}.replaced-{int(time.time())}")
        # Out of the scratch folder first, which a repeated run would empty: after the exchange this is what was.
        if data.exists():
            new.rename(kept)
            exchange(kept, data)
        else:
            new.rename(data)
        self.remove("restore")
        say(str(kept))

    def drill(self, sentinel: str = "") -> None:
        began, failure = time.time(), ""
        found: dict[str, Any] = {}
        try:
            found = self.restore("latest", "", "drill", self.settings.port + 1, sentinel)
            self.stop_scratch(self.base("drill"))
            self.checksums(self.base("drill") / "data")
        except Failed as error:
            failure = str(error)
        finally:
            self.remove("drill")
        spent = {"stop": int(time.time()), "seconds": round(time.time() - began, 1)}
        replace(self.settings.memory, json.dumps({"ok": not failure, "failure": failure, **spent, **found}))
        self.report()
        if failure:
            raise Failed(f"the restore drill failed: {failure}")
        say(f"restored {found['set']} with sentinel {found['sentinel']} and checked it in {spent['seconds']} s")


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    what = (__doc__ or "").split("\n\n", maxsplit=1)[0]
    parser = argparse.ArgumentParser(prog="postgres-backup", description=what, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("backup").add_argument("kind", choices=("full", "diff", "incr"))
    restore = verbs.add_parser("restore")
    restore.add_argument("--type", dest="kind", choices=("latest", "time", "set"), default="latest")
    restore.add_argument("--target", default="", help="time with its offset, or label of a backup")
    restore.add_argument("--settle", action="store_true", help="stop it, fit to become the live one")
    drill = verbs.add_parser("drill")
    drill.add_argument("--sentinel", default="", help="a token that has to be there too")
    verbs.add_parser("check")
    verbs.add_parser("swap").add_argument("--data", type=Path, required=True)
    verbs.add_parser("remove")
    parsed = parser.parse_args(argv)
    if parsed.verb == "restore" and (parsed.kind != "latest") != bool(parsed.target):
        parser.error(f"--type {parsed.kind} {'takes no' if parsed.kind == 'latest' else 'wants a'} --target")
    return parsed


def main(argv: Sequence[str]) -> int:
    args = arguments(argv)
    keeper = Keeper(Settings.read())
    try:
        if args.verb == "backup":
            keeper.backup(args.kind)
        elif args.verb == "check":
            keeper.check()
        elif args.verb == "drill":
            keeper.drill(args.sentinel)
        elif args.verb == "swap":
            keeper.swap(args.data)
        elif args.verb == "remove":
            keeper.remove("restore")
        else:
            found = keeper.restore(args.kind, args.target, "restore", keeper.settings.port)
            if args.settle:
                keeper.settle(keeper.base("restore"))
            print(json.dumps(found))
    except Failed as error:
        print(f"postgres-backup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # systemctl stop: clean up as after an error
    os.umask(0o077)
    sys.exit(main(sys.argv[1:]))
