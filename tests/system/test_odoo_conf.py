# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""odoo.conf in the pods, as Odoo's own parser reads it: every option is passed on, merged or refused."""

from __future__ import annotations

import base64
import configparser
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Run
from support.deployment import Deployment
from support.odoo import NAME, WEB, Odoo
from support.odoo_conf import MODULE, PROGRAM, ROLE, SECRET, TABLES, Conf, changed, counts, exactly, items, sha256

PLAY = ("ansible-playbook", "playbooks/odoo.yml")
EXTENSION = """
import sys
sys.path.insert(0, "/opt/odoo-deploy")
import database
with database.connect() as connection, connection.cursor() as cursor:
    cursor.execute("SELECT extname FROM pg_extension WHERE extname = 'unaccent'")
    print(cursor.fetchone()[0])
"""
PODS = (WEB, f"{NAME},app.kubernetes.io/component=cron")


@pytest.fixture(scope="module")
def odoo(deployment: Deployment) -> Odoo:
    return Odoo(deployment)


def ask(odoo: Odoo) -> dict[str, Conf]:
    """What the parser has in each web pod and in the cron pod, by the pod's name."""
    pods = [pod.metadata.name for selector in PODS for pod in odoo.pods(selector)]
    assert len(pods) > 1, pods
    return {pod: Conf(odoo.run(pod, "python3", "-c", PROGRAM)) for pod in pods}


@pytest.fixture(scope="module")
def before(odoo: Odoo) -> dict[str, Conf]:
    return ask(odoo)


@pytest.fixture(scope="module")
def conf(before: dict[str, Conf]) -> Conf:
    """A web pod's."""
    return next(iter(before.values()))


@pytest.fixture(scope="module")
def during(odoo: Odoo, conf: Conf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Conf]]:
    """With every option that is passed on or merged set to something else; afterwards none is.

    PostgreSQL's extension unaccent stays in the database.
    """
    variables: Path = tmp_path_factory.mktemp("conf") / "variables.json"
    given, _wanted = changed(conf)
    variables.write_text(json.dumps({"odoo_k8s_config": given, "odoo_k8s_secret_config": SECRET}))
    try:
        play("-e", f"@{variables}")
        yield ask(odoo)
    finally:
        play()


def play(*words: str) -> str:
    """A run of the playbook that must succeed: what it prints."""
    done = subprocess.run([*PLAY, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def secret_file(odoo: Odoo) -> dict[str, str]:
    """The options of the Secret that web pods read."""
    name = next(volume.secret.secret_name for volume in odoo.web.spec.template.spec.volumes if volume.name == "secret")
    text = odoo.cluster.core.read_namespaced_secret(name, odoo.namespace).data["odoo.conf"]
    parser = configparser.RawConfigParser()
    parser.read_string(base64.b64decode(text).decode())
    return dict(parser["options"])


def test_passed_merged_and_refused_are_all_that_the_parser_knows(conf: Conf) -> None:
    """By name: the tables of the filter hold what the parser in the pod knows, and the three counts are all of it."""
    of_each = counts(conf.known)
    print(f"Odoo {conf.series}: {of_each}, all {len(conf.known)}")
    assert set(of_each) == {"passed", "merged", "refused"}
    assert sum(of_each.values()) == len(conf.known)
    if conf.series in TABLES.KNOWN:
        assert conf.known == TABLES.KNOWN[conf.series]
    assert conf.known <= TABLES.KNOWN[14] | TABLES.KNOWN[19]
    assert conf.aliases.items() <= TABLES.ALIASES.items()


def test_every_pod_reads_what_the_role_wrote(odoo: Odoo, before: dict[str, Conf]) -> None:
    """Each value is the file's, an argument's or Odoo's default; secrets come from the Secret."""
    hidden = {name: sha256(text) for name, text in secret_file(odoo).items()}
    assert "admin_passwd" in hidden
    for pod, conf in before.items():
        assert not conf.differing(), pod
        assert conf.secret == hidden, pod
        assert conf.known <= {*conf.values, *conf.secret}, pod


def test_the_role_decides_in_every_pod(odoo: Odoo, before: dict[str, Conf]) -> None:
    """What is refused to people has the role's value."""
    database = odoo.environment["ODOO_DATABASE"]
    for pod, conf in before.items():
        wanted = {**ROLE, "dbfilter": f"^{re.escape(database)}$"}
        wanted["gevent_port" if conf.series >= 16 else "longpolling_port"] = 8072
        assert not exactly(conf.values, wanted), pod
        assert conf.items("db_name") == [database], pod


def test_every_refused_option_is_refused_before_anything_changes(run: Run, odoo: Odoo, conf: Conf) -> None:
    """One run with all of them: each is named with its reason, and the pods are those of before."""
    pods = [pod.metadata.name for pod in odoo.pods(NAME)]
    refused = sorted(name for name in conf.known if TABLES.disposition(name) == "refused")
    done = run(*PLAY, "-e", json.dumps({"odoo_k8s_config": dict.fromkeys(refused, "another")}))
    assert done.returncode != 0, done.stdout[-4000:]
    said = " ".join(done.stdout.split()).replace("''", "'")
    missing = [
        name
        for name in refused
        if not re.search(rf"odoo_k8s_config: {name}\b[^:]*: {re.escape(TABLES.REFUSED[name])}", said)
    ]
    assert not missing, done.stdout[-4000:]
    assert [pod.metadata.name for pod in odoo.pods(NAME)] == pods


@pytest.mark.slow
def test_every_passed_option_is_read_back(odoo: Odoo, conf: Conf, during: dict[str, Conf]) -> None:
    """Of the parser's own type, in every pod; it was something else before. Lists are merged with the role's."""
    given, wanted = changed(conf)
    print(f"Odoo {conf.series}: {len(wanted)} options were set")
    unchanged = [name for name, value in wanted.items() if conf.values[name] == value]
    assert not unchanged
    for pod, now in during.items():
        decided = {name: value for name, value in wanted.items() if name not in now.arguments}
        assert not exactly(now.values, decided), pod
        assert not now.differing(), pod
        assert now.items("server_wide_modules") == [*conf.items("server_wide_modules"), MODULE], pod
        assert items(now.written["addons_path"]) == [*given["addons_path"], *items(conf.written["addons_path"])], pod
        assert now.items("addons_path")[0] == given["addons_path"][0], pod
        assert now.secret.items() >= {name: sha256(text) for name, text in SECRET.items()}.items(), pod
    cron = [now.arguments["max_cron_threads"] for now in during.values() if "http_enable" in now.arguments]
    assert cron == [str(wanted["max_cron_threads"])]
    assert odoo.run(next(iter(during)), "python3", "-c", EXTENSION).strip() == "unaccent"


@pytest.mark.slow
def test_set_back_is_as_before(odoo: Odoo, before: dict[str, Conf], during: dict[str, Conf]) -> None:
    """A run without the options brings every value back, and the next one changes nothing."""
    assert during
    play()
    assert [conf.stable for conf in ask(odoo).values()] == [conf.stable for conf in before.values()]
    assert set(re.findall(r"changed=(\d+)", play())) == {"0"}
