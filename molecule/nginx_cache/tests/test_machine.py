# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role leaves on a machine."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from conftest import Edge

testinfra_hosts = ["plain"]


def inner(host: Any, path: str) -> str:
    """Return the text of ``path`` on the loopback state page; the machine needs no more than Python for it."""
    fetch = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8081{path}', timeout=5).read().decode())"
    text: str = host.check_output("python3 -c %s", fetch)
    return text.strip()


def test_service_is_enabled_and_running(host: Any) -> None:
    """nginx is enabled, runs, and its configuration passes its own test."""
    service = host.service("nginx")
    assert service.is_enabled
    assert service.is_running
    with host.sudo():
        assert host.run("nginx -t -q -c /etc/nginx/odoo/current/nginx.conf").rc == 0


def test_workers_are_unprivileged(host: Any) -> None:
    """Workers run as www-data, and nobody but the master as root."""
    processes = host.process.filter(comm="nginx")
    assert sorted({process.user for process in processes}) == ["root", "www-data"]
    assert [process.user for process in processes].count("root") == 1


def test_listens_only_where_it_must(host: Any, edge: Edge) -> None:
    """Port 80 is bound on the machine's address and the floating one alone; the inner ports on loopback."""
    with host.sudo():
        listening = host.check_output("ss -Hlntp")
    own = sorted(line.split()[3] for line in listening.splitlines() if '"nginx"' in line)
    floating = edge.address.rpartition(".")[0] + ".30"
    assert own == sorted([f"{edge.address}:80", f"{floating}:80", "127.0.0.1:8081", "127.0.0.1:8082"])


def test_current_tree_is_the_good_one_and_loaded(host: Any) -> None:
    """Links and the running workers agree on one release."""
    current, good = (host.file(f"/etc/nginx/odoo/{link}").linked_to.split("/")[-1] for link in ("current", "good"))
    loaded = inner(host, "/release")
    assert current == good == loaded


def test_access_log_is_json_with_cache_status(host: Any, edge: Edge) -> None:
    """Each line is a JSON object with the request's ID and the cache's word; no argument, no token is in it."""
    path = edge.file()
    identity = edge.ask(f"{path}?access_token=sesame").header("X-Request-Id")
    with host.sudo():
        line = host.check_output(f"sleep 2; grep -h {identity} /var/log/nginx/odoo.log")
    entry = json.loads(line)
    assert entry["path"] == path
    assert entry["status"] == 200
    assert entry["zone"] == "static"
    assert entry["cache"] == "BYPASS"
    assert float(entry["upstream_seconds"]) >= 0
    assert "sesame" not in line


def test_log_rotation_goes_on_writing(host: Any, edge: Edge) -> None:
    """After a rotation new lines land in the new file."""
    edge.ask(edge.file())
    with host.sudo():
        host.check_output("sleep 2; logrotate --force /etc/logrotate.d/nginx")
        identity = edge.ask(edge.file()).header("X-Request-Id")
        assert host.check_output(f"sleep 2; grep -c {identity} /var/log/nginx/odoo.log") == "1"


def test_sandbox_is_tight(host: Any) -> None:
    """systemd's own measure of the unit's exposure stays low, and the file system is read-only to it."""
    with host.sudo():
        score = host.check_output("systemd-analyze security --no-pager nginx | tail -1")
        assert float(score.split(":")[1].split()[0]) < 3.5, score
        pid = host.check_output("systemctl show --property=MainPID --value nginx")
        assert host.run(f"nsenter --target {pid} --mount touch /etc/nginx/x").rc != 0


def test_status_page_is_only_on_loopback(host: Any, edge: Edge) -> None:
    """stub_status answers on loopback and not through the proxy."""
    assert "Active connections" in inner(host, "/stub_status")
    assert b"Active connections" not in edge.ask("/stub_status").body


def test_metrics_follow_the_log(host: Any, edge: Edge) -> None:
    """Answers are counted by zone, cache status and code; both histograms have a series."""

    def count(text: str, zone: str, cache: str, code: int) -> int:
        name = f'odoo_edge_requests_total{{cache="{cache}",code="{code}",prog="odoo.mtail",zone="{zone}"}} '
        return sum(int(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))

    def scrape() -> str:
        time.sleep(2)
        return edge.ask("/metrics", port=3903).body.decode()

    path, before = edge.file(), scrape()
    for asked in (path, path, "/web/login", "/web/database/manager"):
        edge.ask(asked)
    after = scrape()
    for zone, cache, code in (
        ("static", "MISS", 200),
        ("static", "HIT", 200),
        ("pages", "BYPASS", 200),
        ("pages", "BYPASS", 403),
    ):
        assert count(after, zone, cache, code) - count(before, zone, cache, code) == 1, (zone, cache, code)
    assert 'odoo_edge_upstream_seconds_count{prog="odoo.mtail",zone="pages"}' in after
    # A stored file takes less than a millisecond, and is in a bucket all the same.
    hits = {
        name: re.findall(
            rf'odoo_edge_request_seconds_{name}{{cache="HIT",prog="odoo.mtail",zone="static"{le}}} (\d+)', after
        )
        for name, le in (("count", ""), ("bucket", ',le="\\+Inf"'))
    }
    assert hits["count"] == hits["bucket"] != []
