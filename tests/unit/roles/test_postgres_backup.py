# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backup program decides, and what the role writes for each kind of repository, without a machine."""

from __future__ import annotations

import configparser
import importlib.util
import ipaddress
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROLE = Path(__file__).parents[3] / "roles" / "postgres_backup"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("postgres_backup_program", ROLE / "files" / "postgres_backup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def told(label: str, stop: int, timeline: int = 1, error: bool = False) -> dict[str, Any]:
    """One backup as pgbackrest info tells it."""
    return {
        "label": label,
        "type": {"F": "full", "D": "diff", "I": "incr"}[label[-1]],
        "timestamp": {"start": stop - 10, "stop": stop},
        "archive": {"start": f"{timeline:08X}0000000000000002", "stop": f"{timeline:08X}0000000000000003"},
        "error": error,
        "info": {"size": 1000, "repository": {"delta": 100, "size": 300}},
        "annotation": {"sentinel": f"token-{label}"},
    }


def stanza(*listed: dict[str, Any], code: int = 0) -> list[dict[str, Any]]:
    return [{"name": "odoo", "status": {"code": code, "message": "words"}, "backup": list(listed)}]


LISTED = (told("20261101-010000F", 1000), told("20261101-010000F_20261102-010000D", 2000))


def test_a_repository_that_is_not_well_is_no_empty_one(program: ModuleType) -> None:
    assert program.backups(stanza(code=2), "odoo") == []
    with pytest.raises(program.Failed, match="words"):
        program.backups(stanza(code=99), "odoo")
    with pytest.raises(program.Failed, match="no such stanza"):
        program.backups(stanza(*LISTED), "other")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-23 02:34:29+00:00", "2026-11-23T02:34:29+00:00"),
        ("2026-11-23T02:34:29Z", "2026-11-23T02:34:29+00:00"),
        ("2026-11-23 02:34:29.5+01", "2026-11-23T01:34:29.500000+00:00"),
    ],
)
def test_a_moment_is_read(program: ModuleType, text: str, utc: str) -> None:
    assert program.moment(text).isoformat() == utc


@pytest.mark.parametrize("text", ["2026-11-23 02:34:29", "yesterday", "", "2026-13-01 00:00:00+00:00"])
def test_a_moment_without_its_offset_is_not_guessed(program: ModuleType, text: str) -> None:
    with pytest.raises(program.Failed):
        program.moment(text)


def test_the_backup_a_restore_starts_from(program: ModuleType) -> None:
    """The newest that ended before the moment: WAL can only be played forward."""
    known = program.backups(stanza(*LISTED), "odoo")
    assert program.chosen(known, "latest", "") == known[1]
    assert program.chosen(known, "set", "20261101-010000F") == known[0]
    assert program.chosen(known, "time", "1970-01-01 00:33:19+00:00") == known[0]
    assert program.chosen(known, "time", "1970-01-01 00:33:20+00:00") == known[1]
    for kind, target, words in (
        ("time", "1970-01-01 00:16:39+00:00", "before the end of the oldest"),
        ("set", "20261101", "no backup is called"),
    ):
        with pytest.raises(program.Failed, match=words):
            program.chosen(known, kind, target)
    with pytest.raises(program.Failed, match="no backup"):
        program.chosen([], "latest", "")


@pytest.mark.parametrize("kind", ["latest", "time", "set"])
def test_a_restored_cluster_never_archives(program: ModuleType, kind: str) -> None:
    known = program.backups(stanza(*LISTED), "odoo")
    argv = program.restore_arguments(kind, "2026-11-23 02:34:29+00:00", known[0])
    assert argv[:2] == ["--archive-mode=off", "--set=20261101-010000F"]
    assert ("--target=2026-11-23 02:34:29.000000+00" in argv) == (kind == "time")
    assert (kind == "latest") != ("--target-action=promote" in argv)


def test_a_promotion_wants_a_backup(program: ModuleType) -> None:
    known = program.backups(stanza(*LISTED), "odoo")
    assert program.overdue(known, {"timeline": 1}) == ""
    assert "timeline 1, the primary is on 2" in program.overdue(known, {"timeline": 2})
    assert program.overdue([], {"timeline": 1}) == "there is no backup yet"


