# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alertmanager's API through the API server's proxy, so that Alertmanager needs no port outside the cluster."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

try:
    from kubernetes import client, config

    IMPORT_ERROR = None
except ImportError as problem:
    IMPORT_ERROR = problem


class Unreachable(Exception):
    """Nobody who could be told answered."""


class Alertmanager:
    """Alertmanager's API, by way of the API server. The client's calls differ by release, its settings do not."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self.settings = client.Configuration()
        try:
            config.load_kube_config(config_file=kubeconfig, client_configuration=self.settings)
        except Exception as problem:  # whatever the file makes of the client's parsers
            raise Unreachable(f"{kubeconfig} cannot be used: {problem}") from problem
        service = f"/api/v1/namespaces/{namespace}/services/alertmanager:9093/proxy"
        self.base = f"{self.settings.host.rstrip('/')}{service}/api/v2"
        trust = ssl.create_default_context(cafile=self.settings.ssl_ca_cert)
        if self.settings.cert_file:
            trust.load_cert_chain(self.settings.cert_file, self.settings.key_file)
        if not self.settings.verify_ssl:
            trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        proxies = {"https": self.settings.proxy} if self.settings.proxy else {}
        handlers = (urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=trust))
        self.opener = urllib.request.build_opener(*handlers)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        token = self.settings.api_key.get("authorization") or self.settings.api_key.get("BearerToken")
        if token:
            headers["Authorization"] = token if " " in token else f"Bearer {token}"
        sent = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.base}/{path}", data=sent, headers=headers, method=method)
        try:
            with self.opener.open(request, timeout=10) as answer:
                text = answer.read().decode()
            return json.loads(text) if text else None
        except urllib.error.HTTPError as problem:
            raise Unreachable(f"Alertmanager answered {problem.code} {problem.reason}") from problem
        except (OSError, ValueError) as problem:
            raise Unreachable(f"Alertmanager is not reached: {problem}") from problem
