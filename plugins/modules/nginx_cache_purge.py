#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove stored answers from an nginx cache by the path they were stored under."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_cache_purge
short_description: Remove stored answers from an nginx cache by path
version_added: 1.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Reads the key that nginx writes at the head of every stored file and removes the files whose path matches.
    nginx takes a removed file for one that was never there, so the next request is a MISS.
  - The key has to have the form V(SCHEME|HOST|PATH|ARGUMENTS|ENCODING), as the role
    P(odoo_deploy.stack.nginx_cache#role) sets it. All schemes, hosts, arguments and encodings of a path go at once.
attributes:
  check_mode:
    support: full
    description: Tells what would go.
options:
  path:
    description: Folder of the cache (C(proxy_cache_path)).
    type: path
    required: true
  paths:
    description:
      - Paths to remove, as in a URL, with shell wildcards; V(*) matches slashes too.
      - V(/web/static/*) removes all files of one addon, V(*) everything.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Forget all bundles
  odoo_deploy.stack.nginx_cache_purge:
    path: /var/cache/nginx
    paths: [/web/content/*, /web/assets/*]
"""

RETURN = r"""
purged:
  description: Paths that were removed, each once, sorted.
  returned: always
  type: list
  elements: str
files:
  description: Number of stored files that were removed, variants of one path counted each.
  returned: always
  type: int
"""

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

# nginx writes its binary header, then "\nKEY: …\n", before the answer's own headers.
KEY = re.compile(rb"\nKEY: ([^\n]*)\n")
HEAD = 8192
NAME = re.compile(r"[0-9a-f]{32}")


def stored_path(file: Path) -> str | None:
    """Return the URL path that ``file`` was stored under; None where it is no file of ours or just went."""
    try:
        with file.open("rb") as stream:
            match = KEY.search(stream.read(HEAD))
    except FileNotFoundError:
        return None
    parts = match.group(1).decode("utf-8", "replace").split("|") if match else []
    return parts[2] if len(parts) == 5 else None


def matching(cache: Path, patterns: list[str]) -> Iterator[tuple[Path, str]]:
    """Yield every stored file whose path matches one of ``patterns``, with that path."""
    for file in sorted(cache.rglob("*")):
        if NAME.fullmatch(file.name) and file.is_file():
            path = stored_path(file)
            if path is not None and any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
                yield file, path


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "paths": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    cache = Path(module.params["path"])
    if not cache.is_dir():
        module.fail_json(msg=f"path: {cache} is not a folder; give the folder that proxy_cache_path names")
    found = list(matching(cache, module.params["paths"]))
    if not module.check_mode:
        for file, _path in found:
            file.unlink(missing_ok=True)
    module.exit_json(changed=bool(found), purged=sorted({path for _file, path in found}), files=len(found))


if __name__ == "__main__":
    main()
