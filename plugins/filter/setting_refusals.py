# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that nginx, Prometheus, Kubernetes or pgBackRest would refuse, found before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: setting_refusals
short_description: Settings that a program on the machine would not read
version_added: 2.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Compares values with the documented grammar of the program that will read them.
  - A program refuses them only once its files were changed, and then in its own words. A role asks this filter first.
options:
  _input:
    description:
      - Name of each variable, and the grammar of its value, one of V(nginx_size), V(nginx_time), V(nginx_rates),
        V(prometheus_duration), V(prometheus_size), V(quantity), V(pgbackrest_size), V(postgres_size), V(port),
        V(router_id), V(user_id), V(count), V(seconds), V(addresses), V(networks), V(egress), V(unit_words)
        and V(modules).
    type: dict
    required: true
  values:
    description: The values of these variables, in the same order.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: Refuse what nginx would not read
  ansible.builtin.assert:
    that: grammars | odoo_deploy.stack.setting_refusals(query('ansible.builtin.vars', *grammars)) | length == 0
  vars:
    grammars: {nginx_cache_max_size: nginx_size, nginx_cache_inactive: nginx_time}
"""

RETURN = r"""
_value:
  description: A line for each value that is refused, with the variable, its value, and what is allowed.
  type: list
  elements: str
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple


class Grammar(NamedTuple):
    """Whether a value is read, and what is allowed, in words."""

    reads: Callable[[Any], bool]
    allowed: str


def matches(pattern: str) -> Callable[[Any], bool]:
    """Whether a text or a number is one of the pattern."""
    whole = re.compile(pattern, re.ASCII)
    return lambda value: (
        not isinstance(value, bool) and isinstance(value, (str, int, float)) and bool(whole.fullmatch(str(value)))
    )


def between(least: int, most: int) -> Callable[[Any], bool]:
    """Whether a value is a whole number within bounds; Ansible has the number of a command line as text."""
    number = matches(r"-?[0-9]{1,18}")
    return lambda value: number(value) and least <= int(value) <= most


def every(reads: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether a value is a list that has nothing but what is read."""
    return lambda value: isinstance(value, (list, tuple)) and all(map(reads, value))


def network(value: Any) -> bool:
    """Whether a value is a network in CIDR notation, no bit set beside its mask, as Kubernetes wants it."""
    try:
        return "/" in str(value) and bool(ipaddress.ip_network(str(value)))
    except ValueError:
        return False


def address(value: Any) -> bool:
    """Whether a value is an address, or a network as nginx takes it: bits beside the mask only earn a warning."""
    try:
        return bool(ipaddress.ip_network(str(value), strict=False))
    except ValueError:
        return False


def egress(value: Any) -> bool:
    """Whether a value is a place that pods may call: {cidr, port, protocol}; argument_specs reads the protocol."""
    return isinstance(value, Mapping) and network(value.get("cidr")) and PORT(value.get("port"))


PORT = between(1, 65535)
RATE = matches(r"[1-9][0-9]{0,8}r/[sm]")
ZONES = ("login", "login_page", "signup", "rpc")  # templates/conf.d/limits.conf.j2 counts by these


def rates(value: Any) -> bool:
    """Whether a value is {zone: {rate, burst, delay}} of the zones that the role counts, delay being optional."""
    count = between(0, 1_000_000)
    return isinstance(value, Mapping) and all(
        name in ZONES
        and isinstance(limit, Mapping)
        and {"rate", "burst"} <= set(limit) <= {"rate", "burst", "delay"}
        and RATE(limit["rate"])
        and count(limit["burst"])
        and count(limit.get("delay", 0))
        for name, limit in value.items()
    )


# Each from its program's own description: nginx.org/en/docs/syntax.html, prometheus.io/docs (configuration, storage),
# Kubernetes' resource.Quantity, pgbackrest.org/configuration.html. What would mean "nothing" by accident is no value.
GRAMMARS = {
    "nginx_size": Grammar(matches("[1-9][0-9]*[kKmMgG]?"), "a whole number and k, m or g, such as 512m"),
    "nginx_time": Grammar(
        matches("(?=[0-9])([0-9]+y)?([0-9]+M)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s?)?"),
        "whole numbers with y, M, w, d, h, m or s, the longest first and nothing between them, such as 7d or 1h30m",
    ),
    "nginx_rates": Grammar(
        rates,
        "a rate such as 10r/s or 20r/m and a burst, perhaps a delay, for any of " + ", ".join(ZONES),
    ),
    "prometheus_duration": Grammar(
        matches("(?=.*[1-9])([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?"),
        "whole numbers with y, w, d, h, m, s or ms, the longest first, such as 15d or 1h30m",
    ),
    "prometheus_size": Grammar(
        matches("[1-9][0-9]*([KMGTPE]?B)"), "a whole number and B, KB, MB, GB, TB, PB or EB, such as 2GB"
    ),
    "quantity": Grammar(
        matches(r"(?=.*[1-9])([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[munkMGTPE]|[eE][+-]?[0-9]{1,2})?"),
        "a number and perhaps m, k, M, G, Ki, Mi or Gi, such as 100m (a tenth) or 1Gi",
    ),
    "pgbackrest_size": Grammar(
        matches("[1-9][0-9]*([KMGTP](i?B)?|B)?"), "a whole number and B, KiB, MiB, GiB, TiB or PiB, such as 4GiB"
    ),
    "postgres_size": Grammar(
        matches("-1|[0-9]+(kB|MB|GB|TB)?"), "a whole number and kB, MB, GB or TB, such as 4GB, or -1 for no bound"
    ),
    "port": Grammar(PORT, "a port, 1 to 65535"),
    "router_id": Grammar(between(1, 255), "a whole number, 1 to 255"),
    "user_id": Grammar(between(1, 2_147_483_647), "a user id, 1 to 2147483647"),
    "count": Grammar(between(1, 1_000_000), "a whole number, 1 to 1000000"),
    "seconds": Grammar(between(1, 31_536_000), "whole seconds, 1 to 31536000"),
    "addresses": Grammar(every(address), "a list of IP addresses or networks, such as [192.0.2.7, 198.51.100.0/24]"),
    "networks": Grammar(every(network), "a list of networks without bits beside the mask, such as [198.51.100.0/24]"),
    "egress": Grammar(
        every(egress),
        "a list of networks and ports, such as [{cidr: 203.0.113.25/32, port: 587}], no bit beside the mask",
    ),
    "unit_words": Grammar(
        every(matches(r"[^\s\"'\\%$;]+")), "a list of words, each without a blank, a quote, a backslash, %, $ or ;"
    ),
    "modules": Grammar(
        every(matches("[a-z][a-z0-9_]*")),
        "a list of technical names, each of small letters, digits and _, such as [contacts, hr_expense]",
    ),
}


def setting_refusals(grammars: Mapping[str, str], values: Iterable[Any]) -> list[str]:
    """A line for each variable whose value is none of its grammar."""
    return [
        f"{variable} is {value}: allowed is {GRAMMARS[name].allowed}."
        for (variable, name), value in zip(grammars.items(), values, strict=True)
        if not GRAMMARS[name].reads(value)
    ]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Name to function."""
        return {"setting_refusals": setting_refusals}
