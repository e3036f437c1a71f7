# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role certificate, run on this machine as on any other: issued, kept, made anew, given."""

from __future__ import annotations

import getpass
import grp
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

ROOT = Path(__file__).resolve().parents[3]
ROLE = "odoo_deploy.stack.certificate"


def run(folder: Path, variables: dict[str, Any], *entries: str, check: bool = False) -> list[bool]:
    """Run the role with these entry points, one after the other; whether each installed anything."""
    tasks: list[dict[str, Any]] = []
    for entry in entries:
        tasks += [
            {"ansible.builtin.include_role": {"name": ROLE, "tasks_from": entry}},
            {"ansible.builtin.debug": {"msg": "told={{ certificate_changed | default('') | lower }}"}},
        ]
    book = folder / "play.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    (folder / "ansible.cfg").touch()
    environment = {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".deploy" / "collections"),
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, str(book), "-e", json.dumps(variables), *(["--check"] if check else [])]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [told == "true" for told in re.findall(r'"msg": "told=(\w*)"', done.stdout)]


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "machine").mkdir()
    return {
        "certificate_path": str(tmp_path / "machine" / "a.crt"),
        "certificate_key_path": str(tmp_path / "machine" / "a.key"),
        "certificate_ca_installed_path": str(tmp_path / "machine" / "ca.crt"),
        "certificate_owner": getpass.getuser(),
        "certificate_key_owner": getpass.getuser(),
        "certificate_key_group": grp.getgrgid(os.getgid()).gr_name,
        "certificate_key_mode": "0640",
        "certificate_common_name": "a.example",
        "certificate_names": ["DNS:a.example", "IP:192.0.2.1"],
        "certificate_usages": ["client"],
        "certificate_days": 60,
        "certificate_ca_path": str(tmp_path / "ca" / "ca.crt"),
        "certificate_ca_key_path": str(tmp_path / "ca" / "ca.key"),
        "certificate_ca_common_name": "an authority",
    }


def test_issued_kept_and_made_anew(tmp_path: Path, variables: dict[str, Any]) -> None:
    """With the wanted subject and modes; a second time nothing changes, and a trial run changes nothing."""
    machine = tmp_path / "machine"
    assert run(tmp_path, variables, "authority", "main", "main") == [False, True, False]
    made = x509.load_pem_x509_certificate((machine / "a.crt").read_bytes())
    assert made.subject.rfc4514_string() == "CN=a.example"
    assert made.issuer.rfc4514_string() == "CN=an authority"
    assert (made.not_valid_after_utc - made.not_valid_before_utc).days == 61
    usages = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [usage.dotted_string for usage in usages] == ["1.3.6.1.5.5.7.3.2"]  # clientAuth
    key = serialization.load_pem_private_key((machine / "a.key").read_bytes(), None)
    assert key.public_key() == made.public_key()
    assert {file.name: file.stat().st_mode & 0o777 for file in machine.iterdir()} == {
        "a.crt": 0o644,
        "a.key": 0o640,
        "ca.crt": 0o644,
    }
    assert (tmp_path / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    authority = (tmp_path / "ca" / "ca.crt").read_bytes()
    assert (machine / "ca.crt").read_bytes() == authority

    ends = {**variables, "certificate_renew_days": 61}
    assert run(tmp_path, ends, "main", check=True) == [False]
    assert (machine / "a.crt").read_bytes() == made.public_bytes(serialization.Encoding.PEM)
    assert run(tmp_path, {**ends, "certificate_ca_renew": True}, "authority", "main") == [False, True]
    anew = x509.load_pem_x509_certificate((machine / "a.crt").read_bytes())
    assert anew.serial_number != made.serial_number
    assert anew.public_key() == key.public_key()
    assert (machine / "ca.crt").read_bytes() != authority
    made.verify_directly_issued_by(x509.load_pem_x509_certificate((machine / "ca.crt").read_bytes()))


def test_a_given_one_is_installed(tmp_path: Path, variables: dict[str, Any]) -> None:
    """With its key; nothing is signed, and no authority's key is needed."""
    (tmp_path / "ca").mkdir()
    for name, text in {"ca/ca.crt": "authority\n", "given.crt": "certificate\n", "given.key": "key\n"}.items():
        (tmp_path / name).write_text(text)
    given = {
        "certificate_given": str(tmp_path / "given.crt"),
        "certificate_given_key": str(tmp_path / "given.key"),
    }
    assert run(tmp_path, variables | given, "issue", "issue") == [True, False]
    machine = tmp_path / "machine"
    assert {file.name: file.read_text() for file in machine.iterdir()} == {
        "a.crt": "certificate\n",
        "a.key": "key\n",
        "ca.crt": "authority\n",
    }
