# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proxy gets and is asked for, by what it has: TLS, metrics, an address that all proxies share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Evaluate = Callable[..., dict[str, Any]]
ROLE = Path(__file__).resolve().parents[3] / "roles" / "nginx_cache"
VARIABLES: dict[str, Any] = {
    **yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")),
    **yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8")),
    "nginx_cache_listen_addresses": ["192.0.2.31"],
    "nginx_cache_upstreams": ["192.0.2.100:32242"],
    "nginx_cache_acme_names": ["shop.test"],
    "nginx_cache_metrics_address": "",
    "ansible_distribution": "Debian",
    "facts": {"interfaces": []},
}
TLS = {"nginx_cache_tls_certificate": "a certificate\n", "nginx_cache_tls_key": "a key"}
FLOATING = {"nginx_cache_floating_address": "192.0.2.30", "nginx_cache_floating_interface": "eth0"}
METRICS = {"nginx_cache_metrics_address": "192.0.2.31"}
ACME = {"nginx_cache_acme_directory": "https://acme.test", "nginx_cache_acme_peers": []}


def said(expression: str) -> list[dict[str, Any]]:
    """Facts of a task's own win over those that nobody gathered."""
    return [{"ansible.builtin.debug": {"msg": f"{{{{ {expression} }}}}"}, "vars": {"ansible_facts": "{{ facts }}"}}]


@pytest.fixture
def tree(tmp_path: Path) -> list[str]:
    """What every proxy has; templates are found as a task of the role finds them."""
    (tmp_path / "templates").symlink_to(ROLE / "templates")
    names = (str(path.relative_to(ROLE / "templates")) for path in (ROLE / "templates").rglob("*.j2"))
    other = ("mtail", "keepalived", "snippets/acme", "acme", "certbot")
    return sorted(name.removesuffix(".j2") for name in names if not name.startswith(other))


def test_files_of_the_tree(evaluate: Evaluate, tree: list[str]) -> None:
    """Each part brings its own, after those of nginx and in one order; a certificate that was given stands beside."""
    cases = {"plain": {}, "tls": TLS, "everything": {**TLS, **FLOATING, **METRICS, **ACME}, "acme": ACME}
    told = evaluate(VARIABLES, cases, said("[__nginx_cache_tree, __nginx_cache_files | list, __nginx_cache_files]"))
    plain, order, files = told["plain"]
    assert sorted(plain) == tree
    assert plain[0] == "nginx.conf"
    assert order == plain
    assert "worker_processes" in files["nginx.conf"]
    assert files["nginx.conf"].endswith("}\n")
    assert told["tls"][0] == plain
    assert told["tls"][1] == [*plain, "tls.crt"]
    assert told["tls"][2]["tls.crt"] == "a certificate\n"
    metrics, floating = (
        ["mtail.conf", "mtail/odoo.mtail"],
        ["keepalived.conf", "keepalived.check", "keepalived.systemd"],
    )
    assert told["everything"][0] == [*plain, *metrics, *floating, "snippets/acme.conf"]
    assert told["everything"][1] == [*told["everything"][0], "tls.crt"]
    assert told["acme"][0] == [*plain, "snippets/acme.conf"]


def interface(device: str, address: str) -> dict[str, Any]:
    return {"device": device, "ipv4": {"address": address}}


def test_the_shared_address_is_on_the_interface_of_the_proxys_own(evaluate: Evaluate) -> None:
    """Unless a person says which one; nothing is found where no interface has the address."""
    here = {
        "interfaces": ["lo", "eth0", "br-shop", "wg0"],
        "lo": interface("lo", "127.0.0.1"),
        "eth0": interface("eth0", "192.0.2.3"),
        "br_shop": interface("br-shop", "192.0.2.31"),
        "wg0": {"device": "wg0", "active": True},
    }
    cases: dict[str, dict[str, Any]] = {
        "found": {"facts": here},
        "given": {"facts": here, "nginx_cache_floating_interface": "eth7"},
        "elsewhere": {"facts": here, "nginx_cache_listen_addresses": ["192.0.2.99", "192.0.2.31"]},
        "none": {},
        "unknown": {"facts": {}},
    }
    told = evaluate(VARIABLES, cases, said("__nginx_cache_floating_interface"))
    assert told == {"found": "br-shop", "given": "eth7", "elsewhere": "", "none": "", "unknown": ""}


def test_where_pages_are_served(evaluate: Evaluate) -> None:
    """By HTTP too, unless all that it does is send browsers to HTTPS."""
    cases: dict[str, dict[str, Any]] = {
        "plain": {},
        "redirect": {**TLS, "nginx_cache_tls_redirect": True},
        "both": {**TLS, "nginx_cache_tls_redirect": False},
        "ports": {
            **TLS,
            "nginx_cache_tls_redirect": False,
            "nginx_cache_http_port": 81,
            "nginx_cache_https_port": 8443,
        },
    }
    told = evaluate(VARIABLES, cases, said("__nginx_cache_warm_urls"))
    assert told == {
        "plain": ["http://192.0.2.31:80"],
        "redirect": ["https://192.0.2.31:443"],
        "both": ["https://192.0.2.31:443", "http://192.0.2.31:80"],
        "ports": ["https://192.0.2.31:8443", "http://192.0.2.31:81"],
    }


def test_whom_the_certificate_names(evaluate: Evaluate) -> None:
    """Addresses as such and before the names, each once."""
    cases: dict[str, dict[str, Any]] = {
        "address": {},
        "names": {"nginx_cache_server_names": ["shop.test", "192.0.2.7", "10.example"], **FLOATING},
        "six": {
            "nginx_cache_listen_addresses": ["2001:db8::1"],
            "nginx_cache_server_names": ["www.shop.test", "shop.test"],
        },
    }
    told = evaluate(VARIABLES, cases, said("__nginx_cache_certificate_alternatives"))
    assert told == {
        "address": ["IP:192.0.2.31"],
        "names": ["IP:192.0.2.7", "IP:192.0.2.31", "IP:192.0.2.30", "DNS:shop.test", "DNS:10.example"],
        "six": ["IP:2001:db8::1", "DNS:www.shop.test", "DNS:shop.test"],
    }
