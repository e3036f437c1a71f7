# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pair of servers, the playbooks that are run against it, and the writer that counts rows."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

ROOT = Path(os.environ.get("MOLECULE_PROJECT_DIRECTORY", Path(__file__).resolve().parents[3]))
SCENARIO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks" / "failover"))

# What ansible prints is read by these tests; Molecule asks for colours.
os.environ |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "PY_COLORS": "0"}
if "MOLECULE_EPHEMERAL_DIRECTORY" in os.environ:
    ephemeral = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
    os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
    os.environ["ODOO_DEPLOY_NODES"] = str(SCENARIO / "nodes.yml")
    os.environ["ODOO_DEPLOY_DIR"] = str(ephemeral / "deploy")
    os.environ["VAGRANT_DOTFILE_PATH"] = str(ephemeral / "vagrant")
    os.environ.setdefault("ANSIBLE_CACHE_PLUGIN_CONNECTION", str(ephemeral / "facts"))
    os.environ.setdefault("ANSIBLE_SSH_CONTROL_PATH_DIR", str(ephemeral / "ssh"))

from measure import Server, Site, inventory  # noqa: E402
from writer import Watcher, Writer  # noqa: E402

INVENTORY = os.environ.get("ODOO_TEST_INVENTORY") or str(ROOT / "inventory" / "demo.vagrant_minikube.yml")


@dataclass
class Pair:
    """Two servers, either of which may be the primary."""

    site: Site

    @property
    def servers(self) -> tuple[Server, ...]:
        return self.site.servers

    def argv(self, name: str, **extra: object) -> list[str]:
        folder = SCENARIO if name == "converge.yml" else ROOT / "playbooks"
        words = [f"-e{{{key}: {value}}}" for key, value in {"postgres_yes": "true", **extra}.items()]
        return ["ansible-playbook", "-i", INVENTORY, str(folder / name), *words]

    def play(self, name: str, **extra: object) -> subprocess.CompletedProcess[str]:
        """A playbook's output and exit code, stderr after stdout."""
        done = subprocess.run(
            self.argv(name, **extra), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
        )
        done.stdout = " ".join((done.stdout + done.stderr).split())  # YAML output breaks lines
        return done

    def must(self, name: str, **extra: object) -> str:
        done = self.play(name, **extra)
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    def must_refuse(self, name: str, words: str, **extra: object) -> None:
        done = self.play(name, **extra)
        assert done.returncode != 0, done.stdout[-3000:]
        assert words in done.stdout, done.stdout[-3000:]

    def primary(self) -> Server:
        end = time.monotonic() + 30
        while True:
            try:
                with psycopg.connect(self.site.conninfo(self.servers)) as connection:
                    return next(server for server in self.servers if server.name == connection.info.host)
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def standby(self) -> Server:
        primary = self.primary()
        return next(server for server in self.servers if server != primary)

    def shell(self, server: Server, command: str) -> str:
        """Runs as root on a server's machine."""
        done = subprocess.run(
            ["ansible", server.name, "-i", INVENTORY, "-b", "-m", "ansible.builtin.shell", "-a", command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sql(self, server: Server, statement: str) -> str:
        out = self.shell(server, f'runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -c "{statement}"')
        return out.splitlines()[-1].strip()

    def kill(self, server: Server) -> None:
        """The machine's power is cut."""
        subprocess.run(["docker", "kill", server.container], check=True, capture_output=True)

    def start(self, server: Server) -> None:
        subprocess.run(["docker", "start", server.container], check=True, capture_output=True)

    def watcher(self, server: Server) -> Watcher:
        return Watcher(self.site.conninfo((server,), "any"))

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """Rows are written for a second before, during and for two seconds after the block."""
        writer = Writer(self.site.conninfo(self.servers), f"{time.time():.3f}")
        writer.prepare()
        writer.start()
        time.sleep(1)
        try:
            yield writer
            time.sleep(2)
        finally:
            writer.stop()
        assert len(writer.record.acknowledged) > 50


@pytest.fixture(scope="session")
def whole() -> Pair:
    deploy = Path(os.environ.get("ODOO_DEPLOY_DIR") or ROOT / ".deploy")
    return Pair(inventory(INVENTORY, deploy, ()))


@pytest.fixture
def pair(whole: Pair) -> Iterator[Pair]:
    """The pair, healthy before the test and after it."""
    whole.must("status.yml")
    yield whole
    whole.must("status.yml")
