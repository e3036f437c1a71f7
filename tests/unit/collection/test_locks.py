# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every Python package that the project installs is locked: version, hashes, for each supported Python."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = (ROOT / "lock_dep.sh").read_text()
PYTHONS = re.findall(r"3\.\d+", re.findall(r"^readonly pythons=\((.+)\)$", SCRIPT, re.MULTILINE)[0])
CORES = sorted((ROOT / "tests" / "cores").glob("*-python*.in"))
WHEELS = sorted((ROOT / "roles" / "odoo_k8s" / "files" / "wheels").glob("*.in"))
# Lock and the Python that it is for.
LOCKS = [
    *((path.with_suffix(".txt"), python) for path in sorted(ROOT.glob("requirements*.in")) for python in PYTHONS),
    *((path.with_suffix(".txt"), path.stem.partition("-python")[2]) for path in CORES),
    *((path.with_suffix(".txt"), PYTHONS[0]) for path in WHEELS),
]
IDS = [f"{lock.stem} on {python}" for lock, python in LOCKS]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
# A line that installs packages, or that fetches them to install them.
INSTALLS = re.compile(
    r"""
      pip3?(?:"|'|\ }})?\ (?:-\S+\ )*(?:install|download|wheel)\b
    | \b(?:pipx\ (?:install|run) | uv\ (?:tool|sync) | uvx)\b
    | \b(?:npm\ (?:install|i|ci) | npx)\b
    | \b(?:go\ (?:install|get) | cargo\ install | gem\ install | galaxy\ (?:collection|role)\ install)\b
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Locked:
    """One package of a lock."""

    name: str
    version: str
    marker: Marker | None
    hashes: int


def locked(path: Path) -> Iterator[Locked]:
    """Packages of a lock; anything that is no ``name==version`` is an error."""
    text = path.read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        requirement = Requirement(HASH.sub("", line).strip())
        (specifier,) = requirement.specifier
        assert specifier.operator == "==" and "*" not in specifier.version, line
        name = canonicalize_name(requirement.name)
        yield Locked(name, specifier.version, requirement.marker, len(HASH.findall(line)))


def environment(python: str) -> dict[str, Any]:
    """What markers see with a Python on Linux."""
    return dict(default_environment()) | {
        "implementation_name": "cpython", "platform_python_implementation": "CPython", "sys_platform": "linux",
        "python_version": python, "python_full_version": f"{python}.9", "extra": "",
    }  # fmt: skip


def chosen(path: Path, python: str) -> dict[str, Locked]:
    """What of a lock a Python installs, by name."""
    packages: dict[str, Locked] = {}
    for package in locked(path):
        if package.marker is None or package.marker.evaluate(environment(python)):
            assert package.name not in packages, f"{path.name}: {package.name} twice for Python {python}"
            packages[package.name] = package
    return packages


def wanted(path: Path) -> Iterator[Requirement]:
    """What a .in file and those that it includes name."""
    for line in path.read_text().splitlines():
        if line.startswith("-r "):
            yield from wanted(path.parent / line[3:])
        elif line and not line.startswith(("#", "-c ")):
            yield Requirement(line)


def tracked() -> list[str]:
    command = ["git", "ls-files", "-coz", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def test_every_lock_has_its_named_list() -> None:
    """No lock is left of a list that is gone; lock_dep.sh's Pythons are the supported ones."""
    there = {*ROOT.glob("requirements*.txt"), *CORES[0].parent.glob("*.txt"), *WHEELS[0].parent.glob("*.txt")}
    assert there == {lock for lock, _python in LOCKS}
    assert PYTHONS == ["3.10", "3.11", "3.12", "3.13"]


@pytest.mark.parametrize(("lock", "python"), LOCKS, ids=IDS)
def test_lock_fits_what_is_named(lock: Path, python: str) -> None:
    """What the .in file names is locked in a version that it allows, and so is all that an extra brings in."""
    packages = chosen(lock, python)
    for requirement in wanted(lock.with_suffix(".in")):
        if requirement.marker and not requirement.marker.evaluate(environment(python)):
            continue
        package = packages.get(canonicalize_name(requirement.name))
        assert package, f"{lock.name}: {requirement.name} is not locked; run ./lock_dep.sh"
        assert requirement.specifier.contains(package.version), f"{lock.name}: {package}; run ./lock_dep.sh"


@pytest.mark.parametrize("lock", sorted({lock for lock, _python in LOCKS}), ids=lambda lock: lock.stem)
def test_every_locked_package_has_its_hashes(lock: Path) -> None:
    packages = list(locked(lock))
    assert packages
    assert [package.name for package in packages if not package.hashes] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_tests_run_with_what_is_deployed_with(python: str) -> None:
    """requirements-test.txt is requirements.txt and more, in the same versions."""
    deployed = {name: package.version for name, package in chosen(ROOT / "requirements.txt", python).items()}
    tested = {name: package.version for name, package in chosen(ROOT / "requirements-test.txt", python).items()}
    assert deployed.items() <= tested.items()


def test_what_is_installed_brings_nothing_that_is_not_locked() -> None:
    """Each locked package that is installed here asks for locked packages alone, in versions that fit."""
    python = ".".join(map(str, sys.version_info[:2]))
    packages = chosen(ROOT / "requirements-test.txt", python)
    installed: dict[str, importlib.metadata.Distribution] = {
        canonicalize_name(item.metadata["Name"]): item for item in importlib.metadata.distributions()
    }
    found = packages.keys() & installed.keys()
    assert found
    for name in found:
        for text in installed[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate(environment(python)):
                continue
            brought = canonicalize_name(requirement.name)
            assert brought in packages, f"{name} brings {requirement}"


def test_every_version_of_odoo_has_its_session_store() -> None:
    versions = yaml.safe_load((ROOT / "roles/odoo_k8s/vars/main/versions.yml").read_text())["__odoo_k8s_versions"]
    assert {path.stem for path in WHEELS} == versions.keys()


def test_locked_go_compiles_the_cluster() -> None:
    """The locked Go is as new as images/node/kube wants it."""
    (least,) = re.findall(r"^go (\d+)\.(\d+)", (ROOT / "images/node/kube/go.mod").read_text(), re.MULTILINE)
    (go,) = locked(ROOT / "requirements-go.txt")
    assert tuple(map(int, go.version.split(".")[:2])) >= tuple(map(int, least))


def unlocked(line: str) -> str | None:
    """What a line installs without a lock; None for a line that installs nothing, or from a lock."""
    found = INSTALLS.search(line)
    if not found:
        return None
    if "--require-hashes" in line or re.search(r"go install \S+@v\d+\.\d+\.\d+(?:\s|$)", line):
        return None
    return line.strip()


UNLOCKED = """
pip install requests
pip3 install requests
"$build/bin/pip" install --quiet -r requirements.txt
python -m pip install x
pip --quiet download x==1.0
{{ odoo_k8s_pip }} download --quiet x==1.0
go install example.org/tool@latest
npm install left-pad
npx tool
uvx tool
uv pip install tool
ansible-galaxy collection install ansible.posix
"""
NONE = """
pip install --require-hashes -r requirements.txt
go install example.org/tool@v1.2.3
the pip of a user
ansible-galaxy collection build
pip list
"""


@pytest.mark.parametrize("line", UNLOCKED.split("\n")[1:-1])
def test_an_unlocked_install_is_seen(line: str) -> None:
    assert unlocked(line)


@pytest.mark.parametrize("line", NONE.split("\n")[1:-1])
def test_a_locked_install_is_none(line: str) -> None:
    assert unlocked(line) is None


# Files with an install that no lock of the project can name, and why.
FLOATS = {
    "roles/odoo_k8s/tasks/context.yml": "addons that a person names",
}


def test_no_install_is_unlocked() -> None:
    """Scripts, images, roles and tests install from a lock, or say in the documentation that they do not."""
    suffixes = (".md", ".rst", ".txt", ".in")
    found = {}
    for name in tracked():
        if name.endswith(suffixes) or name.startswith(("changelogs/", "docs/", "tests/unit/collection/")):
            continue
        text = (ROOT / name).read_bytes().decode(errors="replace").replace("\\\n", " ")
        for line in text.splitlines():
            if not line.lstrip().startswith("#") and (install := unlocked(line)):
                found[name] = install
    assert found.keys() == FLOATS.keys(), found
