#!/usr/bin/env bash
# Locks every Python package that the project installs: with its version, and with the hashes of all files of that release.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")"
PATH=$PWD/.deploy/venv/bin:$PATH

usage() {
  cat <<'TEXT'
Usage: ./lock_dep.sh [--check | --upgrade | PACKAGE...]

Makes requirements*.txt, tests/cores/*.txt and roles/odoo_k8s/files/wheels/*.txt from the .in file of the same name. A .in file names the packages that the project uses
and the versions that are allowed; the lock beside it names everything that they bring in, for each supported Python.

Without arguments: locked versions stay as long as the .in files allow them.
  PACKAGE...  take the newest allowed version of these packages
  --upgrade   take the newest allowed version of every package
  --check     change nothing; exit 1 and name the locks that do not fit their .in files
  -h, --help  this text

Exit codes: 0 done, 1 failed or (--check) a lock does not fit, 2 wrong usage.
TEXT
}

# The Python of install_dep.sh is one of these; the first is the oldest.
readonly pythons=(3.10 3.11 3.12 3.13)

check=false options=()
for argument in "$@"; do
  case $argument in
    --check) check=true ;;
    --upgrade) options+=(--upgrade) ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "lock_dep.sh: unknown option $argument; --help lists them" >&2; exit 2 ;;
    *) options+=(--upgrade-package "$argument") ;;
  esac
done
! $check || [ ${#options[@]} -eq 0 ] || { echo "lock_dep.sh: --check takes no other argument" >&2; exit 2; }
command -v uv > /dev/null || { echo "lock_dep.sh: there is no uv; run ./install_dep.sh --tests" >&2; exit 1; }

# Wheels alone: a package built here would bring in what builds it, in any version.
compile() { # NAME [uv's options]
  uv pip compile --quiet --generate-hashes --only-binary :all: --custom-compile-command ./lock_dep.sh "${options[@]}" "${@:2}" \
    --output-file "$1.txt" "$1.in"
}

# Whether a lock has a wheel of each package for a Python, on the oldest supported system. Nothing is installed.
installable() { # NAME PYTHON
  uv pip install --dry-run --quiet --target "$before/none" --python-version "$2" --python-platform x86_64-manylinux_2_35 \
    --only-binary :all: --require-hashes --requirements "$1.txt"
}

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
locks() { ls requirements*.txt tests/cores/*.txt roles/odoo_k8s/files/wheels/*.txt 2> /dev/null; }
for lock in $(locks); do cp --parents "$lock" "$before"; done

for name in requirements requirements-test requirements-go; do compile "$name" --universal --python-version "${pythons[0]}"; done
for lock in tests/cores/*-python*.in; do
  name=${lock%.in}
  compile "$name" --python-version "${name##*-python}"
done
for lock in roles/odoo_k8s/files/wheels/*.in; do
  # Only the addon: Odoo itself is in the image.
  compile "${lock%.in}" --python-version "${pythons[0]}" --no-deps
done
for python in "${pythons[@]}"; do
  for name in requirements requirements-test requirements-go; do installable "$name" "$python"; done
done

changed=()
for lock in $(locks); do cmp -s "$lock" "$before/$lock" || changed+=("$lock"); done
if $check; then
  cp -r "$before/." .
  [ ${#changed[@]} -eq 0 ] || { echo "lock_dep: not what the .in files ask for: ${changed[*]}. Run ./lock_dep.sh." >&2; exit 1; }
  exit 0
fi
if [ ${#changed[@]} -eq 0 ]; then echo "lock_dep: nothing moved."; else echo "lock_dep: changed ${changed[*]}."; fi
