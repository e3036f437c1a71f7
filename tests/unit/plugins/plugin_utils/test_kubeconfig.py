# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubeconfig's cluster, over real TLS, and every way in which it may not answer."""

from __future__ import annotations

import base64
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import kubeconfig
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils.files import StateError
from hypothesis import given
from hypothesis import strategies as st


def nodes(path: Path, network: str | None = None, timeout: float = 5) -> Any:
    return kubeconfig.nodes(kubeconfig.context(path), network, timeout)


def test_nodes_come_with_a_client_certificate(api: Any, tmp_path: Path) -> None:
    api.add("worker", "192.168.99.101", ready=False, metadata={"name": "worker"})
    api.add("minikube", "192.168.99.100")
    control, worker = nodes(api.kubeconfig(tmp_path / "kubeconfig"))
    assert (control.name, control.address, control.cluster) == ("minikube", "192.168.99.100", "odoo")
    assert (control.kubernetes_version, control.control_plane, control.state) == ("v1.35.4", True, "ready")
    assert (worker.name, worker.control_plane, worker.state) == ("worker", False, "not_ready")
    assert control.source == "Kubernetes API, context admin@odoo"
    assert len(api.requests) == 1
    assert api.requests[0]["path"] == "/api/v1/nodes"
    assert "client" in api.requests[0]["peer"]


def test_an_authority_that_strict_readers_refuse_is_accepted_as_kubectl_does(api: Any, tmp_path: Path) -> None:
    folder = tmp_path / "lax"
    folder.mkdir()
    lax = type(api)(folder, identifiers=False)
    try:
        lax.add("minikube", "192.168.99.100")
        assert len(nodes(lax.kubeconfig(tmp_path / "kubeconfig"))) == 1
    finally:
        lax.close()


