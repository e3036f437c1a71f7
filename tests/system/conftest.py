# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that disturb a deployment of their own (see test.sh); each leaves it whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from support.deployment import Deployment  # noqa: E402
from support.odoo import Door, proxies  # noqa: E402

Run = Callable[..., subprocess.CompletedProcess[str]]


class Clicks:
    """Somebody logged in who clicks five times a second, at each proxy in turn. Counts what came."""

    def __init__(self, doors: list[Door]) -> None:
        self.doors, self.stop = doors, threading.Event()
        self.between = threading.Lock()  # whoever holds it knows that no click is under way
        self.answers: Counter[str] = Counter()
        self.thread = threading.Thread(target=self._click)

    def _click(self) -> None:
        number = 0
        while not self.stop.wait(0.2):
            door = self.doors[number % len(self.doors)]
            number += 1
            with self.between:
                self.answers[self._answer(door)] += 1

    @staticmethod
    def _answer(door: Door) -> str:
        parameters = {"model": "res.users", "method": "read", "args": [[2], ["login"]], "kwargs": {}}
        try:
            answer = requests.post(
                f"{door.url}/web/dataset/call_kw",
                json={"jsonrpc": "2.0", "params": parameters},
                headers={"Cookie": f"session_id={door.session_id}"},
                timeout=10,
            )
        except requests.RequestException as error:
            return type(error).__name__
        if answer.status_code == 503 and "Odoo is being updated" in answer.text:
            return "maintenance"
        return "right" if '"login": "admin"' in answer.text else f"{answer.status_code}: {answer.text[:200]}"

    def __enter__(self) -> Clicks:
        self.thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.stop.set()
        self.thread.join()


def sql(deployment: Deployment, query: str, database: str = "odoo") -> str:
    """What the primary answers its superuser."""
    for machine in deployment.machines("postgres"):
        ask = f"runuser -u postgres -- psql --no-psqlrc -Atc {json.dumps(query)} {database}"
        if machine.run("runuser -u postgres -- psql -Atc 'SELECT pg_is_in_recovery()'").strip() == "f":
            return machine.run(ask).strip()
    raise AssertionError("no primary")


@pytest.fixture(scope="session", autouse=True)
def only_a_deployment_of_our_own(deployment: Deployment) -> None:
    """What people use is never disturbed."""
    assert os.environ.get("ODOO_DEPLOY_NODES"), "run these through ./test.sh e2e: they break machines on purpose"
    assert deployment.name != "odoo"


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs a command in the checkout; its output is in the result."""

    def call(*command: str, timeout: float = 900, **options: object) -> subprocess.CompletedProcess[str]:
        options.setdefault("cwd", ROOT)
        return subprocess.run(
            command, timeout=timeout, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, **options,  # type: ignore[call-overload]
        )  # fmt: skip

    return call


@pytest.fixture
def deploys(run: Run) -> Callable[[], str]:
    """`./run.py --yes` must succeed, verifications included; gives what it printed."""

    def call() -> str:
        done = run("./run.py", "--yes")
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    return call


@pytest.fixture(scope="module")
def doors(deployment: Deployment) -> list[Door]:
    """Both proxies with one session."""
    doors = list(proxies(deployment).values())
    doors[0].log_in("admin", deployment.secret("odoo_admin_password"))
    for door in doors:
        door.session_id = doors[0].session_id
    return doors
