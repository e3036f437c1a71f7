# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade is killed at every task that may change something: what is served then is the old or the new Odoo, whole.

Two modules change together: half an upgrade would be one of them in its new version, or a database that the code of its
pods does not fit. About an hour and a half. At odd places it is killed as the task begins, at even ones a second later;
TEST_PLACES=7-12 takes six of them.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import cache

import addons
import pytest
import yaml
from conftest import ROOT, Run, sql
from support.deployment import Deployment
from support.odoo import Door

pytestmark = pytest.mark.slow  # CI leaves it out

FIRST, SECOND = "odoo_deploy_first", "odoo_deploy_second"
VERSIONS = {"one": "1.0", "two": "2.0", "broken": "3.0"}
BROKEN = """
from odoo import models


class Partner(models.Model):
    _inherit = "res.partner"

    def init(self):
        raise ValueError("broken on purpose")
"""
# Modules that only look, decide or include others: who is killed at one of these has left what the task before it left.
LOOKING = re.compile(
    r"^ansible\.builtin\.(assert|debug|fail|include_\w+|import_\w+|set_fact|set_stats|setup|slurp|stat)$|_info$"
)
WORDS = frozenset({"block", "rescue", "always", "import_playbook"})
SETTLED = 4  # seconds in which a module that was at work on a machine ends by itself
PLACES = os.environ.get("TEST_PLACES", "1-999")


@cache
def looking() -> frozenset[str]:
    """Names of tasks that change nothing."""
    names: set[str] = set()
    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml")]:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        while entries:
            entry = entries.pop()
            for inner in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks"):
                entries += entry.get(inner, [])
            if any(LOOKING.search(key) for key in entry) or "gather_facts" in entry:
                names.add(entry.get("name", ""))
    return frozenset(names)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a repository with two addons. Each tag is another version of both; the second of `broken` fails."""
    tags = []
    for tag, version in VERSIONS.items():
        broken = tag == "broken"
        files = {
            f"{FIRST}/__init__.py": "",
            f"{FIRST}/__manifest__.py": addons.manifest(version),
            f"{SECOND}/__init__.py": BROKEN if broken else "",
            f"{SECOND}/__manifest__.py": addons.manifest(version, FIRST),
        }
        tags.append((tag, files))
    return addons.repository(tmp_path_factory.mktemp("repository"), tags)


@pytest.fixture(scope="module")
def installed(run: Run, doors: list[Door], repository: str) -> Iterator[None]:
    """Both modules in their first version; afterwards the deployment is what it was."""
    play = ("ansible-playbook", "playbooks/odoo.yml")
    try:
        done = run(*play, *addons.variables(repository, "one", FIRST, SECOND))
        assert done.returncode == 0, done.stdout[-3000:]
        yield
    finally:
        removed = run("./run.py", "odoo", "modules", "remove", FIRST, "--yes")
        assert removed.returncode == 0, removed.stdout[-3000:]
        back = run(*play)
        assert back.returncode == 0, back.stdout[-3000:]


def words(repository: str, tag: str) -> tuple[str, ...]:
    return ("ansible-playbook", "playbooks/upgrade.yml", *addons.variables(repository, tag, FIRST, SECOND))


def kill(command: tuple[str, ...], place: int, after: str) -> str:
    """Gives the command and kills it at the Nth task that may change something, counted from one whose name begins so.

    Gives the task's name; empty where the command ended before.
    """
    counted, begun = 0, False
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if not (task := re.match(r"TASK \[(?:[\w.]+ : )?(.+)\] \*", line)):
                continue
            begun = begun or task[1].startswith(after)
            counted += begun and task[1] not in looking() and not task[1].startswith("Validating arguments")
            if counted == place:
                time.sleep((place + 1) % 2)
                os.killpg(process.pid, signal.SIGKILL)
                return task[1]
    return ""


def finish(run: Run, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """The same command again, once the job of the killed one has ended."""
    for _minute in range(12):
        done = run(*command)
        if "is still at work" not in done.stdout:
            break
        time.sleep(5)
    return done


def served(deployment: Deployment, doors: list[Door]) -> str:
    """The version that is served; empty where nobody is. AssertionError where it is no whole one."""
    up = [door for door in doors if door.get("/web/login").status_code == 200]
    if not up:
        return ""
    up[0].log_in("admin", deployment.secret("odoo_admin_password"))
    wanted = [["name", "in", [FIRST, SECOND]]]
    modules = up[0].call("ir.module.module", "search_read", wanted, ["state", "latest_version", "installed_version"])
    assert [module["state"] for module in modules] == ["installed"] * 2, modules
    # In the database, and in the files of the pod that answers.
    versions = {
        module[of].removeprefix("19.0.") for module in modules for of in ("latest_version", "installed_version")
    }
    assert len(versions) == 1, modules
    return str(*versions)


def in_database(deployment: Deployment) -> str:
    modules = f"name IN ('{FIRST}', '{SECOND}')"
    query = f"SELECT string_agg(latest_version, ' ' ORDER BY name) FROM ir_module_module WHERE {modules}"
    return sql(deployment, query)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("way", ["forth", "back"])
def test_killed_anywhere_no_half_database_is_served(
    run: Run, deployment: Deployment, doors: list[Door], repository: str, way: str
) -> None:
    """Forth: each run brings the other version. Back: none succeeds, and the dump's version is served again."""
    first, last = map(int, PLACES.split("-"))
    goals = itertools.cycle(("two", "one")) if way == "forth" else itertools.repeat("broken")
    after = "" if way == "forth" else "Start job odoo-upgrade-"
    before, there = served(deployment, doors), in_database(deployment)
    assert before
    for place, goal in zip(range(first, last + 1), goals, strict=False):
        goal = goal if VERSIONS[goal] != before else next(goals)
        task = kill(words(repository, goal), place, after)
        if not task:
            break
        time.sleep(SETTLED)
        seen, left = served(deployment, doors), in_database(deployment)
        assert seen in ("", before, VERSIONS[goal]), f"{task}: {seen} is served, of {before} and {VERSIONS[goal]}"
        if seen == before and left == there:
            print(f"{place:3} {task}: {seen} served, nothing had begun", flush=True)
            continue  # what it may have left is met by the next one
        done = finish(run, words(repository, goal))
        now = served(deployment, doors)
        what = f"{place:3} {task}: {seen or 'nobody'} served, {left} in the database"
        print(f"{what}; then exit {done.returncode}, {now} served", flush=True)
        if way == "forth":
            assert done.returncode == 0, f"{task}: {done.stdout[-3000:]}"
            assert now == VERSIONS[goal], task
        else:
            assert done.returncode != 0, task
            assert "The upgrade failed and was taken back" in done.stdout, f"{task}: {done.stdout[-3000:]}"
            assert now == before, task
        before, there = now, in_database(deployment)
    assert place > first, "the command ended before its first task"
