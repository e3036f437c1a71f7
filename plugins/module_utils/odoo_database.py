# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade of Odoo does with the database, given what is there. No server is asked here.

The state of a database is the system parameter ``odoo_deploy.state``, which the Job in the cluster writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

STATE = "odoo_deploy.state"
READY = "ready"
UPGRADING = "upgrading"


@dataclass(frozen=True)
class Seen:
    """What was found on the server that accepts writes."""

    server: str
    name: str  # of the database
    exists: bool = True
    initialised: bool = True  # Odoo's tables are in the database
    state: str = READY
    dumps: Sequence[str] = ()  # whole dumps in the folder of dumps, the newest first
    given: str = ""  # the dump that a person named
    given_fault: str = ""  # why that dump cannot be restored


@dataclass(frozen=True)
class Decision:
    """``dump``: take a new dump; ``use``: the dump in ``file``; ``refuse``: nothing is changed, for ``reason``."""

    act: str
    file: str = ""
    reason: str = ""


def decide(seen: Seen, back: bool = False) -> Decision:
    """Which dump an upgrade may go back to.

    :param back: no module is updated; the dump that was named is restored.
    """
    where = f"database {seen.name} on {seen.server}"
    if seen.given:
        if seen.given_fault:
            return Decision("refuse", reason=f"{seen.given} on {seen.server} cannot be restored: {seen.given_fault}")
        return Decision("use", file=seen.given)
    if back:
        return Decision("refuse", reason=f"Name the dump to go back to. {_offer(seen, back=True)}")
    if not seen.exists:
        return Decision("refuse", reason=f"There is no {where}. {_offer(seen, back=True)}")
    if not seen.initialised:
        return Decision("refuse", reason=f"There are no tables of Odoo in {where}. Run playbooks/odoo.yml first.")
    if seen.state == READY:
        return Decision("dump")
    if seen.state == UPGRADING:
        return Decision(
            "refuse",
            reason=f"An upgrade changed a part of {where} and did not end: a dump of it is no backup. {_offer(seen)}",
        )
    state = seen.state or "not marked as ready"
    return Decision("refuse", reason=f"The {where} is {state}. Run playbooks/odoo.yml first, which finishes that.")


def _offer(seen: Seen, back: bool = False) -> str:
    """The next command, with the newest dump where there is one."""
    if not seen.dumps:
        return (
            f"No dump lies on {seen.server}: copy one there (another server may have it) and name it by"
            " -e odoo_k8s_backup=FILE, or restore a backup of all databases (docs/backup.md)."
        )
    newest = f"-e odoo_k8s_backup={seen.dumps[0]}"
    if back:
        return f"The newest dump: playbooks/upgrade.yml {newest} -e odoo_k8s_upgrade_back=true"
    return (
        f"Update again, with the newest dump to go back to: playbooks/upgrade.yml {newest}"
        " — or restore that dump and serve from the image before: the same and -e odoo_k8s_upgrade_back=true"
    )


def state_in(sql: str) -> str:
    """Odoo's state in the SQL of table ir_config_parameter, as ``pg_restore --data-only`` writes it; empty: none."""
    columns: list[str] = []
    for line in sql.splitlines():
        header = re.match(r'COPY (?:\S+\.)?"?ir_config_parameter"? \((.*)\) FROM stdin;$', line)
        if header:
            columns = [column.strip(' "') for column in header.group(1).split(",")]
        elif line == "\\.":
            columns = []
        elif columns:
            row = dict(zip(columns, line.split("\t")))  # noqa: B905 - strict is of Python 3.10
            if row.get("key") == STATE:
                return row.get("value", "")
    return ""


def tables_in(listing: str) -> int:
    """Number of tables in the table of contents that ``pg_restore --list`` writes."""
    return sum(1 for line in listing.splitlines() if re.match(r"\d+; \d+ \d+ TABLE (?!DATA |ATTACH )", line))
