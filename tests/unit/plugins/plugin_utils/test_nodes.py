# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodes.yml: what is accepted, and the one clear error for what is not."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import nodes
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[4]
PATH = Path("nodes.yml")


def document(**changes: Any) -> dict[str, Any]:
    return {
        "deployment": "odoo",
        "network": "192.168.99.0/24",
        "suite": "bookworm",
        "machines": {
            "pg1": {"address": "192.168.99.21", "groups": ["postgres_primary"], "memory": 1024, "cpus": 2},
            "pg2": {"address": "192.168.99.22", "groups": ["postgres_replica"], "memory": 1024, "cpus": 2},
        },
        "cluster": {"name": "minikube", "address": "192.168.99.100"},
    } | changes


def machine(**changes: Any) -> dict[str, Any]:
    fields = {"address": "192.168.99.21", "groups": ["nginx"], "memory": 512, "cpus": 1} | changes
    return document(machines={"web": {key: value for key, value in fields.items() if value is not ...}})


def parse(value: Any) -> nodes.Deployment:
    return nodes.parse(yaml.safe_dump(value, sort_keys=False), PATH)


def test_the_projects_own_file_is_valid() -> None:
    deployment = nodes.load(ROOT / "inventory" / "nodes.yml")
    assert {"pg1", "pg2", "nginx1", "nginx2"} <= set(deployment.addresses())
    assert deployment.groups()["postgres_primary"] == ("pg1",)


def test_a_file_becomes_dataclasses() -> None:
    deployment = parse(document())
    assert deployment.machines[0] == nodes.Machine("pg1", "192.168.99.21", ("postgres_primary",), 1024, 2)
    assert deployment.cluster == nodes.Cluster("minikube", "192.168.99.100")
    assert (deployment.name, deployment.network, deployment.suite) == ("odoo", "192.168.99.0/24", "bookworm")
    assert deployment.addresses() == {"pg1": "192.168.99.21", "pg2": "192.168.99.22"}


def test_a_cluster_is_optional() -> None:
    without = document()
    del without["cluster"]
    assert parse(without).cluster is None


