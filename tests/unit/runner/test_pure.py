# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner's pure parts: step lists, journal, lock, scrubber, preflight, inventory, command line."""

from __future__ import annotations

import base64
import fcntl
import grp
import ipaddress
import json
import os
import pwd
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner import child, cli, commands, completion, inventory, lock, main, paths, preflight, procs, report, scrub
from runner.commands import Argument, Command
from runner.events import JsonOutput, PlainOutput, Relay
from runner.exits import Failure
from runner.journal import RUNNING, VERIFIED, Journal
from runner.steps import HEADING, QUESTION, STEPS, format_steps, parse_steps

NETWORK = ipaddress.IPv4Network("192.168.99.0/24")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3", [3]),
        ("3-5", [3, 4, 5]),
        ("2,4", [2, 4]),
        ("4,2,4", [2, 4]),
        ("1-2, 5", [1, 2, 5]),
        ("1-5", [1, 2, 3, 4, 5]),
    ],
)
def test_step_lists(text: str, numbers: list[int]) -> None:
    steps = parse_steps(text)
    assert [step.number for step in steps] == numbers
    assert parse_steps(format_steps(steps)) == steps


@pytest.mark.parametrize("text", ["", "0", "6", "5-3", "3-", "-3", "a", "1,,2", "1-9", "٣", "²", "1.5", "3-4-5"])
def test_step_lists_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        parse_steps(text)


def test_words_of_the_steps() -> None:
    assert HEADING == "** Odoo App deployment process consists of below steps **"
    assert QUESTION.strip() == "Are you sure want to start deployment? [y/n] >"
    assert [step.title for step in STEPS] == [
        "Starts Minikube cluster",
        "Deploys Prometheus server on minikube",
        "Starts Postgresql Master-Slave VMs",
        "Deploys Odoo app on Minikube",
        "Starts Nginx proxies VMs",
    ]


def test_journal_keeps_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    journal = Journal(path)
    journal.record(3, state=RUNNING, log="a.log")
    journal.record(3, state=VERIFIED, changed=2)
    again = Journal(path)
    assert again.state(3) == VERIFIED
    assert again.step(3)["log"] == "a.log"
    assert again.state(4) is None
    again.record(3, state=RUNNING)
    assert "changed" not in Journal(path).step(3)
    assert [file.name for file in tmp_path.iterdir()] == ["journal.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"version": 99, "steps": {}}', '{"version": 1, "steps": []}', '{"version": 1}']
)
def test_journal_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "journal.json"
    path.write_text(text)
    journal = Journal(path)
    journal.record(1, state=RUNNING)
    assert Journal(path).state(1) == RUNNING


