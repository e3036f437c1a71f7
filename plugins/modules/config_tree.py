#!/usr/bin/python
# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of configuration files that changes as one: staged, validated, swapped, confirmed or rolled back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_tree
short_description: Change a folder of configuration files as one, with validation and rollback
version_added: 1.0.0
author: Odoo Deploy contributors (@odoo-deploy)
description:
  - Below O(path) every set of files is a release, C(releases/ID), with C(ID) taken from names and contents.
  - Two symbolic links tell what is in force. C(current) is what the service reads, C(good) the last release that proved itself.
  - With O(state=present) a new set is staged beside the others, O(validate) runs on it, and C(current) is swapped by one rename(2).
    A run that stopped between swap and proof is taken up again, since the two links differ.
  - With O(state=confirmed) C(good) follows C(current); with O(state=rolled_back) C(current) goes back to C(good).
attributes:
  check_mode:
    support: full
    description: Nothing is written; O(validate) still runs on a temporary copy where its program exists.
  diff_mode:
    support: full
    description: One difference a file.
options:
  path:
    description: Folder that holds the releases and the two links.
    type: path
    required: true
  files:
    description:
      - Text of every file of the tree, by its path inside the tree. Required with O(state=present).
      - V(@RELEASE@) in a text becomes the release's ID, so that a running service can tell which release it has loaded.
    type: dict
  private_files:
    description: Like O(files), for keys. They are readable by their owner alone and never shown, in a difference neither.
    type: dict
    default: {}
  validate:
    description: Command and arguments that check a staged tree; V(%s) becomes the tree's folder. Exit 0 means valid.
    type: list
    elements: str
    default: []
  links:
    description: Further symbolic links to keep, absolute path to a path inside the tree; they follow C(current).
    type: dict
    default: {}
  keep:
    description: How many releases to keep besides C(current) and C(good).
    type: int
    default: 2
  state:
    description: What to do.
    type: str
    choices: [present, confirmed, rolled_back]
    default: present
"""

EXAMPLES = r"""
- name: Stage, test and swap in the configuration
  odoo_deploy.stack.config_tree:
    path: /etc/nginx/odoo
    files: {nginx.conf: "{{ lookup('ansible.builtin.template', 'nginx.conf.j2') }}"}
    validate: [/usr/sbin/nginx, -t, -q, -c, "%s/nginx.conf"]
  register: tree

- name: Keep it, now that the service is healthy
  odoo_deploy.stack.config_tree:
    path: /etc/nginx/odoo
    state: confirmed
"""

RETURN = r"""
release:
  description: ID of the release that C(current) points to after the call; empty where there is none.
  returned: always
  type: str
previous:
  description: ID of the release that C(current) pointed to before the call; empty where there was none.
  returned: always
  type: str
pending:
  description: Whether C(current) still has to prove itself, that is whether it differs from C(good).
  returned: always
  type: bool
changed_files:
  description: Paths inside the tree whose text differs from the tree in force before.
  returned: always
  type: list
  elements: str
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleModule

PLACEHOLDER = "@RELEASE@"


class TreeError(Exception):
    """A reason not to go on, in words for the person who runs the play."""