@pytest.mark.parametrize(
    ("value", "key", "says"),
    [
        (document(colour="red"), "colour", "unknown key"),
        (machine(disk=10), "machines.web.disk", "unknown key"),
        (document(cluster={"name": "k", "address": "192.168.99.9", "x": 1}), "cluster.x", "unknown key"),
        ({key: value for key, value in document().items() if key != "network"}, "network", "is missing"),
        (machine(address=...), "machines.web.address", "is missing"),
        (machine(cpus=...), "machines.web.cpus", "is missing"),
        (document(cluster={"name": "k"}), "cluster.address", "is missing"),
        ([], "", "is a list, not a mapping"),
        (None, "", "is empty, not a mapping"),
        (document(machines=["pg1"]), "machines", "is a list, not a mapping"),
        (document(machines={"pg1": None}), "machines.pg1", "is empty, not a mapping"),
        (document(machines={True: {}}), "machines.True", "is a boolean"),
        (document(machines={"Pg1": {}}), "machines.Pg1", "is not valid"),
        (document(machines={"pg_1": {}}), "machines.pg_1", "is not valid"),
        (document(machines={"pg1\n": {}}), "machines.pg1\n", "is not valid"),
        (document(machines={"1pg": {}}), "machines.1pg", "is not valid"),
        (document(machines={"-pg": {}}), "machines.-pg", "is not valid"),
        (document(machines={"p" * 64: {}}), "machines." + "p" * 64, "is not valid"),
        (document(machines={"../pg": {}}), "machines.../pg", "is not valid"),
        (document(machines={"{{ pg }}": {}}), "machines.{{ pg }}", "is not valid"),
        (document(machines={"localhost": {}}), "machines.localhost", "is a reserved name"),
        (machine(groups="nginx"), "machines.web.groups", "is a string, not a list"),
        (machine(groups=["my-group"]), "machines.web.groups[0]", "is not valid"),
        (machine(groups=["a", 7]), "machines.web.groups[1]", "is a number"),
        (machine(groups=["all"]), "machines.web.groups[0]", "is filled by the inventory itself"),
        (machine(groups=["kubernetes"]), "machines.web.groups[0]", "is filled by the inventory itself"),
        (machine(groups=["web"]), "machines.web", "is also the name of a group"),
        (machine(memory="1G"), "machines.web.memory", "is a string"),
        (machine(memory=True), "machines.web.memory", "is a boolean"),
        (machine(memory=1.5), "machines.web.memory", "is a number (1.5), not a whole number"),
        (machine(memory=64), "machines.web.memory", "64 is too small"),
        (machine(cpus=0), "machines.web.cpus", "0 is too small"),
        (machine(address="192.168.98.21"), "machines.web.address", "is outside the network 192.168.99.0/24"),
        (machine(address="192.168.99.0"), "machines.web.address", "is the network's own address"),
        (machine(address="192.168.99.255"), "machines.web.address", "is the network's broadcast address"),
        (machine(address="192.168.99.1"), "machines.web.address", "is the provider's gateway address"),
        (machine(address="192.168.99.300"), "machines.web.address", "is not an IPv4 address"),
        (machine(address=3232261913), "machines.web.address", "is a number, not a string"),
        (
            document(cluster={"name": "k", "address": "192.168.99.21"}),
            "cluster.address",
            "also the address of machines.pg1",
        ),
        (document(cluster={"name": "pg1", "address": "192.168.99.9"}), "cluster.name", "is also a machine"),
        (document(cluster={"name": "postgres_primary", "address": "192.168.99.9"}), "cluster.name", "is not valid"),
        (document(cluster={"name": "kubernetes", "address": "192.168.99.9"}), "cluster.name", "a reserved name"),
        (document(network="192.168.99.0"), "network", "has no prefix length"),
        (document(network="192.168.99.7/24"), "network", "is not the network's own address"),
        (document(network="fd00::/64"), "network", "is not an IPv4 network"),
        (document(network="192.168.99.0/31"), "network", "has no room"),
        (document(network="127.0.0.0/8"), "network", "is not a network for machines"),
        (document(network=24), "network", "is a number, not a string"),
        (document(deployment="Odoo"), "deployment", "is not valid"),
        (document(deployment="o" * 33), "deployment", "is not valid"),
        (document(suite="book worm"), "suite", "is not valid"),
    ],
)
def test_what_is_wrong_is_told_with_path_key_and_remedy(value: Any, key: str, says: str) -> None:
    with pytest.raises(nodes.NodesError) as caught:
        parse(value)
    error = caught.value
    assert (error.path, error.key) == (PATH, key)
    assert says in error.problem
    assert str(error).startswith("nodes.yml: ")
    assert error.remedy.endswith((".", "?"))
    assert str(error).endswith(error.remedy)


def test_two_machines_with_one_address_are_told_apart() -> None:
    value = document()
    value["machines"]["pg2"]["address"] = "192.168.99.21"
    with pytest.raises(
        nodes.NodesError, match=r"machines\.pg2\.address: .* is also the address of machines\.pg1\.address"
    ):
        parse(value)


def test_a_key_given_twice_is_an_error() -> None:
    text = yaml.safe_dump(document(), sort_keys=False) + "deployment: other\n"
    with pytest.raises(nodes.NodesError, match=r"line \d+, column 1: the key 'deployment' is there twice"):
        nodes.parse(text, PATH)


def test_broken_yaml_names_the_line() -> None:
    with pytest.raises(nodes.NodesError, match=r"is not valid YAML \(line 2, column \d+: "):
        nodes.parse("deployment: odoo\nmachines: [}", PATH)


DEEP = ["[" * 100_000 + "]" * 100_000, "- " * 100_000 + "x", "{a: " * 100_000]


@pytest.mark.parametrize("text", DEEP)
def test_nesting_that_would_end_the_process_is_an_error(text: str) -> None:
    """With the PyYAML that is installed, whichever it is."""
    with pytest.raises(nodes.NodesError, match="it is nested deeper than 100 levels"):
        nodes.parse(text, PATH)


