# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""odoo.conf as people have it: every option that Odoo's parsers know is passed on, merged or refused."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_config import (
    ALIASES,
    DECIMALS,
    FLAGS,
    KNOWN,
    MEMORY,
    MERGED,
    NUMBERS,
    REFUSED,
    disposition,
    memory,
    odoo_config,
)
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_pod_memory import odoo_pod_memory

DOCS = Path(__file__).resolve().parents[4] / "docs" / "odoo.md"
COLUMNS = ("passed", "merged", "refused", "all")
ROLE = {
    "db_name": "odoo", "http_port": 8069, "gevent_port": 8072, "workers": 2, "data_dir": "/var/lib/odoo",
    "list_db": False, "server_wide_modules": "base,rpc,web,odoo_deploy_server",
    "addons_path": "/opt/odoo/addons,/opt/odoo-deploy/addons",
    "limit_memory_hard": 2684354560,
}  # fmt: skip


def merge(**given: Any) -> dict[str, Any]:
    """The options of a deployment where all that was given is allowed."""
    merged = odoo_config(given, ROLE)
    assert merged["errors"] == []
    return merged["options"]


def documented() -> dict[int, dict[str, int]]:
    """The counts of docs/odoo.md, by version."""
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", DOCS.read_text(), re.MULTILINE)
    return {int(version): dict(zip(COLUMNS, map(int, counts), strict=True)) for version, *counts in rows}


@pytest.mark.parametrize("version", KNOWN)
def test_every_option_is_passed_merged_or_refused(version: int) -> None:
    """The counts of docs/odoo.md add up to what Odoo's parser of that version knows."""
    counts = Counter(map(disposition, KNOWN[version]))
    counts["all"] = counts.total()
    print(version, dict(counts))
    assert counts == documented()[version]
    assert counts["all"] == len(KNOWN[version]) == {14: 72, 19: 88}[version]


def test_the_tables_name_options_that_odoo_knows() -> None:
    known = KNOWN[14] | KNOWN[19]
    checked = set(MERGED) | set(MEMORY) | set(NUMBERS) | set(DECIMALS) | set(FLAGS)
    assert set(REFUSED) | checked | set(ALIASES.values()) <= known
    assert not set(REFUSED) & checked
    assert not set(ALIASES) & checked


VALUES: dict[str, Any] = {
    **dict.fromkeys(NUMBERS, "7"),
    **dict.fromkeys((*DECIMALS, "osv_memory_age_limit"), "0.5"),
    **dict.fromkeys(FLAGS, "yes"),
    **dict.fromkeys(MEMORY, "3G"),
    "log_level": "warn",
    "log_db_level": "error",
    "log_handler": "odoo.sql_db:DEBUG",
}


@pytest.mark.parametrize("name", sorted(KNOWN[14] | KNOWN[19]))
def test_what_becomes_of_each_option(name: str) -> None:
    """Passed: it is in odoo.conf. Merged: with what the role has. Refused: one line with name, value and why."""
    value = VALUES.get(name, "text")
    merged = odoo_config({name: value}, ROLE)
    if disposition(name) == "refused":
        (error,) = merged["errors"]
        assert error.startswith(f"odoo_k8s_config: {name}") and error.endswith(REFUSED[name] + ".")
        assert merged["options"] == ROLE
        return
    assert merged["errors"] == []
    if disposition(name) == "merged":
        assert set(merged["options"][name].split(",")) == {"text", *str(ROLE[name]).split(",")}
    else:
        assert merged["options"][name] == {"7": 7, "0.5": 0.5, "yes": True, "3G": 3 << 30}.get(value, value)


def test_what_people_set_of_old_is_merged() -> None:
    """queue_job's usual line, and addons of an image of one's own."""
    options = merge(server_wide_modules="web,queue_job", addons_path="/mnt/extra-addons, /opt/odoo/addons")
    assert options["server_wide_modules"] == "base,rpc,web,odoo_deploy_server,queue_job"
    assert options["addons_path"] == "/mnt/extra-addons,/opt/odoo/addons,/opt/odoo-deploy/addons"
    assert merge(server_wide_modules=["web", "queue_job"]) == merge(server_wide_modules="web,queue_job")


