# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vagrant's own state on disk, read without running ``vagrant`` (which costs more than a second a call).

Layout, as Vagrant 2.2 to 2.4 writes it (lib/vagrant/environment.rb, machine.rb, machine_index.rb)::

    STATE/machines/NAME/PROVIDER/id            the provider's id; the machine exists only where this is not empty
    STATE/machines/NAME/PROVIDER/private_key   the key that Vagrant inserted; else the machine has the insecure one
    STATE/machines/NAME/PROVIDER/index_uuid    key of the machine's entry in the index
    HOME/data/machine-index/index              JSON, rewritten in place: box and last state that Vagrant saw
    HOME/insecure_private_key

STATE is ``.vagrant`` beside the Vagrantfile (VAGRANT_DOTFILE_PATH), HOME is ``~/.vagrant.d`` (VAGRANT_HOME).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import Endpoint
from .files import StateError, mapping, printable, read_json, read_text, subfolders, usable_name

PROVIDERS = ("docker", "virtualbox", "libvirt")
# Docker: 64 hexadecimal digits; VirtualBox and libvirt: a UUID. The first character keeps an id from being read as an
# option.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", re.ASCII)
_MAX_ID = 256
_MAX_INDEX = 32 * 1024 * 1024


@dataclass(frozen=True)
class Machine:
    """One machine that Vagrant has created.

    ``project`` is the Vagrantfile's folder: where the state folder is, for the index keeps the old folder of a project
    that was moved or copied. The index decides if the state folder is elsewhere. ``box`` is "NAME VERSION" or empty,
    ``last_state`` what Vagrant saw when it last looked. ``problem`` says why the machine cannot be used as it
    is (empty: nothing known against it).
    """

    name: str
    provider: str
    id: str
    project: Path
    folder: Path
    private_key: Path | None
    box: str = ""
    last_state: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Ssh:
    """One host of ``vagrant ssh-config``."""

    endpoint: Endpoint
    user: str
    private_key: str


def project_folder(start: Path) -> Path:
    """The nearest folder at or above ``start`` with a Vagrantfile or a ``.vagrant``; else ``start``."""
    for folder in (start, *start.parents):
        if (folder / "Vagrantfile").is_file() or (folder / ".vagrant" / "machines").is_dir():
            return folder
    return start


def state_folder(project: Path, dotfile_path: str) -> Path:
    """The state folder of ``project``; ``dotfile_path`` (VAGRANT_DOTFILE_PATH) is relative to the project."""
    return project / Path(dotfile_path or ".vagrant").expanduser()


def home_folder(environ: Mapping[str, str]) -> Path:
    """Vagrant's own folder of the user."""
    return Path(environ.get("VAGRANT_HOME") or "~/.vagrant.d").expanduser()


def machines(
    project: Path, state: Path, home: Path, providers: Sequence[str] = ()
) -> tuple[tuple[Machine, ...], tuple[str, ...]]:
    """Machines that exist in the state folder, by name, and what could not be read (one sentence each).

    ``providers`` limits the answer. Never raises for what the folders hold: a broken machine carries its ``problem``.
    """
    folder = state / "machines"
    try:
        names = subfolders(folder)
    except StateError as error:
        return (), (str(error),)
    found: list[Machine] = []
    problems: list[str] = []
    index: dict[str, Any] | None = None
    insecure: Path | None = None
    elsewhere = project not in state.parents
    for name in names:
        try:
            present = subfolders(folder / name)
        except StateError as error:
            problems.append(str(error))
            continue
        for provider in present:
            if providers and provider not in providers:
                continue
            path = folder / name / provider
            identifier, problem = _identifier(path)
            if not identifier and not problem:
                continue  # a folder without an id is a machine that was never created, or was destroyed
            if not usable_name(name):
                problem = "its name cannot be an inventory host's"
            elif provider not in PROVIDERS and not problem:
                problem = f"its provider {printable(provider)} is not one of {', '.join(PROVIDERS)}"
            if index is None:
                index, trouble = read_index(home)
                problems += [trouble] if trouble else []
                insecure = _insecure_key(home)
            box, last_state, vagrantfile = _indexed(index, path)
            own_key = path / "private_key"
            found.append(
                Machine(
                    name=name,
                    provider=provider,
                    id=identifier,
                    project=vagrantfile if vagrantfile and elsewhere and os.path.isdir(vagrantfile) else project,  # noqa: PTH112
                    folder=path,
                    private_key=own_key if own_key.is_file() else insecure,
                    box=box,
                    last_state=last_state,
                    problem=problem,
                )
            )
    return tuple(found), tuple(problems)


