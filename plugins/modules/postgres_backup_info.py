#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_backup_info
short_description: Asks a machine about the backups of its PostgreSQL servers
description:
  - Tells what the role postgres_backup finds on a machine, what the repository holds,
    and what became of the last restore drill.
  - Works before anything is installed and never changes anything.
version_added: 1.1.0
author: Odoo Deploy contributors (@odoo-deploy)
options:
  stanza:
    description: Name of the cluster in the repository.
    type: str
    required: true
  repository:
    description: Whether the repository is to be asked; C(/etc/pgbackrest/restore.conf) says where it is.
    type: bool
    default: false
  options:
    description: Global options of pgBackRest that are wanted, as a file in C(/etc/pgbackrest/conf.d) would hold them.
    type: dict
    default: {}
  passphrase:
    description: Passphrase that the repository is wanted to be encrypted with; without it, it is not.
    type: str
  memory:
    description: Path of the file that the last restore drill was written to.
    type: path
  folders:
    description: Paths of folders to look for.
    type: list
    elements: path
    default: []
  units:
    description: Names of systemd units that shall be enabled and active.
    type: list
    elements: str
    default: []
  calendars:
    description: Names of variables, and what systemd shall read as C(OnCalendar).
    type: dict
    default: {}
  timespans:
    description: Names of variables, and what systemd shall read as a span of time.
    type: dict
    default: {}
extends_documentation_fragment: [odoo_deploy.stack.postgres_machine]
"""

EXAMPLES = r"""
- name: Ask what the repository holds
  odoo_deploy.stack.postgres_backup_info:
    stanza: odoo
    repository: true
    memory: /var/lib/postgres-backup/drill.json
  register: answer
"""

RETURN = r"""
backup:
  description:
    - C(backup.server) is V(primary) or V(standby) where a server answers on this machine, else V(none).
      C(backup.granted) is true where that server knows the role C(backup) with its rights and the table of sentinels.
    - C(backup.files) maps each of O(files) to C(MODE OWNER GROUP SHA1), or to null where it is missing.
      C(backup.missing_folders), C(backup.missing_packages) and C(backup.idle_units) are those that are not
      there, or not enabled and active.
    - C(backup.stanza) is the repository's word for the stanza, V(ok) or what is wrong, empty where it was not asked.
      C(backup.backups) lists its backups, oldest first, C(backup.drill) is what the last restore drill found.
    - C(backup.moved) is true where O(options) name another repository than the machine has now.
      C(backup.cipher_change) is V(turned_on), V(turned_off) or V(other_passphrase) where they would change the
      encryption of the one that it has, else empty.
    - C(backup.unknown_options) are the names of O(options) that this machine's pgBackRest does not take in a file; null
      where it is not installed.
    - C(backup.unread) has a line for each of O(calendars) and O(timespans) that this machine's systemd does not read.
  returned: always
  type: dict
  sample:
    server: standby
    granted: true
    stanza: ok
    backups:
      - {label: 20261122-010004F, type: full, stop: 1795309208, timeline: 1, bad_pages: false}
    drill: {ok: true, stop: 1795320000, seconds: 14.2, set: 20261122-010004F}
"""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.odoo_deploy.stack.plugins.module_utils.postgres_server import (
    Server,
    fingerprint,
    missing_packages,
)

# The rights that pgBackRest's page on a role of its own asks for; the functions were renamed in 15.
GRANTED_SQL = """
SELECT json_build_object('primary', NOT pg_is_in_recovery(), 'granted', coalesce((
  SELECT NOT (r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls) AND r.rolcanlogin
    AND pg_has_role(r.oid, 'pg_read_all_settings', 'MEMBER')
    AND (SELECT bool_and(has_function_privilege(r.oid, p.oid, 'EXECUTE')) FROM pg_proc p
      WHERE p.proname IN ('pg_backup_start', 'pg_backup_stop', 'pg_start_backup', 'pg_stop_backup',
        'pg_create_restore_point', 'pg_switch_wal') AND NOT (p.proname = 'pg_stop_backup' AND p.pronargs = 0))
    AND to_regclass('postgres_backup.sentinel') IS NOT NULL
  FROM pg_roles r WHERE r.rolname = 'backup'), false))