def test_the_roles_own_value_is_no_reason_to_refuse() -> None:
    assert merge(http_port="8069", db_name="odoo", data_dir="/var/lib/odoo", list_db="False") == ROLE


def test_an_addons_option_is_passed_on() -> None:
    assert merge(running_env="prod")["running_env"] == "prod"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0), ("0", 0), (2684354560, 2684354560), ("2684354560", 2684354560), ("2560MB", 2560 << 20),
        ("2560M", 2560 << 20), ("2560 MiB", 2560 << 20), ("2.5G", 2560 << 20), ("1t", 1 << 40), ("512k", 512 << 10),
    ],
)  # fmt: skip
def test_sizes(value: Any, size: int) -> None:
    assert memory(value) == size
    assert merge(limit_memory_hard=value)["limit_memory_hard"] == size


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"workers": 0}, "workers is 0; allowed is a whole number from 1 on: with 0 Odoo has no port"),
        ({"workers": True}, "workers is True; allowed is a whole number"),
        ({"max_cron_threads": "none"}, "max_cron_threads is none; allowed is a whole number from 1 on"),
        ({"limit_memory_hard": "much"}, "limit_memory_hard is much; allowed is bytes, or a number with K, M, G or T"),
        ({"limit_memory_hard": -1}, "limit_memory_hard is -1; allowed is"),
        ({"limit_time_real_cron": -2}, "limit_time_real_cron is -2; allowed is a whole number from -1 on"),
        ({"data_dir": "/data"}, "data_dir is /data: a pod's disk is read-only but for /var/lib/odoo"),
        ({"http_port": 80}, "http_port is 80: pods listen on 8069 and 8072"),
        ({"smtp_ssl": "perhaps"}, "smtp_ssl is perhaps; allowed is true or false"),
        ({"log_level": "loud"}, "log_level is loud; allowed is one of info, debug_rpc"),
        ({"email_from": "a\n[other]"}, "allowed is one line of text"),
        ({"email_from": "a\u2028b"}, "allowed is one line of text"),
        ({"email_from": {"a": 1}}, "allowed is one line of text"),
        ({"smtp_user": None}, "smtp_user is None; allowed is one line of text"),
        ({"limit_request": 0}, "limit_request is 0; allowed is a whole number from 1 on: with 0 a worker ends before"),
        (
            {"limit_time_cpu": 0},
            "limit_time_cpu is 0; allowed is a whole number from 1 on: with 0 a worker ends at once",
        ),
        ({"transient_age_limit": "long"}, "transient_age_limit is long; allowed is a number from 0 on"),
        ({"websocket_rate_limit_delay": True}, "allowed is a number from 0 on"),
        ({"log_db_level": "loud"}, "log_db_level is loud; allowed is one of debug, info"),
        ({"log_handler": "nonsense"}, "log_handler is nonsense; allowed is a list of MODULE:LEVEL"),
        ({"log_handler": [":INFO", "a:b:c"]}, "allowed is a list of MODULE:LEVEL"),
        ({"Data_Dir": "/data"}, "'Data_Dir' is no name of an option: a word in lower case"),
        ({"xmlrpc_port": 80}, "xmlrpc_port is 80: pods listen on 8069 and 8072"),
        ({"xmlrpc": False}, "xmlrpc is False: web pods serve"),
        ({"import_image_timeout": "soon"}, "import_image_timeout is soon; allowed is a whole number"),
        ({"a = b": 1}, "'a = b' is no name of an option"),
    ],
)
def test_what_is_wrong_is_said(given: dict[str, Any], error: str) -> None:
    """Variable, value and what is allowed, in one line; nothing of it is taken."""
    merged = odoo_config(given, ROLE)
    assert len(merged["errors"]) == 1
    assert error in merged["errors"][0]
    assert merged["options"] == ROLE


