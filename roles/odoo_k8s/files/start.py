# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PID 1 of a web or cron pod: waits for a database that is ready, then becomes Odoo.

Odoo that starts on a database without its tables keeps a broken registry for as long as it lives
(KeyError: 'ir.http'), so it is not started before. Arguments are passed on to ``odoo``.
"""

from __future__ import annotations

import configparser
import os
import signal
import sys
import time
from pathlib import Path

import database
import psycopg2

RUNTIME = Path("/tmp/odoo-deploy")
WAITING = RUNTIME / "waiting"
CONFIG = str(RUNTIME / "odoo.conf")


def write_config(target: str = CONFIG) -> None:
    """One odoo.conf from the ConfigMap's and the Secret's; the master password is hashed as Odoo itself does it."""
    from passlib.context import CryptContext

    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read([os.environ["ODOO_CONFIG"], os.environ["ODOO_SECRET_CONFIG"]])
    options = parser["options"]
    if options.get("admin_passwd"):
        options["admin_passwd"] = CryptContext(["pbkdf2_sha512"]).hash(options["admin_passwd"])
    Path(target).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        parser.write(stream)


def check_image() -> str:
    """Odoo's series in this image; ends the pod where it is not the one that was asked for."""
    from odoo.release import version_info

    series = "{}.{}".format(*version_info[:2])
    wanted = os.environ["ODOO_VERSION"]
    if str(version_info[0]).replace("saas~", "") != wanted:
        print(
            f"odoo-deploy: the image holds Odoo {series} but odoo_k8s_version is {wanted}", file=sys.stderr, flush=True
        )
        sys.exit(78)
    return series


def wait(series: str, pause: float = 2.0) -> None:
    """Return once the database is ready. ``WAITING`` exists meanwhile, so that probes know why nothing listens."""
    said = ""
    while True:
        try:
            connection = database.connect()
            try:
                reason = database.why_not_ready(database.find(connection), series, database.name())
            finally:
                connection.close()
        except psycopg2.Error as error:
            reason = "database away: " + str(error).strip().replace("\n", "; ")
        if not reason:
            if WAITING.exists():
                WAITING.unlink()
            return
        if reason != said:
            print("odoo-deploy: waiting: " + reason, file=sys.stderr, flush=True)
            said = reason
            WAITING.write_text(reason)
        time.sleep(pause)


def main() -> None:
    # PID 1 gets no default action for a signal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    write_config()
    wait(check_image())
    os.execvp("odoo", ["odoo", "--config", CONFIG, *sys.argv[1:]])


if __name__ == "__main__":
    main()