def release_id(files: dict[str, str]) -> str:
    """Return twelve hexadecimal digits that depend on every name and every text of ``files``."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()[:12]


def check_names(files: dict[str, str], links: dict[str, str]) -> None:
    """Raise TreeError where a file would leave the tree or a link would point to no file."""
    for name in files:
        if not name or os.path.isabs(name) or os.path.normpath(name) != name or name.split("/")[0] == "..":
            raise TreeError(f"files: {name!r} is not a plain path inside the tree")
    for link, target in links.items():
        if not os.path.isabs(link):
            raise TreeError(f"links: {link!r} is not an absolute path")
        if target not in files:
            raise TreeError(f"links: {link!r} points to {target!r}, which is not one of the files")


@dataclass(frozen=True)
class Tree:
    """The folder of releases and its two links.

    Attributes:
        path: absolute path of the folder.
    """

    path: str

    def release(self, name: str) -> str:
        """Return the folder of release ``name``."""
        return os.path.join(self.path, "releases", name)

    def target(self, link: str) -> str:
        """Return the ID that ``current`` or ``good`` points to, empty where the link or its release is missing."""
        try:
            name = os.path.basename(os.readlink(os.path.join(self.path, link)))
        except OSError:
            return ""
        return name if os.path.isdir(self.release(name)) else ""

    def read(self, name: str) -> dict[str, str]:
        """Return the texts of release ``name`` by path inside it; empty for the empty name."""
        texts: dict[str, str] = {}
        if not name:
            return texts
        root = self.release(name)
        for folder, _folders, entries in os.walk(root):
            for entry in entries:
                full = os.path.join(folder, entry)
                with open(full, encoding="utf-8") as stream:
                    texts[os.path.relpath(full, root)] = stream.read()
        return texts

    def mode(self, name: str, file: str) -> int:
        """Return the permission bits of ``file`` in release ``name``."""
        return os.stat(os.path.join(self.release(name), file)).st_mode & 0o777

    def point(self, link: str, name: str) -> None:
        """Let ``current`` or ``good`` point to release ``name``; readers see the old or the new one, never none."""
        replace_link(os.path.join(self.path, link), os.path.join("releases", name))

    def prune(self, keep: int) -> None:
        """Remove all but the ``keep`` newest releases, never those that are in force."""
        root = os.path.join(self.path, "releases")
        spare = [name for name in os.listdir(root) if name not in (self.target("current"), self.target("good"))]
        spare.sort(key=lambda name: os.stat(os.path.join(root, name)).st_mtime, reverse=True)
        for name in spare[keep:]:
            shutil.rmtree(os.path.join(root, name))


def replace_link(path: str, target: str) -> None:
    """Make ``path`` a symbolic link to ``target`` by one rename, whatever file was there."""
    spare = f"{path}.new"
    if os.path.lexists(spare):
        os.unlink(spare)
    os.symlink(target, spare)
    os.rename(spare, path)


def owner_only(path: str, flags: int) -> int:
    """Open ``path`` so that a new file belongs to its owner alone; an ``opener`` for open()."""
    return os.open(path, flags, 0o600)


def write_files(root: str, files: dict[str, str], private: frozenset[str]) -> None:
    """Write ``files`` below ``root`` and flush them, so that a power cut never leaves half a tree behind the link.

    Those named in ``private`` get mode 0600 before they hold a byte, the others 0644.
    """
    os.makedirs(root, mode=0o755, exist_ok=True)
    for name, text in files.items():
        full = os.path.join(root, name)
        os.makedirs(os.path.dirname(full), mode=0o755, exist_ok=True)
        with open(full, "x", encoding="utf-8", opener=owner_only) as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if name not in private:
            os.chmod(full, 0o644)


def differences(before: dict[str, str], after: dict[str, str], root: str, private: frozenset[str]) -> list[dict[str, str]]:
    """Return what ``--diff`` prints: one entry for each path of either side whose text differs, without the private texts."""

    def shown(name: str, texts: dict[str, str], word: str) -> str:
        if name in private:
            return f"({word}, private)\n" if name in texts else ""
        return texts.get(name, "")

    return [
        {
            "before_header": os.path.join(root, name),
            "after_header": os.path.join(root, name),
            "before": shown(name, before, "old"),
            "after": shown(name, after, "new"),
        }
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


@dataclass
class Outcome:
    """What a call did; the fields are the module's return values."""

    changed: bool
    release: str
    previous: str
    pending: bool
    changed_files: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)


