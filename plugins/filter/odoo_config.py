# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""odoo.conf as a person has it, together with what the pods need: each option is passed, merged or refused."""

from __future__ import annotations

DOCUMENTATION = r"""
name: odoo_config
short_description: Merges a person's options of odoo.conf with the role's
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Every option that Odoo's own parser knows is passed on, merged with the role's, or refused with a reason.
  - An option that Odoo's parser does not know belongs to an addon and is passed on.
positional: role, secret
options:
  _input:
    description: The person's options.
    type: dict
    required: true
  role:
    description: The role's options; a person's value wins where it is passed on.
    type: dict
    required: true
  secret:
    description: The person's options that go into a Secret; what the role reads or refuses is no less refused there.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Merge
  ansible.builtin.set_fact:
    merged: "{{ {'limit_memory_hard': '3GiB'} | odoo_deploy.stack.odoo_config({'workers': 2}) }}"
"""

RETURN = r"""
_value:
  description: C(options), what goes into odoo.conf, and C(errors), a line for each option that is refused.
  type: dict
"""

import re
from collections.abc import Callable, Mapping
from typing import Any


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What the parsers of 14 and 19 know (odoo/tools/config.py), as options of the file or of the command line. Those of 16
# to 18 know nothing that neither of them knows; of 15 that is assumed.
SHARED = _names("""
    addons_path admin_passwd config csv_internal_sep data_dir db_host db_maxconn db_name db_password db_port db_sslmode
    db_template db_user dbfilter dev_mode email_from http_enable http_interface http_port import_partial init
    limit_memory_hard limit_memory_soft limit_request limit_time_cpu limit_time_real limit_time_real_cron list_db
    load_language log_db log_db_level log_handler log_level logfile max_cron_threads osv_memory_count_limit
    overwrite_existing_translations pg_path pidfile proxy_mode publisher_warranty_url reportgz save screencasts
    screenshots server_wide_modules smtp_password smtp_port smtp_server smtp_ssl smtp_user stop_after_init syslog
    test_enable test_file test_tags transient_age_limit unaccent update upgrade_path workers
""")
KNOWN = {
    14: SHARED
    | _names("""
    demo geoip_database language longpolling_port osv_memory_age_limit root_path shell_interface translate_in
    translate_modules translate_out without_demo
"""),
    19: SHARED
    | _names("""
    bin_path db_app_name db_maxconn_gevent db_replica_host db_replica_port default_productivity_apps from_filter
    geoip_city_db geoip_country_db gevent_port import_file_maxbytes import_file_timeout import_url_regex
    limit_memory_hard_gevent limit_memory_soft_gevent limit_time_worker_cron pre_upgrade_scripts proxy_access_token
    reinit skip_auto_install smtp_ssl_certificate_filename smtp_ssl_private_key_filename
    websocket_keep_alive_timeout websocket_rate_limit_burst websocket_rate_limit_delay with_demo x_sendfile
"""),
}

# Other names that the parser of some series takes for an option: xmlrpc* to 18, import_image_* in 19, the others in 14
# or in 17 and 18. Where both are set Odoo ends, or one of them is lost.
ALIASES = {
    "xmlrpc": "http_enable",
    "xmlrpc_interface": "http_interface",
    "xmlrpc_port": "http_port",
    "import_image_maxbytes": "import_file_maxbytes",
    "import_image_regex": "import_url_regex",
    "import_image_timeout": "import_file_timeout",
    "geoip_database": "geoip_city_db",
    "osv_memory_age_limit": "transient_age_limit",
}

_MISNAMED = " is no name of an option: a word in lower case, as Odoo reads it"
_COMMAND = "it is an action of the command line, not a setting of a server"
_TESTS = "tests do not run in a pod that serves"
_DATABASE = "pods find the primary themselves: set {}"
_SECRET = "this becomes a ConfigMap that anyone in the namespace can read: move it to odoo_k8s_secret_config"
_LOGS = "a pod's log is its output, which the cluster keeps"
_PORTS = "pods listen on 8069 and 8072; people come in by odoo_k8s_node_port and odoo_k8s_longpolling_node_port"
_DEMO = "set odoo_k8s_demo"