def test_journal_survives_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal.json")
    journal.record(1, state=VERIFIED)
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (item for item in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space"):
        journal.record(1, state=RUNNING)
    assert Journal(journal.path).state(1) == VERIFIED
    assert [file.name for file in tmp_path.iterdir()] == ["journal.json"]


def test_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    root = Path(lock.__file__).parents[1]
    code = f"import pathlib, sys, time; sys.path.insert(0, {str(root)!r}); from runner import lock;"
    code += f"lock.acquire(pathlib.Path({str(path)!r}), './run.py --yes'); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        with pytest.raises(Failure, match=rf"\./run\.py --yes \(process {process.pid}, since 20..-") as caught:
            lock.acquire(path, "me")
        assert caught.value.code == 5
        process.kill()
        process.wait()
        assert lock.holder(path) is None
        os.close(lock.acquire(path, "me"))


def test_lock_is_taken_over_by_exec_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    first = lock.acquire(path, "me")
    assert not os.get_inheritable(first)
    lock.hand_over(first)
    assert os.get_inheritable(first)
    assert lock.acquire(path, "me") == first
    assert not os.get_inheritable(first)
    monkeypatch.setenv(lock.INHERITED, str(first))
    other = lock.acquire(tmp_path / "other", "me")  # a descriptor of something else is not believed
    assert other != first
    os.close(first)
    os.close(other)


def test_lock_file_removed_while_it_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    stale = os.open(path, os.O_CREAT | os.O_RDWR)
    fcntl.flock(stale, fcntl.LOCK_EX)
    path.unlink()
    os.close(lock.acquire(path, "me"))
    assert path.exists()
    os.close(stale)


def test_scrubber(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    mask = scrub.Scrubber(folder)
    assert mask("nothing yet") == "nothing yet"
    (folder / "ca").mkdir(parents=True)
    (folder / "password").write_text("hunter2hunter2\n")
    (folder / "longer").write_text("hunter2hunter2andmore\n")
    (folder / "short").write_text("odoo\n")
    (folder / "ca/ca.key").write_text("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----\n")
    (folder / "ca/ca.crt").write_text("-----BEGIN CERTIFICATE-----\nMIIBpublic\n-----END CERTIFICATE-----\n")
    encoded = base64.b64encode(b"hunter2hunter2").decode()
    text = f"a hunter2hunter2 b hunter2hunter2andmore c {encoded} d MIIEvQIBADANBgkq e odoo MIIBpublic -----BEGIN"
    assert mask(text) == "a ******** b ******** c ******** d ******** e odoo MIIBpublic -----BEGIN"


@pytest.mark.parametrize("gone_before", ["stat", "read_text"])
def test_scrubber_beside_who_deletes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone_before: str) -> None:
    """A file may be gone between any two looks at it."""
    for name in ("password", "draft"):
        (tmp_path / name).write_text(f"{name}{name}\n")
    whole = getattr(Path, gone_before)

    def gone(path: Path, *args: object, **named: object) -> object:
        if path.name == "draft":
            path.unlink(missing_ok=True)
        return whole(path, *args, **named)

    monkeypatch.setattr(Path, "is_file", lambda path: True)
    monkeypatch.setattr(Path, gone_before, gone)
    assert scrub.Scrubber(tmp_path)("a passwordpassword b") == "a ******** b"


def route(dst: str, dev: str = "eth0", **more: Any) -> dict[str, Any]:
    return {"dst": dst, "dev": dev, **more}


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        (route("192.168.99.0/24"), True),
        (route("192.168.99.128/25"), True),
        (route("192.168.99.7"), True),
        (route("192.168.0.0/16"), True),
        (route("192.168.99.0/24", "tun0", gateway="10.0.0.1"), True),
        (route("192.168.0.0/16", "tun0", gateway="10.0.0.1"), False),
        (route("192.168.99.0/24", "br-ours"), False),
        (route("192.168.99.0/24", "vboxnet0"), False),
        (route("192.168.99.0/25", "vboxnet0"), True),
        (route("192.168.99.255", type="broadcast"), False),
        (route("192.168.98.0/24"), False),
        (route("default", gateway="10.0.0.1"), False),
    ],
)
def test_subnet(line: dict[str, Any], taken: bool) -> None:
    found = preflight.subnet(NETWORK, preflight.routes([line]), {"br-ours"})
    assert bool(found) == taken
    if found:
        assert found.reason == "SUBNET_TAKEN"
        assert "192.168.99.0/24" in found.message
        assert "nodes.yml" in found.advice


@pytest.mark.parametrize(
    ("name", "subnet", "taken"),
    [
        ("vagrant_network_192.168.99.0/24", "192.168.99.0/24", False),
        ("shop_default", "192.168.96.0/20", True),
        ("x", "172.18.0.0/16", False),
        ("six", "fd00::/64", False),
    ],
)
def test_docker_networks(name: str, subnet: str, taken: bool) -> None:
    entry = {"Name": name, "IPAM": {"Config": [{"Subnet": subnet}]}}
    found = preflight.docker_networks(
        NETWORK, "vagrant_network_192.168.99.0/24", [entry, {"Name": "none", "IPAM": {"Config": None}}]
    )
    assert bool(found) == taken


def container(name: str, labels: dict[str, str], identity: str = "id") -> dict[str, Any]:
    return {"Names": name, "Labels": labels, "Networks": ["vagrant_network_192.168.99.0/24"], "ID": identity}


