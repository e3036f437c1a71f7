# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns off whatever a copy of a database would do to the world outside: mails, scheduled actions, payments, calendars.

From 16 on Odoo has rules of its own, one file a module (odoo/modules/neutralize.py). These here are what they do, for
14 and 15, and what they leave on: automations, queue jobs, passkeys. Each is applied if its table and columns exist.
Runs inside any Odoo image from 14 to 19 (Python 3.7+, psycopg2).
"""

from __future__ import annotations

from dataclasses import dataclass

RIBBON = "odoo_deploy.neutralised"


@dataclass(frozen=True)
class Rule:
    """Rows of ``table`` that are on while ``on`` is true; ``off`` (SET …; empty: they are deleted) turns them off."""

    what: str
    table: str
    columns: tuple[str, ...]
    on: str
    off: str = ""

    @property
    def statement(self) -> str:
        return (
            f"UPDATE {self.table} SET {self.off} WHERE {self.on}"
            if self.off
            else f"DELETE FROM {self.table} WHERE {self.on}"
        )

    @property
    def count(self) -> str:
        return f"SELECT count(*) FROM {self.table} WHERE {self.on}"


# The autovacuum cleans up, here as there.
_CRON = (
    "active AND id NOT IN (SELECT res_id FROM ir_model_data"
    " WHERE model = 'ir.cron' AND module = 'base' AND name = 'autovacuum_job')"
)
RULES = (
    Rule(
        "outgoing mail servers",
        "ir_mail_server",
        ("active", "smtp_host"),
        "active AND smtp_host <> 'invalid'",
        "active = false",
    ),
    Rule("incoming mail servers", "fetchmail_server", ("active",), "active", "active = false"),
    Rule("mails that wait to be sent", "mail_mail", ("state",), "state = 'outgoing'", "state = 'cancel'"),
    Rule("text messages that wait to be sent", "sms_sms", ("state",), "state = 'outgoing'", "state = 'canceled'"),
    Rule("scheduled actions", "ir_cron", ("active",), _CRON, "active = false"),
    Rule("automations", "base_automation", ("active",), "active", "active = false"),
    Rule(
        "queue jobs",
        "queue_job",
        ("state",),
        "state IN ('wait_dependencies', 'pending', 'enqueued', 'started')",
        "state = 'cancelled'",
    ),
    Rule("payment providers", "payment_provider", ("state",), "state <> 'disabled'", "state = 'disabled'"),
    Rule("payment providers", "payment_acquirer", ("state",), "state <> 'disabled'", "state = 'disabled'"),
    Rule("OAuth providers", "auth_oauth_provider", ("enabled",), "enabled", "enabled = false"),
    Rule(
        "IAP accounts",
        "iap_account",
        ("account_token",),
        "account_token IS NOT NULL AND account_token NOT LIKE '%+disabled'",
        "account_token = 'dummy_value+disabled'",
    ),
    Rule("passkeys", "auth_passkey_key", (), "true"),
    Rule(
        "webhooks",
        "ir_act_server",
        ("state", "webhook_url"),
        "state = 'webhook' AND webhook_url NOT LIKE 'neutrali%'",
        "webhook_url = 'https://invalid'",
    ),
    Rule(
        "Google calendars",
        "res_users",
        ("google_calendar_rtoken", "google_calendar_token"),
        "google_calendar_rtoken IS NOT NULL",
        "google_calendar_rtoken = NULL, google_calendar_token = NULL",
    ),
    Rule(
        "Google calendars",
        "res_users_settings",
        ("google_calendar_rtoken", "google_calendar_token"),
        "google_calendar_rtoken IS NOT NULL",
        "google_calendar_rtoken = NULL, google_calendar_token = NULL",
    ),
    Rule(
        "Microsoft calendars",
        "res_users",
        ("microsoft_calendar_rtoken", "microsoft_calendar_token"),
        "microsoft_calendar_rtoken IS NOT NULL",
        "microsoft_calendar_rtoken = NULL, microsoft_calendar_token = NULL",
    ),
    Rule("links to banks", "account_online_link", ("access_token",), "access_token IS NOT NULL", "access_token = NULL"),
    Rule("devices for push messages", "mail_push_device", (), "true"),
)
# Without an active server of the database Odoo takes the one of odoo.conf.
_DEAD_END = (
    "INSERT INTO ir_mail_server (name, smtp_host, smtp_port, smtp_encryption, active, sequence{extra})"
    " VALUES ('neutralised: no mail leaves', 'invalid', 25, 'none', true, 0{value})"
)
_FLAG = (
    "INSERT INTO ir_config_parameter (key, value) VALUES ('database.is_neutralized', 'true')"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


def columns(cursor, table: str) -> set[str]:
    """Names of a table's columns; empty: there is no such table."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s", (table,)
    )
    return {name for (name,) in cursor.fetchall()}


def applicable(cursor) -> list[Rule]:
    found = {table: columns(cursor, table) for table in {rule.table for rule in RULES}}
    return [rule for rule in RULES if found[rule.table] and found[rule.table] >= set(rule.columns)]


def counted(cursor, rules: list[Rule]) -> dict[str, int]:
    """How many of each kind are on."""
    on: dict[str, int] = {}
    for rule in rules:
        cursor.execute(rule.count)
        on[rule.what] = on.get(rule.what, 0) + cursor.fetchone()[0]
    return on


def told(on: dict[str, int]) -> list[str]:
    return [f"{count} {what}" for what, count in on.items() if count]


def neutralise(env) -> list[str]:
    """Turn everything off; what was on before, a line for each kind.

    :param env: Odoo's Environment as the superuser. Whoever calls commits.
    """
    from odoo.release import version_info

    # What the ORM holds back is written before it is counted and changed.
    env.flush_all() if version_info[0] >= 16 else env["base"].flush()
    cursor = env.cr
    rules = applicable(cursor)
    before = counted(cursor, rules)
    if version_info[0] >= 16:
        from odoo.modules.neutralize import neutralize_database

        neutralize_database(cursor)
    for rule in rules:
        cursor.execute(rule.statement)
    if version_info[0] < 16:
        authentication = "smtp_authentication" in columns(cursor, "ir_mail_server")
        cursor.execute(
            _DEAD_END.format(
                extra=", smtp_authentication" if authentication else "", value=", 'login'" if authentication else ""
            )
        )
        cursor.execute(_FLAG)
        ribbon(env)
    env.invalidate_all() if version_info[0] >= 16 else env["base"].invalidate_cache()
    return told(before)


def ribbon(env) -> None:
    """What every page says of a copy. From 16 on Odoo has its own."""
    if env["ir.ui.view"].search([("key", "=", RIBBON)]):
        return
    style = "position:fixed;bottom:0;left:0;z-index:2000;padding:2px 12px;background:#b02a37;color:#fff"
    env["ir.ui.view"].create(
        {
            "name": "Copy of a database",
            "key": RIBBON,
            "type": "qweb",
            "mode": "extension",
            "inherit_id": env.ref("web.layout").id,
            "arch": f'<data><xpath expr="//body" position="inside"><div id="odoo_deploy_copy" style="{style}">'
            "Copy: nothing leaves it</div></xpath></data>",
        }
    )