def test_metrics_tell_what_happened(program: ModuleType) -> None:
    known = program.backups(stanza(*LISTED, told("20261101-010000F_20261103-010000I", 3000, error=True)), "odoo")
    text = program.metrics(known, {"archived": 2990.5, "failing": True}, {"ok": True, "stop": 2500, "seconds": 3}, 3001)
    figures = dict(row.split(" ") for row in text.splitlines() if not row.startswith("#"))
    assert figures == {
        'postgres_backup_last_timestamp_seconds{type="full"}': "1000",
        'postgres_backup_last_timestamp_seconds{type="diff"}': "2000",
        'postgres_backup_last_timestamp_seconds{type="any"}': "3000",
        "postgres_backup_bad_pages": "1",
        "postgres_backup_backups": "3",
        "postgres_backup_repository_bytes": "300",
        "postgres_backup_database_bytes": "1000",
        "postgres_backup_primary_up": "1",
        "postgres_backup_archived_timestamp_seconds": "2990.5",
        "postgres_backup_archive_failing": "1",
        "postgres_backup_drill_timestamp_seconds": "2500",
        "postgres_backup_drill_success": "1",
        "postgres_backup_drill_seconds": "3",
        "postgres_backup_check_timestamp_seconds": "3001",
    }
    nothing = program.metrics([], None, {}, 1)
    assert 'type="full"} 0\n' in nothing and "drill_success 0\n" in nothing and "archive_failing" not in nothing


def test_metrics_tell_of_each_server(program: ModuleType) -> None:
    """Both of two primaries, who streams, what is kept for whom; nothing of a server that nobody could ask."""
    slots = [{"name": "pg2", "active": False, "lost": True, "retained": 4096}]
    servers = [program.Server("pg1", "primary", 5000.0), program.Server("pg2", "primary"), program.Server("pg3", "")]
    text = program.metrics([], {"archived": 0, "failing": False, "slots": slots}, {}, 1, servers)
    rows = [row for row in text.splitlines() if re.match("postgres_(server|slot|certificate)", row)]
    assert rows == [
        'postgres_server_up{server="pg1"} 1',
        'postgres_server_up{server="pg2"} 1',
        'postgres_server_up{server="pg3"} 0',
        'postgres_server_primary{server="pg1"} 1',
        'postgres_server_primary{server="pg2"} 1',
        'postgres_server_primary{server="pg3"} 0',
        'postgres_certificate_end_timestamp_seconds{server="pg1"} 5000',
        'postgres_slot_active{slot="pg2"} 0',
        'postgres_slot_lost{slot="pg2"} 1',
        'postgres_slot_retained_bytes{slot="pg2"} 4096',
    ]


def test_each_server_is_reached_by_itself(program: ModuleType) -> None:
    """Whatever it is; beside an object store only the machine's own."""
    both = "host=pg1,pg2 hostaddr=192.0.2.1,192.0.2.2 user=backup target_session_attrs=read-write sslmode=verify-full"
    assert program.each(both) == {
        "pg1": "host=pg1 hostaddr=192.0.2.1 user=backup target_session_attrs=any sslmode=verify-full",
        "pg2": "host=pg2 hostaddr=192.0.2.2 user=backup target_session_attrs=any sslmode=verify-full",
    }
    own = "host=/var/run/postgresql port=5432 user=backup dbname=postgres"
    assert list(program.each(own).values()) == [own]


def test_only_a_marked_folder_is_removed(program: ModuleType, tmp_path: Path) -> None:
    """A scratch folder that somebody else uses, and a live data directory, stay as they are."""
    settings = program.Settings("odoo", "", "/nowhere", str(tmp_path), str(tmp_path), 5433, 1024)
    keeper = program.Keeper(settings)
    keeper.remove("restore")
    (tmp_path / "restore").mkdir()
    (tmp_path / "restore" / "PG_VERSION").write_text("15\n")
    with pytest.raises(program.Failed, match="left as it is"):
        keeper.remove("restore")
    assert (tmp_path / "restore" / "PG_VERSION").exists()
    (tmp_path / "restore" / "scratch.json").write_text("{}")
    keeper.remove("restore")
    assert not (tmp_path / "restore").exists()


