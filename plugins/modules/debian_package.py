#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: debian_package
short_description: Fetches one package of another Debian release into a folder
description:
  - Fetches the package at a version and SHA-256 that are written down. What lies in the folder needs no network.
  - Debian's unstable release keeps one version only. If that version is gone, the newest of the same series is taken
    instead, as apt finds it by Debian's signatures, and RV(pinned) is false.
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
options:
  name:
    description: Name of the package.
    type: str
    required: true
  version:
    description: Version that is wanted.
    type: str
    required: true
  sha256:
    description: SHA-256 of that version's file.
    type: str
    required: true
  series:
    description: What another version must begin with, such as V(19.).
    type: str
    required: true
  pool:
    description: Folder of the package in the archive's pool, such as V(main/o/odoo).
    type: str
    required: true
  mirror:
    description: Archive.
    type: str
    default: http://deb.debian.org/debian
  suite:
    description: Release that has the package.
    type: str
    default: unstable
  keyring:
    description: Keys that sign the release.
    type: path
    default: /usr/share/keyrings/debian-archive-keyring.gpg
  folder:
    description: Folder to keep packages in.
    type: path
    required: true
attributes:
  check_mode:
    description: Fetches nothing; says whether it would.
    support: full
  diff_mode:
    description: There is nothing to show a difference of.
    support: none
requirements:
  - apt, for another version than the one that is wanted.
"""

EXAMPLES = r"""
- name: Fetch Odoo 19
  odoo_deploy.stack.debian_package:
    name: odoo-19
    version: 19.0.0+dfsg-1
    sha256: 9d2f598b0555db17e291d48ed24df184c70823c053c4c5ed53c467ca7f629bbf
    series: "19."
    pool: main/o/odoo
    folder: /var/cache/packages
"""

RETURN = r"""
path:
  description: The package's file.
  type: str
  returned: always
package_version:
  description: Version of that file.
  type: str
  returned: always
sha256:
  description: SHA-256 of that file.
  type: str
  returned: always
pinned:
  description: Whether it is the version that was wanted.
  type: bool
  returned: always
"""

import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url


class Problem(Exception):
    """What a person has to be told."""


class Package(NamedTuple):
    """One file of the archive."""

    url: str
    name: str  # of the file
    version: str
    sha256: str


def wanted_package(mirror: str, pool: str, name: str, version: str, sha256: str) -> Package:
    """The package that is written down. A file's name has no epoch."""
    file = f"{name}_{version.split(':', 1)[-1]}_all.deb"
    return Package(f"{mirror.rstrip('/')}/pool/{pool.strip('/')}/{quote(file)}", file, version, sha256)


def printed_package(line: str) -> Package:
    """The package of a line of ``apt-get download --print-uris``: 'URL' FILE SIZE SHA256:HASH."""
    match = re.match(r"'(?P<url>[^']+)' (?P<file>\S+) \d+ SHA256:(?P<sha256>[0-9a-f]{64})\s*$", line)
    if not match:
        raise Problem(f"apt answers {line.strip()!r}, which names no package with its SHA-256")
    file = unquote(match["file"])
    parts = file.split("_")
    if len(parts) != 3:
        raise Problem(f"apt names the file {file!r}, which is not NAME_VERSION_ARCHITECTURE.deb")
    return Package(match["url"], file, parts[1], match["sha256"])


def must_be_of(series: str, package: Package) -> None:
    """Refuse a package of another series."""
    if not package.version.split(":", 1)[-1].startswith(series):
        raise Problem(f"the archive's newest is {package.name}, and {series}* is wanted: name a package file instead")


def digest(path: Path) -> str:
    """SHA-256 of a file; empty if there is none."""
    if not path.exists():
        return ""
    total = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            total.update(block)
    return total.hexdigest()


def fetch(package: Package, folder: Path) -> Path:
    """Put the package into the folder, whole or not at all; return its path.

    :raises HTTPError: the archive does not have it.
    """
    answer = open_url(package.url, timeout=60)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as part:
        whole = Path(part, package.name)
        with whole.open("wb") as stream:
            shutil.copyfileobj(answer, stream)
        found = digest(whole)
        if found != package.sha256:
            raise Problem(f"{package.url} has SHA-256 {found}, wanted is {package.sha256}")
        return whole.replace(folder / package.name)


def newest(module: AnsibleModule, name: str, mirror: str, suite: str, keyring: str) -> Package:
    """The newest version that the release has, by its signatures. apt works in folders of its own."""
    with tempfile.TemporaryDirectory(prefix="debian-package-") as home:
        for folder in ("lists/partial", "cache/archives/partial"):
            Path(home, folder).mkdir(parents=True)
        Path(home, "status").touch()
        Path(home, "sources.list").write_text(f"deb [signed-by={keyring}] {mirror} {suite} main\n")
        options = {
            "Dir::Etc::sourcelist": f"{home}/sources.list", "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": home, "Dir::State::lists": f"{home}/lists", "Dir::State::status": f"{home}/status",
            "Dir::Cache": f"{home}/cache", "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "0",
        }  # fmt: skip
        apt = [module.get_bin_path("apt-get", required=True)]
        for key, value in options.items():
            apt += ["-o", f"{key}={value}"]
        for command in (["-qq", "update"], ["-qq", "download", "--print-uris", name]):
            code, output, error = module.run_command([*apt, *command])
            if code != 0 or (command[-1] == name and not output.strip()):
                raise Problem(f"apt-get {' '.join(command)} of {mirror} {suite}: {error.strip() or 'no answer'}")
        return printed_package(output.strip().splitlines()[-1])


def main() -> None:
    """Run the module."""
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "name": text,
            "version": text,
            "sha256": text,
            "series": text,
            "pool": text,
            "mirror": {"type": "str", "default": "http://deb.debian.org/debian"},
            "suite": {"type": "str", "default": "unstable"},
            "keyring": {"type": "path", "default": "/usr/share/keyrings/debian-archive-keyring.gpg", "no_log": False},
            "folder": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    package = wanted_package(given["mirror"], given["pool"], given["name"], given["version"], given["sha256"])
    folder = Path(given["folder"])
    path = folder / package.name
    changed = digest(path) != package.sha256
    try:
        if changed and not module.check_mode:
            try:
                path = fetch(package, folder)
            except HTTPError as error:
                if error.code != 404:
                    raise
                package = newest(module, given["name"], given["mirror"], given["suite"], given["keyring"])
                must_be_of(given["series"], package)
                path = folder / package.name
                changed = digest(path) != package.sha256
                if changed:
                    path = fetch(package, folder)
    except Problem as problem:
        module.fail_json(msg=str(problem))
    except (OSError, URLError) as error:
        module.fail_json(msg=f"{package.url}: {error}")
    module.exit_json(
        changed=changed,
        path=str(path),
        package_version=package.version,
        sha256=package.sha256,
        pinned=package.version == given["version"],
    )


if __name__ == "__main__":
    main()
