#!/usr/bin/env bash
# Runs the tests. Machines, cluster and state are the tests' own: a live deployment of this checkout is not touched.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

usage() {
  cat <<'TEXT'
Usage: ./test.sh [lint] [unit] [molecule[:SCENARIO]] [cores] [e2e]

  lint      ruff, mypy, shellcheck, yamllint, ansible-lint, the collection's build   (a minute)
  unit      plugins and runner, no machine needed                                    (seconds)
  molecule  every scenario, or the one that is named, on machines of its own          (minutes each)
  cores     the plugins under ansible-test, and on each ansible-core from 2.17 on     (minutes)
  e2e       ./run.py from nothing, a second run, faults, ./teardown.sh               (minutes)

Without arguments: all of them. Logs and JUnit results lie in .deploy/test/.
Exit codes: 0 all passed, 1 something failed, 2 wrong usage.
TEXT
}

suites=() scenarios=()
for argument in "$@"; do
  case $argument in
    lint | unit | e2e | molecule | cores) suites+=("$argument") ;;
    molecule:*) suites+=(molecule) scenarios+=("${argument#molecule:}") ;;
    -h | --help) usage; exit 0 ;;
    *) echo "test.sh: unknown argument $argument; --help lists them" >&2; exit 2 ;;
  esac
