# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The allow-list of roles/nginx_cache against a matcher written without regular expressions, on hostile paths."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[3]
VARS = yaml.safe_load((ROOT / "roles/nginx_cache/vars/main.yml").read_text())
STATIC: str = VARS["__nginx_cache_static_pattern"]
BUNDLES: dict[int, str] = VARS["__nginx_cache_bundle_patterns"]
ARGUMENTS: str = VARS["__nginx_cache_arguments_pattern"]

LOWER, DIGITS, HEX = string.ascii_lowercase, string.digits, "0123456789abcdef"
SAFE = string.ascii_letters + DIGITS + "_@+~.,-"


def module_name(text: str) -> bool:
    """Tell whether ``text`` can be the name of an addon: a lower-case identifier."""
    return text[:1] in tuple(LOWER) and all(letter in LOWER + DIGITS + "_" for letter in text)


def is_static(path: str) -> bool:
    """Tell whether ``path`` is a file of an addon: /ADDON/static/ and at least one plain segment, none hidden."""
    parts = path.split("/")
    if len(parts) < 4 or parts[0] or not module_name(parts[1]) or parts[2] != "static":
        return False
    return all(part and part[0] not in ".," and all(letter in SAFE for letter in part) for part in parts[3:])


def is_word(text: str) -> bool:
    """Tell whether ``text`` is a non-empty run of a-z, 0-9 and underscore."""
    return bool(text) and all(letter in LOWER + DIGITS + "_" for letter in text)


def is_number(text: str) -> bool:
    """Tell whether ``text`` is a non-empty run of ASCII digits."""
    return bool(text) and all(letter in DIGITS for letter in text)


def is_hash(text: str) -> bool:
    """Tell whether ``text`` is a fingerprint: 7 to 64 lower-case hexadecimal digits."""
    return 7 <= len(text) <= 64 and all(letter in HEX for letter in text)


def is_bundle(path: str, version: int) -> bool:
    """Tell whether ``path`` is a fingerprinted bundle of Odoo ``version``."""
    new = version >= 17
    prefix = "/web/content/" if version < 15 else "/web/assets/"
    if not path.startswith(prefix):
        return False
    *folders, name = path[len(prefix) :].split("/")
    if new:
        if len(folders) == 2 and is_number(folders[0]):
            folders = folders[1:]
        if len(folders) != 1 or not is_hash(folders[0]):
            return False
    else:
        if not folders or folders[0].count("-") != 1:
            return False
        number, fingerprint = folders[0].split("-")
        rest = folders[1:]
        if rest and is_number(rest[0]):
            rest = rest[1:]
        if rest == ["rtl"]:
            rest = []
        if not (is_number(number) and is_hash(fingerprint)) or rest:
            return False
    return is_bundle_name(name, new)


def is_bundle_name(name: str, new: bool) -> bool:
    """Tell whether ``name`` is ADDON.BUNDLE[…].js or .css, as Odoo writes it; from 17 always minified."""
    parts = name.split(".")
    if len(parts) < 3 or not module_name(parts[0]) or not is_word(parts[1]) or parts[-1] not in ("js", "css"):
        return False
    middle = parts[2:-1]
    if new:
        return middle in (["min"], ["rtl", "min"], ["autoprefixed", "min"], ["rtl", "autoprefixed", "min"])
    if middle and is_number(middle[0]):
        middle = middle[1:]
    return middle in ([], ["min"])


# Pieces that nearly make an allowed path, so that most examples are close to the border and many are inside.
PIECES = st.sampled_from(
    [
        *(
            "/",
            "//",
            "/web",
            "/web/",
            "web",
            "/static",
            "/static/",
            "/src/",
            "/content/",
            "/assets/",
            "/rtl/",
            "/image/",
        ),
        *("12", "-", "0a1b2c3", "abcdefg", "0A1B2C3", "debug", "any", "web.assets_common", "website.assets_frontend"),
        *(
            ".js",
            ".css",
            ".min",
            ".0",
            ".rtl",
            ".autoprefixed",
            ".map",
            ".png",
            "..",
            ".",
            "/../",
            "/./",
            "/.git",
            "%2e",
        ),
        *(
            "%2f",
            "%00",
            "\x00",
            "\n",
            "\r\n",
            ";",
            "?",
            "#",
            "\\",
            " ",
            "\u0131",
            "\uff4as",
            "é",
            "_",
            "@",
            ",",
            "~",
            "+",
            "Web",
            "x",
        ),
    ]
)
ALLOWED = st.sampled_from(
    [
        *(
            "/web/static/src/js/a.js",
            "/website_sale/static/lib/x-1.2/y,z@2~.css",
            "/web/content/1-0a1b2c3/web.assets_common.js",
        ),
        *(
            "/web/content/1-0a1b2c3/2/rtl/website.assets_frontend.css",
            "/web/assets/31-0a1b2c3/web.assets_backend.min.js",
        ),
        *("/web/assets/0a1b2c3/web.assets_web.min.js", "/web/assets/1/0a1b2c3/web.assets_frontend.rtl.min.css"),
    ]
)


