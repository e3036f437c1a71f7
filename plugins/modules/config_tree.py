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
  - Two symbolic links tell what is in force. C(current) is what the service reads, C(good) the last release that
    proved itself.
  - With O(state=present) a new set is staged beside the others, O(validate) runs on it, and C(current) is swapped by
    one rename(2). A run that stopped between swap and proof is taken up again, since the two links differ.
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
      - V(@RELEASE@) in a text becomes the release's ID, so that a running service can tell which one it has loaded.
    type: dict
  private_files:
    description: Like O(files), for keys. They are readable by their owner alone and shown in no difference.
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
from pathlib import Path, PurePosixPath

from ansible.module_utils.basic import AnsibleModule

RELEASE_TOKEN = "@RELEASE@"


class TreeError(Exception):
    """A reason not to go on, in words for the person who runs the play."""


def release_id(files: dict[str, str]) -> str:
    """Return twelve hexadecimal digits that depend on every name and every text of ``files``."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()[:12]


def check_names(files: dict[str, str], links: dict[str, str]) -> None:
    """Raise TreeError where a file would leave the tree or a link would point to no file."""
    for name in files:
        plain = PurePosixPath(name)
        if plain.is_absolute() or ".." in plain.parts or str(plain) != name or name == ".":
            raise TreeError(f"files: {name!r} is not a plain path inside the tree")
    for link, target in links.items():
        if not PurePosixPath(link).is_absolute():
            raise TreeError(f"links: {link!r} is not an absolute path")
        if target not in files:
            raise TreeError(f"links: {link!r} points to {target!r}, which is not one of the files")


def replace_link(link: Path, target: Path) -> None:
    """Make ``link`` a symbolic link to ``target`` by one rename, whatever file was there."""
    spare = link.with_name(f"{link.name}.new")
    spare.unlink(missing_ok=True)
    spare.symlink_to(target)
    spare.replace(link)


def owner_only(path: str, flags: int) -> int:
    """Open ``path`` so that a new file belongs to its owner alone; an ``opener`` for open()."""
    return os.open(path, flags, 0o600)


@dataclass(frozen=True)
class Texts:
    """The texts of one tree by path inside it, and which of them nobody may see."""

    files: dict[str, str]
    private: frozenset[str] = frozenset()

    def write(self, root: Path) -> None:
        """Write all below ``root`` and flush, so that a power cut never leaves half a tree behind the link.

        Private texts get mode 0600 before they hold a byte, the others 0644.
        """
        for name, text in self.files.items():
            path = root / name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            with open(path, "x", encoding="utf-8", opener=owner_only) as stream:  # Path.open has no opener
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            if name not in self.private:
                path.chmod(0o644)

    def shown(self, name: str) -> str:
        """Return the text of ``name`` as a difference may show it; empty where there is none."""
        if name in self.private and name in self.files:
            return f"(private, {release_id({name: self.files[name]})})\n"
        return self.files.get(name, "")


@dataclass(frozen=True)
class Tree:
    """The folder of releases and its two links."""

    path: Path

    @property
    def releases(self) -> Path:
        """Return the folder that holds the releases."""
        return self.path / "releases"

    def target(self, link: str) -> str:
        """Return the ID that ``current`` or ``good`` points to; empty where the link or its release is missing."""
        try:
            name = (self.path / link).readlink().name
        except OSError:
            return ""
        return name if (self.releases / name).is_dir() else ""

    def read(self, name: str) -> Texts:
        """Return the texts of release ``name``; none for the empty name."""
        if not name:
            return Texts({})
        root = self.releases / name
        paths = {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}
        return Texts(
            {inside: path.read_text(encoding="utf-8") for inside, path in paths.items()},
            frozenset(inside for inside, path in paths.items() if path.stat().st_mode & 0o077 == 0),
        )

    def point(self, link: str, name: str) -> None:
        """Let ``current`` or ``good`` point to release ``name``; readers see the old or the new one, never none."""
        replace_link(self.path / link, Path("releases") / name)

    def prune(self, keep: int) -> None:
        """Remove all but the ``keep`` newest releases, never those that are in force."""
        in_force = {self.target("current"), self.target("good")}
        spare = [path for path in self.releases.iterdir() if path.name not in in_force]
        for path in sorted(spare, key=lambda path: path.stat().st_mtime, reverse=True)[keep:]:
            shutil.rmtree(path)


def differences(before: Texts, after: Texts, root: Path) -> dict[str, dict[str, str]]:
    """Return what ``--diff`` prints, by path inside the tree: each text that is not the same on both sides."""
    return {
        name: {
            "before_header": str(root / name),
            "after_header": str(root / name),
            "before": before.shown(name),
            "after": after.shown(name),
        }
        for name in sorted(before.files.keys() | after.files.keys())
        if before.files.get(name) != after.files.get(name)
    }


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
    private: dict[str, object] = module.params["private_files"]
    given = {name: str(text) for name, text in {**(module.params["files"] or {}), **private}.items()}
    links: dict[str, str] = module.params["links"]
    check_names(given, links)
    wanted = release_id(given)
    texts = Texts({name: text.replace(RELEASE_TOKEN, wanted) for name, text in given.items()}, frozenset(private))
    previous, good = tree.target("current"), tree.target("good")
    current = tree.path / "current"
    differing = differences(tree.read(previous), texts, current)
    targets = {Path(link): current / name for link, name in links.items()}
    wrong = {link: target for link, target in targets.items() if not link.is_symlink() or link.readlink() != target}
    outcome = Outcome(
        changed=bool(differing or wrong) or wanted != previous or wanted != good,
        release=wanted,
        previous=previous,
        pending=wanted != good,
        changed_files=list(differing),
        diff=list(differing.values()),
    )
    if differing or wanted != previous:
        stage(module, tree, wanted, texts)
    if not module.check_mode:
        for link, target in wrong.items():
            link.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            replace_link(link, target)
    return outcome


def stage(module: AnsibleModule, tree: Tree, wanted: str, texts: Texts) -> None:
    """Write ``texts`` to a fresh folder, validate them there, then make them release ``wanted`` and ``current``."""
    if not module.check_mode:
        tree.releases.mkdir(mode=0o755, parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=".staged-", dir=None if module.check_mode else tree.releases))
    try:
        staged.chmod(0o755)
        texts.write(staged)
        command = [word.replace("%s", str(staged)) for word in module.params["validate"]]
        if command and not (module.check_mode and not Path(command[0]).exists()):
            code, out, err = module.run_command(command)
            if code != 0:
                message = (err or out).strip().replace(str(staged), "TREE")
                raise TreeError(f"the new configuration is not valid, so the old one stays in force: {message}")
        if not module.check_mode:
            release = tree.releases / wanted
            if release.is_dir():  # someone edited a release in place
                shutil.rmtree(release)
            staged.rename(release)
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
    """Let ``current`` go back to ``good``; without a good release there is nothing to go back to."""
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
        outcome = action(module, Tree(Path(module.params["path"])))
    except TreeError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=f"{module.params['path']}: {problem}")
    module.exit_json(**vars(outcome))


if __name__ == "__main__":
    main()
