# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells which modules the database and the image have. Run in a web pod, by what its start left there; changes nothing.

``modules.py [MATCH]``  a line each; MATCH: only names that hold this text, or fit this pattern with ``*``
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

CONFIG = "/tmp/odoo-deploy/odoo.conf"
SCRIPTS = "/opt/odoo-deploy"


@dataclass(frozen=True)
class Seen:
    """What a database and an image say of modules."""

    series: str  # of the image, e.g. 19.0
    database: str
    state: str  # system parameter odoo_deploy.state
    versions: dict[str, str]  # of each installed module, as it was loaded last
    known: dict[str, str]  # checksum of each module when it was loaded last; empty: nobody wrote them down
    now: dict[str, str]  # checksum of each installed module in the image; not there: the image does not have it
    offered: list[str] = field(default_factory=list)  # modules of the image that can be installed


def fits(name: str, match: str) -> bool:
    """Whether a name is meant."""
    return fnmatchcase(name, match) if any(sign in match for sign in "*?[") else match in name


def lines(seen: Seen, match: str = "") -> list[str]:
    """What a person reads. What can be installed is only counted, unless a person names it by ``match``."""
    missing = sorted(name for name in seen.versions if name not in seen.now)
    due = sorted(name for name, value in seen.now.items() if seen.known.get(name) != value)
    more = sorted(name for name in seen.offered if name not in seen.versions)
    notes = {
        **dict.fromkeys(due, "due for an update: its files changed since it was loaded"),
        **dict.fromkeys(missing, "MISSING: the image does not have it"),
    }
    shown = [name for name in sorted(seen.versions) if fits(name, match)]
    width = max(map(len, shown), default=0)
    said = [
        f"Odoo {seen.series}, database {seen.database}. Modules installed: {len(seen.versions)}, of these due for an"
        f" update: {len(due)}, missing in the image: {len(missing)}; others that can be installed: {len(more)}."
    ]
    if seen.state != "ready":
        said.append("The database is {}: a job is at work, or was killed.".format(seen.state or "not marked ready"))
    if match:
        more = [name for name in more if fits(name, match)]
        said.append(f"Of these, {len(shown)} and {len(more)} fit {match}.")
    if shown:
        said.append("Installed:")
        said += [f"  {name:{width}}  {seen.versions[name]}  {notes.get(name, '')}".rstrip() for name in shown]
    if match and more:
        said.append("Can be installed:")
        said += [f"  {name}" for name in more]
    return said


def look() -> Seen:
    """Ask the database by plain SQL, and the image for its files; no registry is loaded for it."""
    # The pod's own scripts: the checksums in the database were made by the same.
    sys.path.insert(0, SCRIPTS)
    import database
    import initialise

    odoo = initialise.import_odoo()
    odoo.tools.config.parse_config(["--config", CONFIG, "--no-http", "--log-level", "critical"])
    from odoo.modules import module
    from odoo.release import version_info

    # To 18 reading the configuration has done so.
    module.initialize_sys_path()
    # To 15 the manifest was called a description.
    read = getattr(module, "get_manifest", None) or module.load_information_from_description_file
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, coalesce(latest_version, '') FROM ir_module_module"
            " WHERE state IN ('installed', 'to upgrade', 'to remove')"
        )
        versions = dict(cursor.fetchall())
    offered = []
    for name in module.get_modules():
        try:
            if name not in versions and read(name).get("installable", True):
                offered.append(name)
        except Exception as error:  # whatever an addon of anybody has in there
            print(f"odoo-deploy: the manifest of {name} cannot be read: {error!r}", file=sys.stderr)
    return Seen(
        series="{}.{}".format(*version_info[:2]),
        database=database.name(),
        state=initialise.parameter(connection, database.STATE),
        versions=versions,
        known=json.loads(initialise.parameter(connection, database.CHECKSUMS, "{}")),
        now=initialise.checksums(versions),
        offered=offered,
    )


def main() -> None:
    print("\n".join(lines(look(), *sys.argv[1:2])))
    sys.stdout.flush()
    # Threads and pools of Odoo have nothing left to do.
    os._exit(0)


if __name__ == "__main__":
    main()
