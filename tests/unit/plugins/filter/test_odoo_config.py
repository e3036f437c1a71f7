# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""odoo.conf as people have it: every option that Odoo's parsers know is passed on, merged or refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_config import (
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


@pytest.mark.parametrize(
    ("version", "counts"),
    [(14, {"passed": 28, "merged": 2, "refused": 42}), (19, {"passed": 44, "merged": 2, "refused": 42})],
)
def test_every_option_is_passed_merged_or_refused(version: int, counts: dict[str, int]) -> None:
    """The counts of docs/odoo.md add up to what Odoo's parser of that version knows."""
    assert Counter(map(disposition, KNOWN[version])) == counts
    assert sum(counts.values()) == len(KNOWN[version]) == {14: 72, 19: 88}[version]


def test_the_tables_name_options_that_odoo_knows() -> None:
    known = KNOWN[14] | KNOWN[19]
    assert set(REFUSED) | set(MERGED) | set(MEMORY) | set(NUMBERS) | set(FLAGS) <= known
    assert not set(REFUSED) & (set(MERGED) | set(MEMORY) | set(NUMBERS) | set(FLAGS))


VALUES: dict[str, Any] = {
    **dict.fromkeys(NUMBERS, "7"),
    **dict.fromkeys(FLAGS, "yes"),
    **dict.fromkeys(MEMORY, "3G"),
    "log_level": "warn",
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
        assert merged["options"][name] == {"7": 7, "yes": True, "3G": 3 << 30}.get(value, value)


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
        ({"email_from": {"a": 1}}, "allowed is one line of text"),
    ],
)
def test_what_is_wrong_is_said(given: dict[str, Any], error: str) -> None:
    """Variable, value and what is allowed, in one line; nothing of it is taken."""
    merged = odoo_config(given, ROLE)
    assert len(merged["errors"]) == 1
    assert error in merged["errors"][0]
    assert merged["options"] == ROLE


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