def test_exchange_is_one_step_and_keeps_both(program: ModuleType, tmp_path: Path) -> None:
    live, scratch = tmp_path / "main", tmp_path / "restore" / "data"
    for folder, word in ((live, "old"), (scratch, "new")):
        folder.mkdir(parents=True)
        (folder / "word").write_text(word)
    keeper = program.Keeper(program.Settings("odoo", "", "/nowhere", str(tmp_path), str(tmp_path), 5433, 1024))
    mark = tmp_path / "restore" / "scratch.json"
    mark.write_text("{}")
    with pytest.raises(program.Failed, match="not checked"):
        keeper.swap(live)
    mark.write_text(json.dumps({"settled": True}))
    keeper.swap(live)
    assert (live / "word").read_text() == "new"
    kept = [path for path in tmp_path.iterdir() if path.name.startswith("main.replaced-")]
    assert [(path / "word").read_text() for path in kept] == ["old"]


@pytest.mark.parametrize(
    "argv",
    [["restore", "--type", "time"], ["restore", "--target", "x"], ["backup", "huge"], ["restore", "--into", "/"]],
)
def test_bad_command_lines(program: ModuleType, argv: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        program.arguments(argv)


DAY = timedelta(days=1)
ADDRESS = (x509.IPAddress(ipaddress.ip_address("192.0.2.21")), x509.DNSName("192.0.2.21"))


def ends_in(days: int, folder: Path) -> str:
    """A certificate of pg1, whose authority is in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]), datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + days * DAY)
    own = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    signed = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("pg1"), *ADDRESS]), critical=False)
    (folder / "ca.crt").write_bytes(own.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_certificate_is_renewed_as_long_before_its_end_as_wanted(evaluate: Any, tmp_path: Path) -> None:
    """30 days before it without the setting; an object store has none."""
    known = {
        "postgres_backup_address": "192.0.2.21",
        "postgres_backup_repository": "pg2",
        "postgres_backup_ca_certificate": str(tmp_path / "ca.crt"),
        "__postgres_backup_answer": {"backup": {"certificate": ends_in(60, tmp_path)}},
    }
    roles = [yaml.safe_load((ROLE / part / "main.yml").read_text(encoding="utf-8")) for part in ("defaults", "vars")]
    variables = roles[0] | roles[1] | known
    cases: dict[str, dict[str, Any]] = {
        "pg1": {},
        "earlier": {"postgres_backup_certificate_renew_days": 61},
        "store": {"postgres_backup_certificate_renew_days": 61, "postgres_backup_repository": ""},
    }
    variables["__postgres_backup_names"] = ["DNS:pg1", "IP:192.0.2.21", "DNS:192.0.2.21"]
    told = evaluate(variables, cases, [{"ansible.builtin.debug": {"msg": "{{ __postgres_backup_certificate_due }}"}}])
    assert told == {"pg1": False, "earlier": True, "store": False}


SERVERS = {"pg1": "192.0.2.21", "pg2": "192.0.2.22"}
S3 = {
    "postgres_backup_repository": "",
    "postgres_backup_repository_address": "",
    "postgres_backup_object_store": {"type": "s3", "path": "/odoo", "s3-bucket": "backups", "s3-region": "eu"},
    "postgres_backup_object_store_secrets": {"s3-key": "word-one", "s3-key-secret": "word-two"},
}


ADDRESSES = SERVERS | {"bk1": "192.0.2.23"}


def on_disk_of(name: str) -> dict[str, Any]:
    return {"postgres_backup_repository": name, "postgres_backup_repository_address": ADDRESSES[name]}


def rendered(folder: Path, host: str, **variables: Any) -> dict[str, dict[str, dict[str, str]]]:
    """The role's files on a host: {template: {section: {option: value}}}; settings.json is one section."""
    names = ["repository.conf", "secrets.conf", "pgbackrest.conf", "settings.json"]
    play = {
        "hosts": host,
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "tasks": [
            {
                "ansible.builtin.copy": {
                    "dest": f"{folder}/{{{{ item }}}}",
                    "content": f"{{{{ lookup('ansible.builtin.template', '{ROLE}/templates/' ~ item ~ '.j2') }}}}",
                    "mode": "0600",
                },
                "loop": names,
            }
        ],
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    (folder / "hosts.ini").write_text(f"{host}\n")
    known = {
        "ansible_facts": {"distribution_release": "bookworm", "memtotal_mb": 1024},
        "postgres_backup_address": ADDRESSES[host],
        "postgres_backup_servers": SERVERS,
        "postgres_backup_memory": 1024,
        "postgres_backup_version": "15",
        "__postgres_backup_answer": {"backup": {"server": "primary"}},
        "ansible_python_interpreter": sys.executable,
    }
    extra = json.dumps(known | variables)
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts.ini", "-e", extra, "play.yml"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROLE.parents[1] / "ansible.cfg")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, dict[str, dict[str, str]]] = {}
    for name in names:
        text = (folder / name).read_text()
        if name.endswith(".json"):
            found[name] = {"all": json.loads(text)}
            continue
        parser = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
        parser.read_string(text)
        found[name] = {section: dict(parser[section]) for section in parser.sections()}
    return found


def test_files_of_an_object_store(tmp_path: Path) -> None:
    """Every server reaches it by itself: no other host in the files, and keys in the secret one only."""
    files = rendered(tmp_path, "pg2", **S3, postgres_backup_cipher_passphrase="word-three")
    options = files["repository.conf"]["global"]
    wanted = {
        "repo1-type": "s3",
        "repo1-path": "/odoo",
        "repo1-s3-bucket": "backups",
        "repo1-cipher-type": "aes-256-cbc",
    }
    assert wanted.items() <= options.items()
    assert files["secrets.conf"]["global"] == {
        "repo1-s3-key": "word-one",
        "repo1-s3-key-secret": "word-two",
        "repo1-cipher-pass": "word-three",
    }
    assert not any("host" in option for option in [*options, *files["pgbackrest.conf"]["main"]])
    assert "tls-server-address" not in files["pgbackrest.conf"]["global"]
    assert files["settings.json"]["all"]["conninfo"].startswith("host=/var/run/postgresql ")
    for name in ("repository.conf", "pgbackrest.conf", "settings.json"):
        assert "word-" not in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    ("host", "repository", "hosts"),
    [
        ("pg2", "pg2", {"pg2-host": "192.0.2.21"}),
        ("pg1", "pg2", {}),
        ("bk1", "bk1", {"pg1-host": "192.0.2.21", "pg2-host": "192.0.2.22"}),
        ("pg2", "bk1", {}),
    ],
)
def test_files_of_a_repository_on_a_disk(tmp_path: Path, host: str, repository: str, hosts: dict[str, str]) -> None:
    """A machine knows itself as pg1; the one with the repository knows every server, and holds the passphrase alone."""
    files = rendered(tmp_path, host, **on_disk_of(repository), postgres_backup_cipher_passphrase="word-three")
    stanza, keeps = files["pgbackrest.conf"]["main"], host == repository
    assert {name: value for name, value in stanza.items() if name.endswith("-host")} == hosts
    assert ("pg1-socket-path" in stanza) == (host in SERVERS)
    assert ("repo1-path" in files["repository.conf"]["global"]) == keeps
    assert ("repo1-host" in files["repository.conf"]["global"]) != keeps
    assert files["secrets.conf"]["global"] == ({"repo1-cipher-pass": "word-three"} if keeps else {})
    assert "target_session_attrs=read-write" in files["settings.json"]["all"]["conninfo"]


OWN = {
    "start-fast": "n",
    "compress-type": "lz4",
    "repo1-retention-full": 4,
    "repo1-retention-diff": 3,
    "repo1-bundle": False,
    "archive-async": False,
    "archive-push-queue-max": "1GiB",
    "archive-timeout": 60,
    "log-level-console": "info",
    "process-max": 3,
    "db-exclude": ["one", "two"],
}


def lines(folder: Path, name: str) -> list[tuple[str, str]]:
    """(section, line) of a file's options as pgBackRest reads them, doubled ones too."""
    found, section = [], ""
    for line in (folder / name).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            found.append((section, line))
    return found


def test_a_given_option_stands_once_and_wins(tmp_path: Path) -> None:
    """pgBackRest refuses a doubled option, and goes by a command's own section before [global]."""
    rendered(tmp_path, "pg2", **on_disk_of("pg2"), postgres_backup_options=OWN)
    together = lines(tmp_path, "repository.conf") + lines(tmp_path, "pgbackrest.conf")
    for name, value in OWN.items():
        wanted = value if isinstance(value, list) else ["n" if value is False else str(value)]
        assert [line for line in together if line[1].startswith(f"{name}=")] == [
            ("global", f"{name}={one}") for one in wanted
        ], name
    assert len(together) == len(set(together))
    rendered(tmp_path, "pg2", **on_disk_of("pg2"))
    assert {("global", "compress-type=zst"), ("global:archive-push", "archive-async=y")} <= set(
        lines(tmp_path, "pgbackrest.conf")
    )


@pytest.mark.parametrize(("unknown", "refused"), [(None, ["compres-level"]), (["compress-level"], ["compress-level"])])
def test_the_machines_answer_decides_which_options_are_unknown(
    evaluate: Any, unknown: list[str] | None, refused: list[str]
) -> None:
    """Without one, the list of the newest pgBackRest."""
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8")) | {
        "postgres_backup_options": {"compres-level": 2, "compress-level": 2},
        "__postgres_backup_answer": {"backup": {"unknown_options": unknown}},
    }
    told = evaluate(variables, {"pg1": {}}, [{"ansible.builtin.debug": {"msg": "{{ __postgres_backup_refusals }}"}}])
    assert [line.split(":")[0] for line in told["pg1"]] == [f"postgres_backup_options has {name}" for name in refused]


