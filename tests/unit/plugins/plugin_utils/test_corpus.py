# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""State files of minikube 0.29 to 1.38 and Vagrant 2.2 to 2.4, each with its right answer.

The layouts are those of public reports (``source`` in each file); names, addresses and versions are replaced.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils import minikube, vagrant
from ansible_collections.odoo_deploy.stack.plugins.plugin_utils.files import StateError

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
PROFILES = sorted((CORPUS / "minikube").glob("*.json"))
ENTRIES = sorted((CORPUS / "vagrant").glob("*.json"))


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profile(path: Path, tmp_path: Path) -> None:
    case = json.loads(path.read_text())
    write(tmp_path / "profiles" / "minikube" / "config.json", case["config"])
    for name, machine in case["machines"].items():
        write(tmp_path / "machines" / name / "config.json", machine)
    if "error" in case:
        with pytest.raises(StateError, match=case["error"]):
            minikube.nodes(tmp_path, "minikube")
        return
    assert [
        {
            "name": node.name,
            "address": node.address,
            "driver": node.driver,
            "kubernetes_version": node.kubernetes_version,
            "control_plane": node.control_plane,
            "ssh": [node.ssh.host, node.ssh.port] if node.ssh else None,
        }
        for node in minikube.nodes(tmp_path, "minikube")
    ] == case["nodes"]


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.stem)
def test_an_entry_of_vagrants_index(path: Path, tmp_path: Path) -> None:
    project, other, home = tmp_path / "project", tmp_path / "other", tmp_path / "vagrant.d"
    other.mkdir()
    case = json.loads(path.read_text().replace("PROJECT", str(project)).replace("OTHER", str(other)))
    folder = project / ".vagrant" / "machines" / "pg1" / case["entry"]["provider"]
    folder.mkdir(parents=True)
    (folder / "id").write_text("0a1b2c3d-0000-4000-8000-000000000001")
    (folder / "index_uuid").write_text("5e9f00000000400080000000000000aa")
    index = {"version": 1, "machines": {"5e9f00000000400080000000000000aa": case["entry"]}}
    write(home / "data" / "machine-index" / "index", index)
    (machine,), problems = vagrant.machines(project, project / ".vagrant", home)
    assert problems == ()
    assert {"box": machine.box, "project": str(machine.project)} == case["answer"]
    assert machine.problem == ""


def test_the_corpus_is_there() -> None:
    assert len(PROFILES) >= 13 and len(ENTRIES) >= 5
