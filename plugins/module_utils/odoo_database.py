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
LONGEST = 63  # bytes of a name in PostgreSQL, which cuts a longer one off
LET_IN = "PostgreSQL on {} does not let {} into {} by its socket yet: ./run.py --yes --steps 3 has it do so"


def restoring(name: str) -> str:
    """The database that a restore fills."""
    return f"{name}_restoring"


def kept_name(name: str, why: str, when: str) -> str:
    """What a database is called that was replaced: as much of its name as fits."""
    end = f"_{why}_{when}"
    return name.encode()[: LONGEST - len(end)].decode(errors="ignore") + end


def too_long(name: str, beside: str) -> str:
    """Why database ``name`` cannot be filled beside; empty: it can."""
    over = len(beside.encode()) - LONGEST
    if over <= 0:
        return ""
    return (
        f"it is filled as {beside} first, and a name has at most {LONGEST} bytes in PostgreSQL: {name} would have to be"
        f" {over} shorter"
    )


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
    owner: str = ""  # as whom it is restored
    lets_in: bool = True  # that role may connect to the database that a restore fills


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
    beside = restoring(seen.name)
    if too_long(seen.name, beside):
        return Decision("refuse", reason=f"No dump could be restored: {too_long(seen.name, beside)}.")
    if not seen.lets_in:
        return Decision("refuse", reason=LET_IN.format(seen.server, seen.owner, beside) + ".")
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


# Entries of that table of contents: number; two OIDs, kind, schema, name, owner.
_ENTRY = re.compile(r"\d+; \d+ \d+ (.*)")
# They are the server's as much as the database's, and only the superuser makes them.
_LEFT_OUT = re.compile(r"(COMMENT - )?(EVENT TRIGGER|PUBLICATION|SUBSCRIPTION)\b|COMMENT - EXTENSION ")
_NEEDED = re.compile(r"(FOREIGN DATA WRAPPER|SERVER|PROCEDURAL LANGUAGE) ")


def _entries(listing: str) -> list[str]:
    return [found[1] for found in map(_ENTRY.match, listing.splitlines()) if found]


def restorable(listing: str) -> str:
    """The table of contents without what a role that is no superuser may not make, and does not need."""
    lines = ((line, _ENTRY.match(line)) for line in listing.splitlines())
    return "".join(f"{line}\n" for line, found in lines if not (found and _LEFT_OUT.match(found[1])))


def only_superuser(listing: str) -> str:
    """An entry that the rest needs and only the superuser can restore; empty: there is none."""
    entries = _entries(listing)
    tables = {entry[len("TABLE ") :] for entry in entries if entry.startswith("TABLE ")}
    for entry in entries:
        # Rows of a table that is not in the dump: an extension has made it.
        if _NEEDED.match(entry) or (entry.startswith("TABLE DATA ") and entry[len("TABLE DATA ") :] not in tables):
            return entry
    return ""


def extensions_in(listing: str) -> list[str]:
    """Names of the extensions in it."""
    return [entry.split()[2] for entry in _entries(listing) if entry.startswith("EXTENSION - ")]