def defined() -> dict[str, Any]:
    """The role's defaults and variables, and what each machine is told."""
    parts = (yaml.safe_load((ROLE / part / "main.yml").read_text(encoding="utf-8")) for part in ("defaults", "vars"))
    told: dict[str, Any] = {"postgres_backup_servers": SERVERS, "postgres_backup_address": "192.0.2.21"}
    return {name: value for part in parts for name, value in part.items()} | told


def test_units_of_each_machine(evaluate: Any) -> None:
    """pgBackRest's server where others reach it, the timers of backups where they are kept, the drill's on one host."""
    timers = ["postgres-backup@full.timer", "postgres-backup@diff.timer", "postgres-backup-check.timer"]
    alone = on_disk_of("bk1") | {"postgres_backup_servers": {}, "postgres_backup_drill_host": "other"}
    cases: dict[str, dict[str, Any]] = {
        "pg1": on_disk_of("pg2") | {"postgres_backup_drill_host": "pg2"},
        "pg2": on_disk_of("pg2") | {"postgres_backup_drill_host": "pg2"},
        "bk1": alone,
        "store": S3 | {"postgres_backup_drill_host": "pg1"},
        "drills": S3 | {"postgres_backup_drill_host": "drills"},
    }
    told = evaluate(defined(), cases, [{"ansible.builtin.debug": {"msg": "{{ __postgres_backup_units }}"}}])
    assert told == {
        "pg1": ["pgbackrest.service"],
        "pg2": ["pgbackrest.service", *timers, "postgres-backup-drill.timer"],
        "bk1": timers,
        "store": timers,
        "drills": [*timers, "postgres-backup-drill.timer"],
    }


