# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Odoo's database tells of itself to Prometheus: counts and ages, by one function in the database.

Whoever may connect may call it, and needs no right on any table: it runs as its owner, Odoo's role. So nothing has to
be granted again when Odoo makes a table anew, and a dump names no role. Tables and columns are looked for at each call,
as modules and series come and go; a figure whose column is missing has no row. On a standby none has one.
Runs inside any Odoo image from 14 to 19 (Python 3.7+, psycopg2).
"""

from __future__ import annotations

from dataclasses import dataclass

NAME = "odoo_deploy_figures"
_NOW = "(now() AT TIME ZONE 'UTC')"


@dataclass(frozen=True)
class Figure:
    """``query`` gives rows of a label and a value. Of one name the first is taken whose columns are all there."""

    name: str
    columns: tuple[str, ...]  # TABLE.COLUMN
    query: str


def _overdue(where: str) -> str:
    """Seconds that an action is late. One that runs holds the lock of its row; below a minute nobody is late."""
    return f"""
        SELECT ''::text, coalesce(max(extract(epoch FROM {_NOW} - nextcall)), 0)::float8
          FROM (SELECT nextcall FROM public.ir_cron
                 WHERE {where} AND nextcall < {_NOW} - interval '1 minute' FOR SHARE SKIP LOCKED) AS late"""


def _count(table: str, states: tuple[str, ...]) -> str:
    """How many rows each state has, also where that is none."""
    names = ", ".join(f"('{state}')" for state in states)
    return f"""
        SELECT s.state, count(r.state)::float8 FROM (VALUES {names}) AS s (state)
          LEFT JOIN public.{table} r ON r.state = s.state GROUP BY s.state"""


def _active(presence: str) -> str:
    """Users who logged in or were seen within each window."""
    return f"""
        SELECT w.label, count(DISTINCT seen.who)::float8
          FROM (VALUES ('5m', interval '5 minutes'), ('24h', interval '24 hours')) AS w (label, length)
          LEFT JOIN (SELECT create_uid AS who, create_date AS moment FROM public.res_users_log {presence}) AS seen
            ON seen.moment > {_NOW} - w.length
         GROUP BY w.label"""


def _seen_in(table: str) -> str:
    return f"UNION ALL SELECT user_id, last_poll FROM public.{table} WHERE user_id IS NOT NULL"


# To 15 scheduled_date is a text; as texts both are in the order of time.
_OLDEST_MAIL = f"""
        SELECT ''::text, coalesce(extract(epoch FROM {_NOW} - min(due)::timestamp), 0)::float8
          FROM (SELECT greatest(create_date::text, scheduled_date::text) AS due
                  FROM public.mail_mail WHERE state = 'outgoing') AS mails
         WHERE due <= {_NOW}::text"""

_CRON = ("ir_cron.active", "ir_cron.nextcall")
_LOG = ("res_users_log.create_uid", "res_users_log.create_date")
FIGURES = (
    # Odoo 14 to 17 never run an action whose numbercall is 0.
    Figure("cron_overdue_seconds", (*_CRON, "ir_cron.numbercall"), _overdue("active AND numbercall <> 0")),
    Figure("cron_overdue_seconds", _CRON, _overdue("active")),
    # From 18 on.
    Figure(
        "cron_failing",
        ("ir_cron.active", "ir_cron.failure_count"),
        "SELECT ''::text, count(*)::float8 FROM public.ir_cron WHERE active AND failure_count > 0",
    ),
    # The module mail. What was sent is deleted, or is a history that is not counted each minute.
    Figure("mails", ("mail_mail.state",), _count("mail_mail", ("outgoing", "exception"))),
    Figure("mail_oldest_outgoing_seconds", ("mail_mail.state", "mail_mail.scheduled_date"), _OLDEST_MAIL),
    # The OCA's module queue_job.
    Figure(
        "queue_jobs",
        ("queue_job.state",),
        _count("queue_job", ("wait_dependencies", "pending", "enqueued", "started", "failed")),
    ),
    # To 18 the module bus notes who is there, from 19 on the module mail.
    Figure("users_active", (*_LOG, "bus_presence.last_poll"), _active(_seen_in("bus_presence"))),
    Figure("users_active", (*_LOG, "mail_presence.last_poll"), _active(_seen_in("mail_presence"))),
    Figure("users_active", _LOG, _active("")),
    Figure(
        "modules_pending",
        ("ir_module_module.state",),
        "SELECT ''::text, count(*)::float8 FROM public.ir_module_module"
        " WHERE state IN ('to install', 'to upgrade', 'to remove')",
    ),
)


def _choice(figure: Figure) -> str:
    needed = ", ".join(f"'{column}'" for column in figure.columns)
    return f"    WHEN figure = '{figure.name}' AND present @> ARRAY[{needed}] THEN $query${figure.query}$query$"


def function() -> str:
    """The statement that makes the function. Whoever calls it brings no schema of his own into it (search_path)."""
    choices = "\n".join(_choice(figure) for figure in FIGURES)
    tables = ", ".join(sorted({f"'{column.split('.')[0]}'" for figure in FIGURES for column in figure.columns}))
    return f"""
CREATE OR REPLACE FUNCTION public.{NAME}(figure text) RETURNS TABLE (label text, value double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
  present text[] := ARRAY(
    SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN ({tables}) AND a.attnum > 0 AND NOT a.attisdropped);
  query text := CASE
{choices}
    END;
BEGIN
  IF query IS NOT NULL AND NOT pg_is_in_recovery() THEN
    RETURN QUERY EXECUTE query;
  END IF;
END
$function$
"""


def install(connection) -> None:
    """A database that was brought in has no function, one that was restored that of another day."""
    with connection.cursor() as cursor:
        cursor.execute(function())
