# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""odoo.conf as Odoo's own parser has it in a pod (read_conf.py), and another value for each that is passed on."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.deployment import ROOT


def _tables() -> Any:
    """The filter that decides, as it lies in the checkout."""
    spec = importlib.util.spec_from_file_location("odoo_config", ROOT / "plugins" / "filter" / "odoo_config.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = _tables()
PROGRAM = Path(__file__).with_name("read_conf.py").read_text()

# What the arguments of a pod decide.
ARGUMENTS = {"--max-cron-threads": "max_cron_threads", "--workers": "workers"}
# What the role decides for each pod, whatever the series.
ROLE = {
    "list_db": False,
    "proxy_mode": True,
    "http_interface": "0.0.0.0",
    "http_port": 8069,
    "data_dir": "/var/lib/odoo",
}


@dataclass(frozen=True)
class Change:
    """What a person gives, and what Odoo's parser makes of it."""

    given: object
    read: object


def _same(value: object) -> Change:
    return Change(value, value)


# Values that are legal, not the default, and do no harm to a pod that serves.
CHANGES: dict[str, Change] = {
    "bin_path": _same("/usr/bin"),
    "csv_internal_sep": _same(";"),
    "db_maxconn": _same(15),
    "db_maxconn_gevent": _same(12),
    "default_productivity_apps": _same(True),
    "email_from": _same("odoo@example.com"),
    "from_filter": _same("example.com"),
    "geoip_city_db": _same("/usr/share/GeoIP/City.mmdb"),
    "geoip_country_db": _same("/usr/share/GeoIP/Country.mmdb"),
    "geoip_database": _same("/usr/share/GeoIP/City.mmdb"),
    "import_file_maxbytes": _same(1048576),
    "import_file_timeout": _same(5),
    "import_url_regex": _same("^https://"),
    "limit_memory_hard": _same(0),
    "limit_memory_hard_gevent": Change("3 GiB", 3221225472),
    "limit_memory_soft": Change("2100M", 2202009600),
    "limit_memory_soft_gevent": Change("2.5g", 2684354560),
    "limit_request": Change("60000", 60000),
    "limit_time_cpu": _same(70),
    "limit_time_real": _same(130),
    "limit_time_real_cron": _same(0),
    "limit_time_worker_cron": _same(3600),
    "load_language": _same("en_US"),
    "log_db_level": _same("critical"),
    "log_handler": _same(["odoo.sql_db:ERROR", "odoo.addons.bus:WARNING"]),
    "log_level": _same("warn"),
    "max_cron_threads": _same(2),
    "osv_memory_count_limit": _same(100000),
    "publisher_warranty_url": _same("http://127.0.0.1:9/"),
    "reportgz": Change("yes", True),
    "skip_auto_install": _same(True),
    "smtp_port": _same(587),
    "smtp_server": _same("mail.example.com"),
    "smtp_ssl": Change("on", True),
    "smtp_ssl_certificate_filename": _same("/var/lib/odoo/mail.crt"),
    "smtp_ssl_private_key_filename": _same("/var/lib/odoo/mail.key"),
    "smtp_user": _same("odoo"),
    "transient_age_limit": _same(2.5),
    "unaccent": _same(True),
    "websocket_keep_alive_timeout": _same(1800),
    "websocket_rate_limit_burst": _same(20),
    "websocket_rate_limit_delay": _same(0.5),
    "workers": _same(1),
}
# Passed on too; what is legal is found in the pod.
FOUND = ("log_db", "pre_upgrade_scripts", "upgrade_path")
# Passed on, and set by no test.
NOT_SET = {
    "osv_memory_age_limit": "Odoo takes it for transient_age_limit and forgets this name of it",
}
# To 18 these are of the file alone, which Odoo then keeps as text.
TEXT = ("websocket_keep_alive_timeout", "websocket_rate_limit_burst", "websocket_rate_limit_delay")
SECRET = {"smtp_password": "p%w: #x"}
MODULE = "bus"


class Conf:
    """What a pod's parser said."""

    def __init__(self, said: str) -> None:
        answer: dict[str, Any] = json.loads(said)
        self.series: int = answer["series"]
        self.known = frozenset(answer["known"])
        self.aliases: dict[str, str] = answer["aliases"]
        self.written: dict[str, str] = answer["written"]
        self.values: dict[str, Any] = answer["values"]
        self.defaults: dict[str, Any] = answer["defaults"]
        self.secret: dict[str, str] = answer["secret"]
        self.addons: dict[str, list[str]] = answer["addons"]
        self.root: str = answer["root"]
        self.upgrades: str = answer["upgrades"]
        self.arguments = arguments(answer["words"])

    def items(self, name: str) -> list[str]:
        """A list as any series keeps it."""
        return items(self.values[name])

    @property
    def stable(self) -> str:
        """Values without what differs between two pods of one configuration: the pod's name, its mounts' folder."""
        values = {name: value for name, value in self.values.items() if name != "db_app_name"}
        return re.sub(r"/\.\.[0-9_.]+", "", json.dumps([values, self.secret], sort_keys=True))

    def differing(self) -> list[str]:
        """What the parser has that neither the file, nor an argument, nor its default says, each with its value."""
        wrong = []
        for name, value in self.values.items():
            if name == "config":  # the file itself; to 18 the parser does not keep it
                continue
            if name == "addons_path":
                right = items(value) == self.addons["usable" if self.series >= 19 else "named"]
            elif name in self.arguments:
                right = reads(self.arguments[name], value)
            elif name in self.written:
                right = reads(self.written[name], value)
            else:
                right = value == self.defaults[name]
            if not right:
                wrong.append(f"{name} is {value!r}, not {self.written.get(name, self.defaults.get(name))!r}")
        return wrong


def arguments(words: list[str]) -> dict[str, str]:
    """Options that the arguments of a process set."""
    found = {"http_enable": "False"} if "--no-http" in words else {}
    for place, word in enumerate(words):
        name, equals, text = word.partition("=")
        if name in ARGUMENTS:
            found[ARGUMENTS[name]] = text if equals else words[place + 1]
    return found


def items(value: object) -> list[str]:
    """The parts of a list, or of text with commas."""
    parts = value if isinstance(value, list) else str(value).split(",")
    return [text for text in (str(part).strip() for part in parts) if text]


def reads(text: str, value: object) -> bool:
    """Is the value what the parser makes of the file's text? Handlers of the log are added to Odoo's own."""
    if value is None or isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, (int, float)):
        return float(text) == value
    if isinstance(value, list):
        wanted = items(text)
        return value[len(value) - len(wanted) :] == wanted
    return text == value