def test_secrets_are_those_of_the_store_and_of_who_encrypts(evaluate: Any) -> None:
    keys = {"repo1-s3-key": "word-one", "repo1-s3-key-secret": "word-two"}
    cipher = {"postgres_backup_cipher_passphrase": "word-three"}
    cases: dict[str, dict[str, Any]] = {"store": S3, "both": S3 | cipher, "pg1": on_disk_of("pg2") | cipher}
    cases |= {"pg2": on_disk_of("pg2") | cipher, "none": on_disk_of("pg2")}
    told = evaluate(defined(), cases, [{"ansible.builtin.debug": {"msg": "{{ __postgres_backup_secrets }}"}}])
    passphrase = {"repo1-cipher-pass": "word-three"}
    assert told == {"store": keys, "both": keys | passphrase, "pg1": {}, "pg2": passphrase, "none": {}}


def test_functions_have_the_names_of_their_release(evaluate: Any) -> None:
    """PostgreSQL 15 renamed them."""
    grant = "{{ __postgres_backup_sql | select('search', 'GRANT EXECUTE') | first }}"
    cases = {f"pg{version}": {"postgres_backup_version": version} for version in ("13", "14", "15", "17")}
    told = evaluate(defined(), cases, [{"ansible.builtin.debug": {"msg": grant}}])
    always = "pg_create_restore_point(text), pg_switch_wal()"
    old = f"pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean), {always}"
    new = f"pg_backup_start(text, boolean), pg_backup_stop(boolean), {always}"
    names = {name: f"GRANT EXECUTE ON FUNCTION {old if name in ('pg13', 'pg14') else new} TO backup" for name in cases}
    assert told == names


