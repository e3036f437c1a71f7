# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A staging copy of production: people work in it, production does not notice, and nothing leaves it."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from subprocess import DEVNULL

import pytest
from conftest import ROOT, Run, sql
from support.deployment import DEPLOY_DIR, Deployment, eventually
from support.odoo import Door, Odoo
from test_z_kill import descendants

pytestmark = pytest.mark.slow  # minutes each; CI leaves them out

NAME = "proof"
SPACE = f"odoo-copy-{NAME}"
DATABASE = f"odoo_copy_{NAME}"
MODEL = "res.partner"
REF = "odoo-deploy-copy"
ROOM = ("-e", "odoo_k8s_copies_max=1")
MAKE = ("./run.py", "odoo", "copy", "make", NAME, "--yes", *ROOM)
DROP = ("./run.py", "odoo", "copy", "drop", NAME, "--yes")
# In a pod: which databases its user gets into.
REACHES = """
import json, psycopg2
said = {}
for name in ("odoo", "session_db", "postgres", "odoo_copy_proof"):
    try:
        psycopg2.connect(dbname=name).close()
        said[name] = ""
    except psycopg2.OperationalError as error:
        said[name] = str(error)
print(json.dumps(said))
"""
# In a pod: a mail, as any module sends one.
SENDS = """
import os, sys, odoo, odoo.tools, contextlib
from odoo.modules.registry import Registry
odoo.tools.config.parse_config(["--config", "/tmp/odoo-deploy/odoo.conf", "--no-http", "--log-level", "critical"])
import odoo.api, odoo.release
with contextlib.ExitStack() as stack:
    if odoo.release.version_info[0] < 15:
        stack.enter_context(odoo.api.Environment.manage())
    cursor = stack.enter_context(Registry(os.environ["ODOO_DATABASE"]).cursor())
    server = odoo.api.Environment(cursor, 1, {})["ir.mail_server"]
    build = getattr(server, "_build_email__", None) or server.build_email
    try:
        server.send_email(build("from@example.com", ["to@example.com"], "subject", "body"))
        print("sent")
    except Exception as error:
        print(type(error).__name__)
sys.stdout.flush()
os._exit(0)
"""


