# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""minikube's profiles of three drivers and of two nodes, and what is not a profile."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import minikube
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils.files import StateError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PROFILES = Path(__file__).resolve().parents[1] / "fixtures" / "minikube"


def nodes(case: str, profile: str = "minikube") -> tuple[minikube.Node, ...]:
    return minikube.nodes(PROFILES / case / ".minikube", profile)


@pytest.mark.parametrize(
    ("case", "address", "ssh"),
    [
        ("docker", "192.168.49.2", None),
        ("virtualbox", "192.168.99.100", ("127.0.0.1", 43517)),
        ("kvm2", "192.168.39.174", ("192.168.39.174", 22)),
    ],
)
def test_a_profile_of_each_driver(case: str, address: str, ssh: tuple[str, int] | None) -> None:
    (node,) = nodes(case)
    assert (node.name, node.address, node.driver, node.cluster) == ("minikube", address, case, "minikube")
    assert (node.kubernetes_version, node.control_plane, node.worker) == ("v1.34.0", True, True)
    assert (node.ssh and (node.ssh.host, node.ssh.port)) == ssh
    assert node.ssh_user == "docker"
    assert node.ssh_private_key.endswith("/machines/minikube/id_rsa")


def test_the_second_node_is_named_after_profile_and_node() -> None:
    first, second = nodes("two-node", "pair")
    assert (first.name, first.address, first.control_plane) == ("pair", "192.168.50.10", True)
    assert (second.name, second.address, second.control_plane) == ("pair-m02", "192.168.50.11", False)
    assert second.ssh is not None
    assert second.ssh.host == "192.168.50.11"


@pytest.mark.parametrize(
    ("node", "primary", "name"),
    [("", True, "p"), ("", False, "p"), ("m01", True, "p"), ("p", True, "p"), ("m02", False, "p-m02")],
)
def test_machine_names_of_old_and_new_profiles(node: str, primary: bool, name: str) -> None:
    assert minikube.machine_name("p", node, primary) == name


def test_minikube_home_gets_its_folder_appended_unless_it_ends_so(home: Path) -> None:
    assert minikube.home_folder({}) == home / ".minikube"
    assert minikube.home_folder({"MINIKUBE_HOME": "/srv"}) == Path("/srv/.minikube")
    assert minikube.home_folder({"MINIKUBE_HOME": "/srv/.minikube"}) == Path("/srv/.minikube")
    assert minikube.home_folder({"MINIKUBE_HOME": "/srv"}, "/given") == Path("/given/.minikube")


def test_profiles_are_the_folders_with_a_configuration(tmp_path: Path) -> None:
    assert minikube.profiles(tmp_path) == ()
    shutil.copytree(PROFILES / "docker" / ".minikube", tmp_path, dirs_exist_ok=True)
    (tmp_path / "profiles" / "half").mkdir()
    assert minikube.profiles(tmp_path) == ("minikube",)