def test_an_authority_that_cannot_sign_is_told_first(evaluate: Any, tmp_path: Path) -> None:
    """Its key is needed where no certificate was given; an object store needs neither; a trial run makes none."""
    (tmp_path / "ca.crt").touch()
    (tmp_path / "ca.key").touch()
    here = {
        "postgres_backup_ca_certificate": str(tmp_path / "ca.crt"),
        "postgres_backup_ca_key": str(tmp_path / "ca.key"),
    }
    absent = str(tmp_path / "absent")
    given = {"postgres_backup_certificate": "/srv/c.crt"}
    disk = on_disk_of("pg2") | here
    cases: dict[str, dict[str, Any]] = {
        "right": disk,
        "no_certificate": disk | {"postgres_backup_ca_certificate": absent},
        "no_key": disk | {"postgres_backup_ca_key": absent},
        "given": disk | {"postgres_backup_ca_key": absent} | given,
        "given_by_nobody": disk | {"postgres_backup_ca_certificate": absent} | given,
        "store": S3 | {"postgres_backup_ca_certificate": absent, "postgres_backup_ca_key": absent},
    }
    (check,) = (one for one in defined()["__postgres_backup_checks"] if "ca_certificate }} or" in one["message"])
    told = evaluate(defined(), cases, [{"ansible.builtin.debug": {"msg": check["broken"]}}])
    assert told == {name: name in ("no_certificate", "no_key", "given_by_nobody") for name in cases}
    # A command line's --check, which no task can set.
    trial = check["broken"].replace("ansible_check_mode", "true")
    assert evaluate(defined(), cases, [{"ansible.builtin.debug": {"msg": trial}}]) == dict.fromkeys(cases, False)


def test_which_certificates_are_renewed(evaluate: Any, tmp_path: Path) -> None:
    """The one that the role made, once it is due or when all are; one that was given, or is not there, is not."""
    tasks = yaml.safe_load((ROLE / "tasks" / "certificate.yml").read_text(encoding="utf-8"))
    (decide,) = (task for task in tasks if task["name"] == "Decide whether it is due")
    there = {"__postgres_backup_answer": {"backup": {"certificate": ends_in(60, tmp_path)}}}
    disk = on_disk_of("pg2") | there
    every = {"postgres_backup_renew_all": True}
    cases: dict[str, dict[str, Any]] = {
        "good": disk,
        "due": disk | {"postgres_backup_certificate_renew_days": 61},
        "every": disk | every,
        "given": disk | every | {"postgres_backup_certificate": "/srv/c.crt"},
        "missing": disk | every | {"__postgres_backup_answer": {"backup": {"certificate": ""}}},
        "store": S3 | there | every,
    }
    known = {
        "postgres_backup_ca_certificate": str(tmp_path / "ca.crt"),
        "__postgres_backup_names": ["DNS:pg1", "IP:192.0.2.21", "DNS:192.0.2.21"],
    }
    told = evaluate(
        defined() | known, cases, [decide, {"ansible.builtin.debug": {"msg": "{{ postgres_backup_renew }}"}}]
    )
    assert told == dict.fromkeys(cases, False) | {"due": True, "every": True}
