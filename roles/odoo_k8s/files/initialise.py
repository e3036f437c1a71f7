# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the database to the modules of this image. Run by a Job; safe to run again, to kill, and to run twice at once.

``initialise.py init MODULE…``     what is missing of MODULE is installed; the first time sets the admin's password
``initialise.py plan MODULE…``     nothing is changed; says what ``upgrade`` would do
``initialise.py upgrade MODULE…``  as ``init``, and modules whose files changed since they were loaded are updated (the
                                   rule of click-odoo-update: a checksum of each addon's folder, kept in the database)
``initialise.py import MODULE…``   as ``upgrade``, for a database that was brought in; without checksums, modules whose
                                   version is another are updated. ODOO_IMPORT_AS=staging neutralises it

``plan`` and ``upgrade`` take what a person wants of single modules: ``--install``, ``--upgrade`` (also where no file
changed) and ``--remove`` (with what depends on it), each with names behind it.

One run at a time: an advisory lock on the database is held from the first to the last statement; a second run waits.
Attachments are kept in the database from the first one on. The container's termination message is a JSON object
(``message``) of lists of modules: installed, updated, removed (that were, or with ``plan`` would be), brought (what
Odoo installs with the first), taken (what depends on the removed ones), and due (files changed, but ``init`` updates
nothing). A ``plan`` that refuses says so there (refusal), and ends well: that is an answer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import database
import figures
import psycopg2
from neutralise import neutralise
from planning import PRESENT, Asked, Offer, Plan, message, plan
from start import CONFIG, check_image, write_config


def say(text: str) -> None:
    print("odoo-deploy: " + text, file=sys.stderr, flush=True)


def report(wanted: Plan, neutralised: list[str] | None = None) -> None:
    """For the role, which reads it from the pod's status. Outside Kubernetes nobody asks."""
    log = Path("/dev/termination-log")
    if log.exists():
        log.write_text(message(wanted, neutralised))


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


def requirements(connection) -> dict[str, list[str]]:
    """What each module of the database depends on, as Odoo wrote it down when it read the manifests."""
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.name, d.name FROM ir_module_module_dependency d JOIN ir_module_module m ON m.id = d.module_id"
        )
        for module, needed in cursor.fetchall():
            found.setdefault(module, []).append(needed)
    return found


def company_countries(connection) -> frozenset[str]:
    """Codes of the countries that the companies are in: some modules are installed by themselves in these alone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.res_company')")
        if cursor.fetchone()[0] is None:
            return frozenset()
        cursor.execute(
            "SELECT DISTINCT upper(c.code) FROM res_company o JOIN res_partner p ON p.id = o.partner_id"
            " JOIN res_country c ON c.id = p.country_id"
        )
        return frozenset(code for (code,) in cursor.fetchall())


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


def offers() -> dict[str, Offer]:
    """The modules of the image. One whose manifest cannot be read is none, for Odoo as for us."""
    from odoo.modules import module

    # To 15 the manifest was called a description.
    read = getattr(module, "get_manifest", None) or module.load_information_from_description_file
    found = {}
    for name in sorted(module.get_modules()):
        try:
            said = read(name)
            if not said:
                continue
            auto = said.get("auto_install", False)
            found[name] = Offer(
                depends=list(said.get("depends", [])),
                auto=None if auto is False else frozenset(auto),
                countries=frozenset(code.upper() for code in said.get("countries", [])),
                installable=bool(said.get("installable", True)),
            )
        except Exception as error:  # whatever an addon of anybody has in there
            say(f"the manifest of {name} cannot be read: {error!r}")
    return found


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


def remove(names: list[str]) -> None:
    """Odoo's own removal, in this process, of modules and what depends on them.

    :raises Exception: it failed; some may be gone.
    """
    with environment() as env:
        found = env["ir.module.module"].search([("name", "in", names), ("state", "=", "installed")])
        # What an earlier, killed run had marked was removed when the registry was loaded.
        if found:
            found.button_immediate_uninstall()


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


def finish(fresh: bool, keep: dict[str, str]) -> list[str]:
    """What belongs to a database that pods may serve from, in one transaction: the last step of every run.

    :param fresh: the database was initialised by this run or by one that was killed.
    :param keep: checksums of modules whose files are newer than what was loaded; they stay due for an update.
    :returns: what was turned off in a database that was brought in as a copy.
    """
    off: list[str] = []
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
        if os.environ.get("ODOO_IMPORT_AS") == "staging":
            # As Odoo's own restoring of a copy: another uuid and secret.
            parameters.init(force=True)
            parameters.set_param("web.base.url.freeze", bool(os.environ.get("ODOO_BASE_URL")))
            off = neutralise(env)
        if fresh:
            password = Path(os.environ["ODOO_ADMIN_PASSWORD_FILE"]).read_text().strip()
            env.ref("base.user_admin").write({"password": password})
        names = env["ir.module.module"].search([("state", "=", "installed")]).mapped("name")
        parameters.set_param(database.CHECKSUMS, json.dumps({**checksums(names), **keep}, sort_keys=True))
        parameters.set_param(database.STATE, "ready")
    return off


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


def forget(env) -> None:
    """Write what is pending and empty the cache, which would hold the contents of every attachment otherwise."""
    if hasattr(env, "invalidate_all"):  # from 16 on
        env.invalidate_all()
    else:
        env["base"].flush()
        env.cache.invalidate()


def force_storage(env, storage: str) -> None:
    """Every attachment into the storage that is set, also those of fields, which Odoo's own search hides."""
    domain = [("store_fname", "!=", False)] if storage == "db" else [("db_datas", "!=", False)]
    attachments = env["ir.attachment"].search([*domain, "|", ("res_field", "=", False), ("res_field", "!=", False)])
    lost = []
    for number, attachment in enumerate(attachments):
        if number % 50 == 0:
            forget(env)
        content = attachment.raw
        if not content and attachment.file_size:
            lost.append(attachment.id)
            continue
        attachment.write({"raw": content, "mimetype": attachment.mimetype})
    say(f"{len(attachments) - len(lost)} attachments moved to storage {storage}")
    if lost:
        say(f"warning: {len(lost)} attachments have no file in this data_dir and stay as they are: {lost[:20]}")


