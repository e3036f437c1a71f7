# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What test.sh and .ci/run run, and when test.sh takes a part for unchanged."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
FIRST, LAST = ("lint", "unit", "e2e"), ("given", "servers", "cores", "install", "explorer")
PARTS = [*FIRST, *(f"molecule:{name}" for name in SCENARIOS), *LAST]


def listed(*command: str) -> list[str]:
    done = subprocess.run([*command, "--list"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def refusal(*arguments: str) -> str:
    done = subprocess.run(["./test.sh", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_all_parts_are_run_without_arguments() -> None:
    assert listed("./test.sh") == PARTS


def test_ci_runs_all_that_it_does_not_name() -> None:
    """A scenario that is added runs in CI: .ci/run names what is left out, and each name exists."""
    left_out = re.findall(r"--without (\S+)", (ROOT / ".ci" / "run").read_text())
    assert len(left_out) == len(set(left_out)) > 0
    assert set(left_out) <= {*PARTS, "slow"}  # slow: the tests of e2e with that mark
    assert listed(".ci/run") == [part for part in PARTS if part not in left_out]


def test_what_is_left_out_of_what_is_named() -> None:
    assert listed("./test.sh", "molecule", "unit", "--without", f"molecule:{SCENARIOS[0]}") == [
        "unit",
        *(f"molecule:{name}" for name in SCENARIOS[1:]),
    ]
    others = [part for part in PARTS if not part.startswith("molecule:")]
    assert listed("./test.sh", "--without", "molecule") == others


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--without", "everything"], "--without wants a part"),
        (["--without"], "--without wants a part"),
        (["--without", "molecule:none"], "no scenario none"),
        (["lint", "--without", "lint"], "nothing is left to run"),
        (["newst"], "unknown argument newst"),
    ],
)
def test_wrong_usage_is_refused(arguments: list[str], text: str) -> None:
    assert text in refusal(*arguments)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of a few files."""
    for name in (
        "roles/a/tasks/main.yml",
        "runner/teardown.py",
        "tests/e2e/support/deployment.py",
        "docs/a.md",
        "README.md",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    return tmp_path


def content(checkout: Path) -> str:
    """What test.sh remembers a passed part by."""
    (function,) = re.findall(r"^content\(\) \{.*?^\}", (ROOT / "test.sh").read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["bash", "-c", f"{function}\ncontent"], cwd=checkout, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"[0-9a-f]{16}\n", done.stdout)
    return done.stdout


@pytest.mark.parametrize("name", ["roles/a/tasks/main.yml", "runner/teardown.py", "tests/e2e/support/deployment.py"])
def test_a_file_that_changed_may_be_any_parts(checkout: Path, name: str) -> None:
    before = content(checkout)
    (checkout / name).write_text("two\n")
    changed = content(checkout)
    (checkout / name).chmod(0o755)
    executable = content(checkout)
    (checkout / name).unlink()
    gone = content(checkout)
    assert len({before, changed, executable, gone}) == 4


def test_a_file_that_git_does_not_know_yet_counts(checkout: Path) -> None:
    before = content(checkout)
    (checkout / "new.py").touch()
    assert content(checkout) != before


@pytest.mark.parametrize("name", ["README.md", "docs/a.md", "roles/a/README.md", "changelogs/fragments/a.yml", "a.log"])
def test_documentation_and_what_git_ignores_do_not_count(checkout: Path, name: str) -> None:
    before = content(checkout)
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("two\n")
    assert content(checkout) == before
