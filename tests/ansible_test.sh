#!/usr/bin/env bash
# ansible-test on the collection: sanity, without an ignore file, or units. Works on a copy, for ansible-test wants the folders
# ansible_collections/NAMESPACE/NAME, and with a home of its own, whose environments the next run finds.
# Usage: tests/ansible_test.sh sanity|units [ansible-test's options, such as --test validate-modules]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PWD/.deploy/venv/bin:$PATH

home=${XDG_CACHE_HOME:-$HOME/.cache}/odoo-deploy/ansible-test
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
collection=$copy/ansible_collections/odoo_deploy/stack
mkdir -p "$home/.ansible/test/cache" "$home/.config/pip" "$collection"
exec 9> "$home/.lock"
flock 9
python - "$collection" <<'PYTHON'
import shutil
import subprocess
import sys
from pathlib import Path

target = Path(sys.argv[1])
listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], capture_output=True, check=True, text=True)
for name in filter(None, listed.stdout.split("\0")):
    if Path(name).is_file():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, target / name)
PYTHON

# ansible-test gives pip no environment: what a person set there goes where pip also looks.
python - > "$home/.config/pip/pip.conf" <<'PYTHON'
import os

print("[global]")
for name, value in os.environ.items():
    if name.startswith("PIP_"):
        print(name[4:].lower().replace("_", "-"), "=", value)
PYTHON
# What ansible-test would download to have pip in its environments; Python brings it.
version=$(python -c 'from ansible_test._internal.python_requirements import PipBootstrap, collect_bootstrap
from ansible_test._internal.host_configs import NativePythonConfig
import sys
print(collect_bootstrap(NativePythonConfig(version="%d.%d" % sys.version_info[:2], path=sys.executable))[0].pip_version.replace(".", "_"))')
cat > "$home/.ansible/test/cache/get_pip_$version.py" <<'PYTHON'
import runpy
import subprocess
import sys

wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
subprocess.run([sys.executable, "-m", "ensurepip"], check=True)  # in this process it would turn pip.conf off
sys.argv[1:] = ["install", "--upgrade", *wanted]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
PYTHON

cd "$collection"
git init --quiet .
git add --all
python=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case ${1:-} in
  # run.py starts by the name that Debian gives to Python, of which ansible-test does not know.
  sanity) HOME=$home ansible-test sanity --local --python "$python" --requirements --color no --exclude run.py "${@:2}" ;;
  # The runner is no part of what a collection's user imports: its tests are pytest's alone. Their packages are the environment's own.
  units) HOME=$home ansible-test units --local --python "$python" --color no "${@:2}" tests/unit/plugins/ ;;
  *) echo "usage: tests/ansible_test.sh sanity|units [options]" >&2; exit 2 ;;
esac