def read_index(home: Path) -> tuple[dict[str, Any], str]:
    """Entries of Vagrant's machine index by UUID, and what was wrong with it (empty: nothing)."""
    try:
        document = read_json(home / "data" / "machine-index" / "index", _MAX_INDEX, attempts=5)
    except FileNotFoundError:
        return {}, ""
    except StateError as error:
        return {}, str(error)
    return mapping(document.get("machines")), ""


def state_files(state: Path, home: Path) -> list[Path]:
    """Files that change when a machine of ``state`` is created, destroyed, started or stopped by Vagrant."""
    files = [home / "data" / "machine-index" / "index"]
    try:
        for name in subfolders(state / "machines"):
            for provider in subfolders(state / "machines" / name):
                files.append(state / "machines" / name / provider / "id")
    except StateError:
        pass
    return files


def ssh_config(project: Path, state: Path, names: Sequence[str], timeout: float) -> dict[str, Ssh]:
    """``vagrant ssh-config`` for the named machines, which must run: one that does not makes Vagrant fail for all.

    Raises StateError where vagrant is not installed, fails, or takes longer than ``timeout`` seconds.
    """
    environ = {**os.environ, "VAGRANT_CWD": str(project), "VAGRANT_DOTFILE_PATH": str(state)}
    try:
        done = subprocess.run(
            ["vagrant", "ssh-config", *names],
            cwd=project,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        if not project.is_dir():
            raise StateError(
                f"the Vagrantfile's folder {printable(project)} is gone: vagrant cannot be asked"
            ) from None
        raise StateError("vagrant is not installed, so ssh_config cannot be used") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StateError(f"vagrant ssh-config in {printable(project)}: {printable(error)}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise StateError(f"vagrant ssh-config in {printable(project)} failed: {printable(lines[0])}")
    return parse_ssh_config(done.stdout)


def parse_ssh_config(text: str) -> dict[str, Ssh]:
    """Hosts in the output of ``vagrant ssh-config``; blocks without HostName or Port are left out."""
    hosts: dict[str, Ssh] = {}
    block: dict[str, str] = {}

    def finish() -> None:
        if "host" in block and "hostname" in block and block.get("port", "").isdigit():
            endpoint = Endpoint(block["hostname"], int(block["port"]), "vagrant ssh-config")
            hosts[block["host"]] = Ssh(endpoint, block.get("user", ""), block.get("identityfile", ""))

    for line in text.splitlines():
        keyword, _space, value = line.strip().partition(" ")
        if keyword.lower() == "host":
            finish()
            block = {}
        block.setdefault(keyword.lower(), value.strip().strip('"'))
    finish()
    return hosts


def _identifier(path: Path) -> tuple[str, str]:
    try:
        identifier = read_text(path / "id", _MAX_ID)
    except FileNotFoundError:
        return "", ""
    except StateError as error:
        return "", str(error)
    if identifier == "preparing":
        return "", "Vagrant is still creating it"
    if identifier and not _ID.fullmatch(identifier):
        return "", f"{printable(path / 'id')} holds no provider's id"
    return identifier, ""


def _indexed(index: Mapping[str, Any], path: Path) -> tuple[str, str, Path | None]:
    """(box, last state, Vagrantfile's folder) of a machine's entry in the index."""
    if not index:
        return "", "", None
    try:
        entry = index.get(read_text(path / "index_uuid", _MAX_ID))
    except (FileNotFoundError, StateError):
        entry = None
    if not isinstance(entry, dict):
        return "", "", None
    box = mapping(mapping(entry.get("extra_data")).get("box"))
    named = f"{box.get('name') or ''} {box.get('version') or ''}".strip()
    vagrantfile = entry.get("vagrantfile_path")
    folder = (
        Path(vagrantfile)
        if isinstance(vagrantfile, str) and vagrantfile.startswith("/") and "\0" not in vagrantfile
        else None
    )
    return named, str(entry.get("state") or ""), folder


def _insecure_key(home: Path) -> Path | None:
    key = home / "insecure_private_key"
    return key if key.is_file() else None