@pytest.mark.parametrize("step", ["parse", "load"])
@pytest.mark.parametrize("text", DEEP)
def test_nesting_that_the_scanner_refuses(text: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML 6.0.4 and later, before the first event or while it loads."""

    def refuse(*_arguments: Any, **_options: Any) -> NoReturn:
        mark = yaml.Mark("nodes.yml", 1000, 0, 1000, None, None)
        raise yaml.scanner.ScannerError("while increasing flow level", mark, "exceeded maximum nesting depth", mark)

    if step == "load":
        monkeypatch.setattr(nodes.yaml, "parse", lambda *_arguments, **_options: iter(()))
    monkeypatch.setattr(nodes.yaml, step, refuse)
    with pytest.raises(nodes.NodesError, match=r"is not valid YAML \(it is nested deeper than 100 levels\)"):
        nodes.parse(text, PATH)


@pytest.mark.parametrize("text", DEEP)
def test_nesting_that_nobody_refuses(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML up to 6.0.3: levels are counted before the C loader, which would end the process, sees them."""

    def events(*_arguments: Any, **_options: Any) -> Iterator[yaml.Event]:
        for _level in range(100_000):
            yield yaml.SequenceStartEvent(None, None, True)

    monkeypatch.setattr(nodes.yaml, "parse", events)
    monkeypatch.setattr(nodes.yaml, "load", lambda *_arguments, **_options: pytest.fail("was loaded"))
    with pytest.raises(nodes.NodesError, match="it is nested deeper than 100 levels"):
        nodes.parse(text, PATH)


def test_nesting_that_the_loader_in_python_cannot_follow() -> None:
    """PyYAML without its C part recurses, a few calls a level."""
    with pytest.raises(ValueError, match="it is nested deeper than 100 levels"):
        nodes.load_yaml("[" * 900 + "]" * 900, yaml.SafeLoader)


def test_what_the_scanner_refuses_otherwise_keeps_its_place() -> None:
    with pytest.raises(nodes.NodesError, match=r"line 1, column 13: found character .*cannot start any token"):
        nodes.parse("deployment: @", PATH)


def test_many_machines_are_not_deep() -> None:
    machines = {
        f"vm{number}": {"address": f"10.1.{number // 200}.{number % 200 + 2}", "groups": [], "memory": 128, "cpus": 1}
        for number in range(3000)
    }
    text = f"{{deployment: d, network: 10.1.0.0/16, suite: trixie, machines: {machines!r}}}"
    assert len(nodes.parse(text, PATH).machines) == 3000


def test_a_date_that_is_none_is_an_error() -> None:
    with pytest.raises(nodes.NodesError, match=r"is not valid YAML \(month must be in 1\.\.12\)"):
        nodes.parse("deployment: 2001-99-99", PATH)


def test_python_objects_are_not_made(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with pytest.raises(nodes.NodesError, match="is not valid YAML"):
        nodes.parse(f"!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{target}]]", PATH)
    assert not target.exists()


def test_a_file_that_is_not_there_is_for_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        nodes.load(tmp_path / "nodes.yml")


def test_a_folder_in_the_files_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(nodes.NodesError, match="cannot be read"):
        nodes.load(tmp_path)


def test_a_huge_file_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "nodes.yml").write_bytes(b"#" * (5 * 1024 * 1024))
    with pytest.raises(nodes.NodesError, match="is larger than 4 MiB"):
        nodes.load(tmp_path / "nodes.yml")


def test_repeated_groups_count_once() -> None:
    assert parse(machine(groups=["nginx", "nginx", "cache"])).groups() == {"nginx": ("web",), "cache": ("web",)}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_document_is_a_deployment_or_one_error(value: Any) -> None:
    with pytest.raises(nodes.NodesError):
        parse(value)


@given(st.binary(max_size=300))
def test_any_bytes_are_one_error(data: bytes) -> None:
    with pytest.raises(nodes.NodesError):
        nodes.parse(data, PATH)


@given(
    key=st.sampled_from(["deployment", "network", "suite", "machines", "cluster"]),
    value=st.none() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()),
)
def test_any_value_of_a_key_is_accepted_or_named(key: str, value: Any) -> None:
    try:
        deployment = parse(document(**{key: value}))
    except nodes.NodesError as error:
        named = error.key
    else:
        network = ipaddress.IPv4Network(deployment.network)
        assert all(ipaddress.IPv4Address(address) in network for address in deployment.addresses().values())
        return
    assert named.startswith((key, "machines", "cluster"))


@given(st.lists(st.integers(2, 254), unique=True, min_size=1, max_size=60))
def test_every_free_address_of_the_network_is_accepted(numbers: list[int]) -> None:
    machines = {
        f"vm{number}": {"address": f"10.1.2.{number}", "groups": [], "memory": 128, "cpus": 1} for number in numbers
    }
    deployment = parse({"deployment": "d", "network": "10.1.2.0/24", "suite": "trixie", "machines": machines})
    assert list(deployment.addresses().values()) == [f"10.1.2.{number}" for number in numbers]
