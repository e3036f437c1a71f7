# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user of Odoo's web client, who may come in by any door: a proxy, a node, or one pod."""

from __future__ import annotations

import re
from typing import Any

import requests

from support.deployment import Deployment

TIMEOUT = 30  # seconds; no answer of Odoo's own pages takes that long


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

    def log_in(self, login: str, password: str) -> None:
        """Fills the login form in; AssertionError where Odoo refuses."""
        form = self._request("GET", "/web/login")
        assert form.status_code == 200, f"{self.url}/web/login answered {form.status_code}"
        token = re.search(r'name="csrf_token" value="([^"]+)"', form.text)
        assert token, f"{self.url}/web/login holds no form"
        self.session_id = form.cookies["session_id"]
        answer = self._request(
            "POST", "/web/login", data={"login": login, "password": password, "csrf_token": token[1], "redirect": ""}
        )
        assert answer.status_code in (302, 303), f"{self.url} refused the login of {login}"
        self.session_id = answer.cookies.get("session_id") or self.session_id

    def log_out(self) -> None:
        self._request("GET", "/web/session/logout")

    def rpc(self, path: str, **parameters: Any) -> Any:
        answer = self._request("POST", path, json={"jsonrpc": "2.0", "method": "call", "params": parameters})
        assert answer.status_code == 200, f"{self.url}{path} answered {answer.status_code}"
        body = answer.json()
        assert "error" not in body, (
            f"{self.url}{path}: {body['error'].get('data', {}).get('message', body['error']['message'])}"
        )
        return body["result"]

    def user_id(self) -> int | None:
        """Who Odoo takes the session for; None: nobody."""
        answer = self._request(
            "POST", "/web/session/get_session_info", json={"jsonrpc": "2.0", "method": "call", "params": {}}
        )
        return (answer.json().get("result") or {}).get("uid")

    def call(self, model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        return self.rpc(
            f"/web/dataset/call_kw/{model}/{method}", model=model, method=method, args=list(args), kwargs=kwargs
        )


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
    return Door(f"http://{next(iter(deployment.nodes.values()))}:32242")