@st.composite
def paths(draw: st.DrawFn) -> str:
    """Draw a path: pieces put together, or an allowed one with a piece put in somewhere."""
    if draw(st.booleans()):
        return "".join(draw(st.lists(PIECES, max_size=9)))
    base = draw(ALLOWED)
    place = draw(st.integers(0, len(base)))
    return (
        base[:place]
        + draw(st.one_of(PIECES, st.just(""), st.characters(codec="utf-8")))
        + base[place + draw(st.integers(0, 2)) :]
    )


@settings(max_examples=4000, deadline=None)
@given(paths())
def test_static_pattern_is_the_reference(path: str) -> None:
    """The pattern takes what the reference takes, on the bytes nginx sees, and nothing else."""
    assert bool(re.fullmatch(STATIC.encode(), path.encode())) == is_static(path)


@pytest.mark.parametrize("version", [14, 15, 17])
@settings(max_examples=3000, deadline=None)
@given(path=paths())
def test_bundle_pattern_is_the_reference(version: int, path: str) -> None:
    """The same for each form of a bundle's URL."""
    assert bool(re.fullmatch(BUNDLES[version].encode(), path.encode())) == is_bundle(path, version)


@settings(max_examples=2000, deadline=None)
@given(paths())
def test_nothing_dangerous_is_ever_allowed(path: str) -> None:
    """Whatever pattern takes it, a path has no way up, no escape, no separator of another layer, and no user's page."""
    bundle = any(re.fullmatch(pattern.encode(), path.encode()) for pattern in BUNDLES.values())
    if bundle or re.fullmatch(STATIC.encode(), path.encode()):
        segments = path.split("/")[1:]
        assert not {"", ".", ".."} & set(segments)
        assert not any(bad in path for bad in ("%", ";", "\\", "\x00", "\n", "?", "#", "/."))
        assert "/static/" in path or path.endswith((".js", ".css"))
        # Odoo writes these in the place of a bundle's fingerprint; a module may well have static/lib/debug.
        assert not (bundle and {"debug", "any"} & set(segments))


@settings(max_examples=2000, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"v=&%;", "v=", "ver=", "debug", "assets", "session_id", "1a", "\n", "."]), max_size=6
    ).map("".join)
)
def test_arguments_pattern_takes_one_version_only(arguments: str) -> None:
    """One argument that names a version, of plain characters; everything else goes around the cache."""
    name, sign, value = arguments.partition("=")
    plain = len(value) <= 64 and all(letter in string.ascii_letters + DIGITS + "._-" for letter in value)
    reference = bool(sign) and name in ("v", "ver", "version", "unique", "t") and plain
    assert bool(re.fullmatch(ARGUMENTS.encode(), arguments.encode())) == reference


@pytest.mark.parametrize(
    ("version", "path"),
    [
        (14, "/web/content/184-44286ab/1/web.assets_common.js"),
        (14, "/web/content/271-0c8ba48/web.assets_backend.css"),
        (14, "/web/content/9-0c8ba48/rtl/web.report_assets_common.css"),
        (15, "/web/assets/182-7d9c8c1/web.assets_common.min.js"),
        (15, "/web/assets/331-4a1ff37/1/web.assets_frontend.min.css"),
        (17, "/web/assets/ab12cd3/web.assets_web.min.js"),
        (17, "/web/assets/1/ab12cd3/web.assets_frontend.rtl.min.css"),
        (17, "/web/assets/ab12cd3/web.assets_frontend.rtl.autoprefixed.min.css"),
    ],
)
def test_real_bundles_are_taken(version: int, path: str) -> None:
    """URLs as Odoo writes them."""
    assert re.fullmatch(BUNDLES[version], path)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/web/content/5/x.css",
            "/web/content/5-abcdef0/secret.css",
            "/web/content/5-abcdef0/a/b.c.js",
            "/web/image/5-abcdef0/x.js",
        ),
        *(
            "/web/assets/debug/web.assets_web.js",
            "/web/assets/any/web.assets_web.min.js",
            "/web/assets/%25/web.a.min.js",
        ),
        *(
            "/web/content/ir.attachment/5/datas/web.assets_common.js",
            "/web/webclient/load_menus/0a1b2c3d",
            "/web/login/x.js",
        ),
    ],
)
def test_private_paths_are_not(path: str) -> None:
    """Paths whose answer depends on who asks."""
    assert not any(re.fullmatch(pattern, path) for pattern in (STATIC, *BUNDLES.values()))
