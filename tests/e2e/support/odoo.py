# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Odoo as the cluster runs it, and a user of its web client who comes in by any door: a proxy, a node, or one pod."""

from __future__ import annotations

import json
import re
import time
from functools import cached_property
from typing import Any

import requests

from support.deployment import ROOT, Cluster, Deployment

TIMEOUT = 30  # seconds; no answer of Odoo's own pages takes that long
NAME = "app.kubernetes.io/name=odoo"
WEB = f"{NAME},app.kubernetes.io/component=web"
REFERENCE = re.compile(r"""(?:src|href)\s*=\s*["']([^"'#]+)""")
BUNDLE = re.compile(r"/web/(?:content|assets)/.+\.(?:js|css)(?:\?.*)?")
STATIC = re.compile(r"/[a-z0-9_]+/static/[^?]+")
# The page with the form, also where modules for single sign-on send everybody elsewhere at once.
LOGIN_PAGE = "/web/login?no_autologin=1&disable_autoredirect=1"
# odoo.session_info = {…} up to 16, odoo.__session_info__ = {…} since.
SESSION_INFO = re.compile(r"session_info(?:__)?\s*=\s*(?=\{)")
VISITOR = ROOT / "roles" / "odoo_k8s" / "files" / "visitor.py"


def is_of_a_user(page: str) -> bool:
    """Whether Odoo made the page for somebody who is logged in; a stranger's says null or false, by series."""
    named = SESSION_INFO.search(page)
    info = json.JSONDecoder().raw_decode(page, named.end())[0] if named else {}
    return bool(info.get("uid") or info.get("user_id"))


class Odoo:
    """What the cluster says of it: how many pods, where, which series, how it logs. Nothing here is assumed."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment, self.cluster = deployment, deployment.cluster

    @property
    def web(self) -> Any:
        """The Deployment of the web pods, as it is now."""
        return self.cluster.workload(self.deployment.name, label_selector=WEB)

    @cached_property
    def namespace(self) -> str:
        return str(self.web.metadata.namespace)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The web pods' plain environment variables."""
        variables = self.web.spec.template.spec.containers[0].env
        return {variable.name: variable.value for variable in variables if variable.value is not None}

    @cached_property
    def port(self) -> int:
        """Where a pod answers HTTP."""
        ports = self.web.spec.template.spec.containers[0].ports
        return next(int(port.container_port) for port in ports if port.name == "http")

    @cached_property
    def node_ports(self) -> dict[str, int]:
        return self.cluster.node_ports(self.namespace, "odoo")

    def pods(self, selector: str = WEB) -> list[Any]:
        return self.cluster.pods(self.namespace, selector)

    def run(self, pod: str, *command: str, seconds: float = 60) -> str:
        """Standard output of a command that must succeed in a pod."""
        from kubernetes.stream import stream

        # A client of its own: opening a stream changes what its requests are made with.
        core = Cluster(self.deployment.kubeconfig).core
        call = stream(
            core.connect_get_namespaced_pod_exec, pod, self.namespace, container="odoo", command=list(command),
            stdin=False, stdout=True, stderr=True, tty=False, _preload_content=False,
        )  # fmt: skip
        call.run_forever(timeout=seconds)
        assert not call.is_open(), f"{pod}: {command[0]} has not ended within {seconds} s"
        said = str(call.read_stdout())
        assert call.returncode == 0, f"{pod}: {command[0]}: {call.read_stderr()[-2000:]}"
        return said

    def log(self, pod: str, lines: int) -> str:
        text: str = self.cluster.core.read_namespaced_pod_log(pod, self.namespace, tail_lines=lines)
        return text


class Visitor:
    """A user that a program in a web pod makes and removes again (visitor.py), also when this process is killed."""

    def __init__(self, odoo: Odoo) -> None:
        from kubernetes.stream import stream

        # A client of its own: opening a stream changes what its requests are made with.
        core = Cluster(odoo.deployment.kubeconfig).core
        ready = [pod for pod in odoo.pods() if all(status.ready for status in pod.status.container_statuses or [])]
        assert ready, f"no web pod of namespace {odoo.namespace} is ready"
        self.stream = stream(
            core.connect_get_namespaced_pod_exec, ready[0].metadata.name, odoo.namespace, container="odoo",
            command=["python3", "-c", VISITOR.read_text(), "hold"],
            stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
        )  # fmt: skip
        said, deadline = "", time.monotonic() + 120
        while "\n" not in said and self.stream.is_open() and time.monotonic() < deadline:
            self.stream.update(timeout=1)
            said += self.stream.read_stdout(timeout=0)
        assert "\n" in said, f"{ready[0].metadata.name} made no user for this check: {self._complaint()}"
        user = json.loads(said)
        self.login, self.password = str(user["login"]), str(user["password"])
        self.database = odoo.environment["ODOO_DATABASE"]

    def enter(self, door: Door) -> Door:
        """Logs in there."""
        door.log_in(self.login, self.password, self.database)
        return door

    def _complaint(self) -> str:
        return (self.stream.read_stderr(timeout=0).strip().splitlines() or ["it said nothing"])[-1]

    def leave(self) -> None:
        """Returns once the user is removed."""
        self.stream.write_stdin("\n")
        deadline = time.monotonic() + 60
        while self.stream.is_open() and time.monotonic() < deadline:
            self.stream.update(timeout=1)
        assert self.stream.returncode == 0, f"the user {self.login} of this check stays: {self._complaint()}"