@pytest.mark.parametrize(("old", "new"), ALIASES.items())
def test_two_names_of_one_option_are_refused(old: str, new: str) -> None:
    errors = odoo_config({old: VALUES.get(new, "text"), new: VALUES.get(new, "text")}, ROLE)["errors"]
    assert f"odoo_k8s_config: {old} is Odoo's other name of {new}; leave one out." in errors


def test_a_limit_of_nothing_where_odoo_has_none() -> None:
    """0 is no limit of memory and of a scheduled action's time."""
    none = dict.fromkeys((*MEMORY, "limit_time_real_cron", "limit_time_worker_cron"), 0)
    assert merge(**none).items() >= none.items()


def test_what_goes_into_the_secret() -> None:
    """Passwords, and options of addons; none of them into the ConfigMap."""
    secret = {"smtp_password": "p%w: #x", "admin_passwd": "hush", "payment_key": 7}
    assert odoo_config({}, ROLE, secret) == {"options": ROLE, "errors": []}


@pytest.mark.parametrize(
    ("secret", "error"),
    [
        ({"data_dir": "hush"}, "data_dir: a pod's disk is read-only but for /var/lib/odoo"),
        ({"db_password": "hush"}, "db_password: pods find the primary themselves: set odoo_k8s_db_password."),
        ({"xmlrpc_port": "hush"}, "xmlrpc_port: pods listen on 8069 and 8072"),
        ({"workers": "hush"}, "workers: the pods are made for its value: set it in odoo_k8s_config."),
        ({"addons_path": "hush"}, "addons_path: the pods are made for its value: set it in odoo_k8s_config."),
        ({"smtp_port": "hush"}, "smtp_port; allowed is a whole number from 1 on."),
        ({"smtp_password": "hush\nworkers = 0"}, "smtp_password; allowed is one line of text, a number, or a list."),
        ({"Smtp_Password": "hush"}, "Smtp_Password is no name of an option"),
        ({"email_from": "hush"}, "email_from is in odoo_k8s_config too; leave one out."),
    ],
)
def test_what_does_not_go_into_the_secret(secret: dict[str, str], error: str) -> None:
    """A file that Odoo reads last is no way around a refusal; its values are not repeated."""
    (told,) = odoo_config({"email_from": "a@example.com"}, ROLE, secret)["errors"]
    assert told.startswith("odoo_k8s_secret_config: " + error)
    assert "hush" not in told


@pytest.mark.parametrize("name", ["smtp_password", "admin_passwd", "db_password"])
def test_a_secret_is_not_repeated(name: str) -> None:
    (error,) = odoo_config({name: "hush"}, ROLE)["errors"]
    assert "hush" not in error


def test_every_error_is_told_at_once() -> None:
    assert len(odoo_config({"workers": 0, "data_dir": "/data", "pidfile": "/run/odoo.pid"}, ROLE)["errors"]) == 3


@pytest.mark.parametrize(
    ("hard", "workers", "others", "expected"),
    [
        # Two workers that print, the process of the websockets, the master.
        (2560 << 20, 2, 1, {"request": 4 * 120, "limit": 2 * (1024 + 512) + 1024 + 256}),
        (2560 << 20, 1, 0, {"request": 2 * 120, "limit": 2560 + 256}),
        # No limit for a process is no pod without memory.
        (0, 1, 0, {"request": 2 * 120, "limit": 1024 + 512 + 256}),
        # One process may grow as far as it was allowed to.
        (8 << 30, 2, 1, {"request": 4 * 120, "limit": 8192 + 256}),
    ],
)
def test_memory_of_a_pod(hard: int, workers: int, others: int, expected: dict[str, int]) -> None:
    assert odoo_pod_memory({"limit_memory_hard": hard}, workers, others, 120, 1024, 512) == expected