@pytest.mark.parametrize(
    ("labels", "taken"),
    [
        ({"odoo-deploy.deployment": "odoo"}, False),
        ({"odoo-deploy.deployment": "shop"}, True),
        ({}, True),
        ({"name.minikube.sigs.k8s.io": "odoo"}, False),
    ],
)
def test_neighbours(labels: dict[str, str], taken: bool) -> None:
    found = preflight.neighbours("odoo", "vagrant_network_192.168.99.0/24", [container("some", labels)])
    assert bool(found) == taken
    assert not preflight.neighbours("odoo", "elsewhere", [container("some", labels)])


def test_strangers() -> None:
    found = [container("odoo-pg1", {}, "one"), container("shop-pg2", {}, "two")]
    assert not preflight.strangers("odoo", ["pg1", "pg2"], {"pg1": "one"}, found)
    assert preflight.strangers("odoo", ["pg1"], {"pg1": "another"}, found)
    assert preflight.strangers("odoo", ["pg1"], {}, found)


def test_memory() -> None:
    gib = preflight.GIB
    assert not preflight.memory(4 * gib, 3 * gib, 2 * gib, reserved=False)
    short = preflight.memory(4 * gib, 3 * gib, 2 * gib, reserved=True)
    assert short
    assert short.message == "4.0 GiB of memory are available, 5.0 GiB are needed"
    assert not preflight.memory(0, 0, 0, reserved=True)
    assert preflight.available_memory() > 0


def test_disk_adds_up_what_shares_a_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 10})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert not preflight.disk([(tmp_path / "not/yet", 6), (tmp_path, 4)])
    found = preflight.disk([(tmp_path / "not/yet", 6), (tmp_path, 5)])
    assert found
    assert found.reason == "DISK_FULL"
    assert str(tmp_path) in found.message


def test_ports() -> None:
    tcp = (
        "  sl  local_address rem_address   st\n 0: 0100007F:0898 00000000:0000 0A\n 1: 0100007F:0899 00000000:0000 01\n"
    )
    assert preflight.listening_ports([tcp]) == {2200}
    assert not preflight.ports({2200}, 4)
    found = preflight.ports(set(range(2200, 2248)), 4)
    assert found
    assert "4 free ports" in found.message
    assert "3 are free" in found.message


def test_moved() -> None:
    journal = {"deployment": "odoo", "network": str(NETWORK), "steps": {"1": {}}}
    assert not preflight.moved(journal, "odoo", str(NETWORK))
    assert preflight.moved(journal, "shop", str(NETWORK))
    assert preflight.moved(journal, "odoo", "10.0.0.0/24")
    assert not preflight.moved({**journal, "steps": {}}, "shop", str(NETWORK))


def test_inventory_and_report() -> None:
    listing = {
        "_meta": {"hostvars": {"n2": {"peer_address": "10.0.0.10"}, "n1": {"ansible_host": "10.0.0.9"}}},
        "all": {"children": ["nginx"]},
        "machines": {"hosts": ["n1", "n2"]},
        "nginx": {"hosts": ["n1", "n2"]},
    }
    hosts = inventory.parse(listing)
    assert [(host.name, host.address, host.groups) for host in hosts] == [
        ("n1", "10.0.0.9", ("nginx",)),
        ("n2", "10.0.0.10", ("nginx",)),
    ]
    hosts.append(inventory.Host("node", "10.0.0.1", ("kubernetes",), ""))
    made = report.collect(STEPS, hosts, [{"title": "It works", "result": "passed", "message": ""}], {"odoo": 31000})
    assert made["links"] == [
        {"title": "Odoo, through n1", "url": "http://10.0.0.9/"},
        {"title": "Odoo, through n2", "url": "http://10.0.0.10/"},
        {"title": "Odoo, by the cluster", "url": "http://10.0.0.1:31000/"},
    ]
    assert "  ✔ It works" in report.lines(made)


