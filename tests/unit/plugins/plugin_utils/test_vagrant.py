# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vagrant's state on disk, whole, half-written and hostile."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import files, vagrant
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HOSTILE_NAMES = (
    "{{ lookup('pipe', 'touch x') }}",
    "two\nlines",
    "..hidden",
    "-oProxyCommand=sh",
    "a,b",
    "a:b",
    "!all",
    "&all",
    "pg[1:9]",
    "bell\a",
    "right\u202eto-left",
    "zero\u200bwidth",
    "sp ace",
    "~.*",
)


def machines(project: Any, *providers: str) -> dict[str, vagrant.Machine]:
    found, problems = vagrant.machines(project.folder, project.state, project.home / ".vagrant.d", providers)
    assert problems == ()
    return {f"{machine.name}/{machine.provider}": machine for machine in found}


def test_a_machine_exists_only_where_its_id_is_not_empty(project: Any) -> None:
    identifier = project.create("pg1")
    (project.state / "machines" / "gone" / "docker").mkdir(parents=True)
    (project.state / "machines" / "empty" / "docker").mkdir(parents=True)
    (project.state / "machines" / "empty" / "docker" / "id").write_text(" \n")
    found = machines(project)
    assert list(found) == ["pg1/docker"]
    assert found["pg1/docker"].id == identifier
    assert found["pg1/docker"].problem == ""


def test_no_state_is_no_machines(project: Any) -> None:
    assert machines(project) == {}


def test_providers_are_told_apart_and_limited(project: Any) -> None:
    for provider in ("docker", "virtualbox", "libvirt"):
        project.create("pg1", provider)
    assert set(machines(project)) == {"pg1/docker", "pg1/virtualbox", "pg1/libvirt"}
    assert set(machines(project, "libvirt")) == {"pg1/libvirt"}


def test_an_unknown_provider_is_told(project: Any) -> None:
    project.create("pg1", "hyperv", "some-id")
    assert "its provider hyperv is not one of docker, virtualbox, libvirt" in machines(project)["pg1/hyperv"].problem


def test_a_machine_in_the_making_is_told(project: Any) -> None:
    project.create("pg1", identifier="preparing")
    assert machines(project)["pg1/docker"].problem == "Vagrant is still creating it"


def test_the_inserted_key_wins_over_the_insecure_one(project: Any) -> None:
    insecure = project.home / ".vagrant.d" / "insecure_private_key"
    insecure.parent.mkdir()
    project.create("own")
    project.create("none", key=False)
    assert machines(project)["none/docker"].private_key is None
    insecure.touch()
    found = machines(project)
    assert found["own/docker"].private_key == project.state / "machines" / "own" / "docker" / "private_key"
    assert found["none/docker"].private_key == insecure


def test_the_index_gives_box_state_and_vagrantfile(project: Any) -> None:
    project.create("pg1", "virtualbox")
    project.index("pg1", "virtualbox", state="poweroff", vagrantfile_path="/elsewhere")
    machine = machines(project)["pg1/virtualbox"]
    assert (machine.box, machine.last_state) == ("debian/bookworm64 12.20250126.1", "poweroff")
    assert machine.project == project.folder, "the project is where .vagrant is"


@pytest.mark.parametrize("there", [True, False])
def test_the_index_gives_the_project_of_a_state_folder_elsewhere(project: Any, tmp_path: Path, there: bool) -> None:
    """If that folder still exists."""
    named = tmp_path / "named"
    if there:
        named.mkdir()
    project.state = tmp_path / "state"
    project.create("pg1")
    project.index("pg1", vagrantfile_path=str(named))
    assert machines(project)["pg1/docker"].project == (named if there else project.folder)


@pytest.mark.parametrize("entry", [None, [], {"extra_data": []}, {"extra_data": {"box": 1}, "vagrantfile_path": 7}])
def test_an_index_entry_of_another_shape_adds_nothing(project: Any, entry: Any) -> None:
    project.create("pg1")
    project.index("pg1")
    path = project.home / ".vagrant.d" / "data" / "machine-index" / "index"
    path.write_text(json.dumps({"machines": {"uuid-pg1-docker": entry}}))
    machine = machines(project)["pg1/docker"]
    assert (machine.box, machine.project, machine.problem) == ("", project.folder, "")