# Why an option is refused. A value that is the role's own is no reason to refuse.
REFUSED = {
    **dict.fromkeys(("admin_passwd", "smtp_password", "proxy_access_token"), _SECRET),
    "db_password": _DATABASE.format("odoo_k8s_db_password"),
    "db_host": _DATABASE.format("odoo_k8s_db_hosts"),
    "db_port": _DATABASE.format("odoo_k8s_db_port"),
    "db_user": _DATABASE.format("odoo_k8s_db_user"),
    "db_name": _DATABASE.format("odoo_k8s_db_name"),
    "db_sslmode": _DATABASE.format("odoo_k8s_db_sslmode"),
    "db_template": "Odoo makes no database here, playbooks/postgres.yml does",
    "db_app_name": "PostgreSQL tells the pods apart by it",
    "db_replica_host": "Odoo gives a standby the primary's settings, which refuse a server that is read-only",
    "db_replica_port": "Odoo gives a standby the primary's settings, which refuse a server that is read-only",
    "dbfilter": "a deployment has one database, odoo_k8s_db_name",
    "list_db": "the database manager is off",
    "data_dir": "a pod's disk is read-only but for /var/lib/odoo: name a claim for it in odoo_k8s_data_claim",
    "http_port": _PORTS,
    "gevent_port": _PORTS,
    "longpolling_port": _PORTS,
    "http_interface": "probes and proxies come from outside the pod",
    "http_enable": "web pods serve, the cron pod does not",
    "proxy_mode": "pods are behind proxies",
    "x_sendfile": "the proxies see no file of a pod",
    "pg_path": "a pod has no programs of PostgreSQL: databases are dumped where they are",
    "pidfile": "a container is one server, and its disk is read-only",
    "logfile": _LOGS,
    "syslog": _LOGS,
    "dev_mode": "files of a pod's image do not change, and its debugger would be open to everybody",
    "root_path": "Odoo finds itself",
    "without_demo": _DEMO,
    "with_demo": _DEMO,
    "demo": _DEMO,
    **dict.fromkeys(("test_enable", "test_file", "test_tags", "screencasts", "screenshots"), _TESTS),
    **dict.fromkeys(("config", "save", "init", "update", "reinit", "import_partial", "stop_after_init"), _COMMAND),
    **dict.fromkeys(("language", "translate_in", "translate_out", "translate_modules"), _COMMAND),
    **dict.fromkeys(("overwrite_existing_translations", "shell_interface"), _COMMAND),
}

# The role's values stay, the person's are added.
MERGED = ("addons_path", "server_wide_modules")

MEMORY = ("limit_memory_soft", "limit_memory_hard", "limit_memory_soft_gevent", "limit_memory_hard_gevent")
# Least value of options that are whole numbers, and of those that need not be whole.
NUMBERS = {
    "workers": 1,
    "max_cron_threads": 1,
    "db_maxconn": 1,
    "db_maxconn_gevent": 1,
    "limit_request": 1,
    "limit_time_cpu": 1,
    "limit_time_real": 1,
    "limit_time_real_cron": -1,
    "limit_time_worker_cron": 0,
    "osv_memory_count_limit": 0,
    "smtp_port": 1,
    "import_file_maxbytes": 0,
    "import_file_timeout": 0,
    "websocket_keep_alive_timeout": 1,
    "websocket_rate_limit_burst": 1,
}
DECIMALS = {"transient_age_limit": 0, "websocket_rate_limit_delay": 0}
# Odoo takes 0 for no limit of memory and of a scheduled action's time alone.
WHY = {
    "workers": "with 0 Odoo has no port for longpolling or websockets",
    "max_cron_threads": "the cron pod is there to run scheduled actions",
    "limit_request": "with 0 a worker ends before its first request; a large number is no limit",
    "limit_time_cpu": "with 0 a worker ends at once; a large number is no limit",
    "limit_time_real": "probes and a pod's end wait for as long as a request may take",
}
FLAGS = ("smtp_ssl", "unaccent", "reportgz", "default_productivity_apps", "skip_auto_install")
LOG_LEVELS = (
    "info", "debug_rpc", "warn", "test", "critical", "runbot", "debug_sql", "error", "debug", "debug_rpc_answer",
    "notset",
)  # fmt: skip
LOG_DB_LEVELS = ("debug", "info", "warning", "error", "critical")

NAME = re.compile(r"^[a-z0-9_][a-z0-9_.-]*$")
SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:i?b)?|b)?$", re.IGNORECASE)


def _meaning(name: str) -> str:
    """The option that Odoo takes this name for."""
    return ALIASES.get(name, name)


def disposition(name: str) -> str:
    """What becomes of an option: passed, merged or refused."""
    name = _meaning(name)
    if name in REFUSED:
        return "refused"
    return "merged" if name in MERGED else "passed"


def memory(value: Any) -> int:
    """Bytes of a size such as 2684354560, 2560MB or 2.5 GiB; K, M, G and T are powers of 1024.

    :raises ValueError: it is no size.
    """
    match = SIZE.match(str(value).strip())
    if not match or isinstance(value, bool):
        raise ValueError("bytes, or a number with K, M, G or T, such as 2560M; 0 is no limit")
    factor = 1024 ** (" kmgt".index(match[2].lower()) if match[2] else 0)
    return int(float(match[1]) * factor)