def test_processes_are_told_by_their_mark(tmp_path: Path) -> None:
    def process(pid: int, parent: int, program: str, mark: str) -> None:
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(f"{pid} (a ) name) S {parent} 1 1")
        (folder / "cmdline").write_bytes(program.encode() + b"\0-x\0")
        (folder / "environ").write_bytes(b"A=1\0" + mark.encode() + b"\0")

    (tmp_path / "uptime").write_text("")
    process(10, 1, "/venv/bin/python3", f"{procs.MARK}=/here")
    process(11, 10, "ruby", f"{procs.MARK}=/here")
    process(12, 1, "/usr/lib/virtualbox/VBoxHeadless", f"{procs.MARK}=/here")  # a machine: stays
    process(13, 1, "python3", f"{procs.MARK}=/elsewhere")
    process(14, 1, "sh", f"{procs.MARK}=/here/too")
    assert procs.marked("/here", tmp_path) == {10, 11}


@pytest.mark.parametrize(
    "argv",
    [
        ["--steps", "9"],
        ["--steps"],
        ["frobnicate"],
        ["--frobnicate"],
        ["status", "--steps", "3"],
        ["--steps", "3", "status"],
        ["--dry-run", "verify"],
        ["completion"],
        ["completion", "tcsh"],
        ["--stepss", "3"],
    ],
)
def test_bad_command_lines(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.parse(argv)
    assert caught.value.code == 2
    assert capsys.readouterr().err.strip()


def test_options_go_before_and_after_the_command() -> None:
    for argv in (["--json", "-v", "verify", "--steps", "2"], ["--steps", "2", "verify", "--json", "-v"]):
        args = cli.parse(argv)
        assert (args.command, args.json, args.verbose, format_steps(args.steps)) == ("verify", True, 1, "2")
    assert cli.parse([]).command == "deploy"
    assert cli.parse(["-e", "a=1", "-e", "b=2"]).extra_vars == ["a=1", "b=2"]


@pytest.mark.parametrize("words", [["psql"], ["deploy"], ["odoo", "modules", "install", "crm"]])
def test_options_before_and_after_a_command_add_up(words: list[str]) -> None:
    """Also those between its words, where these are a command of their own."""
    typed = ["-v", "-e", "a=1"]
    for number, word in enumerate(words):
        typed += [word, "-e", f"b={number}"] if word in ("psql", "deploy", "modules", "install") else [word]
    args = cli.parse([*typed, "-vv"])
    assert args.extra_vars == [word for word in typed if "=" in word]
    assert args.verbose == 3
    assert (cli.parse(words).extra_vars, cli.parse(words).verbose) == ([], 0)


def test_day_2_commands_are_offered_where_their_playbook_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PLAYBOOKS", tmp_path)
    with pytest.raises(SystemExit):
        cli.parse(["pg", "status"])
    (tmp_path / "status.yml").touch()
    (tmp_path / "switchover.yml").touch()
    args = cli.parse(["pg", "status", "--json"])
    assert (args.command, args.day2.label, args.json, args.day2.changes) == ("day2", "pg status", True, False)
    assert cli.parse(["switchover", "--yes"]).day2.changes


DATABASE = Argument("--database", "x_database", "database to use")
TOYS = (
    Command(
        ("toy", "modules"),
        "psql.yml",
        "Lists modules",
        arguments=(DATABASE, Argument("--only", "x_only", "which ones", choices=("new", "all"), default="all")),
    ),
    Command(
        ("toy", "modules", "install"),
        "psql.yml",
        "Installs modules",
        plans="x",
        arguments=(
            Argument("NAME", "x_names", "modules to install", many=True, required=True),
            Argument("--with", "x_with", "more of them", many=True, default="web"),
            DATABASE,
        ),
    ),
    Command(
        ("toy", "import"),
        "psql.yml",
        "Reads a file",
        arguments=(
            Argument("FILE", "x_file", "file to read", path=True, required=True),
            Argument("--to", "x_to", "folder to write", path=True, default="out"),
        ),
    ),
    Command(
        ("toy", "make"),
        "psql.yml",
        "Makes a file",
        arguments=(
            Argument("KIND", "x_kind", "what it is", choices=("csv", "zip"), required=True),
            Argument("FILE", "x_file", "file to write", path=True),
        ),
    ),
    Command(
        ("toy", "check"),
        "psql.yml",
        "Checks modules",
        arguments=(
            Argument("NAME", "x_names", "modules to check", many=True),
            Argument("--by", "x_by", "who checks", required=True),
        ),
    ),
)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "COMMANDS", TOYS)


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(
    ("typed", "variables"),
    [
        ("modules", {"x_only": "all"}),
        ("modules --only new", {"x_only": "new"}),
        ("modules install a=b @c --database {}", {"x_names": ["a=b", "@c"], "x_with": ["web"], "x_database": "{}"}),
        ("modules install a --with b c", {"x_names": ["a"], "x_with": ["b", "c"]}),
        ("modules --database d install a", {"x_names": ["a"], "x_with": ["web"], "x_database": "d"}),
        ("modules install -- -a", {"x_names": ["-a"], "x_with": ["web"]}),
        ("import ../a.csv", {"x_file": "HERE/../a.csv", "x_to": "HERE/out"}),
        ("import ~/a --to /b", {"x_file": "HOME/a", "x_to": "/b"}),
        ("import ~nobody-has-this-name/a --to .", {"x_file": "HERE/~nobody-has-this-name/a", "x_to": "HERE"}),
        ("make csv", {"x_kind": "csv"}),
        ("make csv a", {"x_kind": "csv", "x_file": "HERE/a"}),
        ("check --by ann", {"x_by": "ann"}),
        ("check b --by ann", {"x_names": ["b"], "x_by": "ann"}),
    ],
)
def test_arguments_become_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, variables: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    found = cli.variables(cli.parse(["toy", *typed.split()]))
    places = json.dumps(variables).replace("HERE", str(tmp_path)).replace("HOME", "/home/ann")
    assert found == json.loads(places)