def present(module: AnsibleModule, tree: Tree) -> Outcome:
    """Stage, validate and swap in ``files``; raise TreeError where the staged tree is not valid."""
    given: dict[str, object] = {**(module.params["files"] or {}), **module.params["private_files"]}
    files = {name: str(text) for name, text in given.items()}
    links: dict[str, str] = module.params["links"]
    check_names(files, links)
    wanted = release_id(files)
    files = {name: text.replace(PLACEHOLDER, wanted) for name, text in files.items()}
    current, good = tree.target("current"), tree.target("good")
    before = tree.read(current)
    # A key that left the tree is private still.
    private = frozenset(module.params["private_files"]) | {name for name in before if tree.mode(current, name) & 0o077 == 0}
    diff = differences(before, files, os.path.join(tree.path, "current"), private)
    wrong_links = {
        link: target
        for link, name in links.items()
        if (os.readlink(link) if os.path.islink(link) else None) != (target := os.path.join(tree.path, "current", name))
    }
    outcome = Outcome(
        changed=bool(diff or wrong_links) or wanted != current or wanted != good,
        release=wanted,
        previous=current,
        pending=wanted != good,
        changed_files=[entry["before_header"].removeprefix(os.path.join(tree.path, "current") + "/") for entry in diff],
        diff=diff,
    )
    if diff or wanted != current:
        stage(module, tree, wanted, files, private)
    if module.check_mode:
        return outcome
    for link, target in wrong_links.items():
        os.makedirs(os.path.dirname(link), mode=0o755, exist_ok=True)
        replace_link(link, target)
    return outcome


def stage(module: AnsibleModule, tree: Tree, wanted: str, files: dict[str, str], private: frozenset[str]) -> None:
    """Write ``files`` to a fresh folder, validate them there, then make them release ``wanted`` and ``current``."""
    parent = None if module.check_mode else os.path.join(tree.path, "releases")
    if parent:
        os.makedirs(parent, mode=0o755, exist_ok=True)
    staged = tempfile.mkdtemp(prefix=".staged-", dir=parent)
    try:
        os.chmod(staged, 0o755)
        write_files(staged, files, private)
        command = [word.replace("%s", staged) for word in module.params["validate"]]
        if command and not (module.check_mode and not os.path.exists(command[0])):
            code, out, err = module.run_command(command)
            if code != 0:
                message = (err or out).strip().replace(staged, "TREE")
                raise TreeError(f"the new configuration is not valid, so the old one stays in force: {message}")
        if parent:
            release = tree.release(wanted)
            if os.path.isdir(release):  # someone edited a release in place
                shutil.rmtree(release)
            os.rename(staged, release)
            tree.point("current", wanted)
            tree.prune(module.params["keep"])
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def confirmed(module: AnsibleModule, tree: Tree) -> Outcome:
    """Let ``good`` follow ``current``."""
    current, good = tree.target("current"), tree.target("good")
    if not current:
        raise TreeError(f"{tree.path} has no current release to confirm")
    if current != good and not module.check_mode:
        tree.point("good", current)
    return Outcome(changed=current != good, release=current, previous=current, pending=False)


def rolled_back(module: AnsibleModule, tree: Tree) -> Outcome:
    """Let ``current`` go back to ``good``; without a good release there is nothing to go back to and nothing changes."""
    current, good = tree.target("current"), tree.target("good")
    move = bool(good) and current != good
    if move and not module.check_mode:
        tree.point("current", good)
    return Outcome(changed=move, release=good or current, previous=current, pending=not good)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "files": {"type": "dict"},
            "private_files": {"type": "dict", "default": {}, "no_log": True},
            "validate": {"type": "list", "elements": "str", "default": []},
            "links": {"type": "dict", "default": {}},
            "keep": {"type": "int", "default": 2},
            "state": {"type": "str", "choices": ["present", "confirmed", "rolled_back"], "default": "present"},
        },
        required_if=[("state", "present", ["files"])],
        supports_check_mode=True,
    )
    action = {"present": present, "confirmed": confirmed, "rolled_back": rolled_back}[module.params["state"]]
    try:
        outcome = action(module, Tree(module.params["path"]))
    except TreeError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=f"{module.params['path']}: {problem}")
    module.exit_json(**vars(outcome))


if __name__ == "__main__":
    main()
