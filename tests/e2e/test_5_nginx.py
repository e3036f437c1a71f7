# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 5: the proxies, and the whole system through them."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import uuid

import pytest
from support.deployment import DEPLOY_DIR, Deployment, Machine, eventually
from support.odoo import BUNDLE, LOGIN_PAGE, STATIC, Door, Odoo, Visitor, is_of_a_user, references

pytestmark = pytest.mark.nginx

STORED = {"HIT", "STALE", "UPDATING", "REVALIDATED"}


@pytest.fixture(scope="module")
def machines(deployment: Deployment) -> list[Machine]:
    return deployment.machines("nginx")


def test_machines_run(machines: list[Machine]) -> None:
    """systemd is 'running' on the nginx machines: no unit failed"""
    assert machines
    for machine in machines:
        machine.assert_running()


def test_node_exporter_tells_its_name(machines: list[Machine]) -> None:
    """node_exporter answers on the nginx machines, with the right name"""
    for machine in machines:
        machine.assert_node_exporter()


def test_login_page_through_every_proxy(proxies: dict[str, Door]) -> None:
    """The login page is 200 through every proxy"""
    assert proxies
    for name, door in proxies.items():
        assert door.follow(LOGIN_PAGE).status_code == 200, name


def test_session_goes_from_proxy_to_proxy(proxies: dict[str, Door], pod_doors: list[Door], visitor: Visitor) -> None:
    """A login through one proxy is used through every other one and on each pod by address"""
    first, *others = proxies.values()
    visitor.enter(first)
    uid = first.user_id()
    assert uid
    for door in [*others, *pod_doors]:
        door.session_id = first.session_id
        assert door.user_id() == uid, door.url


def test_https(machines: list[Machine], proxies: dict[str, Door]) -> None:
    """The login page is 200 over HTTPS through every proxy, by the deployment's own authority where HTTP serves too"""
    for machine in machines:
        own = proxies[machine.name].url.startswith("http://")
        # Somebody else's certificate is for a public name, which need not lead here.
        authority = str(DEPLOY_DIR / "secrets" / "ca" / "ca.crt") if own else None
        answer = Door(f"https://{machine.address}", verify=authority or False).follow(LOGIN_PAGE)
        assert answer.status_code == 200, machine.name
        # No browser may be told to insist on an authority that it does not know.
        assert ("Strict-Transport-Security" in answer.headers) is not own
        context = ssl.create_default_context(cafile=authority)
        if not own:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = socket.create_connection((machine.address, 443), timeout=10)
        with context.wrap_socket(connection, server_hostname=machine.address) as tls:
            assert tls.version() in ("TLSv1.2", "TLSv1.3")


def test_static_file_is_cached(proxies: dict[str, Door]) -> None:
    """The same static file is a MISS, then a HIT, on each proxy"""
    page = next(iter(proxies.values())).follow(LOGIN_PAGE).text
    (file, *_others) = references(page, STATIC) or ["/web/static/img/favicon.ico"]
    path = f"{file}?unique={uuid.uuid4().hex}"
    for name, door in proxies.items():
        first, second = door.get(path), door.get(path)
        statuses = [answer.headers.get("X-Cache-Status") for answer in (first, second)]
        assert statuses == ["MISS", "HIT"], f"{name}: {statuses}"
        assert first.status_code == second.status_code == 200
        assert first.content == second.content
        assert "Set-Cookie" not in second.headers


def test_bundles_are_cached(proxies: dict[str, Door]) -> None:
    """Every bundle of the login page is a HIT when it is asked for again, on each proxy"""
    for name, door in proxies.items():
        bundles = references(door.follow(LOGIN_PAGE).text, BUNDLE)
        assert bundles, f"{name}: the login page names no bundle"
        for path in bundles:
            first, second = door.get(path), door.get(path)
            assert first.status_code == second.status_code == 200, f"{name}{path}"
            assert second.headers.get("X-Cache-Status") == "HIT", f"{name}{path}: {second.headers}"
            assert first.content == second.content


def test_users_page_is_never_cached(proxies: dict[str, Door], visitor: Visitor) -> None:
    """A page of a logged-in user is never stored, nor served to anybody else"""
    for name, door in proxies.items():
        stranger = Door(door.url, verify=door.http.verify)
        uid = visitor.enter(door).user_id()
        for path in ("/web", "/odoo", "/web/login", f"/web/image?model=res.users&id={uid}&field=image_128"):
            for _unused in range(2):
                assert door.get(path).headers.get("X-Cache-Status", "BYPASS") not in STORED, f"{name}{path}"
        mine, theirs = door.follow("/web"), stranger.follow("/web")
        assert mine.status_code == 200, name
        assert is_of_a_user(mine.text)
        assert not is_of_a_user(theirs.text)
        assert visitor.login in mine.text
        assert visitor.login not in theirs.text


def test_request_is_in_odoos_log(proxies: dict[str, Door], app: Odoo, odoo_pods: list[str]) -> None:
    """A request stands in the log of the pod that served it; where logs are JSON, by the id that the proxy gave it"""
    in_json = app.environment["ODOO_LOG_FORMAT"] == "json"
    for name, door in proxies.items():
        mark = f"/web/login?verify={uuid.uuid4().hex}"
        wanted = door.get(mark).headers["X-Request-Id"]
        sought = wanted if in_json else mark

        def logged(name: str = name, wanted: str = wanted, mark: str = mark, sought: str = sought) -> None:
            lines = [line for pod in odoo_pods for line in app.log(pod, lines=500).splitlines() if sought in line]
            assert lines, f"{name}: no pod has logged {sought}"
            if in_json:
                read = [json.loads(line) for line in lines]
                assert {line["request_id"] for line in read} == {wanted}
                assert any(mark in line["message"] for line in read)

        eventually(logged, seconds=10)


def test_nothing_listens_everywhere(deployment: Deployment) -> None:
    """Nothing but ssh listens on every address of a machine"""
    for machine in deployment.machines():
        everywhere = {address for address in machine.listening() if address.startswith(("0.0.0.0:", "*:", "[::]:"))}
        assert everywhere <= {"0.0.0.0:22", "[::]:22"}, f"{machine.name}: {everywhere}"


def test_no_secret_in_processes(deployment: Deployment) -> None:
    """No secret stands in a process's arguments, a container's description or a log of the machines"""
    texts = {
        "processes of this host": subprocess.run(
            ["ps", "axww", "-o", "args"], check=True, capture_output=True, text=True
        ).stdout
    }
    for machine in deployment.machines():
        texts[f"processes of {machine.name}"] = machine.run("ps axwwe -o args --no-headers | grep -v 'ps axwwe'")
        texts[f"journal of {machine.name}"] = machine.run("journalctl --no-pager --quiet -n 20000")
    for name in container_names(deployment):
        described = subprocess.run(["docker", "inspect", name], check=True, capture_output=True, text=True).stdout
        assert json.loads(described)
        texts[f"docker inspect {name}"] = described
    for where, text in texts.items():
        leaked = [name for name, secret in deployment.secrets.items() if secret in text]
        assert not leaked, f"{where}: {leaked}"


def container_names(deployment: Deployment) -> list[str]:
    """The deployment's containers; none where a hypervisor runs the machines."""
    if not any(machine.variables.get("vagrant_minikube_provider") == "docker" for machine in deployment.machines()):
        return []
    label = f"label=odoo-deploy.deployment={deployment.name}"
    listing = ["docker", "ps", "--all", "--filter", label, "--format", "{{.Names}}"]
    return subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split()