@pytest.mark.usefixtures("toys")
def test_a_command_may_begin_others() -> None:
    for typed in ("toy modules", "toy modules install a", "toy import a"):
        words = typed.removesuffix(" a").split()
        assert cli.parse(typed.split()).day2.words == tuple(words)


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("toy", "the following arguments are required: WHAT"),
        ("toy modules frobnicate", "argument WHAT: invalid choice: 'frobnicate'"),
        ("toy modules --only old", "argument --only: invalid choice: 'old'"),
        ("toy modules --only new install a", "--only does not go with toy modules install"),
        ("toy modules install", "the following arguments are required: NAME"),
        ("toy import", "the following arguments are required: FILE"),
        ("toy make pdf a", "argument KIND: invalid choice: 'pdf'"),
        ("toy check a", "the following arguments are required: --by"),
        ("toy modules --dry-run", "unrecognized arguments: --dry-run"),
        ("--dry-run toy modules", "--dry-run does not go with toy modules"),
    ],
)
def test_bad_command_lines_of_day_2(capsys: pytest.CaptureFixture[str], typed: str, says: str) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.parse(typed.split())
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.usefixtures("toys")
def test_dry_run_goes_with_a_command_that_plans() -> None:
    for typed in ("--dry-run toy modules install a", "toy modules install a --dry-run"):
        assert cli.parse(typed.split()).dry_run
    assert not cli.parse(["toy", "modules", "install", "a"]).dry_run


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("toy modules", ["--only ONLY which ones (one of new, all; default: all)", "install Installs modules"]),
        ("toy modules install", ["NAME modules to install", "--with WITH [WITH ...]", "more of them (default: web)"]),
        ("toy import", ["FILE file to read", "--to TO folder to write (default: out)"]),
        ("toy make", ["[-h]", " KIND [FILE] ", "KIND what it is (one of csv, zip)"]),
        ("toy", ["modules Lists modules", "import Reads a file"]),
    ],
)
def test_help_shows_arguments_and_sub_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: str, lines: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as caught:
        cli.parse([*typed.split(), "--help"])
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert [line for line in lines if line not in shown] == []


