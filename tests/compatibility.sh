#!/usr/bin/env bash
# The plugins' unit tests on every ansible-core that meta/runtime.yml promises, each on a Python that it supports: the one of a Debian
# release's machine image. The host's pip puts the locked packages (tests/cores) into a cached folder; the container has no network.
# Usage: tests/compatibility.sh [pytest's options]
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PWD/.deploy/venv/bin:$PATH

readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/odoo-deploy/cores
declare -A python=([bookworm]=3.11 [trixie]=3.13)

image() {
  docker image inspect "odoo-deploy/vm:$1" > /dev/null 2>&1 ||
    ANSIBLE_COLLECTIONS_PATH=$PWD/.deploy/collections ansible localhost -m ansible.builtin.include_role \
      -a name=odoo_deploy.stack.container_image -e container_image_name=odoo-deploy/vm -e "container_image_context=$PWD/images/vm" \
      -e "container_image_suite=$1" -e "container_image_alias=$1"
}

packages() { # prints the folder of an ansible-core for a suite's Python
  local lock=tests/cores/$2-python${python[$1]}.txt folder
  folder=$cache/$2-${python[$1]}-$(sha256sum < "$lock" | cut -c1-16)
  if [ ! -e "$folder/.complete" ]; then
    rm -rf "$folder"
    pip --quiet download --dest "$folder/.wheels" --python-version "${python[$1]}" --only-binary=:all: --require-hashes \
      --requirement "$lock" >&2
    for wheel in "$folder"/.wheels/*.whl; do python -m zipfile --extract "$wheel" "$folder"; done
    rm -r "$folder/.wheels"
    touch "$folder/.complete"
  fi
  echo "$folder"
}

status=0
while read -r suite core; do
  image "$suite"
  folder=$(packages "$suite" "$core")
  echo "--- ansible-core $core on Python ${python[$suite]}"
  docker run --rm --network none --user 65534:65534 --tmpfs /tmp:exec,mode=1777 --read-only --entrypoint python3 \
    --volume "$folder:/packages:ro" --volume "$PWD:/source:ro" --workdir /source --env HOME=/tmp --env PYTHONPATH=/packages \
    --env PYTHONDONTWRITEBYTECODE=1 "odoo-deploy/vm:$suite" \
    -m pytest -p no:cacheprovider --hypothesis-seed=0 -q "$@" tests/unit/plugins || status=1
done << 'CORES'
bookworm 2.17
bookworm 2.18
trixie 2.19
trixie 2.20
trixie 2.21
CORES
exit $status