done
[ ${#suites[@]} -gt 0 ] || suites=(lint unit molecule cores e2e)
wanted() { [[ " ${suites[*]} " == *" $1 "* ]]; }

readonly results=$PWD/.deploy/test
rm -rf "$results"
mkdir -p "$results"
./install_dep.sh --tests || exit 1
PATH=$PWD/.deploy/venv/bin:$PATH
export PYTHONDONTWRITEBYTECODE=1 ANSIBLE_CONFIG=$PWD/ansible.cfg
passed=0 failed=0 failures=()

# A log's errors, then its end: Molecule's ends with its teardown, far below the test that failed.
explain() {
  local plain
  plain=$(sed 's/\x1b\[[0-9;]*m//g' "$1")
  { grep -E '(^|│ )(FAILED [^-]|ERROR|E   |fatal:|Traceback)' <<< "$plain" | tail -n 30; tail -n "${TEST_TAIL:-40}" <<< "$plain"; } |
    sed 's/^/        /'
}

# One check, counted as one: its name, then its command. What went wrong is shown when it fails.
check() {
  local name=$1 log=$results/${1//[^A-Za-z0-9_.-]/_}.log began=$SECONDS
  shift
  if "$@" > "$log" 2>&1 < /dev/null; then
    passed=$((passed + 1))
    printf 'ok      %-34s %4ds\n' "$name" $((SECONDS - began))
  else
    failed=$((failed + 1))
    failures+=("$name")
    printf 'FAILED  %-34s %4ds  (%s)\n' "$name" $((SECONDS - began)) "${log#"$PWD/"}"
    explain "$log"
  fi
}

# Python tests, counted one by one from their JUnit results.
check_python() {
  local name=$1 xml=$results/$1.xml before=$passed counts
  shift
  check "$name" pytest --junit-xml="$xml" "$@"
  counts=$(python3 - "$xml" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree
try:
    suites = list(tree.parse(sys.argv[1]).getroot().iter("testsuite"))
except (OSError, tree.ParseError):
    suites = []
total = sum(int(suite.get("tests", 0)) for suite in suites)
bad = sum(int(suite.get("failures", 0)) + int(suite.get("errors", 0)) + int(suite.get("skipped", 0)) for suite in suites)
print(total - bad, bad)
PYTHON
  )
  # The command itself was counted as one; its tests take that place.
  if [ "$passed" -gt "$before" ]; then passed=$before; else failed=$((failed - 1)); fi
  [ "${counts% *}" -gt 0 ] || [ "${counts#* }" -gt 0 ] || counts="0 1"
  passed=$((passed + ${counts% *})) failed=$((failed + ${counts#* }))
}

go_is_formatted() {
  local unformatted
  unformatted=$(gofmt -l images/node/kube) || return
  [ -z "$unformatted" ] || { echo "$unformatted"; return 1; }
}

lint_documentation() (
  cd .deploy/collections/ansible_collections/odoo_deploy/stack || exit 1
  ANSIBLE_COLLECTIONS_PATH=$OLDPWD/.deploy/collections antsibull-docs lint-collection-docs --plugin-docs \
    --validate-collection-refs=dependent --skip-rstcheck .
)

# Containers, volumes and networks of the tests' deployment.
leftovers() {
  local found
  found=$(for kind in container volume network; do docker "$kind" ls -q --filter label=odoo-deploy.deployment=odoo-e2e; done)
  [ -z "$found" ] || { echo "left: $found"; return 1; }
}

# Each step is told without one that exists, and none is begun.
dry_run_on_nothing() {
  local output step
  ./install_dep.sh || return
  output=$(./run.py --dry-run) || { echo "$output"; return 1; }
  echo "$output"
  for step in "Nothing was changed." "the cluster would be brought up" "Set up PostgreSQL" "Deploy Odoo" "Set up the proxies"; do
    grep -qF "$step" <<< "$output" || { echo "not told: $step"; return 1; }
  done
  leftovers
}

changes_nothing() {
  local output
  output=$(./run.py --yes) || { echo "$output"; return 1; }
  echo "$output"
  grep -q '^Done in .*: changed=0, ' <<< "$output"
}

lint() {
  check "ruff check" ruff check .
  check "ruff format" ruff format --check .
  check "mypy" mypy runner run.py plugins tests/e2e tests/system tests/production tests/unit/collection docs/generate.py
  check "shellcheck" shellcheck install_dep.sh test.sh teardown.sh tests/ansible_test.sh tests/compatibility.sh .ci/run images/vm/init images/node/rootfs/usr/local/sbin/*
  check "antsibull-changelog" antsibull-changelog lint
  check "antsibull-docs" lint_documentation
  check "ansible-test sanity" tests/ansible_test.sh sanity
  check "yamllint" yamllint --strict .
  # A home of its own: it would prefer a release of this collection that somebody installed there.
  check "ansible-lint" env HOME="$results/home" ANSIBLE_COLLECTIONS_PATH="$PWD/.deploy/collections" ansible-lint --offline
  check "gofmt" go_is_formatted
  check "collection builds" ansible-galaxy collection build --force --output-path "$results/dist" .
}

cores() {
  check "ansible-test units" tests/ansible_test.sh units
  check "plugins on every ansible-core" tests/compatibility.sh
}

molecule_scenarios() {
  local scenario log
  if [ ${#scenarios[@]} -eq 0 ]; then
    for scenario in molecule/*/molecule.yml; do scenarios+=("$(basename "$(dirname "$scenario")")"); done
  fi
  for scenario in "${scenarios[@]}"; do
    # Wide lines: Molecule folds what it shows of a test, the reason of its failure first of all.
    check "molecule $scenario" env COLUMNS=200 molecule test -s "$scenario"
    # A scenario without tests proves nothing.
    log=$results/molecule_$scenario.log
    ! grep -q 'no tests found' "$log" || { failed=$((failed + 1)); failures+=("molecule $scenario has no tests"); }
  done
}

# A deployment of its own: another list of machines, another folder, the same commands.
e2e() {
  export ODOO_DEPLOY_NODES=$PWD/tests/e2e/nodes.yml ODOO_DEPLOY_DIR=$PWD/.deploy/e2e VAGRANT_DOTFILE_PATH=$PWD/.deploy/e2e/vagrant
  export ANSIBLE_CACHE_PLUGIN_CONNECTION=$PWD/.deploy/e2e/facts
  check "teardown of leftovers" ./teardown.sh --yes
  check "run.py --dry-run on nothing" dry_run_on_nothing
  check "run.py from nothing" ./run.py --yes
  check "run.py again changes nothing" changes_nothing
  check_python "e2e" tests/e2e
  check_python "production" tests/production
  check_python "system" tests/system
  check "teardown" ./teardown.sh --yes
  check "nothing is left" leftovers
  unset ODOO_DEPLOY_NODES ODOO_DEPLOY_DIR VAGRANT_DOTFILE_PATH ANSIBLE_CACHE_PLUGIN_CONNECTION
}

! wanted lint || lint
# A fixed seed: the answer depends on the commit alone. `pytest tests/unit` draws new examples every time.
! wanted unit || check_python unit tests/unit --hypothesis-seed=0
! wanted molecule || molecule_scenarios
! wanted cores || cores
! wanted e2e || e2e

[ ${#failures[@]} -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
