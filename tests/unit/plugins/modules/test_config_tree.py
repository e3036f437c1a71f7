# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""config_tree as Ansible runs it: a process, JSON in, JSON out, on a real folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODULE = Path(__file__).resolve().parents[4] / "plugins/modules/config_tree.py"
FILES = {"main.conf": "listen 80;\n# @RELEASE@\n", "sub/more.conf": "x\n"}


@pytest.fixture
def run(module: Any, tmp_path: Path) -> Any:
    """Run config_tree on ``tmp_path/tree``."""

    def call(**arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = module("config_tree", path=str(tmp_path / "tree"), **arguments)
        return answer

    return call


def link(tmp_path: Path, name: str) -> str:
    """Return the release that a link of the tree points to."""
    return (tmp_path / "tree" / name).readlink().name


def snapshot(folder: Path) -> dict[str, object]:
    """Return every path below ``folder`` with its text or target."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_first_release(run: Any, tmp_path: Path) -> None:
    """Files, modes, the current link and the release's name in the text."""
    answer = run(files=FILES)
    current = tmp_path / "tree/current"
    assert answer["changed"]
    assert answer["pending"]
    assert answer["previous"] == ""
    assert (current / "main.conf").read_text() == f"listen 80;\n# {answer['release']}\n"
    assert (current / "sub/more.conf").stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "tree/good").exists()


def test_same_files_change_nothing_once_confirmed(run: Any, tmp_path: Path) -> None:
    """An unproven release counts as a change until it is confirmed."""
    run(files=FILES)
    assert run(files=FILES)["changed"]
    assert run(state="confirmed")["changed"]
    before = snapshot(tmp_path)
    answer = run(files=FILES)
    assert not answer["changed"]
    assert not answer["pending"]
    assert answer["changed_files"] == []
    assert not run(state="confirmed")["changed"]
    assert snapshot(tmp_path) == before


def test_invalid_tree_leaves_everything_as_it_was(run: Any, tmp_path: Path) -> None:
    """The command's words are in the message; no staged folder stays."""
    run(files=FILES)
    run(state="confirmed")
    before = snapshot(tmp_path)
    answer = run(
        files={**FILES, "main.conf": "bad"}, validate=["/bin/sh", "-c", "echo wrong in $0/main.conf >&2; exit 1", "%s"]
    )
    assert answer["failed"]
    assert "old one stays in force: wrong in TREE/main.conf" in answer["msg"]
    assert snapshot(tmp_path) == before
    assert [path.name for path in (tmp_path / "tree/releases").iterdir()] == [link(tmp_path, "current")]


def test_valid_tree_is_tested_before_it_is_current(run: Any, tmp_path: Path) -> None:
    """The command sees the new files while the link still shows the old ones."""
    run(files=FILES)
    script = f"grep -q new $0/main.conf && grep -q 80 {tmp_path}/tree/current/main.conf"
    answer = run(files={**FILES, "main.conf": "new"}, validate=["/bin/sh", "-c", script, "%s"])
    assert answer["changed"]
    assert answer["changed_files"] == ["main.conf"]


def test_rollback(run: Any, tmp_path: Path) -> None:
    """Current goes back to the last proven release, and only once."""
    good = run(files=FILES)["release"]
    run(state="confirmed")
    run(files={"main.conf": "broken in use"})
    answer = run(state="rolled_back")
    assert answer["changed"]
    assert answer["release"] == link(tmp_path, "current") == good
    assert not run(state="rolled_back")["changed"]


def test_rollback_without_a_good_release_says_so(run: Any) -> None:
    """Nothing to go back to: nothing changes, and it is pending still."""
    run(files=FILES)
    answer = run(state="rolled_back")
    assert not answer["changed"]
    assert answer["pending"]


def test_release_edited_in_place_is_restored(run: Any, tmp_path: Path) -> None:
    """Someone's edit in the tree in force is a difference and is replaced."""
    run(files=FILES)
    run(state="confirmed")
    (tmp_path / "tree/current/main.conf").write_text("edited")
    (tmp_path / "tree/current/extra.conf").write_text("added")
    answer = run(files=FILES)
    assert answer["changed"]
    assert answer["changed_files"] == ["extra.conf", "main.conf"]
    assert not (tmp_path / "tree/current/extra.conf").exists()
    assert not run(files=FILES)["changed"]


