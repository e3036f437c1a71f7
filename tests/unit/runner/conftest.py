# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkout of its own for each test: the real runner and the real Ansible on small playbooks.

docker, vagrant and install_dep.sh are programs of the test that keep their state in files.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(PROJECT))

DOCKER = f"""#!{sys.executable} -IS
import json, os, sys
state, argv = json.load(open(os.environ["FAKE_DOCKER"])), sys.argv[1:]
template = argv[argv.index("--format") + 1] if "--format" in argv else ""
labels = [word.split("label=", 1)[1] for word in argv if word.startswith("label=")]

def listed(rows, key):
    for row in rows:
        if all(label in row["Labels"].split(",") for label in labels):
            print(json.dumps(row) if "json" in template else row[key])

if state.get("down"):
    sys.exit("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
if argv[0] == "info":
    print("/")
elif argv[0] == "ps":
    listed(state["containers"], "Names")
elif argv[:2] == ["network", "inspect"]:
    print(json.dumps(state["networks"]))
elif argv[:2] == ["network", "ls"]:
    listed(state["networks"], "Id" if "-q" in argv else "Name")
elif argv[:2] == ["volume", "ls"]:
    listed(state["volumes"], "Name")
elif argv[:2] == ["image", "ls"]:
    listed(state["images"], "Name")
elif "rm" in argv:
    kind = "containers" if argv[0] == "rm" else argv[0] + "s"
    kept = [row for row in state[kind] if argv[-1] not in (row.get("Names"), row.get("Name"))]
    if len(kept) == len(state[kind]):
        sys.exit("No such object: " + argv[-1])
    state[kind] = kept
    json.dump(state, open(os.environ["FAKE_DOCKER"], "w"))
else:
    sys.exit("the test's docker knows no " + " ".join(argv))
"""
VAGRANT = """#!/bin/sh
echo "vagrant $*" >> "$FAKE_DOCKER.calls"
"""
INSTALL = """#!/bin/sh
echo "install $*" >> .installed
"""
ANSIBLE_CFG = """[defaults]
inventory = inventory/hosts.ini
forks = 2
pipelining = True
[inventory]
enable_plugins = ansible.builtin.ini
"""
HOSTS = """[nginx]
nginx1 peer_address=198.51.100.31
[postgres_primary]
pg1 peer_address=198.51.100.21
[all:vars]
ansible_connection=local
ansible_python_interpreter="{{ ansible_playbook_python }}"
"""
NODES = """---
deployment: shop  # a comment
network: 198.51.100.0/24
suite: bookworm
machines:
  pg1: {address: 198.51.100.21, groups: [postgres_primary], memory: 128, cpus: 1}
  nginx1: {address: 198.51.100.31, groups: [nginx], memory: 128, cpus: 1}
"""
PLAYBOOK = """---
- name: Check {name}
  hosts: pg1
  gather_facts: false
  tasks:
    - name: Look at {name}
      ansible.builtin.assert:
        that: not lookup('ansible.builtin.env', 'BREAK_' ~ '{name}')
        fail_msg: "{name} is not as it should be"
- name: Apply {name}
  hosts: pg1
  gather_facts: false
  tasks:
    - name: Write {name}
      ansible.builtin.command:
        cmd: sh -c 'printf applied > {name}.applied'
        chdir: "{{{{ playbook_dir }}}}/.."
        creates: "{name}.applied"
    - name: Take time
      ansible.builtin.command: sh -c 'echo $$ > {name}.pid; sleep "$TAKE_{name}"'
      args:
        chdir: "{{{{ playbook_dir }}}}/.."
      when: lookup('ansible.builtin.env', 'TAKE_' ~ '{name}') | length > 0
      changed_when: false
"""
TESTS = '''import os
import pathlib
import time

import pytest

root = pathlib.Path(__file__).parents[2]

@pytest.mark.parametrize("step", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in
                                  ("cluster", "monitoring", "postgres", "odoo", "nginx")])
def test_applied(step):
    """What the step wrote is there.

    More words.
    """
    assert (root / f"{step}.applied").read_text() == "applied"
    beside, patience = os.environ.get(f"BESIDE_{step}"), time.monotonic() + 120
    while beside and not (root / f"{beside}.pid").exists():
        assert time.monotonic() < patience, f"{beside} has not begun"
        time.sleep(0.1)
    assert "UNVERIFIED" not in os.environ, "the standby does not stream"
'''
STEPS = ("cluster", "monitoring", "postgres", "odoo", "nginx")
AHEAD = ("odoo_image", "odoo_image_load", "nginx_machines")


