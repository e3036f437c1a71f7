# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exec probe: exit 0 keeps the container, exit 1 restarts it (or takes it out of rotation).

``probe.py live``   'me broken' (1) against 'database away' (0): a pod must not be restarted for the database's sake
``probe.py start``  as ``live``, but not answering yet is not broken while the database is away or not ready
``probe.py cron``   the cron Deployment: its workers live, and none is idle while a due action is left lying
``probe.py cron-ready``  the cron Deployment started and reaches the database

Cheap when all is well: no database connection is made unless Odoo does not answer.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

URL = "http://127.0.0.1:{}/livez".format(os.environ.get("ODOO_PORT", "8069"))
WAITING = Path("/tmp/odoo-deploy/waiting")


def odoo_answers(timeout: float) -> str:
    """Empty when Odoo says that it is alive, else what is wrong."""
    try:
        # A proxy from the environment has no part in this.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(URL, timeout=timeout):
            return ""
    except urllib.error.HTTPError as error:
        return "HTTP {}: {}".format(error.code, error.read(300).decode(errors="replace").strip())
    except OSError as error:
        return f"no answer: {error}"


def database_away() -> str:
    """Empty when the database can be worked with, else what it says."""
    import database
    import psycopg2

    try:
        connection = database.connect(timeout=2)
        connection.close()
    except psycopg2.Error as error:
        return str(error).strip().replace("\n", "; ")
    return ""


def live(timeout: float) -> str:
    """Empty: keep. Else the reason to restart."""
    if WAITING.exists():
        return ""
    problem = odoo_answers(timeout)
    if problem and not problem.startswith("HTTP "):
        away = database_away()
        if away:
            print(f"kept: {problem}; database away: {away}")
            return ""
    return problem


def seconds_running() -> float:
    """Age of PID 1."""
    started = int(Path("/proc/1/stat").read_text().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    return float(Path("/proc/uptime").read_text().split()[0]) - started


def cron_workers() -> int:
    """Living children of Odoo's master process."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if parent == "1" and state not in "ZT":
            count += 1
    return count


def left_lying(overdue: int, running: int, threads: int, limit: int) -> str:
    """Why the cron workers are stuck; empty: they are not.

    An action that waits while every worker runs another one is waiting, not stuck: how long one may run is Odoo's own
    ``limit_time_real_cron``.

    :param overdue: due actions that nobody runs, by more than ``limit`` seconds.
    :param running: actions that run.
    :param threads: workers there are for them.
    """
    if not overdue or running >= threads:
        return ""
    return (
        f"{overdue} scheduled actions are overdue by more than {limit} s while {threads - running} of {threads}"
        " workers run none"
    )


# An action that runs holds the lock of its row. Odoo 14 to 17 never run an action whose numbercall is 0.
ACTIONS = """
    SELECT (SELECT count(*) FROM ir_cron WHERE active)
         - (SELECT count(*) FROM (SELECT id FROM ir_cron WHERE active FOR SHARE SKIP LOCKED) AS idle),
           (SELECT count(*) FROM (
                SELECT id FROM ir_cron
                 WHERE active AND {callable} AND nextcall < now() AT TIME ZONE 'UTC' - %s * interval '1 second'
                   FOR SHARE SKIP LOCKED) AS overdue)
"""


def actions(cursor, limit: int) -> tuple[int, int]:
    """How many scheduled actions run, and how many are overdue by more than ``limit`` seconds and do not run."""
    cursor.execute(
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'ir_cron' AND column_name = 'numbercall'"
    )
    cursor.execute(ACTIONS.format(callable="numbercall <> 0" if cursor.fetchone()[0] else "true"), (limit,))
    running, overdue = cursor.fetchone()
    return running, overdue


def cron() -> str:
    """Empty: keep. Else the reason to restart."""
    limit = int(os.environ["ODOO_CRON_OVERDUE"])
    if WAITING.exists() or seconds_running() < limit:
        return ""
    if not cron_workers():
        return "no cron worker runs"
    import database
    import psycopg2

    try:
        connection = database.connect(timeout=2)
        with connection.cursor() as cursor:
            running, overdue = actions(cursor, limit)
        connection.close()
    except psycopg2.Error as error:
        print(f"kept: database away: {error}")
        return ""
    return left_lying(overdue, running, int(os.environ["ODOO_CRON_THREADS"]), limit)


def main() -> int:
    mode = sys.argv[1]
    if mode == "cron":
        problem = cron()
    elif mode == "cron-ready":
        if WAITING.exists():
            problem = "waiting: " + WAITING.read_text()
        else:
            problem = "" if cron_workers() else "no cron worker runs"
            problem = problem or database_away()
    else:
        problem = live(timeout=4 if mode == "live" else 2)
    if problem:
        print(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
