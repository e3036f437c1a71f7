# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destroys this deployment and nothing else.

Needs python3 and the programs that made the machines, so it works where the virtual environment is gone or
broken. What is ours is told by Vagrant's state in this checkout and by docker's label
odoo-deploy.deployment=NAME; only objects made in a given cluster need Ansible (playbooks/teardown.yml).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from runner import docker, nodes, paths, preflight, procs
from runner.ask import confirm
from runner.events import Output
from runner.exits import Exit, Failure
from runner.journal import Journal

KINDS = ("container", "volume", "network")
STATE = (
    "journal.json",
    "cluster.json",
    "kubeconfig",
    "known_hosts",
    "facts",
    "ssh",
)  # under .deploy, of what is destroyed
PLAYBOOK = paths.PLAYBOOKS / "teardown.yml"


@dataclass
class Ours:
    """What this deployment has, by kind."""

    deployment: str
    network: str
    machines: dict[str, str] = field(default_factory=dict)  # name -> provider
    cluster: dict[str, Any] = field(default_factory=dict)
    docker: dict[str, list[str]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    def lines(self) -> list[str]:
        """As a person reads it."""
        text = [f"machine {name} ({provider})" for name, provider in sorted(self.machines.items())]
        if self.cluster.get("kind") == "minikube":
            text.append(f"minikube profile {self.cluster['profile']}")
        if self.cluster.get("kind") == "context":
            text.append(f"the deployment's namespaces in context {self.cluster['context']}")
        text += [f"{kind} {name}" for kind in KINDS for name in self.docker.get(kind, [])]
        return text + [f"file {paths.shown(path)}" for path in self.files]


def look() -> Ours:
    """Finds what there is; an engine that does not answer hides its part, which run() then says."""
    diary = Journal(paths.JOURNAL)
    listed_name, listed_network = nodes.glance()
    deployment, network = diary.data.get("deployment") or listed_name, diary.data.get("network") or listed_network
    if not deployment or not network:
        raise Failure(
            Exit.USAGE,
            "DEPLOYMENT_UNKNOWN",
            f"{paths.nodes_file()} names no `deployment` and `network`",
            advice="restore it from version control",
        )
    ours = Ours(deployment, network)
    ours.machines = {
        file.parent.parent.name: file.parent.name
        for file in paths.vagrant_dir().glob("machines/*/*/id")
        if file.read_text().strip()
    }
    with contextlib.suppress(OSError, ValueError):
        ours.cluster = json.loads(paths.CLUSTER.read_text(encoding="utf-8"))
    if shutil.which("docker"):
        ours.docker = {kind: docker.labelled(kind, deployment) for kind in KINDS}
        name = f"vagrant_network_{network}"
        if name not in ours.docker["network"] and _is_ours(name, ours):
            ours.docker["network"].append(name)
    ours.files = [paths.DEPLOY / name for name in STATE if (paths.DEPLOY / name).exists()]
    return ours


def _is_ours(network: str, ours: Ours) -> bool:
    """The network exists and only this deployment's containers are on it."""
    on_it = [container for container in docker.containers() if network in container["Networks"]]
    profile = str(ours.cluster["profile"]) if ours.cluster.get("kind") == "minikube" else "-"  # no name begins so
    return any(entry["Name"] == network for entry in docker.networks()) and all(
        container["Labels"].get(docker.LABEL) == ours.deployment
        or f"{container['Labels'].get(docker.MINIKUBE, '')}-".startswith(f"{profile}-")  # PROFILE, PROFILE-m02
        for container in on_it
    )


def run(args: argparse.Namespace, output: Output, stream: TextIO) -> None:
    """Asks, destroys, tells; raises Failure where something is left."""
    try:
        ours = look()
        purged = purge_list() if args.purge else []
    except docker.DockerError as error:
        raise Failure(
            Exit.PREFLIGHT,
            "DOCKER_DOWN",
            f"the docker engine does not answer: {error}",
            advice="start it (./install_dep.sh does), then run again",
        ) from error
    if not ours.lines() and not purged:
        output.say(f"Nothing is left of deployment {ours.deployment}.")
        output.emit("run.finished", code=0, changed=0, seconds=0.0)
        return
    _announce(ours, purged, output)
    if not args.yes:
        confirm("Destroy it? [y/n] > ", stream)
    removed = _Removed(output)
    procs.end(str(paths.DEPLOY), on_wait=lambda count: output.say(f"ending {count} processes that a killed run left"))
    try:
        problems = [problem for act in (_cluster, _vagrant, _docker, _ssh) if (problem := act(ours, args, removed))]
        if not problems:
            _files(ours, removed)
            if args.purge:
                _purge(removed, output)
        left = look().lines()
    except (docker.DockerError, OSError) as error:
        problems, left = [str(error)], ours.lines()
    output.emit("teardown.left", left=left)
    if left or problems:
        output.say("left: " + (", ".join(left) or "nothing known"))
        raise Failure(
            Exit.STEP_FAILED,
            "TEARDOWN_INCOMPLETE",
            "; ".join(problems) or "something came back while it was removed",
            resume="./teardown.sh --yes",
        )
    kept = f" (kept for a next run: secrets and logs in .deploy, images, {paths.cache_dir()}; --purge removes them too)"
    output.say("left: nothing" + ("" if args.purge else kept))
    output.emit("run.finished", code=0, changed=removed.count, seconds=0.0)


def _announce(ours: Ours, purged: list[str], output: Output) -> None:
    if ours.lines():
        output.say(f"This destroys deployment {ours.deployment}, with its databases and everything stored in them:")
        for line in ours.lines():
            output.say(f"  {line}")
    if purged:
        output.say(
            "It also purges what other deployments here would have to build again:" if ours.lines() else "This purges:"
        )
        for line in purged:
            output.say(f"  {line}")


class _Removed:
    def __init__(self, output: Output) -> None:
        self.output, self.count = output, 0

    def __call__(self, kind: str, name: str) -> None:
        self.count += 1
        self.output.emit("removed", kind=kind, name=name)


def _call(argv: list[str], **env: str) -> str:
    """Runs a program in the checkout; returns what it complained of, empty where it went well."""
    try:
        done = subprocess.run(
            argv,
            check=False,
            cwd=paths.ROOT,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        return f"the program {argv[0]} is not installed"
    return (
        "" if done.returncode == 0 else ((done.stderr or done.stdout).strip().splitlines() or [f"{argv[0]} failed"])[-1]
    )


def _cluster(ours: Ours, args: argparse.Namespace, removed: _Removed) -> str | None:
    """minikube's profile whole; in someone's own cluster only what the roles made, told by the deployment's label."""
    if ours.cluster.get("kind") == "minikube":
        profile = str(ours.cluster["profile"])
        # minikube takes its context out of a kubeconfig: of ours, for the user's own one never had it.
        problem = _call(["minikube", "delete", "--profile", profile], KUBECONFIG=str(paths.DEPLOY / "kubeconfig"))
        if problem:
            return f"minikube profile {profile} stays: {problem}"
        removed("minikube profile", profile)
    if ours.cluster.get("kind") == "context":
        python = paths.VENV / "bin" / "python3"
        known = {"teardown_deployment": ours.deployment, "teardown_kubeconfig": str(paths.DEPLOY / "kubeconfig")}
        problem = _call(
            [str(python), str(python.with_name("ansible-playbook")), str(PLAYBOOK), "-e", json.dumps(known)]
        )
        if problem:
            return f"the deployment's namespaces stay in context {ours.cluster['context']}: {problem}"
        removed("namespaces", f"of the deployment, in context {ours.cluster['context']}")
    return None


def _vagrant(ours: Ours, args: argparse.Namespace, removed: _Removed) -> str | None:
    if not ours.machines:
        return None
    problem = _call(["vagrant", "destroy", "--force"])
    left = preflight.machine_ids()
    stuck = sorted(name for name, provider in ours.machines.items() if provider != "docker" and name in left)
    if stuck:
        return f"machine {', '.join(stuck)} stays: vagrant destroy says {problem or 'nothing'}"
    for name in ours.machines:  # a container goes by its label below, whatever Vagrant says
        removed("machine", name)
    shutil.rmtree(paths.vagrant_dir() / "machines", ignore_errors=True)
    return None


def _docker(ours: Ours, args: argparse.Namespace, removed: _Removed) -> str | None:
    verbs = {"container": ["rm", "--force", "--volumes"], "volume": ["volume", "rm"], "network": ["network", "rm"]}
    for kind in KINDS:
        names = ours.docker.get(kind, [])
        there = (
            set(
                docker.docker(
                    *(
                        ["ps", "-a", "--format", "{{.Names}}"]
                        if kind == "container"
                        else [kind, "ls", "--format", "{{.Name}}"]
                    )
                ).split()
            )
            if names
            else ()
        )
        for name in names:
            if name in there:  # Vagrant may have removed it above
                docker.docker(*verbs[kind], name)
            removed(kind, name)
    return None


def _ssh(ours: Ours, args: argparse.Namespace, removed: _Removed) -> str | None:
    """Shared connections to machines that are gone."""
    folder = paths.DEPLOY / "ssh"
    for socket in sorted(folder.iterdir()) if folder.is_dir() else ():
        if socket.is_socket():
            _call(["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "gone"])
            removed("ssh connection", socket.name)
    return None


def _files(ours: Ours, removed: _Removed) -> None:
    for path in ours.files:
        _remove(path)
        removed("file", paths.shown(path))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def purge_list() -> list[str]:
    """What --purge would remove now."""
    images = docker.images() if shutil.which("docker") else []
    folders = [
        folder for folder in (paths.DEPLOY, paths.cache_dir()) if folder.exists() and {*folder.iterdir()} - {paths.LOCK}
    ]
    return [f"image {name}" for name in images] + [f"folder {paths.shown(folder)}" for folder in folders]


def _purge(removed: _Removed, output: Output) -> None:
    for name in docker.images() if shutil.which("docker") else []:
        try:
            docker.docker("image", "rm", name)
            removed("image", name)
        except docker.DockerError as error:  # another deployment runs on it
            output.say(f"kept image {name}: {error}")
    for folder in (paths.cache_dir(), paths.DEPLOY):
        if folder.exists():
            shutil.rmtree(folder)
            removed("folder", paths.shown(folder))
