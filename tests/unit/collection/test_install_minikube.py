# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""install_dep.sh --minikube: the vendor's download where it answers, else compiled of modules of known hashes."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = (ROOT / "install_dep.sh").read_text(encoding="utf-8")
FUNCTIONS = SCRIPT[SCRIPT.index("install_minikube() {") : SCRIPT.index("before=$(missing)")]
# What surrounds these functions in the script, with programs of the test.
AROUND = """
set -euo pipefail
minikube=true cache_dir=$1 venv=$1/venv
say() { echo "says: $*"; }
fail() { echo "fails: $*"; exit 1; }
have() { [ -n "${INSTALLED-}" ]; }
as_root() { echo "root: $*"; }
install_packages() { echo "packages: $*"; }
"""
CURL = """#!/bin/sh
for word; do [ "$last" != -o ] || file=$word; last=$word; done
case $ANSWERS:$last in
  no:*) exit 6 ;;
  *.sha256) echo "$SUM" ;;
  *) printf program > "$file" ;;
esac
"""
MAKE = """#!/bin/sh
echo "make: $*"
exit "${MAKE_FAILS:-0}"
"""
GO = """#!/bin/sh
if [ "$1" = mod ]; then
  printf '{\\n\\t"Dir": "/",\\n\\t"Sum": "h1:another=",\\n}\\n'
else
  while [ "$1" != -o ]; do shift; done
  touch "$2"
fi
"""
GCC = "#!/bin/sh\nexit ${GCC_FAILS:-0}\n"


def install(folder: Path, **variables: str) -> tuple[int, str]:
    for name, text in (("curl", CURL), ("make", MAKE), ("gcc", GCC)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", f"{AROUND}\n{FUNCTIONS}\ninstall_minikube", "install_dep", str(folder / "cache")],
        cwd=ROOT, env={"PATH": f"{folder}:/usr/bin:/bin", "TMPDIR": str(folder), **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert not list(folder.glob("tmp.*")) or done.returncode
    return done.returncode, done.stdout


def test_download(tmp_path: Path) -> None:
    code, said = install(tmp_path, ANSWERS="yes", SUM=hashlib.sha256(b"program").hexdigest())
    assert code == 0
    assert re.search(r"^root: install -m 0755 \S+/tmp\.\w+ /usr/local/bin/minikube$", said, re.MULTILINE)
    assert "make" not in said


def test_download_of_another_checksum(tmp_path: Path) -> None:
    """It is neither installed nor compiled instead."""
    code, said = install(tmp_path, ANSWERS="yes", SUM="0" * 64)
    assert (code, said.splitlines()[-1][:40]) == (1, "fails: minikube's download does not matc")
    assert "root:" not in said
    assert "make" not in said


def test_vendor_does_not_answer(tmp_path: Path) -> None:
    code, said = install(tmp_path, ANSWERS="no")
    assert code == 0
    (build,) = re.findall(r"make: --silent --directory=images/minikube OUT=(\S+)$", said, re.MULTILINE)
    assert Path(build).parent == tmp_path / "cache"
    assert said.splitlines()[-1] == f"root: install -m 0755 {build}/minikube /usr/local/bin/minikube"
    assert "packages" not in said


def test_compiler_is_installed_for_it(tmp_path: Path) -> None:
    assert "packages: gcc libc6-dev\n" in install(tmp_path, ANSWERS="no", GCC_FAILS="1")[1]


def test_it_cannot_be_compiled(tmp_path: Path) -> None:
    code, said = install(tmp_path, ANSWERS="no", MAKE_FAILS="2")
    assert (code, "fails: minikube cannot be compiled" in said, "root:" in said) == (1, True, False)


def test_it_is_there(tmp_path: Path) -> None:
    assert install(tmp_path, INSTALLED="1") == (0, "")


@pytest.mark.parametrize(("target", "module"), [("minikube", "minikube"), ("parts/crictl", "cri-tools")])
def test_module_of_another_hash(tmp_path: Path, target: str, module: str) -> None:
    """Nothing of it is compiled."""
    go = tmp_path / "go"
    go.write_text(GO)
    go.chmod(0o755)
    done = subprocess.run(
        ["make", "--silent", f"OUT={tmp_path}/out", f"{tmp_path}/out/{target}"],
        cwd=ROOT / "images" / "minikube", env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.match(rf"\S+/{module}@v\S+ has the hash h1:another= instead of h1:", done.stderr)
    assert not (tmp_path / "out" / target).exists()