def test_help_at_every_word(capsys: pytest.CaptureFixture[str]) -> None:
    """argparse reads a % in a meaning as its own only once help is shown."""
    for words in {command.words[:length] for command in commands.offered() for length in range(len(command.words) + 1)}:
        with pytest.raises(SystemExit) as caught:
            cli.parse([*words, "--help"])
        assert caught.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: {' '.join(['run.py', *words])} ")


def complete(typed: str) -> list[str]:
    """What bash offers for the last word; nothing: files."""
    words = ["run.py", *typed.split(" ")]
    quoted = " ".join(f"'{word}'" for word in words)
    probe = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _run_py; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(
        ["bash", "-uc", completion.script(cli.parser(), "bash") + probe], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("ver", "verify"),
        ("--st", "--steps"),
        ("completion b", "bash"),
        ("--json tear", "teardown"),
        ("teardown --pu", "--purge"),
        ("--steps 3 tear", "teardown"),
    ],
)
def test_completion(typed: str, offered: str) -> None:
    assert complete(typed) == [offered]


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("toy mod", ["modules"]),
        ("toy modules in", ["install"]),
        ("toy modules --on", ["--only"]),
        ("toy modules --only ", ["new", "all"]),
        ("toy modules --only new in", ["install"]),
        ("toy modules install a --wi", ["--with"]),
        ("toy modules install a --with ", []),
        ("toy import ", []),
        ("toy import a ", []),
        ("toy import --t", ["--to"]),
        ("toy make ", ["csv", "zip"]),
        ("toy make csv ./a", []),
        ("toy import --to ", []),
    ],
)
def test_completion_of_arguments(typed: str, offered: list[str]) -> None:
    assert complete(typed) == offered


def test_every_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    JsonOutput().emit("note", step=1, message="two\nlines ✔")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert {key: value for key, value in json.loads(lines[0]).items() if key != "time"} == {
        "event": "note",
        "step": 1,
        "message": "two\nlines ✔",
    }


@pytest.mark.parametrize(
    ("member", "groups", "uid", "through"),
    [(True, [1], 7, True), (True, [1, 99], 7, False), (False, [1], 7, False), (True, [1], 0, False)],
)
def test_a_new_member_of_group_docker(
    monkeypatch: pytest.MonkeyPatch, member: bool, groups: list[int], uid: int, through: bool
) -> None:
    monkeypatch.setattr(grp, "getgrnam", lambda name: SimpleNamespace(gr_gid=99, gr_mem=["ann"] if member else []))
    monkeypatch.setattr(pwd, "getpwuid", lambda number: SimpleNamespace(pw_name="ann"))
    monkeypatch.setattr(os, "getgroups", lambda: groups)
    monkeypatch.setattr(os, "getuid", lambda: uid)
    expected = ["sg", "docker", "-c", "python3 run.py -e 'a=b c'"] if through else ["python3", "run.py", "-e", "a=b c"]
    assert main._with_docker(["python3", "run.py", "-e", "a=b c"]) == expected


def test_what_is_done_ahead_gives_way(tmp_path: Path) -> None:
    """The program and what it starts later."""
    look = "import os, subprocess, time; time.sleep(0.5); print(subprocess.check_output(['nice'], text=True))"
    for gives_way, niceness in (True, child.GIVES_WAY), (False, os.nice(0)):
        ended = child.run([sys.executable, "-c", look], tmp_path / "log", gives_way=gives_way)
        assert ended.returncode == 0
        assert [line for line in ended.tail if line] == [str(niceness)]


def test_a_note_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """What was done ahead says what the step itself says again."""
    noted: set[str] = set()
    for message in ("one", "one", "two"):
        relay = Relay(threading.Event())
        relay.emit("note", step=4, message=message)
        relay.pass_on(PlainOutput(), noted)
    assert capsys.readouterr().out == "  one\n  two\n"
