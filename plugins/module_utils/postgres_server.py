# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one PostgreSQL server of Debian's cluster tools is: asked from the server, its control file and its process.

Runs on the managed machine, as root; every command that touches the server runs as the operating system's
user C(postgres). Needs nothing but PostgreSQL's own programs.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import os
import pwd
import re
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

OS_USER = "postgres"
PATRONI_UNIT = "patroni.service"
PATRONI_CONFIG = Path("/etc/patroni/config.yml")
# Who became the primary last, as a setting, so that peers can ask a running server for it.
EPOCH = Path("/etc/postgresql-common/odoo_deploy/epoch.conf")
# The deployment puts this on a machine before it makes a cluster there, and its settings into it right after.
OWN_CERTIFICATE = EPOCH.with_name("server.crt")
OWN_SETTINGS = "conf.d/10-odoo-deploy.conf"
EPOCH_SETTING = "odoo_deploy.epoch"

# Works on 13 to 18. CASE keeps the functions that fail in recovery, or outside of it, from being called.
STATE_SQL = """
SELECT json_build_object(
  'in_recovery', pg_is_in_recovery(),
  'version_num', current_setting('server_version_num')::int,
  'timeline', CASE WHEN pg_is_in_recovery()
    THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
  'lsn', CASE WHEN pg_is_in_recovery()
    THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_lsn() END,
  'replay_lsn', pg_last_wal_replay_lsn(),
  'config_stale', coalesce((SELECT bool_or(modification > pg_conf_load_time())
    FROM (SELECT DISTINCT sourcefile FROM pg_file_settings) f, pg_stat_file(f.sourcefile, true))
    OR (SELECT modification > pg_conf_load_time() FROM pg_stat_file(current_setting('hba_file'), true))
    OR (SELECT modification > pg_conf_load_time() FROM pg_stat_file(current_setting('ssl_cert_file'), true)), false),
  'pending_restart', coalesce((SELECT json_object_agg(s.name, json_build_object('running', s.setting, 'wanted',
      (SELECT f.setting FROM pg_file_settings f WHERE f.name = s.name ORDER BY f.seqno DESC LIMIT 1)))
    FROM pg_settings s WHERE s.pending_restart), '{}'),
  'config_errors', coalesce((SELECT json_agg(coalesce(f.name || ': ', '') || f.error) FROM pg_file_settings f
    WHERE f.error <> 'setting could not be applied'
      AND f.error NOT LIKE '%cannot be changed without restarting the server'), '[]'),
  'hba_errors', coalesce((SELECT json_agg('line ' || line_number || ': ' || error)
    FROM pg_hba_file_rules WHERE error IS NOT NULL), '[]'),
  'checksum_failures', (SELECT coalesce(sum(checksum_failures), 0)::int FROM pg_stat_database),
  'synchronous_standby_names', current_setting('synchronous_standby_names'),
  'standbys', coalesce((SELECT json_agg(json_build_object(
      'name', application_name, 'address', host(client_addr), 'state', r.state, 'sync_state', sync_state,
      'sent_lsn', sent_lsn, 'replay_lsn', replay_lsn, 'lag_bytes', CASE WHEN pg_is_in_recovery() THEN NULL
        ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) END,
      'lag_seconds', coalesce(extract(epoch FROM replay_lag), 0)) ORDER BY application_name)
    FROM pg_stat_replication r), '[]'),
  'receiver', (SELECT json_build_object('status', status, 'slot', slot_name, 'upstream', sender_host,
      'timeline', received_tli) FROM pg_stat_wal_receiver),
  'slots', coalesce((SELECT json_agg(json_build_object('name', slot_name, 'active', active, 'restart_lsn', restart_lsn,
      'wal_status', wal_status, 'retained_bytes', CASE WHEN restart_lsn IS NULL THEN 0
        ELSE pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
          restart_lsn) END) ORDER BY slot_name) FROM pg_replication_slots WHERE slot_type = 'physical'), '[]')
)
"""


def lsn_number(lsn: str | None) -> int | None:
    """Position in the WAL in bytes: C('1/20') is 4294967328. None stays None."""
    if not lsn:
        return None
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