def test_check_mode_writes_nothing(run: Any, tmp_path: Path) -> None:
    """Neither on a fresh machine nor on a converged one; the difference is told, the test is run."""
    assert run(files=FILES, check=True)["changed"]
    assert list(tmp_path.iterdir()) == []
    run(files=FILES)
    run(state="confirmed")
    before = snapshot(tmp_path)
    answer = run(files={**FILES, "main.conf": "new\n"}, check=True, diff=True)
    assert [(entry["before"][:6], entry["after"]) for entry in answer["diff"]] == [("listen", "new\n")]
    assert run(files={"main.conf": "new"}, check=True, validate=["/bin/false", "%s"])["failed"]
    assert run(files={"main.conf": "new"}, check=True, validate=["/no/such/program", "%s"])["changed"]
    assert snapshot(tmp_path) == before


def test_private_files_are_for_their_owner_and_not_shown(run: Any, tmp_path: Path) -> None:
    """Mode 0600, and neither the old nor the new text in the answer, nor after the key left the tree."""
    plain = {"main.conf": "listen 443;"}
    run(files=plain, private_files={"tls.key": "OLD-KEY"})
    assert (tmp_path / "tree/current/tls.key").stat().st_mode & 0o777 == 0o600
    changed = run(files=plain, private_files={"tls.key": "NEW-KEY"}, diff=True, check=True)
    gone = run(files=plain, diff=True, check=True)
    assert changed["changed_files"] == gone["changed_files"] == ["tls.key"]
    assert "KEY" not in json.dumps([changed["diff"], gone["diff"]])


def test_links_follow_current(run: Any, tmp_path: Path) -> None:
    """A link outside the tree replaces a file that was there, and a second run changes nothing."""
    outside = tmp_path / "etc/unit.d/more.conf"
    outside.parent.mkdir(parents=True)
    outside.write_text("the package's own")
    run(files=FILES, links={str(outside): "sub/more.conf"})
    run(state="confirmed")
    assert outside.read_text() == "x\n"
    assert not run(files=FILES, links={str(outside): "sub/more.conf"})["changed"]
    run(files={**FILES, "sub/more.conf": "y\n"}, links={str(outside): "sub/more.conf"})
    assert outside.read_text() == "y\n"


def test_only_some_old_releases_are_kept(run: Any, tmp_path: Path) -> None:
    """The good and the current one always, others up to the number."""
    good = run(files=FILES)["release"]
    run(state="confirmed")
    for number in range(6):
        last = run(files={"main.conf": f"{number}"}, keep=2)["release"]
    kept = {path.name for path in (tmp_path / "tree/releases").iterdir()}
    assert {good, last} < kept
    assert len(kept) == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"files": {"../out": "x"}}, "not a plain path"),
        ({"files": {"/etc/passwd": "x"}}, "not a plain path"),
        ({"files": {"a//b": "x"}}, "not a plain path"),
        ({"files": {"": "x"}}, "not a plain path"),
        ({"files": FILES, "links": {"relative": "main.conf"}}, "not an absolute path"),
        ({"files": FILES, "links": {"/tmp/x": "missing"}}, "not one of the files"),
        ({"state": "confirmed"}, "no current release"),
        ({}, "missing: files"),
    ],
)
def test_bad_input_gets_one_clear_message(run: Any, arguments: dict[str, Any], says: str) -> None:
    """What is wrong and where."""
    answer = run(**arguments)
    assert answer["failed"]
    assert says in answer["msg"].replace("following: ", "")


def test_unwritable_folder_is_named(run: Any, tmp_path: Path) -> None:
    """A file where the folder should be: the message has the path and the system's reason."""
    (tmp_path / "tree").write_text("a file")
    answer = run(files=FILES)
    assert answer["failed"]
    assert str(tmp_path / "tree") in answer["msg"]


def test_killed_between_swap_and_proof(run: Any, tmp_path: Path) -> None:
    """After any number of kills the next run finds the change unproven and takes it up."""
    run(files=FILES)
    run(state="confirmed")
    process = subprocess.Popen([sys.executable, str(MODULE)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    arguments = {"path": str(tmp_path / "tree"), "files": {"main.conf": "new"}, "validate": ["/bin/sleep", "60"]}
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    process.stdin.close()
    while not any(path.name.startswith(".staged-") for path in (tmp_path / "tree/releases").iterdir()):
        assert process.poll() is None
    os.kill(process.pid, 9)
    process.wait()
    assert (tmp_path / "tree/current/main.conf").read_text().startswith("listen 80")
    answer = run(files={"main.conf": "new"})
    assert answer["changed"]
    assert answer["pending"]
    assert (tmp_path / "tree/current/main.conf").read_text() == "new"
