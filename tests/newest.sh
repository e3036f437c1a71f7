#!/usr/bin/env bash
# The unit tests with the newest packages that requirements*.in allow, in an environment that is thrown away. Prints "moved: NAME OLD -> NEW"
# for each package of which there is a newer version than the locked one; ./lock_dep.sh takes it.
# Usage: tests/newest.sh [pytest's arguments]; without arguments all of tests/unit, with a fixed seed
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PWD/.deploy/venv/bin:$PATH

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
versions() { sed -n 's/^\([A-Za-z0-9_.-]*\)==\([^ ;]*\).*/\1 \2/p' "$1" | sort; }
# uv leaves out what another Python or system would need.
uv pip compile --quiet --no-annotate --no-header --no-deps --generate-hashes --python-version "$version" \
  --output-file "$folder/locked.txt" requirements-test.txt
# Without the locks as constraints.
sed '/^-c /d' requirements-test.in > "$folder/requirements-test.in"
cp requirements.in "$folder"
uv pip compile --quiet --no-annotate --no-header --upgrade --generate-hashes --only-binary :all: --python-version "$version" \
  --output-file "$folder/newest.txt" "$folder/requirements-test.in"

join -a 1 -a 2 -e - -o 0,1.2,2.2 <(versions "$folder/locked.txt") <(versions "$folder/newest.txt") |
  awk '$2 != $3 { print "moved:", $1, $2, "->", $3; moved = 1 } END { if (!moved) print "moved: nothing" }'
uv venv --quiet --python "$(command -v python)" "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" --require-hashes --only-binary :all: --requirement "$folder/newest.txt"
PATH=$folder/venv/bin:$PATH "$folder/venv/bin/python" -m pytest "${@:-tests/unit}" --hypothesis-seed=0
