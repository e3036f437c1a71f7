# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the database to the modules of this image. Run by a Job; safe to run again, to kill, and to run twice at once.

``initialise.py init MODULE…``     what is missing of MODULE is installed; the first time sets the admin's password
``initialise.py plan MODULE…``     nothing is changed; says what ``upgrade`` would do
``initialise.py upgrade MODULE…``  as ``init``, and modules whose files changed since they were loaded are updated (the
                                   rule of click-odoo-update: a checksum of each addon's folder, kept in the database)

One run at a time: an advisory lock on the database is held from the first to the last statement; a second run waits.
Attachments are kept in the database from the first one on. The container's termination message is a JSON object:
installed, updated (lists of modules that were, or with ``plan`` would be) and due (modules whose files changed but that
``init`` does not update).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import database
import psycopg2
from start import CONFIG, check_image, write_config


def say(text: str) -> None:
    print("odoo-deploy: " + text, file=sys.stderr, flush=True)


def report(installed_now: list[str], updated: list[str], due: list[str]) -> None:
    """For the role, which reads it from the pod's status. Outside Kubernetes nobody asks."""
    log = Path("/dev/termination-log")
    if log.exists():
        log.write_text(json.dumps({"installed": installed_now, "updated": updated, "due": due}))


def give_up(text: str) -> None:
    """Ends the Job: another try would end the same way (podFailurePolicy looks at the code)."""
    say(text)
    sys.stderr.flush()
    os._exit(78)


def wait_for_database():
    """A connection to the primary, however long that takes: the Job's own deadline ends the wait."""
    said = ""
    while True:
        try:
            return database.connect()
        except psycopg2.OperationalError as error:
            reason = str(error).strip().replace("\n", "; ")
            if reason != said:
                say("waiting: database away: " + reason)
                said = reason
            time.sleep(2)


def lock(connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (database.ADVISORY_LOCK,))
        if not cursor.fetchone()[0]:
            say("waiting: another job holds the lock on this database")
            cursor.execute("SELECT pg_advisory_lock(%s)", (database.ADVISORY_LOCK,))


def parameter(connection, key: str, default: str = "") -> str:
    """A system parameter by plain SQL; ``default`` also where the table is not there yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.ir_config_parameter')")
        if cursor.fetchone()[0] is None:
            return default
        cursor.execute("SELECT value FROM ir_config_parameter WHERE key = %s", (key,))
        row = cursor.fetchone()
    return row[0] if row else default


def installed(connection) -> dict[str, str]:
    """State of each module in the database; empty where it is not initialised."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.ir_module_module')")
        if cursor.fetchone()[0] is None:
            return {}
        cursor.execute("SELECT name, state FROM ir_module_module")
        return dict(cursor.fetchall())