@dataclass
class Checkout:
    """A deployment's folder; run() types a command in it."""

    root: Path
    env: dict[str, str]
    docker_state: Path

    def run(self, *argv: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "run.py", *argv],
            cwd=self.root, env={**self.env, **env}, input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip

    @contextlib.contextmanager
    def running(self, *argv: str, **env: str) -> Iterator[subprocess.Popen[str]]:
        """A command that runs on; what is left of it is killed."""
        process = subprocess.Popen(
            [sys.executable, "run.py", *argv],
            cwd=self.root, env={**self.env, **env}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def events(self, *argv: str, **env: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("--json", *argv, **env).stdout.splitlines()]

    def docker(self, **state: Any) -> None:
        """Sets what the engine has: containers, networks, volumes, images, down."""
        empty: dict[str, Any] = {"containers": [], "networks": [], "volumes": [], "images": []}
        self.docker_state.write_text(json.dumps({**empty, **state}))

    def left(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.docker_state.read_text())
        return found

    def journal(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / ".deploy/journal.json").read_text())
        return found


def wait_for(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """What the condition gives once it is true. The machine may be at much else."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "checkout"
    for name in ("run.py", "teardown.sh", "plugins/plugin_utils/nodes.py", "plugins/plugin_utils/platforms.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, root / name)
    shutil.copytree(PROJECT / "runner", root / "runner", ignore=shutil.ignore_patterns("__pycache__"))
    files = {
        "ansible.cfg": ANSIBLE_CFG,
        "inventory/hosts.ini": HOSTS,
        "inventory/nodes.yml": NODES,
        "tests/e2e/test_applied.py": TESTS,
    }
    files |= {f"playbooks/{name}.yml": PLAYBOOK.format(name=name) for name in (*STEPS, *AHEAD)}
    files |= {"pytest.ini": "[pytest]\nmarkers =\n" + "".join(f"  {step}\n" for step in STEPS)}
    files |= {".deploy/cluster.json": json.dumps({"kind": "embedded", "reason": "no context is named"})}
    files |= {".deploy/secrets/odoo_admin_password": "sesame-open-42\n"}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    _program(root / "install_dep.sh", INSTALL)
    venv = root / ".deploy/venv"
    (venv / "bin").mkdir(parents=True)
    base = Path(sys.base_prefix) / "bin/python3"
    (venv / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    (venv / "lib").symlink_to(Path(sys.prefix) / "lib")
    (venv / "bin/python3").symlink_to(base)
    for program in ("ansible-playbook", "ansible-inventory"):
        (venv / "bin" / program).symlink_to(Path(sys.executable).with_name(program))
    bin_dir = tmp_path / "bin"
    _program(bin_dir / "docker", DOCKER)
    _program(bin_dir / "vagrant", VAGRANT)
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "ODOO_DEPLOY_", "VAGRANT_", "PYTEST_"))
    }
    env |= {
        "PATH": f"{bin_dir}:{env['PATH']}",
        "FAKE_DOCKER": str(tmp_path / "docker.json"),
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    env |= {"VAGRANT_DEFAULT_PROVIDER": "docker", "COLUMNS": "100"}
    made = Checkout(root, env, tmp_path / "docker.json")
    made.docker()
    return made
