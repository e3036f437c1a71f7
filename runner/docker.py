# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few questions the runner asks the docker engine, through its command line."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

LABEL = "odoo-deploy.deployment"
MINIKUBE = "name.minikube.sigs.k8s.io"  # its profile


class DockerError(Exception):
    """The engine did not do it; the text is its own."""


def docker(*argv: str) -> str:
    """Runs docker and returns its output; raises DockerError."""
    if not shutil.which("docker"):
        raise DockerError("the program docker is not installed")
    done = subprocess.run(["docker", *argv], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise DockerError(
            (done.stderr or done.stdout).strip().splitlines()[-1]
            if (done.stderr or done.stdout).strip()
            else "docker failed"
        )
    return done.stdout


def rows(*argv: str) -> list[dict[str, Any]]:
    """The lines of a docker list command as objects."""
    return [json.loads(line) for line in docker(*argv, "--format", "{{json .}}").splitlines()]


def networks() -> list[dict[str, Any]]:
    """Every network, as docker inspect shows it."""
    ids = docker("network", "ls", "-q").split()
    inspected: list[dict[str, Any]] = json.loads(docker("network", "inspect", *ids)) if ids else []
    return inspected


def containers() -> list[dict[str, Any]]:
    """Every container, running or not: ID, Names, Labels (dict), Networks (list)."""
    found = rows("ps", "-a", "--no-trunc")
    for row in found:
        row["Labels"] = dict(label.split("=", 1) for label in row["Labels"].split(",") if "=" in label)
        row["Networks"] = row["Networks"].split(",")
    return found


def labelled(kind: str, deployment: str) -> list[str]:
    """Names of a deployment's containers, volumes or networks."""
    only = ("--filter", f"label={LABEL}={deployment}")
    if kind == "container":
        return docker("ps", "-a", *only, "--format", "{{.Names}}").split()
    return docker(kind, "ls", *only, "--format", "{{.Name}}").split()


def images() -> list[str]:
    """Every image that the project built, for whichever deployment."""
    return docker("image", "ls", "--filter", "reference=odoo-deploy/*", "--format", "{{.Repository}}:{{.Tag}}").split()
