# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup goes out to another Odoo, is worked on there, and comes back; what is damaged or hostile does not."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import ROOT, Run, sql
from support.deployment import Deployment, eventually
from support.odoo import Door, Odoo, proxies

REF = "odoo-deploy-backup"
CONTENT = os.urandom(300_000)
STORED = "filestore/{0:.2}/{0}".format(hashlib.sha1(CONTENT).hexdigest())
Rewrite = Callable[[bytes], bytes]


class Other:
    """Another Odoo of the same series, with a PostgreSQL of its own (tests/system/other)."""

    name = "odoo-deploy-other"

    def __init__(self, image: str) -> None:
        self.remove()
        debian = self._docker("run", "--rm", "--entrypoint", "cat", image, "/etc/debian_version")
        major = {"11": "13", "12": "15", "13": "17"}[debian.split(".")[0]]
        arguments = ["--build-arg", f"IMAGE={image}", "--build-arg", f"MAJOR={major}"]
        self._docker("build", "--network", "host", "--tag", self.name, *arguments, str(ROOT / "tests/system/other"))
        self._docker("run", "--detach", "--name", self.name, "--network", "none", self.name)
        eventually(self._serves, 60)

    def _docker(self, *words: str) -> str:
        return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout

    def _serves(self) -> None:
        ready = ["docker", "exec", self.name, "pg_isready", "--quiet", "--host", "/run/other"]
        assert subprocess.run(ready, check=False).returncode == 0

    def manager(self, *words: str) -> str:
        done = subprocess.run(
            ["docker", "exec", self.name, "python3", "/opt/manager.py", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def put(self, file: Path) -> None:
        self._docker("cp", str(file), f"{self.name}:/tmp/in.zip")

    def take(self, file: Path) -> None:
        self._docker("cp", f"{self.name}:/tmp/out.zip", str(file))

    def take_dump(self, dump: Path, files: Path) -> None:
        """A dump of pg_dump in its own format, and a tar of the filestore."""
        words = [
            "pg_dump",
            "--host",
            "/run/other",
            "--username",
            "other",
            "--format",
            "custom",
            "--file",
            "/tmp/out.dump",
        ]
        self._docker("exec", self.name, *words, "other")
        self._docker("exec", self.name, "tar", "-cf", "/tmp/files.tar", "-C", "/tmp/data/filestore", "other")
        self._docker("cp", f"{self.name}:/tmp/out.dump", str(dump))
        self._docker("cp", f"{self.name}:/tmp/files.tar", str(files))

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def other(deployment: Deployment) -> Iterator[Other]:
    made = Other(Odoo(deployment).web.spec.template.spec.containers[0].image)
    yield made
    made.remove()
    subprocess.run(["docker", "rmi", Other.name], check=False, capture_output=True)


@pytest.fixture(scope="module")
def kept(deployment: Deployment) -> Iterator[None]:
    """Databases that imports have kept go at the end."""
    yield
    found = sql(deployment, "SELECT datname FROM pg_database WHERE datname ~ '^odoo_(before_|importing)'", "postgres")
    for name in found.split():
        sql(deployment, f"DROP DATABASE {name}", "postgres")


@pytest.fixture(scope="module")
def exported(deployment: Deployment, doors: list[Door], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup, with a partner and an attachment of our own in it."""
    doors[0].call("res.partner", "unlink", doors[0].call("res.partner", "search", [["ref", "=", REF]]))
    (partner,) = doors[0].call("res.partner", "create", [{"name": "From here", "ref": REF}])
    values = {"name": "from here.bin", "datas": base64.b64encode(CONTENT).decode()}
    doors[0].call("ir.attachment", "create", [{**values, "res_model": "res.partner", "res_id": partner}])
    file = tmp_path_factory.mktemp("backups") / "shop.zip"
    done = subprocess.run(
        ["./run.py", "odoo", "export", str(file)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "read from the standby" in done.stdout
    return file


@pytest.fixture(scope="module")
def restored(exported: Path, other: Other) -> dict[str, Any]:
    """What another Odoo has after its database manager restored the backup."""
    other.put(exported)
    found: dict[str, Any] = json.loads(other.manager("restore", "/tmp/in.zip").splitlines()[-1])
    return found


def test_another_odoo_restores_what_was_taken_out(exported: Path, restored: dict[str, Any]) -> None:
    """Its own database manager does, with every attachment as a file."""
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    found = restored
    assert found["partner"] == ["From here"]
    assert found["attachments"]["from here.bin"] == hashlib.sha256(CONTENT).hexdigest()
    assert (found["damaged"], found["in rows"]) == ([], 0)
    assert not found["location"]  # as that Odoo stores attachments, not as this one


def test_a_file_that_is_there_is_not_written_over(run: Run, exported: Path) -> None:
    before = exported.read_bytes()
    done = run("./run.py", "odoo", "export", str(exported))
    assert done.returncode == 1
    assert "is there already" in done.stdout
    assert exported.read_bytes() == before


class Visits:
    """Somebody who asks for the log-in page all the time."""

    def __init__(self, url: str) -> None:
        self.url, self.ended, self.answers = url, threading.Event(), Counter[str]()
        self.thread = threading.Thread(target=self._visit)

    def _visit(self) -> None:
        while not self.ended.wait(0.2):
            try:
                answer = requests.get(f"{self.url}/web/login", timeout=30)
            except requests.RequestException as error:
                self.answers[type(error).__name__] += 1
                continue
            told = answer.status_code == 503 and "Odoo is being updated" in answer.text
            self.answers["maintenance" if told else str(answer.status_code)] += 1

    def __enter__(self) -> Visits:
        self.thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.ended.set()
        self.thread.join()


@pytest.mark.usefixtures("kept", "restored")
def test_a_backup_of_another_odoo_is_brought_in(
    run: Run, deployment: Deployment, exported: Path, other: Other, doors: list[Door]
) -> None:
    """Changed over there, it takes the database's place here. There is a page all the time; nobody stays logged in."""
    other.manager("work")
    other.manager("dump", "/tmp/out.zip")
    back = exported.with_name("back.zip")
    other.take(back)
    with Visits(doors[0].url) as visits:
        done = run("./run.py", "odoo", "import", str(back), "--yes")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Odoo serves" in done.stdout
    assert set(visits.answers) <= {"200", "maintenance"}, visits.answers

    assert doors[0].user_id() is None
    door = next(iter(proxies(deployment).values()))
    door.log_in("admin", deployment.secret("odoo_admin_password"))
    (partner,) = door.call("res.partner", "search_read", [["ref", "=", REF]], ["name"])
    assert partner["name"] == "Renamed over there"
    for name, content in (("from here.bin", CONTENT), ("from over there.bin", bytes(range(256)) * 1000)):
        (attachment,) = door.call("ir.attachment", "search_read", [["name", "=", name]], ["datas"])
        assert base64.b64decode(attachment["datas"]) == content
    before = re.search(r"kept as (odoo_before_\d{14})", done.stdout)
    assert before, done.stdout[-2000:]
    assert sql(deployment, f"SELECT name FROM res_partner WHERE ref = '{REF}'", before[1]) == "From here"
    for one in doors:
        one.session_id = door.session_id
    verified = run("./run.py", "verify")
    assert verified.returncode == 0, verified.stdout[-4000:]


def rewritten(source: Path, target: Path, sql_: Rewrite = bytes, without: str = "") -> Path:
    """A backup with other SQL, or without the files whose name begins like that."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            if without and entry.filename.startswith(without):
                continue
            content = old.read(entry)
            new.writestr(entry.filename, sql_(content) if entry.filename == "dump.sql" else content)
    return target


def other_series(dump: bytes) -> bytes:
    return re.sub(rb"(?m)^((?:.*\t)?base\t.*)\b\d+(\.0\.\d+\.\d+)", rb"\g<1>9\2", dump)


@pytest.mark.usefixtures("restored")
def test_a_dump_and_the_files_beside_it_are_read(
    run: Run, deployment: Deployment, exported: Path, other: Other
) -> None:
    """pg_dump's own format, and a tar of the filestore; by way of a folder that a person names. Nothing is changed."""
    dump, files = exported.with_name("shop.dump"), exported.with_name("files.tar")
    other.take_dump(dump, files)
    spool = "/var/lib/postgresql/spool"
    words = ("--filestore", str(files), "--dry-run", "-e", f"odoo_k8s_spool_dir={spool}")
    done = run("./run.py", "odoo", "import", str(dump), *words)
    assert done.returncode == 0, done.stdout[-3000:]
    with zipfile.ZipFile(exported) as archive:
        count = sum(name.startswith("filestore/") for name in archive.namelist())
    assert int(re.search(r"Odoo \d+\.0, \d+ modules, (\d+) attachments", done.stdout)[1]) >= count  # type: ignore[index]
    assert "Nothing was changed" in done.stdout
    passed = [machine for machine in deployment.machines("postgres") if machine.run(f"ls {spool} 2>/dev/null || true")]
    assert len(passed) == 1
    passed[0].run(f"rm -r {spool}")


def test_a_person_may_bring_in_what_is_incomplete(run: Run, exported: Path) -> None:
    bad = rewritten(exported, exported.with_name("bad.zip"), without=STORED)
    done = run("./run.py", "odoo", "import", str(bad), "--dry-run", "-e", "odoo_k8s_import_incomplete=true")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "leave out what is not there: 1 files, modules none" in done.stdout


HOSTILE = {
    "a command of psql": b"\\! touch /var/tmp/odoo-deploy-owned\n",
    "a program of the server": b"COPY (SELECT 1) TO PROGRAM 'touch /var/tmp/odoo-deploy-owned';\n",
    "a right of the superuser": b"ALTER ROLE odoo SUPERUSER;\n",
    "back to the superuser": b"RESET SESSION AUTHORIZATION; ALTER ROLE odoo SUPERUSER;\n",
}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("cut off", "not a whole zip"),
        ("dump cut off", "its SQL ends in the middle"),
        ("file missing", "are missing"),
        ("other series", "Odoo cannot cross series"),
    ],
)
def test_what_is_damaged_or_of_another_odoo_is_refused(
    run: Run, deployment: Deployment, exported: Path, kind: str, reason: str
) -> None:
    """In one line, before anything is changed."""
    bad = exported.with_name("bad.zip")
    if kind == "cut off":
        bad.write_bytes(exported.read_bytes()[:-5000])
    elif kind == "dump cut off":
        rewritten(exported, bad, lambda dump: dump[: len(dump) // 2])
    elif kind == "file missing":
        rewritten(exported, bad, without=STORED)
    else:
        rewritten(exported, bad, other_series)
    done = run("./run.py", "odoo", "import", str(bad), "--yes")
    assert done.returncode == 1
    assert reason in done.stdout
    assert "odoo_importing" not in sql(deployment, "SELECT string_agg(datname, ' ') FROM pg_database", "postgres")


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("kind", HOSTILE)
def test_what_hides_in_a_backup_may_do_no_more_than_odoo(
    run: Run, deployment: Deployment, exported: Path, doors: list[Door], kind: str
) -> None:
    bad = rewritten(exported, exported.with_name("bad.zip"), lambda dump: HOSTILE[kind] + dump)
    done = run("./run.py", "odoo", "import", str(bad), "--yes")
    assert done.returncode == 1, done.stdout[-2000:]
    assert "cannot be loaded" in done.stdout
    for machine in deployment.machines("postgres"):
        assert machine.run("ls /var/tmp").find("odoo-deploy-owned") == -1
    assert sql(deployment, "SELECT rolsuper FROM pg_roles WHERE rolname = 'odoo'", "postgres") == "f"
    assert doors[0].get("/web/login").status_code == 200


@pytest.mark.slow
@pytest.mark.usefixtures("kept")
def test_brought_in_as_staging_nothing_leaves_it(run: Run, deployment: Deployment, exported: Path) -> None:
    """Scheduled actions and mail servers are off, every page says so; then the backup again, as production."""
    done = run("./run.py", "odoo", "import", str(exported), "--as", "staging", "--yes")
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"Turned off: \d+ scheduled actions", done.stdout)
    assert sql(deployment, "SELECT value FROM ir_config_parameter WHERE key = 'database.is_neutralized'") == "true"
    assert sql(deployment, "SELECT string_agg(smtp_host, ' ') FROM ir_mail_server WHERE active") == "invalid"
    assert int(sql(deployment, "SELECT count(*) FROM ir_cron WHERE active")) <= 1
    page = next(iter(proxies(deployment).values())).get("/web/login").text
    assert "neutralize_banner" in page or "odoo_deploy_copy" in page
    again = run("./run.py", "odoo", "import", str(exported), "--yes")
    assert again.returncode == 0, again.stdout[-4000:]


@pytest.mark.slow
@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("task", "serves"), [("Load it beside", True), ("Wait for its end", True), ("Stop cron and web", False)]
)
def test_killed_anywhere_the_next_one_brings_it_in(
    run: Run, deployment: Deployment, exported: Path, task: str, serves: bool
) -> None:
    """Before Odoo is stopped nobody sees anything; after that step 4 starts what was there. Then all of it works."""
    words = ["ansible-playbook", "playbooks/odoo_import.yml", "-e", json.dumps({"odoo_k8s_import_file": str(exported)})]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith(f"TASK [odoo_deploy.stack.odoo_k8s : {task}]"):
                time.sleep(1)
                os.killpg(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL, f"it has no task {task}"
    proxy = next(iter(proxies(deployment).values()))
    assert sql(deployment, f"SELECT count(*) FROM res_partner WHERE ref = '{REF}'") == "1"
    if serves:
        assert proxy.get("/web/login").status_code == 200
    else:
        refused = run("./run.py", "odoo", "import", str(exported), "--yes")
        assert refused.returncode == 1
        assert "./run.py --yes --steps 4 mends it" in refused.stdout
        mended = run("./run.py", "--yes", "--steps", "4")
        assert mended.returncode == 0, mended.stdout[-3000:]
    done = run("./run.py", "odoo", "import", str(exported), "--yes")
    assert done.returncode == 0, done.stdout[-4000:]
    assert proxy.get("/web/login").status_code == 200
