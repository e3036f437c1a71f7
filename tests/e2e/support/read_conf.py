# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run in a pod: what Odoo's own parser makes of odoo.conf, as the process that serves has asked it. Prints JSON.

Arguments are Odoo's; without any they are those of process 1. Secrets are told by their SHA-256.
"""

from __future__ import annotations

import configparser
import hashlib
import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any


def served() -> list[str]:
    """Arguments of the process that serves."""
    words = Path("/proc/1/cmdline").read_text().split("\0")[:-1]
    return words[words.index("--config") :]


def known(config: Any) -> list[str]:
    """Every option of the file or of the command line."""
    options = [option for group in (config.parser, *config.parser.option_groups) for option in group.option_list]
    return sorted({option.dest for option in options if option.dest} | set(config.options))


def secrets() -> dict[str, str]:
    parser = configparser.RawConfigParser()
    parser.read(os.environ.get("ODOO_SECRET_CONFIG", ""))
    return dict(parser["options"]) if parser.has_section("options") else {}


def hashed(config: Any, name: str, text: str) -> str:
    """SHA-256 of what Odoo has. The master password is a hash there: its text, if that is the one which it is of."""
    value = config[name]
    if name == "admin_passwd":
        right = str(value).startswith("$pbkdf2-sha512$") and config.verify_admin_password(text)
        value = text if right else "another one"
    return hashlib.sha256(str(value).encode()).hexdigest()


def has_addons(folder: Path) -> bool:
    return any((entry.parent / "__init__.py").is_file() for entry in folder.glob("*/__manifest__.py"))


def main() -> None:
    import odoo.release
    import odoo.tools

    # A configuration of the image's own is none of the pod's.
    for name in ("ODOO_RC", "OPENERP_SERVER"):
        os.environ.pop(name, None)
    config, words = odoo.tools.config, sys.argv[1:] or served()
    quiet = "setup_logging" in inspect.signature(config.parse_config).parameters
    fresh = type(config)()
    config.parse_config(words, **({"setup_logging": False} if quiet else {}))
    parser = configparser.RawConfigParser()
    parser.read(words[words.index("--config") + 1])
    written = dict(parser["options"])
    hidden = secrets()
    named = [Path(os.path.realpath(path.strip())) for path in written.get("addons_path", "").split(",") if path.strip()]
    root = Path(odoo.tools.__file__).resolve().parent.parent
    scripts = [path for folder in (root, root.parent) for path in folder.glob("addons/*/migrations/*/*.py")]
    upgrades = sorted({str(path.parents[2]) for path in scripts if path.name.split("-")[0] in ("pre", "post", "end")})
    options = known(config)
    print(
        json.dumps(
            {
                "series": int(str(odoo.release.version_info[0]).replace("saas~", "")),
                "words": words,
                "known": options,
                "aliases": getattr(config, "aliases", {}),
                "written": {name: text for name, text in written.items() if name not in hidden},
                "values": {name: config[name] for name in options if name in config.options and name not in hidden},
                "defaults": {name: fresh[name] for name in options if name in fresh.options},
                "secret": {name: hashed(config, name, text) for name, text in hidden.items()},
                "addons": {
                    "named": [str(path) for path in named],
                    "usable": [str(path) for path in named if has_addons(path)],
                },
                "root": str(root),
                "upgrades": upgrades[0] if upgrades else str(root),
            },
            default=str,
        )
    )


if __name__ == "__main__":
    main()