def test_the_machines_address_stands_in_for_the_nodes(tmp_path: Path) -> None:
    shutil.copytree(PROFILES / "kvm2" / ".minikube", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "profiles" / "minikube" / "config.json"
    document = json.loads(path.read_text())
    document["Nodes"][0]["IP"] = ""
    path.write_text(json.dumps(document))
    (node,) = minikube.nodes(tmp_path, "minikube")
    assert (node.address, node.source) == ("192.168.39.174", "minikube machine minikube")


def test_no_profile_is_for_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        minikube.nodes(tmp_path, "minikube")


@pytest.mark.parametrize("name", ["../../etc", "a/b", "{{ x }}", "", "a\nb"])
def test_a_hostile_profile_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(StateError, match="no usable name"):
        minikube.nodes(tmp_path, name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"Driver": "docker", "No', "is not valid JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "is not a minikube profile"),
        ('{"Driver": "docker", "Nodes": []}', "is not a minikube profile"),
        ('{"Driver": 7, "Nodes": [{}]}', "is not a minikube profile"),
        ('{"Driver": "docker", "Nodes": [7]}', "has a node that is not one"),
        ('{"Driver": "docker", "Nodes": [{"Name": ""}, {"Name": "/../x"}]}', "has a node with an unusable name"),
        ('{"Driver": "docker", "Nodes": [{"Name": ""}, {"Name": "{{ x }}"}]}', "has a node with an unusable name"),
    ],
)
def test_a_broken_profile_is_told(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "profiles" / "p" / "config.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(StateError, match=says):
        minikube.nodes(tmp_path, "p")


def test_the_apis_nodes_get_driver_and_ssh_of_the_profiles() -> None:
    profile = nodes("kvm2")
    asked = minikube.Node("minikube", "192.168.39.174", "c", "v1.35.4", True, True, "API", "ready")
    other = minikube.Node("minikube", "192.168.39.9", "c", "v1.35.4", True, True, "API", "ready")
    (node,) = minikube.merged([asked], profile)
    assert (node.driver, node.ssh, node.kubernetes_version, node.state) == ("kvm2", profile[0].ssh, "v1.35.4", "ready")
    assert minikube.merged([other], profile) == (other,), "another address is another cluster's node"


def api(name: str, address: str) -> minikube.Node:
    return minikube.Node(name, address, "c", "v1.35.4", True, True, "API", "ready")


@pytest.mark.parametrize("driver", ["none", "native"])
def test_the_host_itself_is_one_node(driver: str) -> None:
    """Driver none: Kubernetes names the node as the host, minikube as the profile."""
    own = minikube.Node("minikube", "10.0.0.5", "minikube", "v1.20.2", True, True, "profile", driver=driver)
    (node,) = minikube.merged([api("buildhost", "10.0.0.5")], [own])
    assert (node.name, node.driver, node.state) == ("buildhost", driver, "ready")
    assert minikube.merged([api("buildhost", "10.0.0.9")], [own]) == (api("buildhost", "10.0.0.9"), own)


def test_what_the_api_has_not_is_added_once() -> None:
    first, second = nodes("two-node", "pair")
    assert [node.name for node in minikube.merged([api("pair", first.address)], (first, second))] == [
        "pair",
        "pair-m02",
    ]
    other = api("buildhost", second.address)
    assert [node.name for node in minikube.merged([other], (second,))] == ["buildhost", "pair-m02"], "not driver none"


@pytest.mark.parametrize(
    ("driver", "file", "content", "stopped"),
    [
        ("qemu2", "qemu.pid", "own", False),
        ("qemu2", "qemu.pid", "4194305", True),
        ("qemu2", "qemu.pid", None, True),
        ("hyperkit", "hyperkit.pid", "-1", True),
        ("vfkit", "vfkit.pid", "no number", False),
        ("krunkit", "krunkit.pid", "own", False),
        ("ssh", "qemu.pid", None, False),
        ("none", "qemu.pid", None, False),
    ],
)
def test_a_machine_that_is_a_program_is_stopped_without_it(
    tmp_path: Path, driver: str, file: str, content: str | None, stopped: bool
) -> None:
    folder = tmp_path / "machines" / "minikube"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / file).write_text(str(os.getpid()) if content == "own" else content)
    node = minikube.Node("minikube", "192.168.105.2", "minikube", "v1.35.0", True, True, "profile", driver=driver)
    assert minikube.stopped_program(tmp_path, node) is stopped


VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())


@given(
    config=st.dictionaries(st.sampled_from(["Driver", "VMDriver", "KubernetesConfig", "Nodes"]), VALUES)
    | st.fixed_dictionaries(
        {
            "Driver": st.just("docker"),
            "Nodes": st.lists(
                st.dictionaries(st.sampled_from(["Name", "IP", "ControlPlane", "KubernetesVersion"]), VALUES),
                max_size=3,
            ),
        }
    ),
    machine=VALUES
    | st.fixed_dictionaries({"Driver": st.dictionaries(st.sampled_from(["IPAddress", "SSHPort"]), VALUES)}),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_profile_is_nodes_or_one_error(tmp_path: Path, config: Any, machine: Any) -> None:
    for folder, document in (("profiles", config), ("machines", machine)):
        path = tmp_path / folder / "p" / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
    try:
        found = minikube.nodes(tmp_path, "p")
    except StateError as error:
        message = str(error)
    else:
        assert all(node.name and isinstance(node.address, str) for node in found)
        return
    assert message.isprintable()