def test_an_index_being_rewritten_is_read_again(project: Any) -> None:
    project.create("pg1")
    project.index("pg1")
    path = project.home / ".vagrant.d" / "data" / "machine-index" / "index"
    whole = path.read_text()
    path.write_text(whole[:40])
    writer = threading.Timer(0.015, path.write_text, (whole,))
    writer.start()
    try:
        assert machines(project)["pg1/docker"].box.startswith("debian/")
    finally:
        writer.join()


def test_a_broken_index_is_a_notice_and_costs_only_the_box(project: Any) -> None:
    project.create("pg1")
    path = project.home / ".vagrant.d" / "data" / "machine-index" / "index"
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 1, "machines": {"secret-')
    found, problems = vagrant.machines(project.folder, project.state, project.home / ".vagrant.d")
    assert [machine.problem for machine in found] == [""]
    assert len(problems) == 1
    assert problems[0].endswith("index is not valid JSON")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_no_host_and_harms_no_other(project: Any, name: str) -> None:
    project.create(name, identifier="1f")
    project.create("pg1")
    found = machines(project)
    assert found["pg1/docker"].problem == ""
    assert found[f"{name}/docker"].problem == "its name cannot be an inventory host's"


def test_unicode_letters_are_a_name(project: Any) -> None:
    project.create("größe")
    assert machines(project)["größe/docker"].problem == ""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"x" * 5_000_000, "is larger than 256 bytes"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"{{ lookup('pipe', 'touch x') }}", "holds no provider's id"),
        (b"--all", "holds no provider's id"),
        (b"abc\ndef", "holds no provider's id"),
        (b"../../etc/passwd", "holds no provider's id"),
    ],
)
def test_an_id_that_is_none_is_told_without_its_content(project: Any, content: bytes, says: str) -> None:
    project.create("pg1")
    path = project.state / "machines" / "pg1" / "docker" / "id"
    path.write_bytes(content)
    machine = machines(project)["pg1/docker"]
    assert machine.id == ""
    assert machine.problem == f"{path} {says}"


def test_an_id_that_cannot_be_read_is_told(project: Any) -> None:
    project.create("folder")
    path = project.state / "machines" / "folder" / "docker" / "id"
    path.unlink()
    path.mkdir()
    project.create("pipe")
    path = project.state / "machines" / "pipe" / "docker" / "id"
    path.unlink()
    os.mkfifo(path)
    project.create("loop")
    path = project.state / "machines" / "loop" / "docker" / "id"
    path.unlink()
    path.symlink_to(path)
    project.create("pg1")
    found = machines(project)
    assert "is not a file" in found["folder/docker"].problem
    assert "is not a file" in found["pipe/docker"].problem
    assert "Too many levels of symbolic links" in found["loop/docker"].problem
    assert found["pg1/docker"].problem == ""


def test_loops_of_folders_end(project: Any) -> None:
    project.create("pg1")
    (project.state / "machines" / "loop").symlink_to(project.state / "machines" / "loop")
    (project.state / "machines" / "up").symlink_to(project.state / "machines")
    found = machines(project)
    assert found["pg1/docker"].problem == ""
    assert {name.split("/")[0] for name in found} <= {"pg1", "up"}


def test_a_machines_folder_that_is_a_file_is_no_machines(project: Any) -> None:
    project.state.mkdir()
    (project.state / "machines").write_text("")
    assert machines(project) == {}