class Sink:
    """A mail server that takes everything, on the address by which the tests' machines see this one."""

    def __init__(self, near: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((near, 9))
            self.address: str = probe.getsockname()[0]
        self.mails: list[str] = []
        sink = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 sink\r\n")
                while line := self.rfile.readline():
                    word = line.strip().upper()
                    if word == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        text = b""
                        while (line := self.rfile.readline()) not in (b".\r\n", b""):
                            text += line
                        sink.mails.append(text.decode(errors="replace"))
                    self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                    if word == b"QUIT":
                        return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.server = Server((self.address, 0), Session)
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def sink(deployment: Deployment) -> Iterator[Sink]:
    """It is seen to take mails."""
    address, *_others = deployment.nodes.values()
    made = Sink(address)
    with smtplib.SMTP(made.address, made.port, timeout=10) as client:
        client.sendmail("a@example.com", ["b@example.com"], "Subject: one\r\n\r\nbody")
    assert len(made.mails) == 1
    made.mails.clear()
    yield made
    made.server.shutdown()
    made.server.server_close()


class CopyOfOdoo(Odoo):
    """The copy's pods."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment)
        self.__dict__["namespace"] = SPACE

    def tells(self, program: str) -> str:
        (pod,) = self.pods()
        return self.run(pod.metadata.name, "python3", "-c", program, seconds=120).strip()


def enter(deployment: Deployment) -> Door:
    """The copy, by a password of production."""
    port = CopyOfOdoo(deployment).node_ports["http"]
    door = Door(f"http://{next(iter(deployment.nodes.values()))}:{port}")
    door.log_in("admin", deployment.secret("odoo_admin_password"), DATABASE)
    return door


@dataclass
class Made:
    """What production has for the test, and the copy when it was new."""

    partner: int
    door: Door
    said: str


def first(created: int | list[int]) -> int:
    return created if isinstance(created, int) else created[0]


@pytest.fixture(scope="module")
def made(deployment: Deployment, doors: list[Door], sink: Sink) -> Iterator[Made]:
    """A copy of a production that sends its mails to the sink."""
    partner = first(doors[0].call(MODEL, "create", [{"name": "In production", "ref": REF}]))
    values = {"name": "sink", "smtp_host": sink.address, "smtp_port": sink.port, "sequence": 1}
    server = first(doors[0].call("ir.mail_server", "create", [values]))
    step3 = ("./run.py", "--yes", "--steps", "3")
    subprocess.run([*step3, *ROOM], cwd=ROOT, capture_output=True, check=True)
    done = subprocess.run(MAKE, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr
        yield Made(partner, enter(deployment), done.stdout)
    finally:
        doors[0].call("ir.mail_server", "unlink", [server])
        doors[0].call(MODEL, "unlink", [partner])
        subprocess.run(DROP, cwd=ROOT, capture_output=True, text=True, check=False)
        subprocess.run(step3, cwd=ROOT, capture_output=True, check=True)


def names(door: Door) -> list[str]:
    return sorted(row["name"] for row in door.call(MODEL, "search_read", [["ref", "=", REF]], ["name"]))


def left(deployment: Deployment) -> list[str]:
    """What is on its way on this machine or on one of PostgreSQL's."""
    found = [str(path) for path in DEPLOY_DIR.rglob("odoo.zip*")]
    for machine in deployment.machines("postgres"):
        found += machine.run(f"find /var/tmp -name 'odoo-export-*' -o -path '*odoo-import/{DATABASE}*'").split()
    return found


def test_people_work_in_it_and_production_does_not_notice(doors: list[Door], made: Made) -> None:
    """An old password, an old record; what is changed there is changed there alone. Every page says what it is."""
    assert names(made.door) == ["In production"]
    made.door.call(MODEL, "write", [made.partner], {"name": "In the copy"})
    assert names(doors[0]) == ["In production"]
    assert doors[0].user_id()
    page = made.door.get("/web/login").text
    assert "neutralize_banner" in page or "odoo_deploy_copy" in page


def test_its_pods_do_not_reach_productions_databases(deployment: Deployment, made: Made) -> None:
    """pg_hba.conf turns them away, and the databases themselves would."""
    reached = json.loads(CopyOfOdoo(deployment).tells(REACHES).splitlines()[-1])
    assert (reached[DATABASE], reached["postgres"]) == ("", "")
    for name in ("odoo", "session_db"):
        assert "pg_hba.conf rejects connection" in reached[name], reached[name]
        assert sql(deployment, f"SELECT has_database_privilege('{DATABASE}', '{name}', 'CONNECT')", "postgres") == "f"
    limit = sql(deployment, f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{DATABASE}'", "postgres")
    assert limit == "25"


def test_no_mail_leaves_it(deployment: Deployment, made: Made, sink: Sink) -> None:
    """Production's server is known there and off; without one Odoo would take that of odoo.conf."""
    assert re.search(r"Turned off: .*1 outgoing mail servers", made.said), made.said[-2000:]
    assert sql(deployment, "SELECT string_agg(smtp_host, ' ') FROM ir_mail_server WHERE active", DATABASE) == "invalid"
    assert int(sql(deployment, "SELECT count(*) FROM ir_cron WHERE active", DATABASE)) <= 1
    if sql(deployment, "SELECT to_regclass('public.mail_mail') IS NOT NULL", DATABASE) == "t":
        assert sql(deployment, "SELECT count(*) FROM mail_mail WHERE state = 'outgoing'", DATABASE) == "0"
    assert CopyOfOdoo(deployment).tells(SENDS).splitlines()[-1] != "sent"
    assert sink.mails == []
    assert sql(deployment, "SELECT string_agg(smtp_host, ' ') FROM ir_mail_server WHERE active") == sink.address


def test_the_deployment_is_whole_beside_it(run: Run, made: Made) -> None:
    verified = run("./run.py", "verify")
    assert verified.returncode == 0, verified.stdout[-4000:]


def test_it_is_listed_and_there_are_not_too_many(run: Run, deployment: Deployment, made: Made) -> None:
    shown = run("./run.py", "odoo", "copy", "list")
    assert re.search(rf"{NAME}: ready, data of \d+ \w+ ago, [\d.]+ MB, {re.escape(made.door.url)}", shown.stdout), (
        shown.stdout
    )
    more = run("./run.py", "odoo", "copy", "make", "another", "--yes", *ROOM)
    assert more.returncode == 1
    assert f"there are 1 copies ({NAME}), and odoo_k8s_copies_max is 1" in more.stdout
    wrong = run("./run.py", "odoo", "copy", "make", "Not_a_name", "--yes")
    assert wrong.returncode == 1
    assert "Not_a_name is no name of a copy" in wrong.stdout
    over = run(*MAKE, "-e", "odoo_k8s_db_name=odoo")
    assert over.returncode == 1
    assert "-e gives odoo_k8s_db_name" in over.stdout


def test_a_run_that_is_killed_while_it_loads_is_mended_by_another(
    run: Run, deployment: Deployment, doors: list[Door], made: Made
) -> None:
    """The copy then has what production has by now, on its old port, and nothing of what was done in it."""
    doors[0].call(MODEL, "write", [made.partner], {"name": "In production, later"})
    oid = f"SELECT oid FROM pg_database WHERE datname = '{DATABASE}'"
    before = sql(deployment, oid, "postgres")
    killed = subprocess.Popen(MAKE, cwd=ROOT, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)

    def loads() -> None:
        assert sql(deployment, oid, "postgres") not in ("", before)

    def works_no_more() -> None:  # on the server the load goes on to its end
        working = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'odoo_database'"
        assert sql(deployment, working, "postgres") == "0"

    eventually(loads, 600, every=0.5)
    for pid in descendants(killed.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    killed.wait()
    eventually(works_no_more, 120)
    assert names(doors[0]) == ["In production, later"]
    shown = run("./run.py", "odoo", "copy", "list")
    assert f"{NAME}: stopped: ./run.py odoo copy make {NAME} mends it" in shown.stdout, shown.stdout

    done = run(*MAKE)
    assert done.returncode == 0, done.stdout[-4000:]
    again = enter(deployment)
    assert again.url == made.door.url
    assert names(again) == ["In production, later"]
    assert not [file for file in left(deployment) if "odoo-export-" not in file]  # the killed run's own


def test_nothing_is_left_of_it(run: Run, deployment: Deployment, doors: list[Door], made: Made) -> None:
    """Nor does it matter to be asked twice."""
    done = run(*DROP)
    assert done.returncode == 0, done.stdout[-4000:]
    spaces = [one.metadata.name for one in deployment.cluster.core.list_namespace().items]
    assert SPACE not in spaces
    count = "SELECT count(*) FROM (SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles) t (name)"
    assert sql(deployment, f"{count} WHERE name ~ '^odoo_cop(y|ies)'", "postgres") == "0"
    assert not (DEPLOY_DIR / "secrets" / f"odoo_copy_{NAME}_password").exists()
    again = run(*DROP)
    assert again.returncode == 0
    assert f"There is no copy {NAME}." in again.stdout
    assert names(doors[0]) == ["In production, later"]