"""


def parse_info(told: list[dict[str, Any]], stanza: str) -> tuple[str, list[dict[str, Any]]]:
    """The state of a stanza, ok also where it holds no backup yet, and its backups; told: C(pgbackrest info)'s JSON."""
    found = next((one for one in told if one["name"] == stanza), None)
    if found is None:
        return "missing", []
    status = found["status"]
    listed = [
        {
            "label": one["label"],
            "type": one["type"],
            "stop": one["timestamp"]["stop"],
            "timeline": int(one["archive"]["stop"][:8], 16),
            "bad_pages": bool(one.get("error")),
        }
        for one in found.get("backup", [])
    ]
    return "ok" if status["code"] in (0, 2) else status["message"], listed


# What tells one repository from another.
PLACE = (
    "repo1-type", "repo1-path", "repo1-s3-bucket", "repo1-s3-endpoint", "repo1-azure-account", "repo1-azure-container",
    "repo1-gcs-bucket",
)  # fmt: skip


def global_options(texts: list[str]) -> dict[str, str]:
    """Options of the sections C(global) in pgBackRest's files; the last one counts."""
    found: dict[str, str] = {}
    for text in texts:
        section = ""
        for line in text.splitlines():
            if line.startswith("["):
                section = line.strip().strip("[]")
            elif section == "global" and "=" in line and not line.startswith("#"):
                name, _sign, value = line.partition("=")
                found[name.strip()] = value.strip()
    return found


def moved(configured: dict[str, str], wanted: dict[str, Any]) -> bool:
    """Whether the wanted repository is another one than the machine has now."""
    return any(configured.get(name, "") != str(wanted.get(name, "")) for name in PLACE)


def cipher_change(configured: dict[str, str], wanted: dict[str, Any], passphrase: str) -> str:
    """What the wanted options would change of the repository's encryption; empty: nothing, or it is another one."""
    if not configured or moved(configured, wanted):
        return ""
    encrypted = configured.get("repo1-cipher-type", "none") != "none"
    if not encrypted:
        return "turned_on" if passphrase else ""
    if not passphrase:
        return "turned_off"
    return "" if configured.get("repo1-cipher-pass") == passphrase else "other_passphrase"


# How pgBackRest speaks of an option that it does not take: unknown, for a command line alone, of a stanza.
NOT_TAKEN = re.compile(r"(?:contains (?:[a-z -]+ )?option|\]: option) '([^']+)'")