def test_no_key_is_ever_on_a_disk(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise AssertionError("a temporary file")

    assert hasattr(os, "memfd_create"), "this test is for systems that have it"
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    api.add("minikube", "192.168.99.100")
    assert len(nodes(api.kubeconfig(tmp_path / "kubeconfig"))) == 1


def test_where_memory_files_are_missing_a_private_one_serves(
    api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    api.add("minikube", "192.168.99.100")
    assert len(nodes(api.kubeconfig(tmp_path / "config" / "kubeconfig"))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["api", "config"], "it is gone afterwards"


def test_material_may_be_in_files_beside_the_kubeconfig(api: Any, tmp_path: Path) -> None:
    (tmp_path / "client.crt").write_bytes(api.client)
    (tmp_path / "client.key").write_bytes(api.client_key)
    (tmp_path / "ca.crt").write_bytes(api.authority)
    user = {"client-certificate": "client.crt", "client-key": "client.key"}
    path = api.kubeconfig(
        tmp_path / "kubeconfig", user, **{"certificate-authority-data": "", "certificate-authority": "ca.crt"}
    )
    nodes(path)
    assert "client" in api.requests[0]["peer"]


def test_tokens_and_token_files(api: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    nodes(api.kubeconfig(tmp_path / "kubeconfig", {"token": "given"}))
    nodes(api.kubeconfig(tmp_path / "kubeconfig", {"tokenFile": "token"}))
    assert [request["Authorization"] for request in api.requests] == ["Bearer given", "Bearer from-file"]


def test_a_path_in_the_servers_url_is_kept(api: Any, tmp_path: Path) -> None:
    nodes(api.kubeconfig(tmp_path / "kubeconfig", server=f"{api.url}/k8s/clusters/c-1/"))
    assert api.requests[0]["path"] == "/k8s/clusters/c-1/api/v1/nodes"


def test_an_address_in_the_network_wins(api: Any, tmp_path: Path) -> None:
    api.add("minikube", "10.0.2.15", "192.168.99.100")
    path = api.kubeconfig(tmp_path / "kubeconfig")
    assert nodes(path, "192.168.99.0/24")[0].address == "192.168.99.100"
    assert nodes(path)[0].address == "10.0.2.15"


def test_a_tainted_node_is_no_worker(api: Any, tmp_path: Path) -> None:
    api.add("tainted", "10.0.0.1", spec={"taints": [{"key": "k", "effect": "NoSchedule"}]})
    api.add("cordoned", "10.0.0.2", spec={"unschedulable": True})
    api.add("free", "10.0.0.3", spec={"taints": [{"key": "k", "effect": "PreferNoSchedule"}]})
    told = {node.name: node.worker for node in nodes(api.kubeconfig(tmp_path / "kubeconfig"))}
    assert told == {"cordoned": False, "free": True, "tainted": False}


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_say_so_and_leak_nothing(api: Any, tmp_path: Path, status: int) -> None:
    api.status = status
    with pytest.raises(kubeconfig.ClusterError, match=f"refuses the kubeconfig's credentials .HTTP {status}") as caught:
        nodes(api.kubeconfig(tmp_path / "kubeconfig", {"token": "s3cret"}))
    assert "s3cret" not in str(caught.value)


def test_another_authority_is_not_trusted(api: Any, tmp_path: Path) -> None:
    other = base64.b64encode((tmp_path / "api" / "ca.crt").read_bytes().replace(b"M", b"N", 1)).decode()
    path = api.kubeconfig(tmp_path / "kubeconfig", **{"certificate-authority-data": ""})
    with pytest.raises(kubeconfig.ClusterError, match="does not answer"):
        nodes(path)
    with pytest.raises(kubeconfig.ClusterError, match="does not answer"):
        nodes(api.kubeconfig(tmp_path / "kubeconfig", **{"certificate-authority-data": other}))
    assert api.requests == []
    nodes(api.kubeconfig(path, **{"certificate-authority-data": "", "insecure-skip-tls-verify": True}))
    assert len(api.requests) == 1


def test_another_name_is_not_trusted(api: Any, tmp_path: Path) -> None:
    with pytest.raises(kubeconfig.ClusterError, match="does not answer"):
        nodes(api.kubeconfig(tmp_path / "kubeconfig", **{"tls-server-name": "elsewhere.example"}))
    assert api.requests == []


def test_a_server_that_hangs_or_is_not_there_is_given_up(api: Any, tmp_path: Path, free_port: int) -> None:
    api.delay = 5
    began = time.monotonic()
    with pytest.raises(kubeconfig.ClusterError, match="does not answer"):
        nodes(api.kubeconfig(tmp_path / "kubeconfig"), timeout=0.3)
    assert time.monotonic() - began < 3
    with pytest.raises(kubeconfig.ClusterError, match="Connection refused"):
        nodes(api.kubeconfig(tmp_path / "kubeconfig", server=f"https://127.0.0.1:{free_port}"))


def test_credential_plugins_go_through_the_client_library(api: Any, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        'echo \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",'
        ' "status": {"token": "from-plugin"}}\'\n'
    )
    plugin.chmod(0o755)
    api.add("minikube", "192.168.99.100")
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    }
    (node,) = nodes(api.kubeconfig(tmp_path / "kubeconfig", user))
    assert node.address == "192.168.99.100"
    assert api.requests[0].get("Authorization", api.requests[0].get("authorization")) == "Bearer from-plugin"


def test_without_the_client_library_it_is_named(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kubernetes", None)
    with pytest.raises(kubeconfig.ClusterError, match="need the Python package kubernetes: install it"):
        nodes(api.kubeconfig(tmp_path / "kubeconfig", {"exec": {"command": "x"}}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not valid YAML"),
        ("[]", "is not a kubeconfig"),
        ("[" * 100_000, "is not valid YAML"),
        ("{}", "has no current-context: set kubernetes_context"),
        ("{current-context: a}", "has no context named a"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: c}}]}", "has no cluster named c"),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: c}}], clusters: [{name: c, cluster: {}}]}",
            "no server URL",
        ),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}],"
            " clusters: [{name: c, cluster: {server: 'https://h'}}]}",
            "has no user named u",
        ),
    ],
)
def test_what_is_wrong_with_a_kubeconfig_is_told(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(StateError, match=says):
        kubeconfig.context(path)


def test_another_context_can_be_named(api: Any, tmp_path: Path) -> None:
    path = api.kubeconfig(tmp_path / "kubeconfig")
    with pytest.raises(StateError, match="has no context named staging"):
        kubeconfig.context(path, "staging")
    assert kubeconfig.context(path, "admin@odoo").cluster_name == "odoo"


def test_a_context_shows_no_secret(api: Any, tmp_path: Path) -> None:
    assert "s3cret" not in repr(kubeconfig.context(api.kubeconfig(tmp_path / "kubeconfig", {"token": "s3cret"})))


def test_broken_material_is_told_without_its_content(api: Any, tmp_path: Path) -> None:
    with pytest.raises(kubeconfig.ClusterError, match="client-key-data of context admin@odoo is not base64") as caught:
        nodes(
            api.kubeconfig(tmp_path / "kubeconfig", {"client-certificate-data": "QQ==", "client-key-data": "s3cret!"})
        )
    assert "s3cret" not in str(caught.value)
    with pytest.raises(kubeconfig.ClusterError, match=r"client-key lost\.key of context admin@odoo is not there"):
        nodes(api.kubeconfig(tmp_path / "kubeconfig", {"client-certificate-data": "QQ==", "client-key": "lost.key"}))


def test_hostile_nodes_are_left_out(api: Any, tmp_path: Path) -> None:
    api.add("{{ lookup('pipe', 'touch x') }}", "10.0.0.1")
    api.add("no-address")
    api.add("template", "{{ 1 }}")
    api.nodes += [None, [], {"metadata": {"name": 7}}, {"status": {"addresses": 7}}]
    api.add("good", "10.0.0.2")
    assert [node.name for node in nodes(api.kubeconfig(tmp_path / "kubeconfig"))] == ["good"]


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["items", "metadata", "name", "status", "addresses", "spec", "labels"]), inner
        )
    ),
)


@given(JSON)
def test_any_document_is_nodes_or_one_error(document: Any) -> None:
    chosen = kubeconfig.Context("c", "c", "https://h", {}, {}, Path())
    try:
        found = kubeconfig.parse_nodes(document, chosen, "10.0.0.0/8")
    except kubeconfig.ClusterError as error:
        message = str(error)
    else:
        assert all(node.name and node.address for node in found)
        return
    assert message.isprintable()