def test_the_project_is_found_as_vagrant_finds_it(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    assert vagrant.project_folder(deep) == deep
    (tmp_path / "a" / ".vagrant" / "machines").mkdir(parents=True)
    assert vagrant.project_folder(deep) == tmp_path / "a"
    (tmp_path / "a" / "b" / "Vagrantfile").touch()
    assert vagrant.project_folder(deep) == tmp_path / "a" / "b"


def test_the_state_folder_is_relative_to_the_project(home: Path) -> None:
    assert vagrant.state_folder(Path("/p"), "") == Path("/p/.vagrant")
    assert vagrant.state_folder(Path("/p"), "state") == Path("/p/state")
    assert vagrant.state_folder(Path("/p"), "/s") == Path("/s")
    assert vagrant.state_folder(Path("/p"), "~/s") == home / "s"


SSH_CONFIG = """Host pg1
  HostName 127.0.0.1
  User debian
  Port 2222
  UserKnownHostsFile /dev/null
  IdentityFile "/with space/key"
  LogLevel FATAL

Host broken
  HostName 127.0.0.1
  Port {{ 7 * 7 }}

Host pg2
  HostName 10.0.0.2
  Port 22
"""


def test_ssh_config_is_parsed() -> None:
    hosts = vagrant.parse_ssh_config(SSH_CONFIG)
    assert set(hosts) == {"pg1", "pg2"}
    assert (hosts["pg1"].endpoint.host, hosts["pg1"].endpoint.port) == ("127.0.0.1", 2222)
    assert (hosts["pg1"].user, hosts["pg1"].private_key) == ("debian", "/with space/key")
    assert (hosts["pg2"].user, hosts["pg2"].private_key) == ("", "")


def test_vagrant_is_asked_for_the_named_machines_only(project: Any, program: Callable[[str, str], Path]) -> None:
    log = program("vagrant", f"echo $VAGRANT_CWD $VAGRANT_DOTFILE_PATH\ncat <<'E'\n{SSH_CONFIG}\nE")
    assert set(vagrant.ssh_config(project.folder, project.state, ["pg1", "pg2"], 10)) == {"pg1", "pg2"}
    assert log.read_text() == "ssh-config pg1 pg2\n"


def test_vagrants_first_line_of_failure_is_told(project: Any, program: Callable[[str, str], Path]) -> None:
    program("vagrant", "echo 'no such machine' >&2; echo more >&2; exit 1")
    with pytest.raises(files.StateError, match=r"failed: no such machine$"):
        vagrant.ssh_config(project.folder, project.state, ["pg1"], 10)


def test_a_vagrant_that_hangs_is_given_up(project: Any, program: Callable[[str, str], Path]) -> None:
    program("vagrant", "exec sleep 60")
    with pytest.raises(files.StateError, match="timed out"):
        vagrant.ssh_config(project.folder, project.state, ["pg1"], 0.2)


def test_without_vagrant_the_error_says_so(project: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(files.StateError, match="vagrant is not installed"):
        vagrant.ssh_config(project.folder, project.state, ["pg1"], 1)


def test_a_folder_that_is_gone_is_not_a_vagrant_that_is_missing(
    project: Any, program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    program("vagrant", "exit 0")
    with pytest.raises(files.StateError, match=r"the Vagrantfile's folder .*/moved is gone"):
        vagrant.ssh_config(tmp_path / "moved", project.state, ["pg1"], 1)


@given(content=st.binary(max_size=400), index=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_id_and_index_give_a_machine_or_a_problem(project: Any, content: bytes, index: bytes) -> None:
    project.create("pg1")
    (project.state / "machines" / "pg1" / "docker" / "id").write_bytes(content)
    path = project.home / ".vagrant.d" / "data" / "machine-index" / "index"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(index)
    found, problems = vagrant.machines(project.folder, project.state, project.home / ".vagrant.d")
    for machine in found:
        assert bool(machine.id) != bool(machine.problem)
        assert machine.problem.isprintable()
    assert all(problem.isprintable() for problem in problems)


@given(st.text())
def test_any_ssh_config_is_parsed(text: str) -> None:
    for ssh in vagrant.parse_ssh_config(text).values():
        assert ssh.endpoint.port >= 0


@given(st.text())
def test_a_usable_name_is_plain_and_printable_is_one_line(text: str) -> None:
    assert files.printable(text).isprintable()
    assert len(files.printable(text)) <= 120
    if files.usable_name(text):
        assert text.isprintable()
        assert not set(text) & set("{}[]:,!&~*?/\\ \n'\"$#%@")