def arguments(words: list[str]) -> tuple[str, list[str], Asked]:
    """The mode, the modules that the database shall hold, and what a person wants of single ones."""
    parser = argparse.ArgumentParser(prog="initialise.py")
    parser.add_argument("mode", choices=("init", "plan", "upgrade", "import"))
    parser.add_argument("modules", nargs="*")
    for wish in ("install", "upgrade", "remove"):
        parser.add_argument("--" + wish, nargs="+", default=[])
    given = parser.parse_args(words)
    return given.mode, given.modules, Asked(given.install, given.upgrade, given.remove)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    mode, modules, asked = arguments(sys.argv[1:])
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
    wide = odoo.tools.config["server_wide_modules"]
    wanted = plan(
        mode,
        modules,
        series,
        version=base_version(connection) if states else "",
        state=state,
        states=states,
        known=known,
        now=checksums(name for name, value in states.items() if value in ("installed", "to upgrade")),
        moved=other_versions(connection),
        lacking=[
            name for name in [*modules, *asked.install] if not odoo.modules.get_module_path(name, display_warning=False)
        ],
        once=database.was_initialised(),
        again=os.environ.get("ODOO_INITIALISE_AGAIN") == "1",
        asked=asked,
        offered=offers() if mode != "init" else {},
        needs=requirements(connection) if states and mode != "init" else {},
        # A text to 18, a list from 19 on.
        wide=wide.split(",") if isinstance(wide, str) else list(wide),
        countries=company_countries(connection) if states and mode != "init" else frozenset(),
    )
    if wanted.refusal:
        where = "{}; database {}; addons in {}".format(wanted.refusal, database.name(), ", ".join(odoo.addons.__path__))
        if mode == "plan":
            report(Plan(where))
            say(where)
            sys.stderr.flush()
            os._exit(0)
        give_up(where)
    if wanted.fresh:
        # Read when the table is made, before the first attachment: nothing ever lies on a pod's disk.
        defaults = ir_config_parameter._default_parameters
        defaults["ir_attachment.location"] = lambda: os.environ.get("ODOO_ATTACHMENT_STORAGE", "db")
        defaults[database.STATE] = lambda: "initialising"

    report(wanted)
    gone = [*wanted.remove, *wanted.take]
    told = {"install": [*wanted.install, *wanted.bring], "update": wanted.update, "remove": gone}
    said = "; ".join("{}: {}".format(what, ", ".join(names) or "nothing") for what, names in told.items())
    if mode == "plan":
        say("would " + said)
        sys.stderr.flush()
        os._exit(0)
    if wanted.install or wanted.update or gone:
        if not wanted.fresh:
            set_state(connection, "installing" if mode == "init" else "upgrading")
        say("to " + said)
        try:
            # The registry that removes is loaded by the schema that this leaves.
            if wanted.install or wanted.update:
                load(wanted.install, wanted.update)
            if gone:
                remove(gone)
            states = installed(connection)
            failed = [name for name in [*modules, *asked.install] if states.get(name) != "installed"]
            if failed:
                sys.exit("odoo-deploy: not installed after loading: {}".format(", ".join(failed)))
            left = [name for name in gone if states.get(name) in PRESENT]
            if left:
                sys.exit("odoo-deploy: still installed after their removal: {}".format(", ".join(left)))
        except BaseException:
            if mode == "init" and not wanted.fresh:
                take_back(connection)
            raise
    if wanted.install or wanted.update or gone or state != "ready" or not settled(connection):
        report(wanted, finish(wanted.fresh, wanted.keep))
    try:
        figures.install(connection)
    except psycopg2.Error as error:  # Odoo serves without; an alert tells that nobody measures it
        say(f"warning: the database will tell no figures: {error}")
    if mode != "import":  # it gets the name that it will have later
        database.remember_initialised()
    if wanted.due:
        say(
            "warning: files changed since these modules were last updated: {}; run the upgrade playbook".format(
                ", ".join(wanted.due)
            )
        )
    say(
        f"done: database {database.name()} is ready: {len(wanted.install)} installed, {len(wanted.update)} updated,"
        f" {len(gone)} removed"
    )
    sys.stderr.flush()
    # Threads and pools of Odoo have nothing left to do.
    os._exit(0)


def other_versions(connection) -> list[str]:
    """Installed modules whose version in the image is another than the one that was loaded last."""
    from odoo.modules import module

    manifest = getattr(module, "get_manifest", None) or module.load_information_from_description_file
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.ir_module_module')")
        if cursor.fetchone()[0] is None:
            return []
        cursor.execute("SELECT name, coalesce(latest_version, '') FROM ir_module_module WHERE state = 'installed'")
        versions = dict(cursor.fetchall())
    return [name for name, version in versions.items() if manifest(name).get("version", version) != version]


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