# Settings that a standby must not have lower than its primary (source: "Hot Standby", Administrator's Overview), and
# PostgreSQL's own values for them.
FLOORS = {
    "max_connections": 100,
    "max_worker_processes": 8,
    "max_wal_senders": 10,
    "max_prepared_transactions": 0,
    "max_locks_per_transaction": 64,
}
Pending = dict[str, dict[str, Any]]


def group_floors(settings: list[dict[str, Any]]) -> dict[str, int]:
    """The least that each server needs of FLOORS so that any of them can follow any other: the most that one has.

    settings are those of every server; what none of them sets is left out. Raises ValueError.
    """
    most = {}
    for name, own in FLOORS.items():
        given = [one[name] for one in settings if name in one]
        if given:
            try:
                most[name] = max(int(one.get(name, own)) for one in settings)
            except (TypeError, ValueError):
                raise ValueError(f"{name} is not a number: {given[0]}") from None
    return most


def _wanted(pending: Pending) -> dict[str, tuple[int, int]]:
    """What the changed ones of FLOORS are, and shall be; one whose line was removed gets PostgreSQL's own value."""
    changes = {name: pending[name] for name in FLOORS if name in pending}
    return {
        name: (int(change["running"] or 0), FLOORS[name] if change["wanted"] is None else int(change["wanted"]))
        for name, change in changes.items()
    }


def floor_changes(pending: Pending) -> list[str]:
    """Which ways the settings of FLOORS want to go at the next restart: a sorted list of C(lowered) and C(raised).

    pending maps a setting to C(running) and C(wanted), both text; wanted is None where the line was removed.
    """
    changes = _wanted(pending).values()
    return sorted({"raised" if wanted > running else "lowered" for running, wanted in changes if wanted != running})


def floors_awaited(pending: Pending, replayed: dict[str, int]) -> list[str]:
    """Those that a standby may not lower yet: in the WAL that it has replayed its primary still has more.

    replayed: C(floors) of its control file.
    """
    return sorted(name for name, (_running, wanted) in _wanted(pending).items() if replayed.get(name, 0) > wanted)


def parse_controldata(text: str) -> dict[str, Any]:
    """The lines of C(pg_controldata) this collection decides by.

    Returns C(system_identifier), C(state), C(timeline), C(checkpoint) (LSN of the latest checkpoint record),
    C(checkpoint_time), C(minimum_recovery) (LSN), C(checksums) and C(floors), settings a standby must not have lower.
    """
    split = (line.partition(":") for line in text.splitlines())
    lines = {key.strip(): value.strip() for key, separator, value in split if separator}
    return {
        "system_identifier": lines["Database system identifier"],
        "state": lines["Database cluster state"],
        "timeline": int(lines["Latest checkpoint's TimeLineID"]),
        "checkpoint": lines["Latest checkpoint location"],
        "checkpoint_time": lines["Time of latest checkpoint"],
        "minimum_recovery": lines["Minimum recovery ending location"],
        "checksums": lines["Data page checksum version"] != "0",
        "floors": {
            name: int(lines[f"{short} setting"])
            for name, short in zip(FLOORS, (*list(FLOORS)[:3], "max_prepared_xacts", "max_locks_per_xact"))  # noqa: B905 (3.9)
        },
    }


def newest_timeline(names: list[str]) -> int:
    """The newest timeline that a folder of WAL has a segment of; 0 for none.

    A promotion writes no checkpoint, so the control file may be a timeline behind. A history file alone shows nothing:
    a server that cannot follow its primary's new timeline has fetched that too.
    """
    return max((int(name[:8], 16) for name in names if re.fullmatch(r"[0-9A-F]{24}(\.partial)?", name)), default=0)


def read_epoch(path: Path = EPOCH) -> dict[str, Any] | None:
    """The record of the last primary that this machine has; None without one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = re.search(rf"^{re.escape(EPOCH_SETTING)} = '(\{{.*\}})'$", text, re.MULTILINE)
    if not found:
        raise RuntimeError(f"{path} holds no record of the last primary: remove it if it is damaged")
    record: dict[str, Any] = json.loads(found[1])
    return record


def write_epoch(record: dict[str, Any], path: Path = EPOCH) -> None:
    """Replaces the record so that it survives a power cut."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    comment = "# Who became the primary last; the boot guard asks its peers for it."
    text = f"{comment}\n{EPOCH_SETTING} = '{json.dumps(record)}'\n"
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        with contextlib.suppress(KeyError):  # a machine that only keeps the record
            os.fchown(descriptor, 0, grp.getgrnam(OS_USER).gr_gid)
        os.fchmod(descriptor, 0o640)
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def fingerprint(path: str) -> str | None:
    """C(MODE OWNER GROUP SHA1) of a file, by which the controller tells whether its own rendering differs."""
    try:
        status, content = Path(path).stat(), Path(path).read_bytes()
    except OSError:
        return None
    owner, group = pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name
    return f"{status.st_mode & 0o7777:04o} {owner} {group} {hashlib.sha1(content).hexdigest()}"


