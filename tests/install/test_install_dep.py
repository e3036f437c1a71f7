# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""install_dep.sh on Debian's smallest system, by somebody who may use sudo.

No package is there, no engine, and nothing that supervises services.
The machine is a container in which an engine can run. What it installs comes from the archives that this host uses too.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASES = ("bookworm", "trixie")
# All but what not every host can give; see roles/k8s_cluster.
RIGHTS = [
    "--cap-add=ALL", "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
    "--device-cgroup-rule=a *:* rwm", "--cgroupns=private", "--volume=/var/lib/docker",
]  # fmt: skip
SOMEBODY = """
set -e
apt-get -qq update
apt-get -qq -y --no-install-recommends install sudo > /dev/null 2>&1
useradd --create-home --shell /bin/bash somebody
echo "somebody ALL=(ALL) NOPASSWD: ALL" > /etc/sudoers.d/somebody
mkdir /home/somebody/odoo
tar --extract --directory=/home/somebody/odoo
chown --recursive somebody: /home/somebody
"""


def docker(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, **options)  # type: ignore[call-overload]


def base(suite: str) -> str:
    """The image of a Debian release with nothing in it; made where it is not there."""
    made = [
        "ansible", "localhost", "-m", "ansible.builtin.include_role",
        "-a", "name=odoo_deploy.stack.container_image tasks_from=base", "-e", f"container_image_suite={suite}",
    ]  # fmt: skip
    subprocess.run(made, cwd=ROOT, check=True, capture_output=True)
    return f"odoo-deploy/base:{suite}"


@dataclass
class Machine:
    """A machine on which nothing was installed."""

    name: str

    def run(
        self, command: str, user: Literal["somebody", "root"] = "somebody", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command line in the checkout, in a session of its own."""
        # As Debian has it: what the system's administrator calls is not in the path of others.
        path = "/usr/local/bin:/usr/bin:/bin" + (":/usr/sbin:/sbin" if user == "root" else "")
        given = [
            f"--env={name}={value}" for name, value in {"HOME": f"/home/{user}", "PATH": path, **variables}.items()
        ]
        argv = [
            "docker",
            "exec",
            "--user",
            user,
            "--workdir=/home/somebody/odoo",
            *given,
            self.name,
            "sh",
            "-c",
            command,
        ]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module", params=BASES)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """One of each release, with the files of this checkout that git knows or would."""
    machine = Machine(f"odoo-install-{request.param}")
    subprocess.run(["docker", "rm", "--force", "--volumes", machine.name], check=False, capture_output=True)
    # What a person set for pip on this host is the way to its archive.
    pip = [f"--env={name}" for name in ("PIP_INDEX_URL", "PIP_CERT") if name in os.environ]
    certificates = os.environ.get("PIP_CERT")
    mounts = [f"--volume={certificates}:{certificates}:ro"] if certificates else []
    docker("run", "--detach", "--name", machine.name, *RIGHTS, *pip, *mounts, base(request.param), "sleep", "1800")
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
        )
        files = b"\0".join(name for name in listed.stdout.split(b"\0") if name and (ROOT / os.fsdecode(name)).exists())
        packed = subprocess.run(
            ["tar", "--create", "--null", "--files-from=-"], cwd=ROOT, input=files, check=True, capture_output=True
        )
        docker("exec", "--interactive", machine.name, "sh", "-c", SOMEBODY, input=packed.stdout)
        yield machine
    finally:
        docker("rm", "--force", "--volumes", machine.name)


def test_nothing_is_installed_by_a_check(machine: Machine) -> None:
    """--check names what is missing, in one line, and changes nothing."""
    done = machine.run("./install_dep.sh --check")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    for missing in ("docker.io", "vagrant", "mmdebstrap", "a docker engine that answers", "Python environment", "Go "):
        assert missing in line
    assert not machine.run("test -e .deploy || command -v docker || command -v vagrant").stdout


def test_system_that_it_does_not_know(machine: Machine) -> None:
    """Another system: what it is, and what to install by hand; nothing is installed."""
    machine.run("cp /usr/lib/os-release /tmp/kept && sed -i 's/^ID=.*/ID=arch/' /usr/lib/os-release", user="root")
    try:
        done = machine.run("./install_dep.sh")
    finally:
        machine.run("cp /tmp/kept /usr/lib/os-release", user="root")
    assert done.returncode == 2
    assert "this system is arch" in done.stderr
    assert "  package vagrant" in done.stderr
    assert not machine.run("test -e .deploy || command -v vagrant").stdout


def test_unknown_option(machine: Machine) -> None:
    done = machine.run("./install_dep.sh --everything")
    assert done.returncode == 2
    assert "unknown option --everything" in done.stderr


def test_archive_without_a_package(machine: Machine) -> None:
    """A package that the archive does not have is named, and none is installed."""
    machine.run("echo 'Package: make\nPin: release *\nPin-Priority: -1' > /etc/apt/preferences.d/none", user="root")
    try:
        done = machine.run("./install_dep.sh")
    finally:
        machine.run("rm /etc/apt/preferences.d/none", user="root")
    assert done.returncode == 1
    assert "no package make: check the apt sources" in done.stderr
    assert not machine.run("command -v vagrant").stdout


def test_everything_is_installed_then_nothing_more(machine: Machine) -> None:
    """One call, by a member of no special group, ends with an engine that answers; the next call has nothing to do."""
    done = machine.run("./install_dep.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "starting dockerd" in done.stdout
    assert "somebody is now a member of group docker" in done.stdout
    # Sessions from now on are that member's.
    assert machine.run("./install_dep.sh --check").returncode == 0
    again = machine.run("./install_dep.sh")
    assert (again.returncode, again.stdout) == (0, "install_dep: all in place.\n"), again.stderr
    for command, says in {
        "docker info --format '{{.ServerVersion}}'": r"^\d+\.",
        "vagrant --version": r"^Vagrant 2\.",
        ".deploy/venv/bin/ansible --version": r"^ansible \[core 2\.",
        "PATH=.deploy/venv/bin:$PATH go version": r"^go version go1\.",
        "readlink -f .deploy/venv/bin/python": r"^/usr/bin/python3\.",
    }.items():
        asked = machine.run(command)
        assert asked.returncode == 0, asked.stderr
        assert re.match(says, asked.stdout), asked.stdout


def test_somebody_who_is_not_root_makes_a_base_image(machine: Machine) -> None:
    """The archive's packages become an image of the machine's own engine."""
    done = machine.run(
        "PATH=.deploy/venv/bin:$PATH ANSIBLE_CONFIG=$PWD/ansible.cfg ansible localhost -m ansible.builtin.include_role"
        " -a 'name=odoo_deploy.stack.container_image tasks_from=base'"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.run("docker images -q odoo-deploy/base").stdout


def test_engine_that_was_killed_starts_again(machine: Machine) -> None:
    """Its pid file is left: the next call starts it all the same."""
    machine.run("pkill -KILL -x dockerd; pkill -KILL -x containerd; sleep 1", user="root")
    assert machine.run("./install_dep.sh --check").returncode == 1
    done = machine.run("./install_dep.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.run("docker info").returncode == 0
