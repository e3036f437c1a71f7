# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Odoo's image comes from: what a person names, what a deployment has, what the network allows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_image import odoo_image
from ansible_collections.odoo_deploy.stack.plugins.filter.odoo_registry_url import odoo_registry_url

REGISTRY = "https://registry-1.docker.io/v2/"


def decide(wanted: str = "auto", version: str = "19", **given: Any) -> dict[str, Any]:
    facts = {
        "packaged": version in ("14", "19"),
        "official": f"odoo:{version}.0",
        "registry": REGISTRY,
        "answers": False,
    }
    return odoo_image(wanted, version, **{**facts, **given})


HAD = {"version": "19", "source": "debian", "reason": "no registry then"}


@pytest.mark.parametrize(
    ("given", "source", "reason"),
    [
        ({"answers": True}, "official", "its registry https://registry-1.docker.io/v2/ answers"),
        ({"answers": False}, "debian", "does not answer"),
        ({"here": True}, "official", "this machine's engine holds odoo:19.0"),
        ({"version": "17", "answers": True}, "official", "answers"),
        ({"version": "14", "answers": True}, "debian", "always"),
        # A network that came or went changes nothing for a deployment that stands.
        ({"answers": True, "remembered": HAD}, "debian", "no registry then"),
        ({"answers": False, "remembered": {**HAD, "source": "official"}}, "official", "no registry then"),
        # Another series is another decision.
        ({"answers": True, "remembered": {**HAD, "version": "14"}}, "official", "answers"),
        ({"answers": True, "remembered": {**HAD, "source": "named"}}, "official", "answers"),
        # What a person says wins.
        ({"wanted": "official", "remembered": HAD}, "official", "odoo_k8s_image_source is official"),
        ({"wanted": "debian", "answers": True}, "debian", "odoo_k8s_image_source is debian"),
        ({"base": "my/odoo:19", "remembered": HAD}, "named", "odoo_k8s_image_base is my/odoo:19"),
        ({"version": "17", "package": "/srv/odoo.deb"}, "debian", "odoo_k8s_image_package is /srv/odoo.deb"),
    ],
)
def test_source_and_why(given: dict[str, Any], source: str, reason: str) -> None:
    decided = decide(**given)
    assert (decided["source"], decided["refusal"]) == (source, "")
    assert reason in decided["reason"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"version": "17"},
            "odoo:17.0, https://registry-1.docker.io/v2/, does not answer, and Debian has no package of",
        ),
        (
            {"version": "17", "wanted": "debian"},
            "odoo_k8s_image_source is debian, but Debian has no package of Odoo 17",
        ),
        ({"base": "a", "package": "b"}, "name one of them"),
        ({"wanted": "official", "package": "b"}, "leave one out"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    decided = decide(**given)
    assert decided["source"] == ""
    assert says in decided["refusal"]


@pytest.mark.parametrize(
    ("given", "ask"),
    [
        ({}, True),
        ({"remembered": {**HAD, "version": "18"}}, True),
        ({"remembered": HAD}, False),
        ({"base": "my/odoo:19"}, False),
        ({"package": "/srv/odoo.deb"}, False),
        ({"wanted": "debian"}, False),
    ],
)
def test_the_network_is_asked_only_if_the_answer_matters(given: dict[str, Any], ask: bool) -> None:
    assert decide(**given, answers=None)["ask"] is ask


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("odoo:19.0", "https://registry-1.docker.io/v2/"),
        ("library/odoo:19.0", "https://registry-1.docker.io/v2/"),
        ("docker.io/library/odoo", "https://registry-1.docker.io/v2/"),
        ("registry.example.com/team/odoo:19", "https://registry.example.com/v2/"),
        ("registry.example.com:5000/odoo", "https://registry.example.com:5000/v2/"),
        ("localhost:5000/odoo", "http://localhost:5000/v2/"),
    ],
)
def test_registry_of_a_name(image: str, url: str) -> None:
    assert odoo_registry_url(image) == url
