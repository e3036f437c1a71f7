# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every variable of a role is named in a test."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_proofs", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_variable_is_named_in_a_test(generate: ModuleType) -> None:
    """A new variable needs a test that sets it to something else, or asserts what it does (tests/settings/batch.py)."""
    assert [name for name, files in generate.proofs().items() if not files] == []


def test_the_batch_changes_each_setting_once() -> None:
    batch = re.findall(r'Setting\(\s*"(\w+)"', (ROOT / "tests" / "settings" / "batch.py").read_text())
    assert len(batch) > 40
    assert len(batch) == len(set(batch))


def test_a_variable_without_a_test_is_found(generate: ModuleType, tmp_path: Path) -> None:
    """By whole words: a longer name is another variable."""
    role = tmp_path / "roles" / "sample" / "meta"
    role.mkdir(parents=True)
    options = "{sample_one: {}, sample_two: {}}"
    (role / "argument_specs.yml").write_text(f"argument_specs: {{main: {{options: {options}}}}}")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_sample.py").write_text("sample_one sample_two_more")
    assert generate.proofs(tmp_path) == {"sample_one": ["tests/test_sample.py"], "sample_two": []}
    assert "1 of 2 variables have a test" in generate.proofs_page(tmp_path)


def test_a_parameter_and_a_written_proof_count(generate: ModuleType, tmp_path: Path) -> None:
    """What a test gives a playbook for a variable, and what elsewhere.yml says; the file itself names nothing."""
    role = tmp_path / "roles" / "sample" / "meta"
    role.mkdir(parents=True)
    (role / "argument_specs.yml").write_text(
        "argument_specs: {main: {options: {sample_to: {}, sample_wired: {}, sample_no: {}}}}"
    )
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "go.yml").write_text("    sample_to: \"{{ go_to | default('') }}\"\n")
    (tmp_path / "tests" / "settings").mkdir(parents=True)
    (tmp_path / "tests" / "test_go.py").write_text("go_to=2")
    (tmp_path / generate.ELSEWHERE).write_text("sample_wired: tests/test_go.py::test_one")
    proven = {"sample_to": ["tests/test_go.py"], "sample_wired": ["tests/test_go.py"], "sample_no": []}
    assert generate.proofs(tmp_path) == proven


def test_every_written_proof_is_there(generate: ModuleType) -> None:
    """The variable is a role's, the test is in that file, and nothing else proves the variable."""
    written = generate.elsewhere()
    assert written
    assert not set(written) - {name for names in generate.variables().values() for name in names}
    for name, proof in written.items():
        file, _sign, test = proof.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(), f"{name}: {proof}"