def missing_packages(names: list[str]) -> list[str]:
    """Those of the Debian packages that are not installed."""
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def replaced_files(maps: str) -> list[str]:
    """Programs and libraries that a process still runs although a package put newer ones in their place.

    maps is the text of C(/proc/PID/maps), where the kernel marks files that are gone; shared memory is marked likewise.
    """
    paths = (line.split(maxsplit=5)[5] for line in maps.splitlines() if line.endswith(" (deleted)"))
    return sorted({path[: -len(" (deleted)")] for path in paths if path.startswith(("/usr/", "/lib"))})


def served_certificate(port: int, timeout: float = 5) -> str | None:
    """The certificate, as PEM, that the server on this machine shows to clients now; None without an answer in TLS.

    Begins as libpq does, by an SSLRequest (source: "SSL Session Encryption", Frontend/Backend Protocol).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # looked at, not trusted
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as plain:
            plain.sendall(bytes.fromhex("0000000804d2162f"))
            if plain.recv(1) != b"S":
                return None
            with context.wrap_socket(plain) as secured:
                shown = secured.getpeercert(binary_form=True) or b""
                # Else the server logs a reset connection; one that hangs up first has nothing to log.
                with contextlib.suppress(OSError):
                    secured.unwrap()
                return ssl.DER_cert_to_PEM_cert(shown)
    except OSError:
        return None


def leaf(pem: str) -> str:
    """The first certificate of a PEM text, without line breaks."""
    return "".join(pem.partition("-----END")[0].split())


def newest_version(cluster: str, default: str = "0", folder: Path = Path("/etc/postgresql")) -> str:
    """Highest major version with a configured cluster of that name, else the default; C(0) is installed nowhere."""
    found = [path.parts[-3] for path in folder.glob(f"*/{cluster}/postgresql.conf")]
    return max(found, key=float, default=default)  # 9.6 may still be there


def listens(port: int, *tables: str) -> bool:
    """True when a process listens on the TCP port; tables are the texts of C(/proc/net/tcp) and C(tcp6)."""
    sockets = (line.split()[1:4] for text in tables for line in text.splitlines()[1:])
    return any(state == "0A" and int(local.rpartition(":")[2], 16) == port for local, _remote, state in sockets)


def patroni_runs(unit: str, units: Path = Path("/etc/systemd/system")) -> bool:
    """True once a server was handed over to Patroni: Debian's unit of it is masked then."""
    return (units / unit).is_symlink() and PATRONI_CONFIG.exists()


def refusal(said: str, name: str) -> str:
    """PostgreSQL's word on a setting that it does not take, from what C(postgres -C) wrote; empty: none on this one."""
    lines = [line.partition(":  ")[2].strip() for line in said.splitlines() if re.search(r"\b(FATAL|HINT):  ", line)]
    return "; ".join(line.rstrip(".") for line in lines) if any(f'"{name}"' in line for line in lines[:1]) else ""


