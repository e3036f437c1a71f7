# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One context out of kubeconfig files as people have them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.odoo_deploy.stack.plugins.filter.kubeconfig_context import kubeconfig_context


def written(file: Path, name: str, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    """A kubeconfig with one context, whose cluster and user have its name too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "team"}}],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example", **cluster}}],
        "users": [{"name": name, "user": user}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


def taken(paths: str, context: str) -> dict[str, Any]:
    """The configuration that is taken without a refusal."""
    answer = kubeconfig_context(paths, context)
    assert answer["refusal"] == ""
    return answer["config"]


def test_nothing_of_other_contexts_is_taken(tmp_path: Path) -> None:
    """Two files: cluster, user and context of the one alone."""
    one = written(tmp_path / "one", "shop", {}, {"token": "a"})
    two = written(tmp_path / "two", "bank", {}, {"token": "secret"})
    config = taken(f"{one}:{two}", "shop")
    assert config["current-context"] == "shop"
    assert config["contexts"] == [{"name": "shop", "context": {"cluster": "shop", "user": "shop", "namespace": "team"}}]
    assert config["clusters"] == [{"name": "shop", "cluster": {"server": "https://shop.example"}}]
    assert config["users"] == [{"name": "shop", "user": {"token": "a"}}]
    assert taken(f"{one}:{two}", "bank")["users"][0]["user"] == {"token": "secret"}


def test_the_first_file_counts_and_a_missing_one_is_passed_over(tmp_path: Path) -> None:
    """As kubectl merges them."""
    one = written(tmp_path / "one", "shop", {}, {"token": "first"})
    two = written(tmp_path / "two", "shop", {}, {"token": "second"})
    assert taken(f"{tmp_path}/missing:{one}:{two}", "shop")["users"][0]["user"]["token"] == "first"


def test_files_beside_it_are_put_into_it(tmp_path: Path) -> None:
    """Paths are relative to their own file, not to where somebody stands."""
    folder = tmp_path / "kube"
    file = written(
        folder / "config",
        "shop",
        {"certificate-authority": "ca.crt"},
        {"client-certificate": "tls/me.crt", "client-key": "tls/me.key"},
    )
    (folder / "tls").mkdir()
    for name in ("ca.crt", "tls/me.crt", "tls/me.key"):
        (folder / name).write_text(name)
    config = taken(str(file), "shop")

    def held(name: str) -> str:
        return base64.b64encode(name.encode()).decode()

    assert config["clusters"][0]["cluster"]["certificate-authority-data"] == held("ca.crt")
    assert config["users"][0]["user"] == {
        "client-certificate-data": held("tls/me.crt"),
        "client-key-data": held("tls/me.key"),
    }
    (folder / "tls" / "me.key").unlink()
    assert f"client-key {folder}/tls/me.key cannot be read" in kubeconfig_context(str(file), "shop")["refusal"]


def test_data_win_over_a_file(tmp_path: Path) -> None:
    """As kubectl has it; the file need not be there."""
    file = written(tmp_path / "config", "shop", {}, {"client-key": "gone.key", "client-key-data": "eA=="})
    assert taken(str(file), "shop")["users"][0]["user"] == {"client-key-data": "eA=="}


@pytest.mark.parametrize(
    ("user", "moved"),
    [
        ({"tokenFile": "token"}, {"tokenFile": "{}/token"}),
        ({"tokenFile": "/run/token"}, {"tokenFile": "/run/token"}),
        ({"exec": {"command": "./login", "args": ["x"]}}, {"exec": {"command": "{}/login", "args": ["x"]}}),
        ({"exec": {"command": "aws"}}, {"exec": {"command": "aws"}}),
        ({"exec": {"command": "/opt/login"}}, {"exec": {"command": "/opt/login"}}),
    ],
)
def test_what_stays_a_path_is_whole(tmp_path: Path, user: dict[str, Any], moved: dict[str, Any]) -> None:
    """Tokens that change, and programs; a program without a slash is looked for on PATH."""
    file = written(tmp_path / "config", "shop", {}, user)
    expected = yaml.safe_load(yaml.safe_dump(moved).replace("{}", str(tmp_path)))
    assert taken(str(file), "shop")["users"][0]["user"] == expected


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (None, "There is no kubeconfig"),
        ("half a file", "holds no context shop; it has none"),
        ("a: [", "cannot be read as a kubeconfig"),
        ("contexts: [{name: bank, context: {}}]", "it has bank. Correct k8s_cluster_context."),
        ("contexts: [{name: shop, context: {cluster: c}}]", "context shop names cluster c, which is not there"),
        (
            "{contexts: [{name: shop, context: {cluster: c}}], clusters: [{name: c, cluster: {}}]}",
            "context shop names user (none), which is not there",
        ),
    ],
)
def test_refused(tmp_path: Path, text: str | None, refusal: str) -> None:
    """One sentence, and nothing taken."""
    file = tmp_path / "config"
    if text is not None:
        file.write_text(text)
    answer = kubeconfig_context(str(file), "shop")
    assert refusal in answer["refusal"]
    assert answer["config"] == {}
