# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of the cluster that a kubeconfig's context names, asked from its API server.

Certificates and tokens are handled here over one TLS connection; contexts that need a credential plugin, a proxy or a
password go through the Python package ``kubernetes``, whose import alone costs 230 ms.
Format: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .files import StateError, mapping, members, printable, read_bytes, usable_name
from .httpget import HttpError, get_json
from .minikube import Node
from .nodes import load_yaml

_NODES = "/api/v1/nodes"
_MAX_BYTES = 1024 * 1024
_BARRING = ("NoSchedule", "NoExecute")
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


class ClusterError(Exception):
    """The cluster gave no nodes; the text names the context and the server, says why, and what to do."""


@dataclass(frozen=True)
class Context:
    """One context.

    ``cluster`` and ``user`` are the kubeconfig's own mappings, ``folder`` is what their paths are relative to.
    """

    name: str
    cluster_name: str
    server: str
    cluster: Mapping[str, Any] = field(repr=False)
    user: Mapping[str, Any] = field(repr=False)
    folder: Path


def context(path: Path, name: str = "") -> Context:
    """The named (else the current) context of the kubeconfig at ``path``.

    Raises StateError; FileNotFoundError where there is none.
    """
    try:
        data = read_bytes(path, _MAX_BYTES)
        document = load_yaml(data)
    except (yaml.YAMLError, ValueError):
        raise StateError(f"{printable(path)} is not valid YAML") from None
    if not isinstance(document, dict):
        raise StateError(f"{printable(path)} is not a kubeconfig")
    chosen = name or document.get("current-context")
    if not chosen:
        raise StateError(f"{printable(path)} has no current-context: set kubernetes_context")
    entry = _named(document, "contexts", "context", chosen, path)
    cluster = _named(document, "clusters", "cluster", entry.get("cluster"), path)
    user = _named(document, "users", "user", entry["user"], path) if entry.get("user") else {}
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        raise StateError(f"{printable(path)}: the cluster {printable(entry.get('cluster'))} has no server URL")
    return Context(str(chosen), str(entry.get("cluster")), server, cluster, user, path.parent)


def nodes(chosen: Context, network: str | None, timeout: float) -> tuple[Node, ...]:
    """Nodes of the cluster, by name; their address is the InternalIP, one in ``network`` first. Raises ClusterError."""
    where = f"the cluster of context {printable(chosen.name)} at {printable(chosen.server)}"
    try:
        document = (_through_client if _needs_client(chosen) else _over_tls)(chosen, timeout)
    except HttpError as error:
        if error.status in (401, 403):
            raise ClusterError(f"{where} refuses the kubeconfig's credentials ({error}): renew them") from error
        raise ClusterError(f"{where} gave no nodes ({printable(error)})") from error
    except (StateError, ssl.SSLError, OSError, ValueError) as error:
        reason = printable(getattr(error, "strerror", None) or error)
        raise ClusterError(f"{where} does not answer ({reason}): is it up, is the kubeconfig its own?") from error
    return parse_nodes(document, chosen, network)


def parse_nodes(document: Any, chosen: Context, network: str | None) -> tuple[Node, ...]:
    """Nodes in a NodeList; one without a usable name or address is left out. Raises ClusterError for anything else."""
    items = mapping(document).get("items")
    if not isinstance(items, list):
        raise ClusterError(f"{printable(chosen.server)} answered with something else than a list of nodes")
    wanted = ipaddress.ip_network(network) if network else None
    found = []
    for item in map(mapping, items):
        metadata, spec, status = (mapping(item.get(part)) for part in ("metadata", "spec", "status"))
        name = metadata.get("name")
        told = [mapping(entry) for entry in members(status.get("addresses"))]
        addresses = [
            str(entry["address"])
            for kind in ("InternalIP", "ExternalIP")
            for entry in told
            if entry.get("type") == kind and _is_address(entry.get("address"))
        ]
        if not isinstance(name, str) or not usable_name(name) or not addresses:
            continue
        inside = [address for address in addresses if wanted and ipaddress.ip_address(address) in wanted]
        conditions = [mapping(entry) for entry in members(status.get("conditions"))]
        ready = any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)
        taints = [mapping(taint) for taint in members(spec.get("taints"))]
        barred = spec.get("unschedulable") or any(taint.get("effect") in _BARRING for taint in taints)
        found.append(
            Node(
                name=name,
                address=(inside or addresses)[0],
                cluster=chosen.cluster_name,
                kubernetes_version=str(mapping(status.get("nodeInfo")).get("kubeletVersion") or ""),
                control_plane=any(label in mapping(metadata.get("labels")) for label in _CONTROL_PLANE),
                worker=not barred,
                source=f"Kubernetes API, context {chosen.name}",
                state="ready" if ready else "not_ready",
            )
        )
    return tuple(sorted(found, key=lambda node: node.name))


