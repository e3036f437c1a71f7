# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who makes the machines and which cluster goes with them, before Ansible runs; decided by the role's own function."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner import nodes, paths, settings

PLATFORMS: Any = nodes.plugin_part("platforms")
FALSE = ("", "0", "false", "no", "off", "n", "f")
SECONDS = 60.0  # for what a program says of itself


def look(extra_vars: Sequence[str]) -> Any:
    """The Choice of this deployment, with the refusal if there is one."""
    found = settings.plain(extra_vars, sorted((paths.ROOT / "inventory" / "group_vars" / "all").glob("*.yml")))
    earlier = record()
    return PLATFORMS.choose(wish(found, earlier, provider_before(earlier), os.environ))


def wish(found: Mapping[str, Any], earlier: Mapping[str, str], before: str, environ: Mapping[str, str]) -> Any:
    """What is asked for, of the variables found, the record of step 1, the machines' provider and the environment."""

    def text(name: str, otherwise: str = "") -> str:
        return str(found.get(name) or otherwise)

    return PLATFORMS.Wish(
        provider=text("deployment_provider", environ.get("VAGRANT_DEFAULT_PROVIDER") or before or "docker"),
        provider_before=before,
        kind=text("k8s_cluster_kind", "auto"),
        context=text("k8s_cluster_context"),
        driver=text("k8s_cluster_minikube_driver"),
        force=text("k8s_cluster_minikube_force").lower() not in FALSE,
        root=os.getuid() == 0,
        minikube_installed=bool(shutil.which("minikube")),
        earlier=earlier,
    )


def record() -> dict[str, str]:
    """What step 1 wrote down; empty before."""
    try:
        loaded = json.loads(paths.CLUSTER.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def provider_before(earlier: Mapping[str, str]) -> str:
    """Who made the machines that exist: of step 1's record, else of Vagrant's state (machines/NAME/PROVIDER/id)."""
    made = sorted(file.parent.name for file in paths.vagrant_dir().glob("machines/*/*/id") if file.stat().st_size)
    return earlier.get("provider") or (made[0] if made else "")


def host_problem(choice: Any, network: str, suite: str) -> str:
    """Why this host cannot make the provider's machines; empty where nothing is in the way."""
    if choice.provider not in ("virtualbox", "libvirt"):
        return ""
    home = Path(os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d")
    added = (home / "boxes" / f"debian-VAGRANTSLASH-{suite}64").is_dir()
    problem = PLATFORMS.box_problem(suite, os.environ.get("ODOO_DEPLOY_BOX", ""), added)
    if problem:
        return str(problem)
    if choice.provider == "virtualbox":
        version = _said("VBoxManage", "--version")
        if version is None:
            return "VirtualBox is not installed. Type: ./install_dep.sh --virtualbox"
        file = Path(PLATFORMS.NETWORKS_CONF)
        problem = PLATFORMS.host_only_problem(version, file.read_text() if file.exists() else None, network)
    if choice.provider == "libvirt":
        connects = _said("virsh", "--connect", "qemu:///system", "uri") is not None
        problem = PLATFORMS.libvirt_problem(connects, _said("vagrant", "plugin", "list") or "")
    return str(problem)


def minikube_line() -> str:
    """What `minikube status` says of the nodes that step 1 made; empty on another cluster."""
    taken = record()
    if taken.get("kind") != "minikube":
        return ""
    profile = taken.get("profile", "")
    status = _said("minikube", "status", "--profile", profile, "--output", "json", anyhow=True)
    if status is None:
        return f"minikube profile {profile}: minikube does not answer"
    nodes_of_it = PLATFORMS.minikube_nodes(status)
    if not nodes_of_it:
        return f"minikube profile {profile} does not exist: ./run.py --steps 1 makes it"
    stopped = any(state != "Running" for _name, state in nodes_of_it)
    told = ", ".join(f"{name} {state}" for name, state in nodes_of_it)
    return f"minikube profile {profile}: {told}{': ./run.py --steps 1 starts it' if stopped else ''}"


def _said(*argv: str, anyhow: bool = False) -> str | None:
    """What the program prints; None where it is missing or fails. anyhow: also of one that fails."""
    try:
        done = subprocess.run(
            argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if anyhow or done.returncode == 0 else None
