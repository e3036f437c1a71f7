# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The docker engine: which one, what it lists, and what it may answer instead."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import engine as reader
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils.files import StateError
from hypothesis import given
from hypothesis import strategies as st

NETWORK = ipaddress.IPv4Network("192.168.99.0/24")


def container(**changes: Any) -> reader.Container:
    fields = {"id": "1f", "names": (), "state": "running", "networks": {}, "ports": (), "labels": {}} | changes
    return reader.Container(**fields)


def test_all_containers_come_in_one_request(engine: Any) -> None:
    engine.run("odoo-pg1", "a" * 64, "192.168.99.21", 2201)
    engine.run("odoo-pg2", "b" * 64, "192.168.99.22", 2202)
    engine.stop("b" * 64)
    one, two = reader.containers(engine.url, 5, {})
    assert engine.requests == ["/containers/json?all=1"]
    assert (one.id, one.names, one.state) == ("a" * 64, ("odoo-pg1",), "running")
    assert one.address(NETWORK) == ("vagrant_network", "192.168.99.21")
    assert one.ssh("127.0.0.1") == reader.Endpoint("127.0.0.1", 2201, "docker port binding of 22/tcp")
    assert two.state == "exited"
    assert two.address(NETWORK) == ("vagrant_network", "192.168.99.22"), "a stopped container keeps its given address"


def test_the_peers_address_is_in_the_deployments_network() -> None:
    many = container(networks={"bridge": "172.17.0.2", "other": "10.0.0.2", "wanted": "192.168.99.5"})
    assert many.address(NETWORK) == ("wanted", "192.168.99.5")
    assert many.address() == ("other", "10.0.0.2"), "without a network any but the default bridge"
    assert container(networks={"bridge": "172.17.0.2"}).address(NETWORK) == ("bridge", "172.17.0.2")
    assert container(networks={"bridge": ""}).address(NETWORK) is None


def test_ssh_prefers_ipv4_and_knows_wildcards() -> None:
    both = container(ports=(("::", 22, 2222), ("0.0.0.0", 22, 2222), ("0.0.0.0", 80, 8080)))
    assert both.ssh("203.0.113.7") == reader.Endpoint("203.0.113.7", 2222, "docker port binding of 22/tcp")
    own = container(networks={"net": "192.168.99.5"}).ssh("127.0.0.1")
    assert own == reader.Endpoint("192.168.99.5", 22, "docker network net")
    assert container(ports=(("0.0.0.0", 80, 8080),)).ssh("127.0.0.1") is None


def test_the_engine_is_the_docker_commands(tmp_path: Path) -> None:
    config = tmp_path / ".docker"
    meta = config / "contexts" / "meta" / hashlib.sha256(b"colima").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Endpoints": {"docker": {"Host": "unix:///colima.sock"}}}))
    default = "unix:///var/run/docker.sock"
    assert reader.docker_host({}, tmp_path) == default
    assert reader.docker_host({"DOCKER_CONTEXT": "colima"}, tmp_path) == "unix:///colima.sock"
    (config / "config.json").write_text(json.dumps({"currentContext": "colima"}))
    assert reader.docker_host({}, tmp_path) == "unix:///colima.sock"
    assert reader.docker_host({"DOCKER_CONTEXT": "default"}, tmp_path) == default
    assert reader.docker_host({"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "colima"}, tmp_path) == "tcp://h:1"
    assert reader.docker_host({"DOCKER_CONFIG": str(config)}, Path("/nowhere")) == "unix:///colima.sock"
    with pytest.raises(StateError, match="the docker context lost has no endpoint"):
        reader.docker_host({"DOCKER_CONTEXT": "lost"}, tmp_path)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("unix:///var/run/docker.sock", "127.0.0.1"),
        ("tcp://engine.example:2375", "engine.example"),
        ("tcp://engine.example", "engine.example"),
        ("tcp://[2001:db8::1]:2376", "2001:db8::1"),
        ("ssh://me@engine.example:22", "engine.example"),
    ],
)
def test_ports_of_a_remote_engine_are_reached_there(url: str, host: str) -> None:
    assert reader.engine_host(url) == host


def test_no_engine_is_told_with_what_to_do(tmp_path: Path, free_port: int) -> None:
    with pytest.raises(
        reader.EngineError, match=r"does not answer \(No such file or directory\): start it, or set docker_host"
    ):
        reader.containers(f"unix://{tmp_path}/none.sock", 1, {})
    with pytest.raises(reader.EngineError, match=r"does not answer \(Connection refused\)"):
        reader.containers(f"tcp://127.0.0.1:{free_port}", 1, {})


def test_no_permission_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reader, "_over_unix_socket", refuse)
    with pytest.raises(reader.EngineError, match=r"no permission to use unix:///x\.sock: join the group docker"):
        reader.containers("unix:///x.sock", 1, {})


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n[{", "cut short"),
        (b"HTTP/1.0 200 OK\r\n\r\n[{", "not JSON"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000, "not JSON"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", "chunks"),
        (b"HTTP/1.0 500 Internal Server Error\r\n\r\n{}", "HTTP 500 Internal Server Error"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", "is not a docker engine"),
    ],
)
def test_another_answer_than_a_list_is_told(engine: Any, raw: bytes, says: str) -> None:
    engine.raw = raw
    with pytest.raises(reader.EngineError, match=says):
        reader.containers(engine.url, 5, {})


def test_an_engine_that_hangs_is_given_up(engine: Any) -> None:
    engine.delay = 3
    began = time.monotonic()
    with pytest.raises(reader.EngineError, match="timed out"):
        reader.containers(engine.url, 0.2, {})
    assert time.monotonic() - began < 2


def test_an_engine_that_dribbles_is_given_up(engine: Any) -> None:
    engine.dribble = 0.1
    began = time.monotonic()
    with pytest.raises(reader.EngineError, match=r"no whole answer within 0\.5 s|timed out"):
        reader.containers(engine.url, 0.5, {})
    assert time.monotonic() - began < 3


def test_entries_of_another_shape_harm_no_other(engine: Any) -> None:
    engine.containers = [
        None,
        {"Id": 7},
        {"Id": "a", "Names": None, "Ports": [None, {"Type": "tcp", "PublicPort": "x"}], "NetworkSettings": []},
        {"Id": "b", "NetworkSettings": {"Networks": {"n": {"IPAddress": "{{ x }}", "IPAMConfig": []}, "m": 3}}},
    ]
    engine.run("good", "c", "192.168.99.21")
    found = {entry.id: entry for entry in reader.containers(engine.url, 5, {})}
    assert set(found) == {"a", "b", "c"}
    assert found["b"].address() is None, "what is no address is none"


def test_tls_needs_the_sdk_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "docker", None)
    with pytest.raises(reader.EngineError, match="needs the Python package docker: install it"):
        reader.containers("tcp://127.0.0.1:2376", 1, {"DOCKER_TLS_VERIFY": "1"})
    with pytest.raises(reader.EngineError, match="needs the Python package docker"):
        reader.containers("ssh://engine.example", 1, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {"Id": st.text()},
        optional={
            "Names": JSON,
            "State": JSON,
            "Ports": JSON | st.lists(JSON),
            "Labels": JSON,
            "NetworkSettings": JSON,
        },
    )
)
def test_any_entry_is_a_container(entry: dict[str, Any]) -> None:
    made = reader._container(entry)
    made.address(NETWORK)
    made.ssh("127.0.0.1")
