# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario's cluster, its Odoo pods one by one, and the playbook as a person would run it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import testinfra
from kubernetes.stream import portforward, stream

PROJECT = Path(__file__).resolve().parents[3]
NAMESPACE = "odoo"
WEB = "app.kubernetes.io/name=odoo,app.kubernetes.io/component=web"


def eventually(check: Callable[[], bool], seconds: float, what: str) -> float:
    """Ask ``check`` until it is true; return the seconds that took, fail the test after ``seconds``."""
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.5)
    return time.monotonic() - started


def sql(host: Any, database: str, query: str) -> str:
    """What a query gives, as the server's superuser."""
    return str(host.check_output("runuser -u postgres -- psql -qAtX -d %s -c %s", database, query))


class WebSocket:
    """As little of RFC 6455 as the bus needs: text frames, sent masked and received whole."""

    def __init__(self, connection: Any, session: str) -> None:
        self.connection = connection
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /websocket HTTP/1.1", "Host: localhost:8069", "Origin: http://localhost:8069", "Upgrade: websocket",
            "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Cookie: {session}",
        ]  # fmt: skip
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(1)
            assert part, head
            head += part
        assert head.startswith(b"HTTP/1.1 101 "), head

    def send(self, message: Any) -> None:
        """Send one message."""
        body, mask = json.dumps(message).encode(), os.urandom(4)
        assert len(body) < 126
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(body))
        self.connection.sendall(bytes([0x81, 0x80 | len(body)]) + mask + masked)

    def receive(self, seconds: float) -> tuple[float, Any]:
        """Return when the next message came, and what it says; fail after ``seconds``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            kind, length = self._read(2, deadline)
            length &= 0x7F
            if length == 126:
                length = int.from_bytes(self._read(2, deadline), "big")
            body = self._read(length, deadline)
            if kind & 0x0F == 1:
                return time.time(), json.loads(body)
            assert kind & 0x0F != 8, f"closed: {body!r}"
        raise AssertionError(f"no message within {seconds:.0f} s")

    def _read(self, count: int, deadline: float) -> bytes:
        data = b""
        while len(data) < count:
            ready, _unused, _other = select.select([self.connection], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "nothing was heard"
            part = self.connection.recv(count - len(data))
            assert part, "the connection ended"
            data += part
        return data


@dataclass
class Pod:
    """One web pod, asked by its own address through the API server's port forwarding: no Service chooses for us."""

    api: Any = field(repr=False)
    name: str = ""

    def request(
        self, method: str, path: str, body: bytes | None = None, port: int = 8069, **headers: str
    ) -> tuple[int, Any, bytes]:
        """Return status, headers and body of one request."""
        forward = portforward(self.api.connect_get_namespaced_pod_portforward, self.name, NAMESPACE, ports=str(port))
        connection = http.client.HTTPConnection("127.0.0.1", timeout=60)
        connection.sock = forward.socket(port)
        connection.sock.setblocking(True)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            forward.close()

    def rpc(self, path: str, params: dict[str, Any], session: str = "", port: int = 8069) -> dict[str, Any]:
        """Return Odoo's JSON-RPC answer; ``session`` is the cookie to send, a new one comes back as ``session``."""
        _unused, headers, body = self.request(
            "POST",
            path,
            json.dumps({"jsonrpc": "2.0", "params": params}).encode(),
            port,
            Content_Type="application/json",
            Cookie=session,
        )
        answer: dict[str, Any] = json.loads(body)
        answer["session"] = (headers.get("Set-Cookie") or session).split(";")[0]
        return answer

    def call(self, session: str, model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return what a model's method returns; fail on Odoo's error."""
        answer = self.rpc(
            "/web/dataset/call_kw", {"model": model, "method": method, "args": list(args), "kwargs": kwargs}, session
        )
        assert "error" not in answer, answer["error"]["data"]["message"]
        return answer.get("result")

    def run(self, *command: str) -> str:
        """Return the output of a command in the pod's container."""
        return stream(
            self.api.connect_get_namespaced_pod_exec,
            self.name,
            NAMESPACE,
            command=list(command),
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
        )

    def shell(self, code: str) -> str:
        """Return the output of Python code in `odoo shell`."""
        command = (
            'printf %s "$0" | odoo shell --config /tmp/odoo-deploy/odoo.conf --database "$ODOO_DATABASE" --no-http'
        )
        return self.run("sh", "-c", command, code)

    @contextlib.contextmanager
    def websocket(self, session: str) -> Iterator[WebSocket]:
        """A browser's connection to the bus, on the second port; ``session`` is its cookie."""
        forward = portforward(self.api.connect_get_namespaced_pod_portforward, self.name, NAMESPACE, ports="8072")
        connection = forward.socket(8072)
        connection.setblocking(True)
        try:
            yield WebSocket(connection, session)
        finally:
            forward.close()

    def ready(self) -> bool:
        """Whether the Service sends it requests."""
        conditions = self.api.read_namespaced_pod(self.name, NAMESPACE).status.conditions or []
        return any(c.type == "Ready" and c.status == "True" for c in conditions)

    def restarts(self) -> int:
        """How often its container was started again."""
        return int(self.api.read_namespaced_pod(self.name, NAMESPACE).status.container_statuses[0].restart_count)


@dataclass
class Deployment:
    """What the scenario deployed."""

    folder: Path
    core: Any = field(repr=False)
    apps: Any = field(repr=False)
    batch: Any = field(repr=False)

    def pods(self) -> list[Pod]:
        """The web pods that stay, oldest first."""
        found = self.core.list_namespaced_pod(NAMESPACE, label_selector=WEB).items
        alive = sorted(
            (p for p in found if not p.metadata.deletion_timestamp), key=lambda p: p.metadata.creation_timestamp
        )
        return [Pod(self.core, p.metadata.name) for p in alive]

    def secret(self, name: str) -> str:
        """One of the deployment's generated secrets."""
        return (self.folder / "secrets" / name).read_text().strip()

    def login(self, pod: Pod) -> str:
        """The session cookie of the administrator, logged in through ``pod``."""
        answer = pod.rpc(
            "/web/session/authenticate",
            {"db": "odoo", "login": "admin", "password": self.secret("odoo_admin_password")},
        )
        assert answer.get("result", {}).get("uid") == 2, answer.get("error")
        return str(answer["session"])

    def play(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run playbooks/odoo.yml as a person would."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("ansible-playbook")), "playbooks/odoo.yml", *arguments],
            check=False,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=900,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        )


@pytest.fixture(scope="session")
def host() -> Iterator[Any]:
    """The database server, as root; testinfra's own would also be the cluster's node, where nobody can log in."""
    machine = testinfra.get_host(f"ansible://pg1?ansible_inventory={PROJECT}/inventory/demo.vagrant_minikube.yml")
    with machine.sudo():
        yield machine


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    """The scenario's deployment; molecule's configuration names its folder."""
    folder = Path(os.environ["ODOO_DEPLOY_DIR"])
    kubernetes.config.load_kube_config(str(folder / "kubeconfig"))
    client = kubernetes.client
    return Deployment(folder, client.CoreV1Api(), client.AppsV1Api(), client.BatchV1Api())
