# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a person gets it: built, installed into an empty folder, found by Ansible, described."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
NAME = "odoo_deploy.stack"
WRITTEN = ("production", "secrets")  # settings that docs/production.md tells a person to write
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def tracked(*patterns: str) -> list[str]:
    """Files that are in git or would be, by pattern."""
    command = ["git", "ls-files", "-coz", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tarball that ansible-galaxy builds of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run(folder, "ansible-galaxy", "collection", "build", "--output-path", str(folder), str(ROOT))
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def user(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's folder: the collection installed in collections/, and a copy of its inventory."""
    folder = tmp_path_factory.mktemp("user")
    install = ("collection", "install", "--offline", "--no-deps", "--collections-path", "collections", str(archive))
    run(folder, "ansible-galaxy", *install)
    shutil.copytree(
        folder / "collections" / "ansible_collections" / "odoo_deploy" / "stack" / "inventory", folder / "inventory"
    )
    return folder


def run(folder: Path, program: str, *arguments: str) -> str:
    """Standard output of an Ansible program that must succeed, run where nothing of this checkout is seen."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "ODOO_DEPLOY_", "VAGRANT_"))
    }
    environment = kept | {
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    done = subprocess.run(
        [str(BIN / program), *arguments],
        cwd=folder,
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{program} {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
    return done.stdout


def test_archive_holds_what_git_holds(archive: Path) -> None:
    """Nothing of a run, a cache or an editor gets in, and nothing that is needed is left out."""
    with tarfile.open(archive) as tar:
        packed = {member.name for member in tar.getmembers() if member.isfile()}
    outside = {name for name in tracked() if name.startswith(".ci/")} | {".gitignore", "galaxy.yml"}
    assert packed == (set(tracked()) - outside) | {"FILES.json", "MANIFEST.json"}
    for needed in (
        "Vagrantfile",
        "inventory/nodes.yml",
        "images/vm/Dockerfile",
        "images/node/kube/go.sum",
        "docs/operations.md",
    ):
        assert needed in packed, needed


def test_every_playbook_is_found_by_its_full_name(user: Path) -> None:
    """Each playbook loads from the installed collection, with every role and module that it names."""
    source = "inventory/demo.vagrant_minikube.yml"
    told = run(
        user, "ansible-playbook", "-i", source, "--syntax-check", *(f"{NAME}.{playbook}" for playbook in PLAYBOOKS)
    )
    assert told.count("playbook: ") == len(PLAYBOOKS)


def test_site_lists_the_tasks_of_every_step(user: Path) -> None:
    """site runs the five steps, whether the machines come from the plugin or from a static inventory."""
    for source in (["demo.vagrant_minikube.yml"], ["production.example.yml", "wiring.example.yml"]):
        inventory = [word for name in source for word in ("-i", f"inventory/{name}")]
        tasks = run(user, "ansible-playbook", *inventory, f"{NAME}.site", "--list-tasks")
        for role in ("k8s_cluster", "postgres_common", "nginx_cache", "node_exporter"):
            assert f"{NAME}.{role} : " in tasks, f"{source}: {role}"


def test_ansible_doc_shows_everything(user: Path) -> None:
    """Every role, module and plugin of the collection is documented where ansible-doc looks."""
    shown = json.loads(run(user, "ansible-doc", "--metadata-dump", "--json", NAME))["all"]
    assert set(shown["role"]) == {f"{NAME}.{path.name}" for path in (ROOT / "roles").iterdir() if path.is_dir()}
    for folder, kind in {"modules": "module", "inventory": "inventory", "filter": "filter"}.items():
        wanted = {f"{NAME}.{path.stem}" for path in (ROOT / "plugins" / folder).glob("*.py")}
        assert set(shown.get(kind, {})) == wanted, folder
        assert all("doc" in plugin for plugin in shown[kind].values()), folder


def test_reference_is_what_the_code_says() -> None:
    """docs/reference is newer than every argument spec and DOCUMENTATION; docs/generate.py writes it."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    generate = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = generate  # dataclasses look their module up
    spec.loader.exec_module(generate)
    assert generate.stale() == [], "run .deploy/venv/bin/python docs/generate.py"


def test_links_between_documents_lead_somewhere() -> None:
    """A relative link of a Markdown file names a file, and a heading of it where it names one."""
    for name in tracked("*.md"):
        text = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / name).read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _sign, anchor = link.partition("#")
            target = (ROOT / name).parent / path if path else ROOT / name
            assert target.exists(), f"{name}: {link}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in anchors, f"{name}: {link}"


def test_documents_name_commands_that_exist() -> None:
    """Playbooks, scripts and folders that the documentation names are in the checkout; links are another test's."""
    for document in tracked("*.md"):
        text = (ROOT / document).read_text()
        for path in re.findall(
            r"(?<!\]\()(?<![\w./~-])(?:playbooks|roles|inventory|plugins|images|tests|runner|molecule)/[\w./*-]*\w",
            text,
        ):
            theirs = path in (
                "inventory/hosts.yml",
                "inventory/wiring.yml",
                *(f"inventory/group_vars/all/{name}.yml" for name in WRITTEN),
            )
            assert theirs or list(ROOT.glob(path.replace("NAME", "*"))), f"{document}: {path}"
        for playbook in re.findall(rf"ansible-playbook (?:-\S+ \S+ )*{re.escape(NAME)}\.(\w+)", text):
            assert playbook in PLAYBOOKS, f"{document}: {playbook}"


def test_requirements_are_named_alike() -> None:
    """galaxy.yml and requirements.yml ask for the same collections, every role for the same ansible-core."""
    galaxy = load("galaxy.yml")
    assert {entry["name"]: entry["version"] for entry in load("requirements.yml")["collections"]} == galaxy[
        "dependencies"
    ]
    least = load("meta/runtime.yml")["requires_ansible"]
    for role in tracked("roles/*/meta/main.yml"):
        assert least == f">={load(role)['galaxy_info']['min_ansible_version']}.0", role


def test_version_is_in_the_changelog() -> None:
    """The version of galaxy.yml is the changelog's newest, and has a summary."""
    releases, version = load("changelogs/changelog.yaml")["releases"], load("galaxy.yml")["version"]
    assert list(releases)[-1] == version
    assert releases[version]["changes"]["release_summary"]
    assert f"v{version}" in (ROOT / "CHANGELOG.rst").read_text()


def test_every_program_names_its_licence() -> None:
    """An SPDX line in every Python file; ansible-test's sentence too in every plugin."""
    for name in tracked("*.py"):
        head = (ROOT / name).read_text()[:600]
        assert not head or "SPDX-License-Identifier: GPL-3.0-or-later" in head, name
        if name.startswith("plugins/"):
            assert "GNU General Public License v3.0+" in head, name


def test_no_private_key_is_in_git() -> None:
    """No file holds a PEM private key, nor an encrypted vault that somebody forgot."""
    secret = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n[A-Za-z0-9+/=]{20}|^\$ANSIBLE_VAULT;", re.MULTILINE)
    assert [name for name in tracked() if secret.search((ROOT / name).read_bytes())] == []
