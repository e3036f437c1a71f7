# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preflight knows of the machines and the cluster that are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import paths, platform_choice, preflight, settings


@pytest.mark.parametrize(
    ("extra", "value"),
    [
        (["k8s_cluster_kind=minikube other=1"], "minikube"),
        (["k8s_cluster_kind='minikube'"], "minikube"),
        (['{"k8s_cluster_kind": "context"}'], "context"),
        (["k8s_cluster_kind=minikube", "k8s_cluster_kind=embedded"], "embedded"),
        (["k8s_cluster_kind={{ something }}"], None),
        (["k8s_cluster_kind='minikube"], "group"),
        (["[1, 2]"], "group"),
        (["{"], "group"),
        (["@nowhere.yml"], "group"),
        ([], "group"),
    ],
)
def test_plain_values(tmp_path: Path, extra: list[str], value: str | None) -> None:
    (tmp_path / "a.yml").write_text("k8s_cluster_kind: first\n")
    (tmp_path / "b.yml").write_text("k8s_cluster_kind: group\nk8s_cluster_context: '{{ x }}'\n")
    (tmp_path / "c.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n61\n")
    (tmp_path / "d.yml").write_text("secret: !vault |\n  61\n")
    found = settings.plain(extra, sorted(tmp_path.glob("*.yml")))
    assert found.get("k8s_cluster_kind") == value
    assert "k8s_cluster_context" not in found


def test_values_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("k8s_cluster_kind: context\n")
    assert settings.plain([f"@{tmp_path / 'mine.yml'}"], []) == {"k8s_cluster_kind": "context"}


def test_who_is_asked_for_machines() -> None:
    """A variable, then the environment, then who made those that exist, then docker."""

    def provider(found: dict[str, str], before: str, environ: dict[str, str]) -> str:
        return str(platform_choice.wish(found, {}, before, environ).provider)

    environ = {"VAGRANT_DEFAULT_PROVIDER": "virtualbox"}
    assert provider({"deployment_provider": "libvirt"}, "docker", environ) == "libvirt"
    assert provider({}, "docker", environ) == "virtualbox"
    assert provider({}, "libvirt", {}) == "libvirt"
    assert provider({}, "", {}) == "docker"


def test_force_is_a_boolean() -> None:
    for text, force in (("true", True), ("yes", True), ("false", False), ("", False), (False, False), (True, True)):
        assert platform_choice.wish({"k8s_cluster_minikube_force": text}, {}, "", {}).force == force


def test_who_made_the_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "vagrant_dir", lambda: tmp_path)
    assert platform_choice.provider_before({}) == ""
    for name, provider, identity in (("pg1", "virtualbox", ""), ("pg2", "libvirt", "abc")):
        (tmp_path / "machines" / name / provider).mkdir(parents=True)
        (tmp_path / "machines" / name / provider / "id").write_text(identity)
    assert platform_choice.provider_before({}) == "libvirt"
    assert platform_choice.provider_before({"provider": "docker"}) == "docker"


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_what_this_host_can_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    conf = tmp_path / "networks.conf"
    monkeypatch.setattr(platform_choice.PLATFORMS, "NETWORKS_CONF", str(conf))

    monkeypatch.setenv("VAGRANT_HOME", str(tmp_path))

    def problem(provider: str, suite: str = "bookworm") -> str:
        choice = platform_choice.PLATFORMS.Choice(provider, "embedded")
        return platform_choice.host_problem(choice, "192.168.99.0/24", suite)

    assert problem("docker") == ""
    program(tmp_path, "VBoxManage", "exit 1")
    assert "--virtualbox" in problem("virtualbox")
    program(tmp_path, "VBoxManage", "echo 7.0.20r163906")
    assert "VirtualBox 7.0.20r163906 allows" in problem("virtualbox")
    conf.write_text("* 192.168.99.0/24\n")
    assert problem("virtualbox") == ""
    program(tmp_path, "virsh", "exit 1")
    program(tmp_path, "vagrant", "echo 'vagrant-libvirt (0.11.2, system)'")
    assert "does not answer" in problem("libvirt")
    program(tmp_path, "virsh", "echo qemu:///system")
    assert problem("libvirt") == ""
    assert "no Vagrant box of trixie" in problem("libvirt", "trixie")
    (tmp_path / "boxes" / "debian-VAGRANTSLASH-trixie64").mkdir(parents=True)
    assert problem("libvirt", "trixie") == ""
    program(tmp_path, "vagrant", "echo 'No plugins installed.'")
    assert "no plugin for libvirt" in problem("libvirt")


def test_finding() -> None:
    assert preflight.platform("") is None
    found = preflight.platform("it cannot. Type: this, or that")
    assert found
    assert (found.message, found.advice) == ("it cannot", "type: this, or that")
