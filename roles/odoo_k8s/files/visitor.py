# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user of Odoo for as long as a check, or the warming of a cache, lasts: an employee without further rights.

Run in a web pod, by what its start left there. Nobody needs the administrator's password, whatever they made of it.

``visitor.py make``          prints {"login": …, "password": …}
``visitor.py remove LOGIN``  removes that user
``visitor.py hold``          makes one, and removes it after a line of standard input, or at its end
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time

CONFIG = "/tmp/odoo-deploy/odoo.conf"
PREFIX = "odoo-deploy-visitor-"
# Left by who was killed: nobody holds a visitor that long.
STALE_SECONDS = 3600


def open_registry():
    """The registry of this pod's database, with Odoo's configuration read and its log on standard error."""
    import odoo.release
    import odoo.tools
    from odoo.modules.registry import Registry

    odoo.tools.config.parse_config(
        ["--config", CONFIG, "--no-http", "--workers", "0", "--max-cron-threads", "0", "--log-level", "error"]
    )
    return Registry(os.environ["ODOO_DATABASE"])


def transaction(registry, work):
    """What ``work`` returns for an Environment of the superuser; other processes learn of what it changed."""
    import contextlib

    import odoo.api
    import odoo.release

    with contextlib.ExitStack() as stack:
        if odoo.release.version_info[0] < 15:
            stack.enter_context(odoo.api.Environment.manage())
        cursor = stack.enter_context(registry.cursor())
        result = work(odoo.api.Environment(cursor, 1, {"no_reset_password": True, "tracking_disable": True}))
        cursor.commit()
    registry.signal_changes()
    return result


def make(env) -> dict[str, str]:
    """A user in no group but the employees', without whom Odoo shows nobody its pages."""
    remove(env, stale_logins(env))
    token = secrets.token_hex(8)
    user = {"login": f"{PREFIX}{int(time.time())}-{token}", "password": f"Aa1-{secrets.token_urlsafe(24)}"}
    groups = "group_ids" if "group_ids" in env["res.users"]._fields else "groups_id"
    employees = env.ref("base.group_user").id
    env["res.users"].create({**user, "name": "Check of the deployment", groups: [(6, 0, [employees])]})
    return user


def stale_logins(env) -> list[str]:
    """Visitors that were left: their login says when they came."""
    users = env["res.users"].with_context(active_test=False).search([("login", "=like", PREFIX + "%")])
    now = time.time()
    return [user.login for user in users if now - int(user.login[len(PREFIX) :].split("-")[0]) > STALE_SECONDS]


def remove(env, logins: list[str]) -> None:
    users = env["res.users"].with_context(active_test=False).search([("login", "in", logins)])
    partners = users.mapped("partner_id")
    users.unlink()
    partners.unlink()


def main() -> None:
    command, words = sys.argv[1], sys.argv[2:]
    registry = open_registry()
    if command == "remove":
        transaction(registry, lambda env: remove(env, words))
    else:
        user = transaction(registry, make)
        print(json.dumps(user), flush=True)
        if command == "hold":
            sys.stdin.readline()
            transaction(registry, lambda env: remove(env, [user["login"]]))
    sys.stdout.flush()
    # Threads and pools of Odoo have nothing left to do.
    os._exit(0)


if __name__ == "__main__":
    main()