class Server:
    """One cluster of Debian's tools: C(/etc/postgresql/VERSION/NAME) and C(/var/lib/postgresql/VERSION/NAME).

    Without a version it is the newest one configured.
    """

    def __init__(self, version: str | None, cluster: str) -> None:
        self.version = version or newest_version(cluster)
        self.cluster = cluster
        unit = f"postgresql@{self.version}-{cluster}.service"
        self.patroni = patroni_runs(unit)
        self.unit = PATRONI_UNIT if self.patroni else unit
        self.bin = Path("/usr/lib/postgresql", self.version, "bin")
        self.config = Path("/etc/postgresql", self.version, cluster)
        self.data = Path("/var/lib/postgresql", self.version, cluster)
        self.creating = self.data.with_name(f"{cluster}.creating")
        self.standby_signal = self.data / "standby.signal"

    def run(
        self, argv: list[str], timeout: int = 60, env: dict[str, str] | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs as the server's operating system user; never raises on an exit code."""
        return subprocess.run(
            argv,
            input=stdin or "",
            capture_output=True,
            timeout=timeout,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
            cwd="/",
            user=OS_USER,
            group=OS_USER,
            extra_groups=[],
            text=True,
            check=False,
        )

    def refused_settings(self, settings: dict[str, Any]) -> list[str]:
        """PostgreSQL's word on each setting that this version does not take; none before it is configured.

        C(postgres -C) reads settings as a start does, and starts nothing.
        """
        program, config = self.bin / "postgres", self.config / "postgresql.conf"
        if not program.exists() or not config.exists():
            return []
        said = {
            name: self.run([str(program), "-C", name, "-c", f"config_file={config}", "-c", f"{name}={value}"]).stderr
            for name, value in settings.items()
        }
        return [word for word in (refusal(text, name) for name, text in said.items()) if word]

    def written(self, name: str) -> str:
        """A setting that the files give, for a server that does not run; empty where they cannot be read."""
        program, config = self.bin / "postgres", self.config / "postgresql.conf"
        if not config.exists():
            return ""
        done = self.run([str(program), "-C", name, "-c", f"config_file={config}"])
        return done.stdout.strip() if done.returncode == 0 else ""

    def postmaster(self) -> int | None:
        """Process id of the running postmaster, else None; a postmaster.pid left by a dead one does not count."""
        try:
            pid = int((self.data / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
            name = Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
        except (OSError, ValueError, IndexError):
            return None
        return pid if name == "postgres" else None

    def replaced(self) -> list[str]:
        """What the running postmaster has of packages that were upgraded since it started."""
        pid = self.postmaster()
        try:
            return replaced_files(Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")) if pid else []
        except OSError:
            return []

    def port(self) -> str:
        """Port of postgresql.conf's own line, as pg_createcluster or Patroni wrote it; conf.d does not set it."""
        try:
            lines = (self.config / "postgresql.conf").read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        pairs = (line.partition("=") for line in lines)
        return next((value.split("#")[0].strip(" \t'") for key, _is, value in pairs if key.strip() == "port"), "5432")

    def sql(self, statement: str, timeout: int = 15) -> str:
        """One value; raises RuntimeError with psql's message, or when the server does not answer in time."""
        socket = ["-h", "/var/run/postgresql", "-p", self.port(), "-d", "postgres"]
        try:
            done = self.run(
                ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *socket],
                timeout=timeout,
                env={"PGCONNECT_TIMEOUT": "5", "PGOPTIONS": f"-c statement_timeout={timeout}000"},
                stdin=statement,
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"no answer within {timeout} s") from None
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()

    def empty(self) -> bool:
        """True when there is no finished data directory: nothing here that a clone could destroy."""
        return self.creating.exists() or not (self.data / "global" / "pg_control").exists()

    def foreign(self) -> bool:
        """True when somebody else made this cluster, such as the package's own: the deployment left no mark."""
        own = (OWN_CERTIFICATE, self.config / OWN_SETTINGS)
        return (self.config / "postgresql.conf").exists() and not any(path.exists() for path in own)

    def port_taken(self) -> bool:
        """True when something else listens where this server would."""
        if self.postmaster() is not None:
            return False
        tables = (Path("/proc/net", name) for name in ("tcp", "tcp6"))
        return listens(int(self.port()), *(path.read_text(encoding="ascii") for path in tables if path.exists()))

    def upgrading(self) -> bool:
        """True when a major upgrade was cut off in which this server's data had become the new version's."""
        return any(self.data.parents[1].glob(f"*/{self.cluster}.upgrading"))

    def wal_timeline(self) -> int:
        """The newest timeline that this server has WAL of."""
        try:
            return newest_timeline([path.name for path in (self.data / "pg_wal").iterdir()])
        except OSError:
            return 0

    def rewinding(self) -> bool:
        """True when a rejoin was cut off that left data which only a new copy can replace."""
        return self.data.with_name(f"{self.cluster}.rewinding").exists()

    def restoring(self) -> bool:
        """True when a restore into this data directory was cut off: pgBackRest puts pg_control there last, and
        recovery.signal stays until the restored data has reached its end.
        """
        unfinished = (self.data / "global" / "pg_control.pgbackrest.tmp").exists()
        return unfinished or (self.data / "recovery.signal").exists()

    def control(self) -> dict[str, Any] | None:
        """What pg_controldata says, or None without a data directory."""
        if self.empty():
            return None
        done = self.run([str(self.bin / "pg_controldata"), "-D", str(self.data)])
        if done.returncode != 0:
            raise RuntimeError(f"pg_controldata {self.data}: {done.stderr.strip()}")
        return parse_controldata(done.stdout)

    def unit_state(self) -> str:
        """systemd's ActiveState of the unit."""
        done = subprocess.run(
            ["systemctl", "show", "--property=ActiveState", "--value", self.unit],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    def following_state(self, seconds: float, certificate: str | None = None) -> dict[str, Any]:
        """state() as soon as this server streams as a standby, else what it is after that many seconds."""
        end = time.monotonic() + seconds
        while True:
            server = self.state(certificate)
            if server["following"] or time.monotonic() >= end:
                return server
            time.sleep(0.2)

    def state(self, certificate: str | None = None) -> dict[str, Any]:
        """Everything a role or a day-2 playbook decides by; see the RETURN of the module C(postgres_server_info)."""
        server: dict[str, Any] = {
            "installed": (self.bin / "postgres").exists(),
            "configured": (self.config / "postgresql.conf").exists(),
            "role": "absent",
            "version": self.version,
            "data_directory": str(self.data),
            "unit": self.unit,
            "patroni": self.patroni,
            "empty": self.empty(),
            "control": None,
            "running": self.postmaster() is not None,
            "standby_signal": self.standby_signal.exists(),
            "foreign": self.foreign(),
            "port_taken": self.port_taken(),
            "upgrading": self.upgrading(),
            "rewinding": self.rewinding(),
            "restoring": self.restoring(),
            "epoch": read_epoch(),
            "sync_suspended": (self.config / "conf.d" / "99-sync-suspended.conf").exists(),
            "message": "",
            "timeline": None,
            "lsn": None,
            "lsn_number": None,
            "following": False,
            "pending_restart": {},
            "floor_changes": [],
            "floors_awaited": [],
            "config_stale": False,
            "checksum_failures": 0,
            "replaced_files": [],
            "config_errors": [],
            "hba_errors": [],
            "standbys": [],
            "receiver": None,
            "slots": [],
            "synchronous_standby_names": "",
            "certificate": None,
            "certificate_served": None,
        }
        if certificate and Path(certificate).exists():
            server["certificate"] = Path(certificate).read_text(encoding="ascii")
        if not server["installed"]:
            return server
        server["role"] = "empty"
        control = self.control()
        if control is None:
            return server
        server["control"] = control
        server["timeline"] = max(control["timeline"], self.wal_timeline())
        server["lsn"] = max(control["checkpoint"], control["minimum_recovery"], key=lambda lsn: lsn_number(lsn) or 0)
        if server["running"]:
            server["replaced_files"] = self.replaced()
            if server["certificate"]:
                served = served_certificate(int(self.port()))
                server["certificate_served"] = served is not None and leaf(served) == leaf(server["certificate"])
            try:
                answer = json.loads(self.sql(STATE_SQL))
                # A standby whose primary is gone has its timeline from the last checkpoint.
                answer["timeline"] = max(answer["timeline"], self.wal_timeline())
                server.update(answer)
            except RuntimeError as error:
                server["role"] = "unresponsive"
                server["message"] = str(error)
            else:
                server["role"] = "standby" if server["in_recovery"] else "primary"
                server["floor_changes"] = floor_changes(server["pending_restart"])
                if server["in_recovery"]:
                    server["floors_awaited"] = floors_awaited(server["pending_restart"], control["floors"])
                server["following"] = bool(server["receiver"] and server["receiver"]["status"] == "streaming")
        else:
            server["role"] = "stopped"
            server["synchronous_standby_names"] = self.written("synchronous_standby_names")
        server["lsn_number"] = lsn_number(server["lsn"])
        return server
