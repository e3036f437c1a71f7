# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of the docker engine that the ``docker`` command (and so Vagrant) talks to, in one request.

Engine API reference: https://docs.docker.com/reference/api/engine/ (``GET /containers/json``).
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import StateError, UnknownStateError, mapping, members, printable, read_json
from .httpget import HttpError, get_json

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_LIST = "/containers/json?all=1"
_WILDCARDS = ("", "0.0.0.0", "::")


class EngineError(UnknownStateError):
    """The engine gave no list; the text says which engine, why, and what to do."""


@dataclass(frozen=True)
class Endpoint:
    """Where ssh reaches a machine, and who said so."""

    host: str
    port: int
    source: str


@dataclass(frozen=True)
class Container:
    """One container.

    ``state`` is the engine's word (running, exited, paused, …); ``networks`` maps names to IPv4 addresses.
    """

    id: str
    names: tuple[str, ...]
    state: str
    networks: Mapping[str, str]
    ports: tuple[tuple[str, int, int], ...]
    labels: Mapping[str, str]

    def address(self, network: ipaddress.IPv4Network | None = None) -> tuple[str, str] | None:
        """(docker network, address) for peers, inside ``network`` if one is, else outside the default bridge."""
        known = [(name, address) for name, address in self.networks.items() if address]
        for name, address in known:
            if network and ipaddress.IPv4Address(address) in network:
                return name, address
        return next((pair for pair in known if pair[0] != "bridge"), known[0] if known else None)

    def ssh(self, engine_host: str) -> Endpoint | None:
        """Published port of 22/tcp, IPv4 first; without one the container's own address, as Vagrant does."""
        published = sorted((ip for ip in self.ports if ip[1] == 22), key=lambda port: ":" in port[0])
        for ip, _private, public in published:
            return Endpoint(engine_host if ip in _WILDCARDS else ip, public, "docker port binding of 22/tcp")
        own = self.address()
        return Endpoint(own[1], 22, f"docker network {own[0]}") if own else None


def docker_host(environ: Mapping[str, str], home: Path) -> str:
    """The engine's URL by the docker command's own rules.

    They are: DOCKER_HOST, DOCKER_CONTEXT, the current context, the default socket. ``home`` is the user's home folder
    (DOCKER_CONFIG overrides ``.docker`` in it). Raises StateError for a context that is not there.
    """
    if environ.get("DOCKER_HOST"):
        return environ["DOCKER_HOST"]
    config = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    context = environ.get("DOCKER_CONTEXT")
    if not context:
        try:
            context = read_json(config / "config.json", 1 << 20).get("currentContext")
        except (FileNotFoundError, StateError):
            context = None
    if not context or not isinstance(context, str) or context == "default":
        return DEFAULT_SOCKET
    meta = (
        config
        / "contexts"
        / "meta"
        / hashlib.sha256(context.encode("utf-8", "surrogateescape")).hexdigest()
        / "meta.json"
    )
    try:
        host = read_json(meta, 1 << 20)["Endpoints"]["docker"]["Host"]
    except (FileNotFoundError, KeyError, TypeError):
        raise StateError(f"the docker context {printable(context)} has no endpoint in {printable(meta)}") from None
    return str(host) or DEFAULT_SOCKET


def engine_host(url: str) -> str:
    """The address at which ports that the engine publishes on all addresses are reached from here."""
    scheme, _separator, rest = url.partition("://")
    if scheme in ("tcp", "http", "https", "ssh"):
        host = rest.rpartition("@")[2].partition("/")[0]
        host = host[1 : host.index("]")] if host.startswith("[") and "]" in host else host.rpartition(":")[0] or host
        return host
    return "127.0.0.1"


def containers(url: str, timeout: float, environ: Mapping[str, str]) -> tuple[Container, ...]:
    """All containers of the engine at ``url``, running or not. ``timeout`` in seconds. Raises EngineError."""
    try:
        if url.startswith("unix://"):
            listed = _over_unix_socket(url.removeprefix("unix://"), timeout)
        elif url.startswith(("tcp://", "http://", "https://")) and not environ.get("DOCKER_TLS_VERIFY"):
            listed = _over_tcp(url, timeout)
        else:
            listed = _through_sdk(url, timeout, environ)
    except PermissionError:
        raise EngineError(f"no permission to use {printable(url)}: join the group docker, or set docker_host") from None
    except (OSError, HttpError, ValueError) as error:
        reason = printable(getattr(error, "strerror", None) or error)
        raise EngineError(
            f"the docker engine at {printable(url)} does not answer ({reason}): start it, or set docker_host"
        ) from error
    if not isinstance(listed, list):
        raise EngineError(f"{printable(url)} is not a docker engine: its container list is not a list")
    return tuple(_container(entry) for entry in listed if isinstance(entry, dict) and isinstance(entry.get("Id"), str))


def _over_unix_socket(path: str, timeout: float) -> Any:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        return get_json(connection, "docker", _LIST, {}, timeout)


def _over_tcp(url: str, timeout: float) -> Any:
    location = url.partition("://")[2].partition("/")[0]
    port = location.rpartition(":")[2]
    with socket.create_connection((engine_host(url), int(port) if port.isdigit() else 2375), timeout) as connection:
        return get_json(connection, location, _LIST, {}, timeout)


def _through_sdk(url: str, timeout: float, environ: Mapping[str, str]) -> Any:
    """TLS and ssh:// are the SDK's business; it costs 130 ms to import, so only they pay for it."""
    try:
        import docker  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise EngineError(
            f"{printable(url)} needs the Python package docker: install it, or use a unix:// or tcp:// engine"
        ) from error
    try:
        client = docker.from_env(timeout=timeout, environment={**environ, "DOCKER_HOST": url})
        try:
            return client.api.containers(all=True)
        finally:
            client.close()
    except Exception as error:  # the SDK lets requests', paramiko's and its own errors through
        raise EngineError(f"the docker engine at {printable(url)} does not answer ({printable(error)})") from error


def _container(entry: dict[str, Any]) -> Container:
    networks = mapping(mapping(entry.get("NetworkSettings")).get("Networks"))
    return Container(
        id=entry["Id"],
        names=tuple(str(name).removeprefix("/") for name in members(entry.get("Names"))),
        state=str(entry.get("State") or "unknown"),
        networks={str(name): _address(value) for name, value in networks.items()},
        ports=tuple(
            (str(port.get("IP") or ""), port["PrivatePort"], port["PublicPort"])
            for port in map(mapping, members(entry.get("Ports")))
            if port.get("Type") == "tcp" and _is_port(port.get("PrivatePort")) and _is_port(port.get("PublicPort"))
        ),
        labels={str(name): str(value) for name, value in mapping(entry.get("Labels")).items()},
    )


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and 0 < value < 65536


def _address(network: Any) -> str:
    """The address in use, or for a stopped container the one that it was given for good."""
    known = mapping(network)
    address = known.get("IPAddress") or mapping(known.get("IPAMConfig")).get("IPv4Address")
    try:
        return str(ipaddress.IPv4Address(address if isinstance(address, str) else ""))
    except ValueError:
        return ""


def default_docker_host() -> str:
    """docker_host() of this process."""
    return docker_host(os.environ, Path.home())