def unknown_options(names: list[str]) -> list[str] | None:
    """Those that this machine's pgBackRest does not take in a file; None where it is not installed.

    It reads its files first and then its options, of which one is wrong: so it does nothing else.
    """
    if not shutil.which("pgbackrest"):
        return None
    # Anything else would be a second line, or a section.
    odd = [name for name in names if not re.fullmatch(r"[a-z0-9-]+", name)]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "pgbackrest.conf")
        lines = [f"{name}=y\n" for name in names if name not in odd]
        config.write_text("".join(["[global]\n", *lines]), encoding="ascii")
        done = subprocess.run(
            ["pgbackrest", f"--config={config}", f"--config-include-path={folder}", "--log-level-file=off",
             "--log-level-console=warn", "--buffer-size=0", "server-ping"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
    told = set(NOT_TAKEN.findall(done.stdout))
    return [name for name in names if name in odd or name in told]


def idle_units(names: list[str]) -> list[str]:
    """Those of the units that are not both enabled and active."""
    done = subprocess.run(
        ["systemctl", "show", "--property=Id,ActiveState,UnitFileState", *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    well = set()
    for block in done.stdout.split("\n\n"):
        facts = dict(line.partition("=")[::2] for line in block.splitlines())
        if facts.get("ActiveState") == "active" and facts.get("UnitFileState") == "enabled":
            well.add(facts.get("Id"))
    return [name for name in names if name not in well]


# What systemd-analyze is asked, and what is allowed, in words.
TIMES = {
    "calendars": ("calendar", "a time as systemd's OnCalendar has it, such as Sun *-*-* 01:00 or Mon..Sat *-*-* 01:00"),
    "timespans": ("timespan", "a span of time as systemd has it, such as 30min or 1h 30min"),
}


def unread_times(asked: dict[str, Any]) -> list[str]:
    """A line for each time that systemd does not read: a timer with it would be loaded without, and never run."""
    lines = []
    for kind, (verb, allowed) in TIMES.items():
        for variable, value in asked[kind].items():
            done = subprocess.run(
                ["systemd-analyze", verb, "--", str(value)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            if done.returncode:
                lines.append(f"{variable} is {value}: allowed is {allowed}.")
    return lines


def ask(asked: dict[str, Any]) -> dict[str, Any]:
    """Everything the role and the playbooks decide by; see RETURN."""
    server = Server(None, "main")
    told: dict[str, Any] = {
        "server": "none",
        "granted": False,
        "stanza": "",
        "backups": [],
        "drill": {},
        "moved": False,
        "cipher_change": "",
        "certificate": None,
        "files": {path: fingerprint(path) for path in asked["files"]},
        "missing_folders": [path for path in asked["folders"] if not Path(path).is_dir()],
        "missing_packages": missing_packages(asked["packages"]) if asked["packages"] else [],
        "idle_units": idle_units(asked["units"]) if asked["units"] else [],
        "unread": unread_times(asked),
        "unknown_options": unknown_options(list(asked["options"])),
    }
    if asked["certificate"] and Path(asked["certificate"]).exists():
        told["certificate"] = Path(asked["certificate"]).read_text(encoding="ascii")
    if asked["memory"] and Path(asked["memory"]).exists():
        told["drill"] = json.loads(Path(asked["memory"]).read_text(encoding="utf-8"))
    if server.postmaster() is not None:
        try:
            answer = json.loads(server.sql(GRANTED_SQL))
        except RuntimeError:  # it starts, or hangs: postgres_server_info tells of that
            answer = {"primary": False, "granted": False}
        told["server"] = "primary" if answer["primary"] else "standby"
        told["granted"] = answer["granted"]
    if asked["repository"]:
        files = sorted(Path("/etc/pgbackrest/conf.d").glob("*.conf"))
        configured = global_options([file.read_text(encoding="utf-8") for file in files])
        told["moved"] = bool(configured) and moved(configured, asked["options"])
        told["cipher_change"] = cipher_change(configured, asked["options"], asked["passphrase"] or "")
    if asked["repository"] and Path("/etc/pgbackrest/restore.conf").exists():
        config = ["--config=/etc/pgbackrest/restore.conf", "--config-include-path=/etc/pgbackrest/conf.d"]
        done = server.run(["pgbackrest", *config, f"--stanza={asked['stanza']}", "--output=json", "info"])
        if done.returncode:
            told["stanza"] = (done.stderr or done.stdout).strip().splitlines()[-1]
        else:
            told["stanza"], told["backups"] = parse_info(json.loads(done.stdout), asked["stanza"])
    return told


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "required": True},
            "repository": {"type": "bool", "default": False},
            "options": {"type": "dict", "default": {}},
            "passphrase": {"type": "str", "no_log": True},
            "memory": {"type": "path"},
            "certificate": {"type": "path"},
            "files": {"type": "list", "elements": "path", "default": []},
            "folders": {"type": "list", "elements": "path", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "units": {"type": "list", "elements": "str", "default": []},
            "calendars": {"type": "dict", "default": {}},
            "timespans": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    try:
        told = ask(module.params)
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        module.fail_json(msg=f"Cannot tell about the backups of this machine: {error}")
    module.exit_json(changed=False, backup=told)


if __name__ == "__main__":
    main()
