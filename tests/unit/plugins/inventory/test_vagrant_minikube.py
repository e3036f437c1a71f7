# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin as Ansible runs it: source file in, groups and variables out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ansible.plugins.inventory
import pytest
import yaml
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from ansible_collections.odoo_deploy.stack.plugins.inventory import vagrant_minikube as plugin_module
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import hosts as hosts_module

NAME = "odoo_deploy.stack.vagrant_minikube"
ROOT = Path(__file__).resolve().parents[4]
PROFILES = Path(__file__).resolve().parents[1] / "fixtures" / "minikube"
NODES = """
deployment: odoo
network: 192.168.99.0/24
suite: bookworm
machines:
  pg1: {address: 192.168.99.21, groups: [postgres_primary], memory: 1024, cpus: 2}
  pg2: {address: 192.168.99.22, groups: [postgres_replica], memory: 1024, cpus: 2}
  nginx1: {address: 192.168.99.31, groups: [nginx, edge], memory: 512, cpus: 2}
cluster: {name: minikube, address: 192.168.99.100}
"""


class Deployment:
    """A folder with a Vagrant project, its inventory folder, and what the plugin makes of them."""

    def __init__(self, project: Any, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project, self.engine = project, engine
        self.folder = project.folder / "inventory"
        self.folder.mkdir()
        self.nodes = self.folder / "nodes.yml"
        self.kubeconfig = project.folder / ".deploy" / "kubeconfig"
        self.warnings: list[str] = []
        monkeypatch.setattr(
            plugin_module.InventoryModule, "display", property(lambda _self: self, lambda *_args: None), raising=False
        )

    def warning(self, message: str, *_args: Any, **_named: Any) -> None:
        self.warnings.append(message)

    def vv(self, *_args: Any, **_named: Any) -> None:
        pass

    vvv = debug = v = vv

    def up(self, *names: str) -> None:
        """Machines as ``vagrant up`` leaves them."""
        declared = yaml.safe_load(NODES)["machines"]
        for number, name in enumerate(names):
            address = declared.get(name, {"address": "192.168.99.77"})["address"]
            self.engine.run(f"odoo-{name}", self.project.create(name), address, 2200 + number)

    def source(self, text: str = "", name: str = "demo.vagrant_minikube.yml") -> Path:
        path = self.folder / name
        path.write_text(f"plugin: {NAME}\n{text}")
        return path

    def parse(self, text: str = "", cache: bool = True, **extra: Any) -> InventoryData:
        """Run the plugin on a source file of these options."""
        return self.run(self.source(text), cache, **extra)

    def run(self, path: Path, cache: bool = True, **extra: Any) -> InventoryData:
        self.warnings.clear()
        inventory, loader = InventoryData(), DataLoader()
        plugin = inventory_loader.get(NAME)
        assert plugin.verify_file(str(path))
        with pytest.MonkeyPatch.context() as patch:
            if extra:
                patch.setattr(ansible.plugins.inventory, "load_extra_vars", lambda _loader: extra)
            plugin.parse(inventory, loader, str(path), cache)
        with suppress(AttributeError):  # as Ansible's inventory manager does: no cache, nothing to write
            plugin.update_cache_if_changed()
        inventory.reconcile_inventory()
        return inventory


def members(inventory: InventoryData, group: str) -> set[str]:
    return {host.name for host in inventory.groups[group].get_hosts()}


def variables(inventory: InventoryData, host: str) -> dict[str, Any]:
    return dict(inventory.hosts[host].vars)


@pytest.fixture
def deployment(project: Any, engine: Any, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    made = Deployment(project, engine, monkeypatch)
    made.nodes.write_text(NODES)
    return made


# Groups and variables


def test_before_anything_exists_groups_are_empty_and_nothing_is_said(deployment: Deployment) -> None:
    deployment.engine.close()
    inventory = deployment.parse()
    for group in ("machines", "kubernetes", "postgres", "postgres_primary", "postgres_replica", "nginx", "edge"):
        assert members(inventory, group) == set()
    assert deployment.warnings == []
    assert deployment.engine.requests == []


DECLARED = {
    "deployment_name": "odoo",
    "deployment_network": "192.168.99.0/24",
    "deployment_suite": "bookworm",
    "deployment_machines_declared": {
        "pg1": {"address": "192.168.99.21", "groups": ["postgres_primary"], "memory": 1024, "cpus": 2},
        "pg2": {"address": "192.168.99.22", "groups": ["postgres_replica"], "memory": 1024, "cpus": 2},
        "nginx1": {"address": "192.168.99.31", "groups": ["nginx", "edge"], "memory": 512, "cpus": 2},
    },
    "deployment_groups_declared": {
        "postgres_primary": ["pg1"],
        "postgres_replica": ["pg2"],
        "nginx": ["nginx1"],
        "edge": ["nginx1"],
    },
    "deployment_cluster_declared": {"name": "minikube", "address": "192.168.99.100"},
}


@pytest.mark.parametrize("running", [(), ("pg1",), ("pg1", "pg2", "nginx1")])
def test_what_is_declared_is_a_variable_of_all_hosts(deployment: Deployment, running: tuple[str, ...]) -> None:
    """Whether or not the machines exist, in the order of the file."""
    deployment.up(*running)
    declared = deployment.parse().groups["all"].vars
    assert declared == DECLARED
    assert list(declared["deployment_machines_declared"]) == ["pg1", "pg2", "nginx1"]


def test_a_cluster_that_is_not_declared_is_empty(deployment: Deployment) -> None:
    deployment.nodes.write_text(NODES[: NODES.index("cluster:")])
    assert deployment.parse().groups["all"].vars["deployment_cluster_declared"] == {}


def test_without_a_nodes_file_nothing_is_declared(deployment: Deployment) -> None:
    deployment.nodes.unlink()
    assert deployment.parse().groups["all"].vars == {}


def test_a_machine_gets_its_groups_its_connection_and_its_address(deployment: Deployment) -> None:
    deployment.up("pg1", "pg2", "nginx1")
    inventory = deployment.parse()
    assert members(inventory, "machines") == {"pg1", "pg2", "nginx1"}
    assert members(inventory, "postgres") == {"pg1", "pg2"}
    assert members(inventory, "postgres_primary") == {"pg1"}
    assert members(inventory, "edge") == members(inventory, "nginx") == {"nginx1"}
    key = deployment.project.state / "machines" / "pg2" / "docker" / "private_key"
    assert variables(inventory, "pg2") | {"vagrant_minikube_id": ""} == {
        "inventory_file": None,
        "inventory_dir": None,
        "ansible_host": "127.0.0.1",
        "ansible_port": 2201,
        "ansible_user": "vagrant",
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no"
        " -o PasswordAuthentication=no -o IdentitiesOnly=yes -o LogLevel=ERROR",
        "vagrant_minikube_address": "192.168.99.22",
        "vagrant_minikube_box": "",
        "vagrant_minikube_id": "",
        "vagrant_minikube_kind": "machine",
        "vagrant_minikube_project": str(deployment.project.folder),
        "vagrant_minikube_provider": "docker",
        "vagrant_minikube_state": "running",
        "vagrant_minikube_sources": {
            "ansible_host": "docker port binding of 22/tcp",
            "ansible_ssh_private_key_file": "vagrant state",
            "vagrant_minikube_address": "docker network vagrant_network",
        },
    }
    assert deployment.warnings == []
    assert len(deployment.engine.requests) == 1, "one call for all machines"


def test_hosts_come_in_the_nodes_files_order(deployment: Deployment) -> None:
    deployment.up("nginx1", "pg2", "pg1")
    assert list(deployment.parse().hosts) == ["pg1", "pg2", "nginx1"]


def test_the_projects_own_source_names_the_peer_address(deployment: Deployment) -> None:
    deployment.up("pg1")
    source = deployment.folder / "demo.vagrant_minikube.yml"
    shutil.copy(ROOT / "inventory" / "demo.vagrant_minikube.yml", source)
    assert variables(deployment.run(source), "pg1")["peer_address"] == "192.168.99.21"


def test_without_a_nodes_file_all_machines_are_listed(deployment: Deployment) -> None:
    deployment.nodes.unlink()
    deployment.up("pg1", "other")
    inventory = deployment.parse()
    assert members(inventory, "machines") == {"pg1", "other"}
    assert members(inventory, "postgres_primary") == set()
    assert deployment.warnings == []


def test_static_groups_are_the_users_to_choose(deployment: Deployment) -> None:
    inventory = deployment.parse("static_groups: {web: [blue, green], machines: []}")
    assert {group.name for group in inventory.groups["web"].child_groups} == {"blue", "green"}
    assert "kubernetes" not in inventory.groups


def test_constructed_options_work(deployment: Deployment) -> None:
    deployment.up("pg1", "nginx1")
    inventory = deployment.parse(
        "compose: {peer_address: vagrant_minikube_address}\n"
        "groups: {databases: inventory_hostname.startswith('pg')}\n"
        "keyed_groups: [{key: vagrant_minikube_provider, prefix: provider}]\n"
        "strict: false\n"
    )
    assert members(inventory, "provider_docker") == {"pg1", "nginx1"}
    assert variables(inventory, "pg1")["peer_address"] == "192.168.99.21"
    with pytest.raises(AnsibleError, match="Could not set x for host pg1"):
        deployment.parse("compose: {x: no_such_variable}\nstrict: true")


# What is left out


def test_a_stopped_machine_is_left_out_with_one_warning_naming_it(deployment: Deployment) -> None:
    deployment.up("pg1", "pg2", "nginx1")
    deployment.engine.stop(deployment.engine.containers[1]["Id"])
    inventory = deployment.parse()
    assert members(inventory, "machines") == {"pg1", "nginx1"}
    assert deployment.warnings == [f"{NAME}: left out: pg2 (its container is exited: vagrant up starts it)"]


def test_it_is_kept_or_fatal_on_request(deployment: Deployment) -> None:
    deployment.up("pg1", "pg2")
    deployment.engine.stop(deployment.engine.containers[1]["Id"], "paused")
    inventory = deployment.parse("unavailable: keep")
    assert variables(inventory, "pg2")["vagrant_minikube_state"] == "paused"
    assert variables(inventory, "pg2")["vagrant_minikube_address"] == "192.168.99.22"
    assert deployment.warnings == []
    for option in ("unavailable: fail", "strict: true"):
        with pytest.raises(AnsibleParserError, match=r"left out: pg2 \(its container is paused"):
            deployment.parse(option)
    assert members(deployment.parse("strict: true\nunavailable: omit"), "machines") == {"pg1"}


def test_every_reason_is_in_the_one_warning(deployment: Deployment) -> None:
    deployment.up("pg1", "pg2", "stranger")
    deployment.engine.containers = deployment.engine.containers[:1] + deployment.engine.containers[2:]
    deployment.project.create("nginx1", identifier="preparing")
    inventory = deployment.parse()
    assert members(inventory, "machines") == {"pg1"}
    (warning,) = deployment.warnings
    assert "pg2 (the docker engine does not know its container" in warning
    assert "nginx1 (Vagrant is still creating it)" in warning
    assert f"stranger (not in {deployment.nodes}: add it there, or destroy it)" in warning


def test_an_engine_that_is_down_leaves_its_machines_out_and_keeps_the_others(
    deployment: Deployment, program: Callable[[str, str], Path]
) -> None:
    deployment.up("pg1", "pg2")
    deployment.engine.close()
    (Path(deployment.engine.url.removeprefix("unix://"))).unlink()
    identifier = deployment.project.create("nginx1", "virtualbox")
    program("VBoxManage", f"printf 'Name:  nginx1\\nUUID:  {identifier}\\nState:  running (since x)\\n'")
    inventory = deployment.parse()
    assert members(inventory, "machines") == {"nginx1"}
    (warning,) = deployment.warnings
    assert warning.startswith(f"{NAME}: left out: pg1, pg2 (the docker engine at unix://")
    assert warning.endswith("start it, or set docker_host)")
    kept = deployment.parse("unavailable: keep")
    assert variables(kept, "pg1")["ansible_host"] == "192.168.99.21", "the declared address"
    assert variables(kept, "pg1")["vagrant_minikube_state"] == "unknown"


def test_a_hostile_name_is_never_a_host(deployment: Deployment) -> None:
    deployment.nodes.unlink()
    deployment.project.create("{{ lookup('pipe', 'touch x') }}\n", identifier="1f")
    deployment.up("pg1")
    for option in ("", "unavailable: keep"):
        assert set(deployment.parse(option).hosts) == {"pg1"}
    deployment.parse()
    assert "touch x') }}\\n (its name cannot be" in deployment.warnings[0]
    assert "\n" not in deployment.warnings[0]


def test_a_machine_of_two_providers_is_the_one_that_runs(
    deployment: Deployment, program: Callable[[str, str], Path]
) -> None:
    deployment.up("pg1")
    deployment.engine.stop(deployment.engine.containers[0]["Id"])
    identifier = deployment.project.create("pg1", "virtualbox")
    program("VBoxManage", f"printf 'Name:  pg1\\nUUID:  {identifier}\\nState:  running (since x)\\n'")
    inventory = deployment.parse()
    assert variables(inventory, "pg1")["vagrant_minikube_provider"] == "virtualbox"
    assert "pg1 is there twice: virtualbox in" in deployment.warnings[0]
    assert (
        variables(deployment.parse("limit_providers: [docker]\nunavailable: keep"), "pg1")["vagrant_minikube_provider"]
        == "docker"
    )
    assert deployment.warnings == []


# Addresses


def test_the_order_of_addresses_is_the_users(deployment: Deployment) -> None:
    deployment.up("pg1")
    deployment.engine.containers[0]["NetworkSettings"]["Networks"]["vagrant_network"]["IPAddress"] = "192.168.99.88"
    assert variables(deployment.parse(), "pg1")["vagrant_minikube_address"] == "192.168.99.88"
    told = variables(deployment.parse("address_order: [declared, docker]"), "pg1")
    assert told["vagrant_minikube_address"] == "192.168.99.21"
    assert told["vagrant_minikube_sources"]["vagrant_minikube_address"] == str(deployment.nodes)
    with pytest.raises(AnsibleError, match="address_order"):
        deployment.parse("address_order: [telepathy]")


def test_virtualbox_machines_come_from_one_listing(deployment: Deployment, program: Callable[[str, str], Path]) -> None:
    first, second = (deployment.project.create(name, "virtualbox") for name in ("pg1", "pg2"))
    deployment.project.index("pg1", "virtualbox")
    rule = "NIC 1 Rule(0):   name = ssh, protocol = tcp, host ip = 127.0.0.1, host port = 2200, guest port = 22"
    log = program(
        "VBoxManage",
        f'case "$1" in list) cat <<E\nName:  a\nUUID:  {first}\nState:  running (since x)\n{rule}\n'
        f"Name:  b\nUUID:  {second}\nState:  powered off (since x)\nE\n;;\n"
        "*) echo \"/VirtualBox/GuestInfo/Net/1/V4/IP = '192.168.99.91' @ x\";; esac",
    )
    inventory = deployment.parse()
    told = variables(inventory, "pg1")
    assert (told["ansible_host"], told["ansible_port"]) == ("127.0.0.1", 2200)
    assert told["vagrant_minikube_address"] == "192.168.99.21"
    assert told["vagrant_minikube_box"] == "debian/bookworm64 12.20250126.1"
    assert log.read_text().splitlines() == ["list --long vms"]
    assert "pg2 (it is powered off: vagrant up starts it)" in deployment.warnings[0]
    told = variables(deployment.parse("address_order: [guestproperty]"), "pg1")
    assert told["vagrant_minikube_address"] == "192.168.99.91"
    assert told["vagrant_minikube_sources"]["vagrant_minikube_address"] == "VBoxManage guestproperty"


def test_libvirt_machines_get_their_lease(deployment: Deployment, program: Callable[[str, str], Path]) -> None:
    identifier = deployment.project.create("pg1", "libvirt")
    lease = "vnet0 52:54:00:0d:11:c2 ipv4 192.168.99.92/24"
    program("virsh", f'case "$*" in *domifaddr*) echo " {lease}";; *) echo {identifier};; esac')
    told = variables(deployment.parse("address_order: [lease, declared]"), "pg1")
    assert told["vagrant_minikube_address"] == told["ansible_host"] == "192.168.99.92"
    assert told["ansible_port"] == 22
    assert told["vagrant_minikube_sources"]["vagrant_minikube_address"] == "libvirt lease"


def test_a_missing_hypervisor_is_told(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    deployment.project.create("pg1", "virtualbox")
    deployment.project.create("pg2", "libvirt")
    deployment.parse()
    assert deployment.warnings == [f"{NAME}: left out: pg1 (VBoxManage is not installed); pg2 (virsh is not installed)"]


# Options and paths


def test_the_environment_names_another_nodes_file_and_state(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "n.yml").write_text(NODES.replace("pg1", "db1"))
    deployment.project.state = other / "state"
    deployment.up("db1")
    monkeypatch.setenv("ODOO_DEPLOY_NODES", "n.yml")
    monkeypatch.setenv("VAGRANT_DOTFILE_PATH", str(other / "state"))
    monkeypatch.chdir(other)
    inventory = deployment.parse()
    assert members(inventory, "postgres_primary") == {"db1"}
    assert deployment.warnings == []


def test_vagrant_cwd_names_the_project(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = tmp_path / "far" / "inventory"
    far.mkdir(parents=True)
    shutil.copy(deployment.nodes, far)
    deployment.up("pg1")
    deployment.folder = far
    assert members(deployment.parse(), "machines") == set()
    monkeypatch.setenv("VAGRANT_CWD", str(deployment.project.folder))
    assert members(deployment.parse(), "machines") == {"pg1"}


def test_several_projects_are_joined(deployment: Deployment, tmp_path: Path, home: Path) -> None:
    from copy import copy

    second = copy(deployment.project)
    second.folder = tmp_path / "second"
    second.state = second.folder / "state"
    second.folder.mkdir()
    deployment.up("pg1")
    first, deployment.project = deployment.project, second
    deployment.up("pg2")
    deployment.project = first
    shutil.move(second.state, second.folder / ".vagrant")
    inventory = deployment.parse("vagrant_projects: [.., ../../second]")
    assert members(inventory, "machines") == {"pg1", "pg2"}
    assert deployment.warnings == []


def test_an_options_template_sees_extra_variables(deployment: Deployment) -> None:
    deployment.nodes.rename(deployment.folder / "stage.nodes.yml")
    deployment.up("pg1")
    inventory = deployment.parse("nodes_file: \"{{ stage | default('none') }}.nodes.yml\"", stage="stage")
    assert members(inventory, "postgres_primary") == {"pg1"}
    with pytest.raises(AnsibleParserError, match=r"there is no .*none\.nodes\.yml"):
        deployment.parse("nodes_file: \"{{ stage | default('none') }}.nodes.yml\"")


def test_a_template_in_the_environment_is_only_text(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODOO_DEPLOY_NODES", f"{{{{ lookup('pipe', 'touch {tmp_path}/made') }}}}")
    with pytest.raises(AnsibleParserError, match="there is no"):
        deployment.parse()
    assert not (tmp_path / "made").exists()


def test_what_is_wrong_with_the_nodes_file_is_one_error(deployment: Deployment) -> None:
    deployment.nodes.write_text(NODES + "colour: red\n")
    with pytest.raises(AnsibleParserError, match=r"nodes\.yml: colour: unknown key\. Known here: deployment, network"):
        deployment.parse()


@pytest.mark.parametrize("port", ["0", "70000", "http", "true"])
def test_a_node_port_that_is_none_is_an_error(deployment: Deployment, port: str) -> None:
    with pytest.raises(AnsibleParserError, match=r"node_ports\.odoo: .* is not a port"):
        deployment.parse(f"node_ports: {{odoo: {port}}}")


def test_only_files_of_its_name_are_taken(deployment: Deployment) -> None:
    plugin = inventory_loader.get(NAME)
    for name, taken in (("a.vagrant_minikube.yml", True), ("vagrant_minikube.yaml", True), ("hosts.yml", False)):
        assert plugin.verify_file(str(deployment.source(name=name))) is taken
    assert not plugin.verify_file(str(deployment.folder / "none.vagrant_minikube.yml"))


def test_ssh_config_is_asked_on_request_only(deployment: Deployment, program: Callable[[str, str], Path]) -> None:
    deployment.up("pg1", "pg2")
    deployment.engine.stop(deployment.engine.containers[1]["Id"])
    log = program(
        "vagrant", "printf 'Host pg1\\n  HostName 10.1.1.1\\n  User debian\\n  Port 2022\\n  IdentityFile /k\\n'"
    )
    deployment.parse()
    assert not log.exists()
    told = variables(deployment.parse("ssh_config: true"), "pg1")
    assert log.read_text() == "ssh-config pg1\n", "not the stopped one, which would make it fail for all"
    assert (told["ansible_host"], told["ansible_port"], told["ansible_user"]) == ("10.1.1.1", 2022, "debian")
    assert told["ansible_ssh_private_key_file"] == "/k"
    assert told["vagrant_minikube_sources"]["ansible_host"] == "vagrant ssh-config"
    program("vagrant", "echo broken >&2; exit 1")
    told = variables(deployment.parse("ssh_config: true"), "pg1")
    assert told["ansible_port"] == 2200
    assert "failed: broken; Vagrant's files are used instead" in deployment.warnings[0]


# Kubernetes


def test_nodes_of_the_deployments_cluster(deployment: Deployment, api: Any) -> None:
    api.add("minikube", "192.168.99.100")
    api.kubeconfig(deployment.kubeconfig)
    deployment.up("pg1")
    inventory = deployment.parse("node_ports: {odoo: 32242}\ncompose: {peer_address: vagrant_minikube_address}")
    assert members(inventory, "kubernetes") == {"minikube"}
    assert members(inventory, "machines") == {"pg1"}
    told = variables(inventory, "minikube")
    assert told["peer_address"] == told["ansible_host"] == "192.168.99.100"
    assert told["vagrant_minikube_node_port_urls"] == {"odoo": "http://192.168.99.100:32242"}
    assert told["vagrant_minikube_kubernetes_version"] == "v1.35.4"
    assert told["vagrant_minikube_kind"] == "node"
    assert told["vagrant_minikube_sources"]["vagrant_minikube_address"] == "Kubernetes API, context admin@odoo"
    assert "ansible_user" not in told, "no ssh target"


def test_a_cluster_that_does_not_answer_is_left_out_by_its_declared_name(
    deployment: Deployment, api: Any, free_port: int
) -> None:
    api.kubeconfig(deployment.kubeconfig, server=f"https://127.0.0.1:{free_port}")
    assert members(deployment.parse(), "kubernetes") == set()
    (warning,) = deployment.warnings
    assert "left out: minikube (the cluster of context admin@odoo at https://127.0.0.1:" in warning
    told = variables(deployment.parse("unavailable: keep"), "minikube")
    assert told["vagrant_minikube_address"] == "192.168.99.100"
    with pytest.raises(AnsibleParserError, match="left out: minikube"):
        deployment.parse("unavailable: fail")


def test_a_cluster_whose_container_is_stopped_is_not_waited_for(deployment: Deployment, api: Any) -> None:
    deployment.engine.run("odoo-minikube", "f" * 64, "192.168.99.100", State="exited")
    api.kubeconfig(deployment.kubeconfig, server="https://192.168.99.100:6443")
    deployment.parse()
    assert "minikube (odoo-minikube, container of the API server" in deployment.warnings[0]


def test_a_node_with_a_machines_name_does_not_take_its_place(deployment: Deployment, api: Any) -> None:
    api.add("pg1", "192.168.99.21")
    api.kubeconfig(deployment.kubeconfig)
    deployment.up("pg1")
    inventory = deployment.parse()
    assert variables(inventory, "pg1")["vagrant_minikube_kind"] == "machine"
    assert members(inventory, "kubernetes") == set()
    assert "the Kubernetes node pg1 has the name of a machine" in deployment.warnings[0]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("docker", {"minikube": "192.168.49.2"}),
        ("virtualbox", {"minikube": "192.168.99.100"}),
        ("kvm2", {"minikube": "192.168.39.174"}),
        ("two-node", {"pair": "192.168.50.10", "pair-m02": "192.168.50.11"}),
    ],
)
def test_profiles_asked_for_are_listed(deployment: Deployment, case: str, expected: dict[str, str]) -> None:
    inventory = deployment.parse(
        f"minikube_home: {PROFILES / case}\nminikube_profiles: ['*']\nnode_ports: {{odoo: 32242}}"
    )
    assert {name: variables(inventory, name)["vagrant_minikube_address"] for name in inventory.hosts} == expected
    assert members(inventory, "kubernetes") == set(expected)
    assert deployment.warnings == []


def test_minikube_nodes_are_ssh_targets(deployment: Deployment) -> None:
    told = variables(deployment.parse(f"minikube_home: {PROFILES / 'virtualbox'}"), "minikube")
    assert (told["ansible_host"], told["ansible_port"], told["ansible_user"]) == ("127.0.0.1", 43517, "docker")
    assert told["ansible_ssh_private_key_file"].endswith("/machines/minikube/id_rsa")


def test_a_profile_of_the_same_name_at_another_address_is_not_ours(deployment: Deployment) -> None:
    assert members(deployment.parse(f"minikube_home: {PROFILES / 'kvm2'}"), "kubernetes") == set()
    assert deployment.warnings == []


def test_a_profile_with_the_deployments_name_is_its_own(deployment: Deployment, tmp_path: Path) -> None:
    """A stopped one is named as itself, not as the list's cluster."""
    home = tmp_path / "mini" / ".minikube"
    for folder in ("profiles", "machines"):
        shutil.copytree(PROFILES / "virtualbox" / ".minikube" / folder / "minikube", home / folder / "odoo")
    assert members(deployment.parse(f"minikube_home: {tmp_path / 'mini'}"), "kubernetes") == {"odoo"}


def test_a_stopped_container_of_minikube_is_left_out(deployment: Deployment) -> None:
    options = f"minikube_home: {PROFILES / 'docker'}\nminikube_profiles: [minikube]"
    deployment.engine.run("minikube", "e" * 64, "192.168.49.2", 32772)
    told = variables(deployment.parse(options), "minikube")
    assert (told["ansible_host"], told["ansible_port"]) == ("127.0.0.1", 32772)
    deployment.engine.stop("e" * 64)
    assert members(deployment.parse(options), "kubernetes") == set()
    assert "minikube (its container is exited)" in deployment.warnings[0]


VIRSH = """case "$*" in *--all) printf 'other\\n{all}\\n';; *) printf 'other\\n{running}\\n';; esac"""
VBOX = "printf 'Name:  {all}\\nUUID:  00000000-0000-4000-8000-000000000001\\nState:  {state} (since x)\\n'"


@pytest.mark.parametrize(
    ("case", "name", "script", "problem"),
    [
        ("kvm2", "virsh", VIRSH.format(all="minikube", running="minikube"), ""),
        ("kvm2", "virsh", VIRSH.format(all="minikube", running=""), "its machine is shut off"),
        ("kvm2", "virsh", VIRSH.format(all="", running=""), "its machine is gone"),
        ("kvm2", "virsh", "exit 1", ""),
        ("virtualbox", "VBoxManage", VBOX.format(all="minikube", state="running"), ""),
        ("virtualbox", "VBoxManage", VBOX.format(all="minikube", state="powered off"), "its machine is powered off"),
        ("virtualbox", "VBoxManage", VBOX.format(all="other", state="running"), "its machine is gone"),
    ],
)
def test_a_stopped_virtual_machine_of_minikube_is_left_out(
    deployment: Deployment, program: Callable[[str, str], Path], case: str, name: str, script: str, problem: str
) -> None:
    """With the reason and the cure; one whose hypervisor gives no answer stays."""
    log = program(name, script)
    options = f"minikube_home: {PROFILES / case}\nminikube_profiles: [minikube]\n"
    assert members(deployment.parse(options), "kubernetes") == (set() if problem else {"minikube"})
    expected = f"left out: minikube ({problem}: minikube start -p minikube)"
    assert [expected in warning for warning in deployment.warnings] == ([True] if problem else [])
    assert log.exists()
    if problem:
        assert members(deployment.parse(f"{options}unavailable: keep\n"), "kubernetes") == {"minikube"}


def test_a_machine_whose_node_the_api_names_is_not_asked_for(
    deployment: Deployment, api: Any, program: Callable[[str, str], Path]
) -> None:
    log = program("VBoxManage", "exit 1")
    api.add("minikube", "192.168.99.100")
    api.kubeconfig(deployment.kubeconfig)
    inventory = deployment.parse(f"minikube_home: {PROFILES / 'virtualbox'}\n")
    assert variables(inventory, "minikube")["vagrant_minikube_driver"] == "virtualbox"
    assert not log.exists()


def test_driver_none_is_one_host(deployment: Deployment, api: Any, tmp_path: Path) -> None:
    """The API calls the node as the host is called, the profile as itself."""
    corpus = PROFILES.parents[1] / "corpus" / "minikube" / "1.20-none.json"
    profile = tmp_path / "mini" / ".minikube" / "profiles" / "minikube"
    profile.mkdir(parents=True)
    (profile / "config.json").write_text(json.dumps(json.loads(corpus.read_text())["config"]))
    api.add("buildhost", "10.0.0.5")
    api.kubeconfig(deployment.kubeconfig)
    inventory = deployment.parse(f"minikube_home: {tmp_path / 'mini'}\nminikube_profiles: [minikube]\n")
    assert members(inventory, "kubernetes") == {"buildhost"}
    assert variables(inventory, "buildhost")["vagrant_minikube_driver"] == "none"


def test_profiles_that_are_not_there_or_broken_are_told(deployment: Deployment, tmp_path: Path) -> None:
    broken = tmp_path / "mini" / ".minikube" / "profiles" / "broken"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text('{"Name"')
    deployment.parse(f"minikube_home: {tmp_path / 'mini'}\nminikube_profiles: [broken, none]")
    (warning,) = deployment.warnings
    assert "config.json is not valid JSON" in warning
    assert "there is no minikube profile none in" in warning


# Cache


def cache_options(deployment: Deployment) -> str:
    return f"cache: true\ncache_plugin: ansible.builtin.jsonfile\ncache_connection: {deployment.project.folder}/cache\n"


def test_a_clusters_answer_is_kept_until_something_changes(deployment: Deployment, api: Any) -> None:
    options = cache_options(deployment)
    api.add("minikube", "192.168.99.100")
    api.kubeconfig(deployment.kubeconfig)
    deployment.up("pg1")
    first = deployment.parse(options)
    second = deployment.parse(options)
    assert variables(first, "minikube") == variables(second, "minikube")
    assert len(api.requests) == 1, "the second time from the cache"
    assert len(deployment.engine.requests) == 2, "what runs is asked each time"

    deployment.parse(options, cache=False)
    assert len(api.requests) == 2, "meta: refresh_inventory asks anew"

    api.add("minikube-m02", "192.168.99.101")
    deployment.engine.run("odoo-minikube-m02", "c" * 64, "192.168.99.101")
    assert members(deployment.parse(options), "kubernetes") == {"minikube", "minikube-m02"}
    assert len(api.requests) == 3, "a container came to the network"

    os.utime(deployment.kubeconfig, ns=(1, 1))
    deployment.parse(options)
    assert len(api.requests) == 4, "the kubeconfig was written"

    deployment.nodes.write_text(NODES.replace("192.168.99.", "192.168.98.").replace("pg2", "pg3"))
    deployment.parse(options)
    assert len(api.requests) == 5, "another network"


def test_a_stopped_machine_is_seen_whatever_the_cache_holds(deployment: Deployment) -> None:
    options = cache_options(deployment)
    deployment.up("pg1", "pg2")
    assert members(deployment.parse(options), "machines") == {"pg1", "pg2"}
    deployment.engine.stop(deployment.engine.containers[0]["Id"])
    assert members(deployment.parse(options), "machines") == {"pg2"}
    deployment.engine.containers[1]["Ports"][0]["PublicPort"] = 2999
    assert variables(deployment.parse(options), "pg2")["ansible_port"] == 2999


def test_ssh_config_is_kept_until_vagrants_files_change(
    deployment: Deployment, program: Callable[[str, str], Path]
) -> None:
    options = cache_options(deployment) + "ssh_config: true\n"
    log = program("vagrant", "printf 'Host pg1\\n  HostName 10.1.1.1\\n  Port 2022\\n'")
    deployment.up("pg1")
    deployment.parse(options)
    assert variables(deployment.parse(options), "pg1")["ansible_host"] == "10.1.1.1"
    assert log.read_text().count("\n") == 1
    os.utime(deployment.project.state / "machines" / "pg1" / "docker" / "id", ns=(1, 1))
    deployment.parse(options)
    assert log.read_text().count("\n") == 2


def test_a_failure_is_never_kept(deployment: Deployment, api: Any) -> None:
    options = cache_options(deployment)
    api.kubeconfig(deployment.kubeconfig)
    api.status = 401
    deployment.parse(options)
    assert "refuses the kubeconfig's credentials" in deployment.warnings[0]
    api.status = 200
    api.add("minikube", "192.168.99.100")
    assert members(deployment.parse(options), "kubernetes") == {"minikube"}


def test_a_cache_holds_no_secret(deployment: Deployment, api: Any) -> None:
    api.add("minikube", "192.168.99.100")
    api.kubeconfig(deployment.kubeconfig, {"token": "s3cret"})
    deployment.up("pg1")
    deployment.parse(cache_options(deployment))
    (kept,) = (deployment.project.folder / "cache").iterdir()
    assert "s3cret" not in kept.read_text()
    assert "PRIVATE" not in kept.read_text()


def test_a_cache_of_another_shape_is_no_cache(deployment: Deployment, api: Any) -> None:
    api.add("minikube", "192.168.99.100")
    api.kubeconfig(deployment.kubeconfig)
    deployment.parse(cache_options(deployment))
    (kept,) = (deployment.project.folder / "cache").iterdir()
    document = json.loads(kept.read_text())
    if "__payload__" in document:  # ansible-core 2.19 and newer wrap what a plugin keeps
        broken = {key: [7] for key in json.loads(document["__payload__"])}
        kept.write_text(json.dumps({"__payload__": json.dumps(broken)}))
    else:
        kept.write_text(json.dumps({key: [7] for key in document}))
    assert members(deployment.parse(cache_options(deployment)), "kubernetes") == {"minikube"}


# Documentation, and a whole run


EXAMPLES = list(yaml.safe_load_all(plugin_module.EXAMPLES))


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_runs(
    deployment: Deployment,
    number: int,
    api: Any,
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: Callable[[str, str], Path],
) -> None:
    """Each example as it is printed, on a deployment with machines of two providers and a cluster."""
    options = dict(EXAMPLES[number])
    assert options.pop("plugin") == NAME
    for name in ("web", "database"):
        (deployment.project.folder / name).mkdir()
    shutil.copy(deployment.nodes, deployment.folder / "demo.nodes.yml")
    identifier = deployment.project.create("pg2", "virtualbox")
    others = "; ".join(
        f"printf 'Name:  {name}\\nUUID:  00000000-0000-4000-8000-00000000000{number}\\nState:  running (since x)\\n'"
        for number, name in enumerate(("minikube", "staging"))
    )
    program(
        "VBoxManage",
        f"case $1 in list) printf 'Name:  pg2\\nUUID:  {identifier}\\nState:  running (since x)\\n'; {others};;"
        " *) echo \"/VirtualBox/GuestInfo/Net/1/V4/IP = '192.168.99.22' @ x\";; esac",
    )
    deployment.up("pg1")
    api.add("minikube", "192.168.99.100")
    path = api.kubeconfig(home / ".kube" / "config")
    document = json.loads(path.read_text())
    document["contexts"].append({**document["contexts"][0], "name": "staging"})
    path.write_text(json.dumps(document))
    shutil.copytree(PROFILES / "virtualbox" / ".minikube", home / ".minikube")
    staging = home / ".minikube" / "profiles" / "staging"
    shutil.copytree(home / ".minikube" / "profiles" / "minikube", staging)
    if options.get("cache_connection"):
        options["cache_connection"] = str(tmp_path / "cache")
    inventory = deployment.parse(yaml.safe_dump(options) if options else "")
    assert deployment.warnings == []
    if "limit_providers" not in options:
        assert members(inventory, "machines") == {"pg1", "pg2"}
    if "compose" in options:
        assert variables(inventory, "minikube")["peer_address"] == "192.168.99.100"
    if "keyed_groups" in options:
        assert members(inventory, "provider_virtualbox") == {"pg2"}
        assert members(inventory, "state_running") == {"pg1", "pg2"}
    if "minikube_profiles" in options:
        assert members(inventory, "control_plane") == {"minikube", "staging"}


def test_choices_of_the_documentation_are_the_codes() -> None:
    options = yaml.safe_load(plugin_module.DOCUMENTATION)["options"]
    assert options["address_order"]["choices"] == list(hosts_module.ADDRESS_SOURCES)
    assert options["limit_providers"]["choices"] == list(hosts_module.vagrant.PROVIDERS)


def test_templates_in_state_are_never_run(deployment: Deployment, home: Path) -> None:
    """A whole ansible run on state that is full of templates prints them as they are."""
    made = deployment.project.folder / "made"
    template = f"{{{{ lookup('ansible.builtin.pipe', 'touch {made}') }}}}"
    identifier = deployment.project.create("pg1")
    deployment.engine.run(
        "odoo-pg1", identifier, "192.168.99.21", State=template, Labels={template: template}, Names=[template]
    )
    networks = deployment.engine.containers[0]["NetworkSettings"]["Networks"]
    networks[template] = networks.pop("vagrant_network")
    header = "#jinja2: variable_start_string:'[[', variable_end_string:']]'\n"
    hidden = f"{header}[[ lookup('ansible.builtin.pipe', 'touch {made}') ]]"
    deployment.project.index("pg1", extra_data={"box": {"name": hidden, "version": ""}}, state=template)
    profile = home / ".minikube" / "profiles" / "minikube"
    shutil.copytree(PROFILES / "virtualbox" / ".minikube", home / ".minikube")
    document = json.loads((profile / "config.json").read_text())
    document["Driver"] = document["Nodes"][0]["KubernetesVersion"] = template
    (profile / "config.json").write_text(json.dumps(document))
    source = deployment.source(
        "unavailable: keep\ncompose: {copied: vagrant_minikube_box, driver: vagrant_minikube_driver}\n"
    )
    message = {"msg": "{{ hostvars[inventory_hostname] }} {{ copied | default('') }} {{ vagrant_minikube_state }}"}
    debug = ["-m", "ansible.builtin.debug", "-a", json.dumps(message)]
    shown = subprocess.run(
        [sys.executable, "-m", "ansible.cli.adhoc", "-i", str(source), "all", "-c", "local", *debug],
        env={**os.environ, "ANSIBLE_INVENTORY_ENABLED": NAME, "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr + shown.stdout
    assert shown.stdout.count("touch") >= 6, shown.stdout
    assert not made.exists()


def test_the_listing_is_json_that_any_program_reads(deployment: Deployment) -> None:
    deployment.up("pg1")
    listed = subprocess.run(
        [sys.executable, "-m", "ansible.cli.inventory", "-i", str(deployment.source()), "--list"],
        env={**os.environ, "ANSIBLE_INVENTORY_ENABLED": NAME},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(listed.stdout)["_meta"]["hostvars"]["pg1"]
    assert told["ansible_host"] == "127.0.0.1"
    assert told["vagrant_minikube_sources"]["vagrant_minikube_address"] == "docker network vagrant_network"