def _named(document: Mapping[str, Any], kind: str, key: str, name: Any, path: Path) -> dict[str, Any]:
    for entry in map(mapping, members(document.get(kind))):
        if entry.get("name") == name and isinstance(entry.get(key), dict):
            return dict(entry[key])
    raise StateError(f"{printable(path)} has no {key} named {printable(name)}")


def _is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def _needs_client(chosen: Context) -> bool:
    return bool(
        chosen.cluster.get("proxy-url") or any(chosen.user.get(key) for key in ("exec", "auth-provider", "username"))
    )


def _over_tls(chosen: Context, timeout: float) -> Any:
    scheme, _separator, rest = chosen.server.partition("://")
    location, _slash, prefix = rest.partition("/")
    host, port = _host_port(location, 443 if scheme == "https" else 80)
    headers = {}
    token = _token(chosen)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    path = f"/{prefix.rstrip('/')}{_NODES}" if prefix.strip("/") else _NODES
    with socket.create_connection((host, port), timeout) as plain:
        if scheme == "http":
            return get_json(plain, location, path, headers, timeout)
        name = str(chosen.cluster.get("tls-server-name") or host)
        with _tls(chosen).wrap_socket(plain, server_hostname=name) as connection:
            return get_json(connection, location, path, headers, timeout)


def _host_port(location: str, default: int) -> tuple[str, int]:
    if location.startswith("["):
        host, _bracket, port = location[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _colon, port = location.partition(":")
    return host, int(port) if port else default


def _token(chosen: Context) -> str:
    token = chosen.user.get("token")
    if not token and chosen.user.get("tokenFile"):
        token = read_bytes(chosen.folder / str(chosen.user["tokenFile"]), _MAX_BYTES).decode("ascii", "strict").strip()
    return str(token or "")


def _tls(chosen: Context) -> ssl.SSLContext:
    authority = _material(chosen, chosen.cluster, "certificate-authority")
    tls = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
    # Python 3.13 made RFC 5280's strict reading the default; authorities that kubectl accepts do not all pass it.
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if chosen.cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    certificate = _material(chosen, chosen.user, "client-certificate")
    key = _material(chosen, chosen.user, "client-key")
    if certificate and key:
        with _as_file(certificate + b"\n" + key) as path:
            tls.load_cert_chain(path)
    return tls


def _material(chosen: Context, part: Mapping[str, Any], name: str) -> bytes:
    """PEM from ``NAME-data`` (base64), which wins, or from the file ``NAME``."""
    encoded = part.get(f"{name}-data")
    if encoded:
        try:
            return base64.b64decode(str(encoded), validate=True)
        except binascii.Error:
            raise StateError(f"{name}-data of context {printable(chosen.name)} is not base64") from None
    given = part.get(name)
    if not given:
        return b""
    try:
        return read_bytes(chosen.folder / Path(str(given)).expanduser(), _MAX_BYTES)
    except FileNotFoundError:
        raise StateError(f"{name} {printable(given)} of context {printable(chosen.name)} is not there") from None


@contextmanager
def _as_file(secret: bytes) -> Iterator[str]:
    """A path that holds ``secret`` for OpenSSL, which reads files only; in memory where the system can."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("client-key", os.MFD_CLOEXEC)
        try:
            os.write(handle, secret)
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
        return
    with tempfile.NamedTemporaryFile() as file:  # mode 0600, removed on exit
        file.write(secret)
        file.flush()
        yield file.name


def _through_client(chosen: Context, timeout: float) -> Any:
    try:
        from kubernetes import client, config  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise StateError("its credentials need the Python package kubernetes: install it") from error
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "chosen",
        "contexts": [{"name": "chosen", "context": {"cluster": "chosen", "user": "chosen"}}],
        "clusters": [{"name": "chosen", "cluster": dict(chosen.cluster)}],
        "users": [{"name": "chosen", "user": dict(chosen.user)}],
    }
    settings = client.Configuration()
    try:
        loader: Any = config.kube_config.KubeConfigLoader(config_dict=document, config_base_path=str(chosen.folder))
        loader.load_and_set(settings)
        with client.ApiClient(settings) as api:
            answer: Any = client.CoreV1Api(api).list_node(_request_timeout=timeout, _preload_content=False)
            return json.loads(answer.data)
    except client.ApiException as error:
        raise HttpError(f"HTTP {error.status} {error.reason}", error.status) from error
    except Exception as error:  # urllib3's errors and those of the credential plugin
        raise StateError(printable(error)) from error
