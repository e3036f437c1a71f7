# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image's name says what is in it and never leads to half a build; the further name leads to the newest one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

SCENARIO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCENARIO.parent / "shared"))

from scenario import INVENTORY, enter  # noqa: E402

enter(SCENARIO)
testinfra_hosts = ["local://"]


def names(host: Any) -> dict[str, str]:
    """Reference to image id of all the scenario's images."""
    listed = host.check_output(
        "docker images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' 'molecule-image/*'"
    )
    return dict(line.split() for line in listed.splitlines())


def test_lost_names_are_given_again(host: Any) -> None:
    found = names(host)
    (whole,) = (name for name in found if name.startswith("molecule-image/whole:") and not name.endswith(":newest"))
    assert found["molecule-image/whole:newest"] == found[whole]
    assert len([name for name in found if name.startswith("molecule-image/staged-first:")]) == 1
    assert len([name for name in found if name.startswith("molecule-image/staged-second:")]) == 1


def test_what_goes_in_is_in_the_name(host: Any) -> None:
    """Another argument is another image; the old one stays, the further name moves on and back without a build."""
    converge = f"ansible-playbook -i {INVENTORY} {SCENARIO / 'converge.yml'}"
    before = names(host)
    host.check_output(f"{converge} -e image_words=two")
    after = names(host)
    assert len(after.keys() - before.keys()) == 3
    assert before["molecule-image/whole:newest"] != after["molecule-image/whole:newest"]
    labelled = host.check_output("docker image inspect --format '{{.Config.Labels.words}}' molecule-image/whole:newest")
    assert labelled == "two"
    host.check_output(converge)
    assert names(host) == {**after, "molecule-image/whole:newest": before["molecule-image/whole:newest"]}


def test_a_build_that_breaks_off_leaves_no_image(host: Any) -> None:
    """Neither a build nor a base has its name before it is whole: the next run would take it for that."""
    converge = f"ansible-playbook -i {INVENTORY} {SCENARIO / 'converge.yml'}"
    before = names(host)
    broken = host.run(f"{converge} -e container_image_dockerfile={SCENARIO / 'broken.Dockerfile'}")
    assert broken.rc != 0
    assert "nowhere" in broken.stdout
    assert names(host) == before
    # A release that no archive has.
    broken = host.run(f"{converge} -e container_image_base= -e container_image_suite=nonesuch")
    assert broken.rc != 0
    assert "nonesuch" in broken.stdout
    assert host.check_output("docker images -q odoo-deploy/base:nonesuch") == ""
