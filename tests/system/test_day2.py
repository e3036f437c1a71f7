# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands for a person at work: logs, and two terminals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

from conftest import ROOT, Run
from support.deployment import Deployment
from support.odoo import Door


def feed(lines: str, *command: str) -> str:
    """What a command says that reads its input from a pipe, as from a script."""
    done = subprocess.run(
        command, input=lines, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def type_in(lines: str, *command: str) -> str:
    """What a person sees who types lines at a terminal; they come once the program has asked for them."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvp(command[0], command)
    # Rows and columns: without them psql would page every answer.
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    seen, deadline = b"", time.monotonic() + 120
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                seen += os.read(terminal, 4096)
            except OSError:  # the other side is gone
                break
            if lines and (b">>> " in seen or b"=# " in seen):
                os.write(terminal, lines.encode())
                lines = ""
    finally:
        os.close(terminal)
        _pid, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, seen.decode(errors="replace")
    return seen.decode(errors="replace")


def test_logs_of_every_pod_and_of_one_request(run: Run, deployment: Deployment) -> None:
    """`logs odoo` names each pod; with a request's id it shows the lines of that request and no other."""
    pods = [pod.metadata.name for pod in deployment.cluster.pods("odoo", "app.kubernetes.io/name=odoo")]
    shown = run("./run.py", "logs", "odoo", "-e", "odoo_k8s_logs_lines=3").stdout
    assert all(f"{pod}:" in shown for pod in pods), shown
    proxy = deployment.machines("nginx")[0]
    wanted = Door(f"http://{proxy.address}").get("/web/login").headers["X-Request-Id"]
    time.sleep(1)
    shown = run("./run.py", "logs", "odoo", "-e", f"odoo_k8s_logs_only={wanted}").stdout
    lines = [line for line in shown.splitlines() if "request_id" in line]
    assert lines, shown
    assert all(wanted in line for line in lines)


def test_alerts_are_told_and_silenced(run: Run) -> None:
    """What fires after the disturbances before this is nobody's business here; the silence is."""
    silenced = run("./run.py", "alerts", "-e", "alerts_silence=alertname=OdooPagesSlow", "-e", "alerts_minutes=5")
    assert silenced.returncode == 0, silenced.stdout
    assert re.search(
        r"Silence ./run.py alerts of odoo-deploy, for 4 min more: alertname=OdooPagesSlow", silenced.stdout
    )
    heard = run("./run.py", "alerts", "-e", "alerts_listen=true")
    assert heard.returncode == 0, heard.stdout
    assert "fire" in heard.stdout and "Silence ./run.py alerts" not in heard.stdout


def test_shell_from_a_script_and_at_a_terminal() -> None:
    """`shell odoo` runs what is piped into it, and gives a person a prompt in the same pod."""
    assert "user __system__" in feed("print('user', env.user.login)\n", "./run.py", "shell", "odoo")
    seen = type_in("print('user', 6 * 7, env.user.login)\nexit()\n", "./run.py", "shell", "odoo")
    assert "user 42 __system__" in seen


def test_psql_from_a_script_and_at_a_terminal() -> None:
    """`psql` is the superuser's on the primary, in the database that is named."""
    query = "SELECT 'in ' || current_database() || ' ' || pg_is_in_recovery();\n"
    assert "in odoo false" in feed(query, "./run.py", "psql")
    assert "in session_db false" in feed(query, "./run.py", "psql", "-e", "psql_database=session_db")
    assert "in odoo false" in type_in(query + "\\q\n", "./run.py", "psql")


def test_a_certificate_of_somebody_else(run: Run, tmp_path: Path) -> None:
    """Proxies that only speak HTTPS, by a certificate of no authority of ours, verify; and there is a way back."""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=odoo.example.com", "-out", certificate, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip
    variables = tmp_path / "variables.json"
    variables.write_text(
        json.dumps(
            {
                "nginx_tls": False,
                "nginx_public_names": ["odoo.example.com"],
                "nginx_cache_tls_certificate": certificate.read_text(),
                "nginx_cache_tls_key": key.read_text(),
            }
        )
    )
    try:
        done = run("./run.py", "--yes", "--steps", "5", "-e", f"@{variables}")
        assert done.returncode == 0, done.stdout[-4000:]
    finally:
        back = run("./run.py", "--yes", "--steps", "5")
    assert back.returncode == 0, back.stdout[-4000:]
