# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two servers, what keeps their backups, and the playbooks that are run against them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from scenario import INVENTORY, ROOT

sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from support.deployment import Deployment, Machine, eventually

WRITTEN = "SELECT coalesce(string_agg(word, ',' ORDER BY number), '') FROM sentinels"


@dataclass
class Site:
    """The servers, what backups of them are kept under, their scenario's folder, and words for every playbook.

    keeper is the machine with the repository; where an object store has it, the one that drills.
    """

    pg1: Machine
    pg2: Machine
    stanza: str
    secrets: Path
    scenario: Path
    words: list[str] = field(default_factory=list)

    @property
    def keeper(self) -> Machine:
        return self.pg2

    def play(self, name: str, **extra: object) -> tuple[int, str]:
        """A playbook's exit code and words."""
        folder = self.scenario if name == "converge.yml" else ROOT / "playbooks"
        words = [*self.words, "-e", json.dumps({"postgres_yes": True, **extra})]
        done = subprocess.run(
            ["ansible-playbook", "-i", INVENTORY, str(folder / name), *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())  # YAML output breaks lines

    def must(self, name: str, **extra: object) -> str:
        code, words = self.play(name, **extra)
        assert code == 0, words[-3000:]
        return words

    def must_refuse(self, name: str, expected: str, **extra: object) -> None:
        code, words = self.play(name, **extra)
        assert code != 0, words[-3000:]
        assert expected in words, words[-3000:]

    def primary(self) -> Machine:
        return next(one for one in (self.pg1, self.pg2) if sql(one, "SELECT pg_is_in_recovery()") == "f")

    def write(self, word: str) -> str:
        """A row of Odoo's database, and a moment right after it."""
        sql(self.primary(), "CREATE TABLE IF NOT EXISTS sentinels (number serial, word text)", "odoo")
        sql(self.primary(), f"INSERT INTO sentinels (word) VALUES ('{word}')", "odoo")
        time.sleep(0.2)
        moment = sql(self.primary(), "SELECT clock_timestamp() AT TIME ZONE 'UTC' || '+00:00'")
        time.sleep(0.2)
        return moment

    def archived(self) -> None:
        """Every segment up to now is in the repository."""
        segment = sql(self.primary(), "SELECT pg_walfile_name(pg_switch_wal())")

        def there() -> None:
            last = sql(self.primary(), "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver")
            assert last[:24] >= segment, f"{segment} is not archived, {last} is"

        eventually(there, 90)

    def info(self) -> list[dict[str, Any]]:
        told = json.loads(postgres(self.keeper, f"pgbackrest --stanza={self.stanza} --output=json info"))
        return told[0]["backup"]

    def first(self) -> dict[str, Any]:
        """The full backup that the run which set the repository up ended with; its sentinel is on both servers."""

        def listed() -> None:
            assert self.info()

        eventually(listed, 60)
        backup = self.info()[0]
        assert (backup["type"], backup["error"]) == ("full", False)
        token = backup["annotation"]["sentinel"]
        for server in (self.pg1, self.pg2):
            assert sql(server, f"SELECT count(*) FROM postgres_backup.sentinel WHERE token = '{token}'") == "1"
        return backup

    def metric(self, name: str) -> float:
        """As Prometheus reads it on :9100."""
        page = requests.get(f"http://{self.keeper.address}:9100/metrics", timeout=10, proxies={"http": ""}).text
        found = [row.split()[-1] for row in page.splitlines() if row.startswith(f"postgres_backup_{name} ")]
        assert found, f"no postgres_backup_{name} on :9100"
        return float(found[0])

    def leaks(self, machine: Machine, secret: str) -> str:
        """Files of a machine beside the one for secrets, and lines of its processes and its journal, that have it."""
        hidden = f"[{secret[0]}]{secret[1:]}"  # or the search finds itself
        places = "/etc /var/log /run /tmp /var/lib/postgres-backup"
        files = machine.host.run(f"grep -rl %s {places} --exclude=20-secrets.conf", hidden).stdout
        said = machine.run("ps -eo args") + machine.run("journalctl --no-pager --quiet")
        return files + "\n".join(line for line in said.splitlines() if secret in line)

    def restored(self, statement: str, database: str = "odoo") -> str:
        """Asks the scratch cluster that a restore left running."""
        socket = f"-h /var/lib/postgresql/scratch/restore/run -p 5433 -d {database}"
        return postgres(self.keeper, f"psql -XAtq {socket} -c {shlex.quote(statement)}")


def postgres(machine: Machine, command: str) -> str:
    """Standard output of a command that the unix user postgres must succeed with."""
    return machine.run("runuser -u postgres -- sh -c %s", f"cd /; {command}")


def sql(machine: Machine, statement: str, database: str = "postgres") -> str:
    return machine.run("runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d %s -c %s", database, statement)


def the_site(scenario: Path, words: list[str] | None = None) -> Site:
    """The servers of the scenario that was entered."""
    deployment = Deployment()
    pg1, pg2 = sorted(deployment.machines("postgres"), key=lambda machine: machine.name)
    deploy = Path(os.environ.get("ODOO_DEPLOY_DIR") or ROOT / ".deploy")
    stanza = pg2.run('sed -n \'s/.*"stanza": "\\(.*\\)".*/\\1/p\' /etc/pgbackrest/postgres-backup.json')
    return Site(pg1, pg2, stanza, deploy / "secrets", scenario, words or [])