def counts(known: frozenset[str]) -> dict[str, int]:
    """How many options are passed on, merged with the role's, and refused."""
    return dict(Counter(map(TABLES.disposition, known)))


def changed(conf: Conf) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options to give, every one that is passed on or merged, and what the parser has to make of each of the former."""
    passed = {name for name in conf.known if TABLES.disposition(name) == "passed"} - set(NOT_SET)
    found: tuple[object, ...] = (conf.items("db_name")[0], [f"{conf.root}/release.py"], [conf.upgrades])
    changes = {**CHANGES, **dict(zip(FOUND, map(_same, found), strict=True))}
    chosen = {name: changes[name] for name in sorted(passed)}
    given = {name: change.given for name, change in chosen.items()}
    wanted = {name: change.read for name, change in chosen.items()}
    if conf.series < 19:
        wanted |= {name: str(wanted[name]) for name in TEXT if name in wanted}
        wanted["upgrade_path"] = conf.upgrades
    else:
        wanted["log_handler"] = [":INFO", *items(wanted["log_handler"])]
    given |= {"server_wide_modules": [MODULE], "addons_path": [f"{conf.root}/addons"]}
    return given, wanted


def exactly(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What is not there with that value and of that type, each with both."""
    return [
        f"{name} is {values.get(name)!r}, not {value!r}"
        for name, value in wanted.items()
        if type(values.get(name)) is not type(value) or values[name] != value
    ]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
