# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A context that somebody names, of this scenario's cluster: refused in one message, and taken once it is corrected."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

SCENARIO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCENARIO.parent / "shared"))

from scenario import INVENTORY, ROOT, enter  # noqa: E402

enter(SCENARIO)
testinfra_hosts = ["local://"]


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    """The kubeconfig of the scenario's cluster."""
    return yaml.safe_load((Path(os.environ["ODOO_DEPLOY_DIR"]) / "kubeconfig").read_text())


class Folder:
    """A deployment's own folder, and the kubeconfig that a person brings."""

    def __init__(self, folder: Path) -> None:
        self.theirs, self.ours, self.record = folder / "theirs", folder / "ours", folder / "ours.json"

    def play(self, context: str, **extra: str) -> tuple[int, str]:
        """Step 1 with that context: its exit code and what it said."""
        variables = {
            "k8s_cluster_context": context,
            "k8s_cluster_context_kubeconfig": str(self.theirs),
            "k8s_cluster_kubeconfig": str(self.ours),
            "k8s_cluster_record": str(self.record),
            **extra,
        }
        argv = [
            "ansible-playbook",
            "-i",
            INVENTORY,
            str(ROOT / "playbooks" / "cluster.yml"),
            "-e",
            json.dumps(variables),
        ]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def with_token(kubeconfig: dict[str, Any]) -> dict[str, Any]:
    """Credentials that the cluster does not know."""
    changed = copy.deepcopy(kubeconfig)
    changed["users"][0]["user"] = {"token": "nobody"}
    return changed


def with_port(kubeconfig: dict[str, Any]) -> dict[str, Any]:
    """A port where nobody listens."""
    changed = copy.deepcopy(kubeconfig)
    changed["clusters"][0]["cluster"]["server"] = changed["clusters"][0]["cluster"]["server"].rpartition(":")[0] + ":9"
    return changed


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda _good: None, "There is no kubeconfig"),
        (lambda _good: "half a file", "; it has none. Correct k8s_cluster_context"),
        (lambda good: {**good, "contexts": [{**good["contexts"][0], "name": "shop"}]}, "it has shop. Correct"),
        (with_token, "the cluster refuses its credentials (401). Renew them"),
        (with_port, "the cluster does not answer. Start it"),
    ],
)
def test_refused_then_corrected(folder: Folder, good: dict[str, Any], spoil: Any, says: str) -> None:
    """One message, nothing is written; the next run takes what was corrected."""
    context = good["current-context"]
    spoiled = spoil(good)
    if spoiled is not None:
        folder.theirs.write_text(yaml.safe_dump(spoiled))
    code, said = folder.play(context)
    assert code != 0
    assert says in said
    assert not folder.ours.exists()
    assert not folder.record.exists()
    folder.theirs.write_text(yaml.safe_dump(good))
    code, said = folder.play(context)
    assert code == 0, said
    assert yaml.safe_load(folder.ours.read_text()) == {
        part: good[part] for part in ("apiVersion", "kind", "current-context", "contexts", "clusters", "users")
    }
    assert folder.ours.stat().st_mode & 0o777 == 0o600


def test_another_context_under_a_deployment(folder: Folder, good: dict[str, Any]) -> None:
    """What runs on one cluster is not looked for on another."""
    folder.theirs.write_text(yaml.safe_dump(good))
    code, said = folder.play(good["current-context"])
    assert code == 0, said
    for context, extra in (("shop", {}), ("", {"k8s_cluster_kind": "embedded"})):
        code, said = folder.play(context, **extra)
        assert code != 0
        assert f"this deployment runs on context {good['current-context']}" in said
    code, said = folder.play("")
    assert code == 0, said