def _number(name: str, value: Any) -> int:
    least = NUMBERS[name]
    why = f": {WHY[name]}" if name in WHY else ""
    allowed = f"a whole number from {least} on{why}"
    if isinstance(value, bool) or not re.match(r"^-?\d+$", str(value).strip()):
        raise ValueError(allowed)
    if int(value) < least:
        raise ValueError(allowed)
    return int(value)


def _decimal(name: str, value: Any) -> float:
    if isinstance(value, bool) or not re.match(r"^\d+(\.\d+)?$", str(value).strip()):
        raise ValueError(f"a number from {DECIMALS[name]} on")
    return float(value)


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise ValueError("true or false")


def _items(value: Any) -> list[str]:
    parts = value if isinstance(value, (list, tuple)) else str(value).split(",")
    return [text for text in (str(part).strip() for part in parts) if text]


def _checked(name: str, value: Any) -> Any:
    """The value as it goes into odoo.conf.

    :raises ValueError: it is not allowed; the message says what is.
    """
    if isinstance(value, (list, tuple)):
        value = ",".join(str(part) for part in value)
    # Each line break that YAML knows would end the option.
    if value is None or isinstance(value, Mapping) or len(f"{value}.".splitlines()) > 1:
        raise ValueError("one line of text, a number, or a list")
    name = _meaning(name)
    if name in MEMORY:
        return memory(value)
    if name in NUMBERS:
        return _number(name, value)
    if name in DECIMALS:
        return _decimal(name, value)
    if name in FLAGS:
        return _flag(value)
    if name == "log_level" and value not in LOG_LEVELS:
        raise ValueError("one of " + ", ".join(LOG_LEVELS))
    if name == "log_db_level" and value not in LOG_DB_LEVELS:
        raise ValueError("one of " + ", ".join(LOG_DB_LEVELS))
    if name == "log_handler" and any(item.count(":") != 1 for item in _items(value)):
        raise ValueError("a list of MODULE:LEVEL, such as odoo.addons.bus:DEBUG")
    return value


def _merged(name: str, own: list[str], given: list[str]) -> str:
    # A person's addons hide the role's of the same name, as in any odoo.conf. Odoo's own modules are loaded first.
    first, second = (given, own) if name == "addons_path" else (own, given)
    return ",".join(first + [item for item in second if item not in first])


def _twice(given: Mapping[str, Any], secret: Mapping[str, Any]) -> list[str]:
    """An error for each option that is set in both variables, or by two of its names."""
    both = [
        f"odoo_k8s_secret_config: {name} is in odoo_k8s_config too; leave one out." for name in secret if name in given
    ]
    names = {**given, **secret}
    pairs = [(old, new) for old, new in ALIASES.items() if old in names and new in names]
    return both + [f"odoo_k8s_config: {old} is Odoo's other name of {new}; leave one out." for old, new in pairs]


def _secret_error(name: str, value: Any, role: Mapping[str, Any]) -> str:
    """Why an option cannot stand in the Secret; nothing if it can. The value is not repeated."""
    if not NAME.match(name):
        return _MISNAMED
    meaning = _meaning(name)
    if REFUSED.get(meaning, _SECRET) is not _SECRET:
        return f": {REFUSED[meaning]}"
    if meaning in MERGED or meaning in role:
        return ": the pods are made for its value: set it in odoo_k8s_config"
    try:
        _checked(name, value)
    except ValueError as error:
        return f"; allowed is {error}"
    return ""


def odoo_config(
    given: Mapping[str, Any], role: Mapping[str, Any], secret: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Merge a person's options (a mapping) with the role's (a mapping); see RETURN."""
    hidden = dict(secret or {})
    options, errors = dict(role), _twice(given, hidden)
    for name, value in given.items():
        meaning = _meaning(name)
        if name in role and str(value).strip().lower() == str(role[name]).lower():
            continue
        if not NAME.match(name):
            errors.append(f"odoo_k8s_config: {name!r}{_MISNAMED}.")
        elif meaning in REFUSED:
            told = REFUSED[meaning] is _SECRET or name == "db_password"
            errors.append(f"odoo_k8s_config: {name}{'' if told else f' is {value}'}: {REFUSED[meaning]}.")
        elif name in MERGED:
            options[name] = _merged(name, _items(role.get(name, "")), _items(value))
        else:
            try:
                options[name] = _checked(name, value)
            except ValueError as error:
                errors.append(f"odoo_k8s_config: {name} is {value}; allowed is {error}.")
    for name, value in hidden.items():
        wrong = _secret_error(name, value, role)
        if wrong:
            errors.append(f"odoo_k8s_secret_config: {name}{wrong}.")
    return {"options": options, "errors": errors}


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filter of this file."""
        return {"odoo_config": odoo_config}