def checksum(folder: str) -> str:
    """Of everything that an update would load: names and contents, without bytecode, static files and tests."""
    digest = hashlib.sha256()
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in ("__pycache__", "tests", "static"))
        for name in sorted(files):
            if name.endswith((".pyc", ".pyo", ".pot", ".md", ".rst")):
                continue
            path = Path(root, name)
            digest.update(str(path.relative_to(folder)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def import_odoo():
    """Odoo with the parts that this script uses.

    To 18 ``import odoo`` loads them all. From 19 on ``odoo`` is a namespace: only what is imported by name is there.
    """
    from odoo.release import version_info

    if version_info[0] >= 19:
        import odoo.init  # sets the packages up, so it comes first
    import odoo.api
    import odoo.modules
    import odoo.tools

    return odoo


def checksums(names) -> dict[str, str]:
    from odoo.modules import get_module_path

    return {name: checksum(path) for name in sorted(names) for path in [get_module_path(name)] if path}


def load(install: list[str], update: list[str]) -> None:
    """Odoo's own installation and update, in this process.

    :raises SystemExit: it failed; Odoo logged why.
    """
    from odoo.service import server

    config = import_odoo().tools.config
    config["init"] = dict.fromkeys(install, True)
    config["update"] = dict.fromkeys(update, True)
    if server.preload_registries([database.name()]):
        sys.exit("odoo-deploy: Odoo could not load {}".format(", ".join(install + update)))
    config["init"], config["update"] = {}, {}


def environment():
    """Context manager of an Environment as the superuser; commits on leaving without an error, and tells the pods."""
    import contextlib

    odoo = import_odoo()
    from odoo.modules.registry import Registry

    @contextlib.contextmanager
    def manager():
        registry = Registry(database.name())
        with contextlib.ExitStack() as stack:
            if odoo.release.version_info[0] < 15:
                stack.enter_context(odoo.api.Environment.manage())
            cursor = stack.enter_context(registry.cursor())
            yield odoo.api.Environment(cursor, odoo.SUPERUSER_ID, {})
        # Pods that serve load the modules that are new: Odoo 14 does not tell them after an installation by command.
        registry.signal_changes()

    return manager()


def finish(fresh: bool, keep: dict[str, str]) -> None:
    """What belongs to a database that pods may serve from, in one transaction: the last step of every run.

    :param fresh: the database was initialised by this run or by one that was killed.
    :param keep: checksums of modules whose files are newer than what was loaded; they stay due for an update.
    """
    with environment() as env:
        parameters = env["ir.config_parameter"]
        storage = os.environ.get("ODOO_ATTACHMENT_STORAGE", "db")
        moved = parameters.get_param("ir_attachment.location", "file") != storage
        parameters.set_param("ir_attachment.location", storage)
        stray = [("store_fname", "!=", False)] if storage == "db" else [("db_datas", "!=", False)]
        # Without a domain on res_field, ir.attachment leaves out the ones that belong to a field.
        if moved or env["ir.attachment"].search_count(
            [*stray, "|", ("res_field", "=", False), ("res_field", "!=", False)]
        ):
            force_storage(env, storage)
        if os.environ.get("ODOO_BASE_URL"):
            parameters.set_param("web.base.url", os.environ["ODOO_BASE_URL"])
            parameters.set_param("web.base.url.freeze", "True")
        parameters.set_param("report.url", report_url())
        if fresh:
            password = Path(os.environ["ODOO_ADMIN_PASSWORD_FILE"]).read_text().strip()
            env.ref("base.user_admin").write({"password": password})
        names = env["ir.module.module"].search([("state", "=", "installed")]).mapped("name")
        parameters.set_param(database.CHECKSUMS, json.dumps({**checksums(names), **keep}, sort_keys=True))
        parameters.set_param(database.STATE, "ready")


def report_url() -> str:
    """Where wkhtmltopdf fetches styles: the second port of its own pod.

    At the first one it would wait for an HTTP worker while its own worker waits for it: if all print, none ends.
    """
    return "http://127.0.0.1:{}".format(os.environ["ODOO_SECOND_PORT"])


def settled(connection) -> bool:
    """Whether the parameters that ``finish`` sets from the environment are as they should be."""
    wanted = {
        "ir_attachment.location": os.environ.get("ODOO_ATTACHMENT_STORAGE", "db"),
        "report.url": report_url(),
    }
    if os.environ.get("ODOO_BASE_URL"):
        wanted["web.base.url"] = os.environ["ODOO_BASE_URL"]
    return all(parameter(connection, key) == value for key, value in wanted.items())


def force_storage(env, storage: str) -> None:
    """Every attachment into the storage that is set, also those of fields, which Odoo's own search hides."""
    domain = [("store_fname", "!=", False)] if storage == "db" else [("db_datas", "!=", False)]
    attachments = env["ir.attachment"].search([*domain, "|", ("res_field", "=", False), ("res_field", "!=", False)])
    lost = []
    for attachment in attachments:
        content = attachment.raw
        if not content and attachment.file_size:
            lost.append(attachment.id)
            continue
        attachment.write({"raw": content, "mimetype": attachment.mimetype})
    say(f"{len(attachments) - len(lost)} attachments moved to storage {storage}")
    if lost:
        say(f"warning: {len(lost)} attachments have no file in this data_dir and stay as they are: {lost[:20]}")


@dataclass(frozen=True)
class Plan:
    """What a run does to the database."""

    refusal: str = ""  # not empty: nothing is done, and another try would end the same way
    fresh: bool = False  # the database is initialised by this run, or was half initialised by one that was killed
    install: list[str] = field(default_factory=list)
    update: list[str] = field(default_factory=list)
    due: list[str] = field(default_factory=list)  # files changed, but this mode updates nothing
    keep: dict[str, str] = field(default_factory=dict)  # checksums that stay as they were: those modules remain due


def plan(
    mode: str,
    modules: list[str],
    series: str,
    version: str,
    state: str,
    states: dict[str, str],
    known: dict[str, str],
    now: dict[str, str],
    lacking: list[str],
    once: bool = False,
    again: bool = False,
) -> Plan:
    """Decide what to install and to update.

    :param mode: ``init``, ``upgrade``, or ``plan``, which decides as ``upgrade`` does.
    :param modules: what the database shall hold.
    :param series: of the image, e.g. ``19.0``.
    :param version: of the module base as it was loaded last; empty: the database is not initialised.
    :param state: system parameter ``odoo_deploy.state``.
    :param states: state of each module in the database; empty: the database is not initialised.
    :param known: checksum of each module when it was loaded last; empty: nobody wrote them down.
    :param now: checksum of each installed module in the image.
    :param lacking: those of ``modules`` that the image does not have.
    :param once: a database of this name was initialised before.
    :param again: a person asked to initialise it all the same.
    """
    fresh = states.get("base") != "installed" or state == "initialising"
    if fresh and once and not again and state != "initialising":
        return Plan(
            "the database was initialised before and is empty now. Restore a dump:"
            " playbooks/upgrade.yml -e odoo_k8s_backup=FILE -e odoo_k8s_upgrade_back=true;"
            " or begin anew, without any data: playbooks/odoo.yml -e odoo_k8s_initialise_again=true"
        )
    if mode == "init" and state == "upgrading":
        return Plan(
            "an upgrade changed a part of the database and did not end."
            " Run playbooks/upgrade.yml, which says how to go on and how to go back"
        )
    if not fresh and not version.startswith(series + "."):
        return Plan(
            f"the database is of Odoo {version}, this image is {series}."
            " Odoo cannot cross series: migrate the database first (OpenUpgrade)"
        )
    missing = [name for name in modules if states.get(name) != "installed"]
    unknown = [name for name in missing if name in lacking]
    if unknown:
        return Plan("the image has no module named " + ", ".join(unknown))
    changed = sorted(name for name, value in now.items() if known and known.get(name) != value)
    if states and mode != "init" and (not known or "base" in changed or state == "upgrading"):
        # Updating base updates all that is installed. What an upgrade that was killed has updated is not known.
        changed = ["base"]
    half_way = any(value in ("to install", "to upgrade", "to remove") for value in states.values())
    if not missing and (fresh or half_way):
        # Loading any module finishes what a killed run has marked.
        missing = ["base"]
    update = [] if mode == "init" else changed
    keep = {} if update == ["base"] else {name: known.get(name, "") for name in changed if name not in update}
    return Plan("", fresh, missing, update, changed if mode == "init" else [], keep)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    mode, modules = sys.argv[1], sys.argv[2:]
    write_config()
    series = check_image()
    connection = wait_for_database()
    if mode != "plan":
        lock(connection)

    odoo = import_odoo()
    odoo.tools.config.parse_config(
        ["--config", CONFIG, "--database", database.name(), "--no-http", "--workers", "0", "--max-cron-threads", "0"]
    )
    demo = os.environ.get("ODOO_DEMO") == "1"
    if odoo.release.version_info[0] >= 19:
        odoo.tools.config["with_demo"] = demo
    else:
        odoo.tools.config["without_demo"] = "" if demo else "all"
    from odoo.addons.base.models import ir_config_parameter
    from odoo.service import server

    server.load_server_wide_modules()

    if odoo.tools.config["unaccent"] and mode != "plan":
        # Odoo itself does so only where it makes the database. The extension is a trusted one: the owner may.
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS unaccent")
    states = installed(connection)
    state = parameter(connection, database.STATE)
    known = json.loads(parameter(connection, database.CHECKSUMS, "{}"))
    wanted = plan(
        mode,
        modules,
        series,
        version=base_version(connection) if states else "",
        state=state,
        states=states,
        known=known,
        now=checksums(name for name, value in states.items() if value in ("installed", "to upgrade")),
        lacking=[name for name in modules if not odoo.modules.get_module_path(name, display_warning=False)],
        once=database.was_initialised(),
        again=os.environ.get("ODOO_INITIALISE_AGAIN") == "1",
    )
    if wanted.refusal:
        give_up(
            "{}; database {}; addons in {}".format(wanted.refusal, database.name(), ", ".join(odoo.addons.__path__))
        )
    if wanted.fresh:
        # Read when the table is made, before the first attachment: nothing ever lies on a pod's disk.
        defaults = ir_config_parameter._default_parameters
        defaults["ir_attachment.location"] = lambda: os.environ.get("ODOO_ATTACHMENT_STORAGE", "db")
        defaults[database.STATE] = lambda: "initialising"

    report(wanted.install, wanted.update, wanted.due)
    what = "{{}}: {}; {{}}: {}".format(", ".join(wanted.install) or "nothing", ", ".join(wanted.update) or "nothing")
    if mode == "plan":
        say(what.format("would install", "would update"))
        os._exit(0)
    if wanted.install or wanted.update:
        if not wanted.fresh:
            set_state(connection, "installing" if mode == "init" else "upgrading")
        say(what.format("installing", "updating"))
        try:
            load(wanted.install, wanted.update)
            states = installed(connection)
            failed = [name for name in modules if states.get(name) != "installed"]
            if failed:
                sys.exit("odoo-deploy: not installed after loading: {}".format(", ".join(failed)))
        except BaseException:
            if mode == "init" and not wanted.fresh:
                take_back(connection)
            raise
    if wanted.install or wanted.update or state != "ready" or not settled(connection):
        finish(wanted.fresh, wanted.keep)
    database.remember_initialised()
    if wanted.due:
        say(
            "warning: files changed since these modules were last updated: {}; run the upgrade playbook".format(
                ", ".join(wanted.due)
            )
        )
    say(f"done: database {database.name()} is ready: {len(wanted.install)} installed, {len(wanted.update)} updated")
    sys.stderr.flush()
    # Threads and pools of Odoo have nothing left to do.
    os._exit(0)


def base_version(connection) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(latest_version, '') FROM ir_module_module WHERE name = 'base'")
        return (cursor.fetchone() or [""])[0]


def set_state(connection, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ir_config_parameter SET value = %s WHERE key = %s", (value, database.STATE))


def take_back(connection) -> None:
    """After an installation that failed: what serves goes on, and may be started again.

    Odoo installs each module in a transaction of its own, so one that is not installed has left nothing behind.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
            cursor.execute("UPDATE ir_module_module SET state = 'uninstalled' WHERE state = 'to install'")
        set_state(connection, "ready")
    except psycopg2.Error as error:
        say(f"the database could not be marked ready again: {error}")


if __name__ == "__main__":
    main()
