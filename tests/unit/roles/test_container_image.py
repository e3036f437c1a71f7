# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How images are named, and where the base's packages come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Evaluate = Callable[..., dict[str, Any]]
ROLE = Path(__file__).resolve().parents[3] / "roles" / "container_image"
DEFAULTS: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
VARIABLES = DEFAULTS | yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
SOURCES = "/etc/apt/sources.list.d/debian.sources"


def test_the_hosts_own_mirrors_are_taken(evaluate: Evaluate, tmp_path: Path) -> None:
    """Debian's where it has none, and on a host that is no Debian."""
    names = ("container_image_mirror", "container_image_security_mirror")
    debian = ["http://deb.debian.org/debian", "http://deb.debian.org/debian-security"]
    texts = {
        "own": "Types: deb\nURIs: http://near.test/debian/\nSuites: bookworm\n\nURIs: http://near.test/debian-security\n",
        "one": "Types: deb\nURIs: http://near.test/debian-security/\nSuites: bookworm-security\n",
        "other": "Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\n",
        "empty": "",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.sources").write_text(text)
    cases = {
        name: {mirror: DEFAULTS[mirror].replace(SOURCES, f"{tmp_path}/{name}.sources") for mirror in names}
        for name in (*texts, "absent")
    }
    asked = [{"ansible.builtin.debug": {"msg": f"{{{{ [{', '.join(names)}] }}}}"}}]
    assert evaluate(VARIABLES, cases, asked) == {
        "own": ["http://near.test/debian", "http://near.test/debian-security"],
        "one": [debian[0], "http://near.test/debian-security"],
        "other": debian,
        "empty": debian,
        "absent": debian,
    }


def test_each_stage_has_a_name(evaluate: Evaluate) -> None:
    """A build without stages leaves those of an earlier one."""
    tasks = yaml.safe_load((ROLE / "tasks" / "main.yml").read_text(encoding="utf-8"))
    (naming,) = (task for task in tasks if task["name"] == "Name the image by its contents")
    earlier = {"container_image_refs": {"node": "odoo-deploy/other-node:1"}}
    known = {"container_image_name": "odoo-deploy/kube", "__container_image_hash": "0123456789abcdef" * 4}
    cases: dict[str, dict[str, Any]] = {
        "stages": {"container_image_stages": ["programs", "pause"], **earlier},
        "later": earlier,
        "none": {},
    }
    asked = {
        "ansible.builtin.debug": {
            "msg": "{{ [container_image_ref, container_image_refs, container_image_refs | list] }}"
        }
    }
    told = evaluate(VARIABLES | known, cases, [naming, asked])
    names = {stage: f"odoo-deploy/kube-{stage}:0123456789abcdef" for stage in ("programs", "pause")}
    assert told["stages"] == ["odoo-deploy/kube:0123456789abcdef", names, ["programs", "pause"]]
    assert told["later"][1] == {"node": "odoo-deploy/other-node:1"}
    assert told["none"][1] == {}