class Door:
    """A base URL of the same Odoo, with the session of `user` when there is one."""

    def __init__(
        self, url: str, session_id: str = "", verify: str | bool = True, cert: tuple[str, str] | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.http = requests.Session()
        self.http.trust_env = False  # a proxy of the environment is not part of the system
        self.http.verify, self.http.cert = verify, cert
        self.session_id = session_id

    def get(self, path: str, **options: Any) -> requests.Response:
        return self._request("GET", path, **options)

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = dict(options.pop("headers", {}))
        if self.session_id:
            headers["Cookie"] = f"session_id={self.session_id}"
        self.http.cookies.clear()  # the one cookie that counts is ours to choose
        return self.http.request(
            method, self.url + path, headers=headers, timeout=TIMEOUT, allow_redirects=False, **options
        )

    def log_in(self, login: str, password: str, database: str = "odoo") -> None:
        """Logs in as Odoo's own clients do, whatever the login page looks like; AssertionError where Odoo refuses."""
        self.session_id = ""
        answer = self._call("/web/session/authenticate", db=database, login=login, password=password)
        result = self._result("/web/session/authenticate", answer)
        assert result.get("uid"), f"{self.url} did not let {login} in: it may want a second factor of everybody"
        self.session_id = answer.cookies["session_id"]

    def log_out(self) -> None:
        self._request("GET", "/web/session/logout")

    def rpc(self, path: str, **parameters: Any) -> Any:
        return self._result(path, self._call(path, **parameters))

    def _call(self, path: str, **parameters: Any) -> requests.Response:
        return self._request("POST", path, json={"jsonrpc": "2.0", "method": "call", "params": parameters})

    def _result(self, path: str, answer: requests.Response) -> Any:
        assert answer.status_code == 200, f"{self.url}{path} answered {answer.status_code}"
        body = answer.json()
        assert "error" not in body, (
            f"{self.url}{path}: {body['error'].get('data', {}).get('message', body['error']['message'])}"
        )
        return body["result"]

    def user_id(self) -> int | None:
        """Who Odoo takes the session for; None: nobody."""
        return (self._call("/web/session/get_session_info").json().get("result") or {}).get("uid")

    def follow(self, path: str) -> requests.Response:
        """The page that redirects of this site lead to: the web client moved from /web to /odoo with Odoo 18."""
        answer = self.get(path)
        for _unused in range(3):
            if answer.status_code not in (301, 302, 303, 307, 308):
                break
            target = answer.headers["Location"]
            answer = self.get(target[target.index("/", 8) :] if "://" in target else target)
        return answer

    def call(self, model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        return self.rpc(
            f"/web/dataset/call_kw/{model}/{method}", model=model, method=method, args=list(args), kwargs=kwargs
        )


def references(page: str, pattern: re.Pattern[str]) -> list[str]:
    """Paths of this site that a page names and the pattern matches, each once."""
    named = (path.replace("&amp;", "&") for path in REFERENCE.findall(page))
    return list(dict.fromkeys(path for path in named if path.startswith("/") and pattern.fullmatch(path)))


def proxies(deployment: Deployment) -> dict[str, Door]:
    """The ways in that people use, by the proxy's name: HTTPS where HTTP only sends there."""
    doors = {}
    for machine in deployment.machines("nginx"):
        plain = Door(f"http://{machine.address}")
        redirects = plain.get("/web/login").status_code == 308
        doors[machine.name] = Door(f"https://{machine.address}", verify=False) if redirects else plain
    return doors


def node_door(deployment: Deployment) -> Door:
    """Odoo by a node's port, no proxy between."""
    return Door(f"http://{next(iter(deployment.nodes.values()))}:{Odoo(deployment).node_ports['http']}")
