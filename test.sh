#!/usr/bin/env bash
# Runs the tests. Machines, cluster and state are the tests' own: a live deployment of this checkout is not touched.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

usage() {
  cat <<'TEXT'
Usage: ./test.sh [--lanes N] [--fresh] [--list] [--without PART]... [lint] [unit] [molecule[:SCENARIO]] [explorer] [cores] [install] [e2e] [given] [servers] [newest] [minikube] [odoo14]

  lint      ruff, mypy, shellcheck, yamllint, ansible-lint, the collection's build   (a minute)
  unit      plugins and runner, no machine needed                                    (seconds)
  molecule  every scenario, or the one that is named, on machines of its own          (minutes each)
  cores     the plugins under ansible-test, and on each ansible-core from 2.17 on     (minutes)
  install   ./install_dep.sh on a Debian 12 and a Debian 13 with nothing installed   (minutes)
  e2e       ./run.py from nothing, a second run, faults, ./teardown.sh               (minutes)
  given     ./run.py on a cluster of two nodes that is somebody else's, with a registry that wants a log-in (minutes)
  servers   the playbooks on servers that are somebody else's, by name and IPv6, by a sudo with a password (minutes)
  explorer  8 fresh sequences of faults and commands on PostgreSQL machines         (minutes)
  newest    the unit tests with the newest packages that requirements*.in allow      (minutes; only when named)
  minikube  ./run.py on a real minikube with its docker driver, ./teardown.sh        (minutes; only when named)
  odoo14    ./run.py with Odoo 14, its modules, reports and odoo.conf, ./teardown.sh (minutes; only when named)

  --lanes N       how many parts and scenarios run at a time; without it one for each core, at most four
  --fresh         run again what passed before
  --list          name the parts, one a line, and run none
  --without PART  leave out a part, a scenario as molecule:SCENARIO, or slow: of e2e, tests/production and the tests marked slow

A part that passed on this machine within a day is counted and not run again, if no file has changed since (except docs/, changelogs/
and *.md). lint, unit and newest always run. So a run that was interrupted goes on, and after a failure the rest is run.

Without arguments: all but newest, minikube and odoo14. Logs and JUnit results lie in .deploy/test/.
Exit codes: 0 all passed, 1 something failed, 2 wrong usage.
TEXT
}

refuse() { echo "test.sh: $*; --help lists what there is" >&2; exit 2; }

suites=() scenarios=() without=() fresh=false list=false lanes=$(nproc)
[ "$lanes" -le 4 ] || lanes=4
while [ $# -gt 0 ]; do
  case $1 in
    lint | unit | e2e | given | servers | molecule | explorer | cores | install | newest | minikube | odoo14) suites+=("$1") ;;
    molecule:*) suites+=(molecule) scenarios+=("${1#molecule:}") ;;
    --lanes)
      [[ ${2-} =~ ^[1-9][0-9]*$ ]] || refuse "--lanes wants a number from 1 on"
      lanes=$2
      shift
      ;;
    --without)
      [[ ${2-} =~ ^(lint|unit|e2e|given|servers|slow|molecule|explorer|cores|install|molecule:.+)$ ]] || refuse "--without wants a part"
      [[ $2 != molecule:* || -e molecule/${2#molecule:}/molecule.yml ]] || refuse "no scenario ${2#molecule:}"
      without+=("$2")
      shift
      ;;
    --list) list=true ;;
    --fresh) fresh=true ;;
    -h | --help) usage; exit 0 ;;
    *) refuse "unknown argument $1" ;;
  esac
  shift
done
for scenario in "${scenarios[@]}"; do
  [ -e "molecule/$scenario/molecule.yml" ] || refuse "no scenario $scenario"
done
[ ${#suites[@]} -gt 0 ] || suites=(lint unit molecule explorer cores install e2e given servers)
wanted() { [[ " ${suites[*]} " == *" $1 "* ]]; }

left_out() { [[ " ${without[*]} " == *" $1 "* ]]; }

if wanted molecule && [ ${#scenarios[@]} -eq 0 ]; then
  for scenario in molecule/*/molecule.yml; do scenarios+=("$(basename "$(dirname "$scenario")")"); done
fi
# What answers soonest, then what takes longest, so that the lanes end together.
work=()
plan() { # SUITE...
  local suite
  for suite in "$@"; do
    ! wanted "$suite" || left_out "$suite" || work+=("$suite")
  done
}
plan lint unit newest minikube odoo14 e2e
for scenario in "${scenarios[@]}"; do
  left_out molecule || left_out "molecule:$scenario" || work+=("molecule_scenario $scenario")
done
plan given servers cores install explorer
[ ${#work[@]} -gt 0 ] || refuse "nothing is left to run"
if $list; then
  printf '%s\n' "${work[@]/#molecule_scenario /molecule:}"
  exit
fi

readonly results=$PWD/.deploy/test
readonly memory=${XDG_CACHE_HOME:-$HOME/.cache}/odoo-deploy/passed
rm -rf "$results"
mkdir -p "$results" "$memory"
git rev-parse --is-inside-work-tree > /dev/null 2>&1 || fresh=true # without git we cannot know what changed
unset ODOO_DEPLOY_DIR ODOO_DEPLOY_NODES VAGRANT_DOTFILE_PATH ANSIBLE_CACHE_PLUGIN_CONNECTION # of another deployment
./install_dep.sh --tests || exit 1
PATH=$PWD/.deploy/venv/bin:$PATH
export PYTHONDONTWRITEBYTECODE=1 ANSIBLE_CONFIG=$PWD/ansible.cfg

# Lanes print and count side by side: a text at a time.
alone() { flock "$results" "$@"; }

# How many passed, how many failed, and the name of what failed; of the lane's part.
record() { alone echo "$*" >> "$outcomes"; }

# A log's errors, then its end: Molecule's ends with its teardown, far below the test that failed.
explain() {
  local plain
  plain=$(sed 's/\x1b\[[0-9;]*m//g' "$1")
  { grep -E '(^|│ )(FAILED [^-]|ERROR|E   |fatal:|Traceback)' <<< "$plain" | tail -n 30; tail -n "${TEST_TAIL:-40}" <<< "$plain"; } |
    sed 's/^/        /'
}

# Runs a command under a name. What went wrong is shown when it fails.
attempt() {
  local name=$1 log=$results/${1//[^A-Za-z0-9_.-]/_}.log began=$SECONDS line
  shift
  if "$@" > "$log" 2>&1 < /dev/null; then
    alone printf 'ok      %-34s %4ds\n' "$name" $((SECONDS - began))
  else
    printf -v line 'FAILED  %-34s %4ds  (%s)' "$name" $((SECONDS - began)) "${log#"$PWD/"}"
    alone printf '%s\n%s\n' "$line" "$(explain "$log")"
    return 1
  fi
}

# One check, counted as one.
check() { if attempt "$@"; then record 1 0; else record 0 1 "$1"; fi; }

# Python tests, counted one by one from their JUnit results.
check_python() {
  local name=$1 xml=$results/$1.xml counts
  shift
  if attempt "$name" pytest --junit-xml="$xml" "$@"; then counts=0; else counts=1; fi
  counts=$(python3 - "$xml" "$counts" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree
try:
    suites = list(tree.parse(sys.argv[1]).getroot().iter("testsuite"))
except (OSError, tree.ParseError):
    suites = []
total = sum(int(suite.get("tests", 0)) for suite in suites)
bad = sum(int(suite.get(kind, 0)) for suite in suites for kind in ("failures", "errors", "skipped"))
print(total - bad, bad or int(sys.argv[2] != "0" or not total))
PYTHON
  )
  if [ "${counts#* }" = 0 ]; then record "$counts"; else record "$counts" "$name"; fi
}

go_is_formatted() {
  local unformatted
  # Beside go itself: only go is on the PATH of one that install_dep.sh installed.
  unformatted=$("$(go env GOROOT)/bin/gofmt" -l images/node/kube) || return
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
  check "mypy" mypy runner run.py plugins tests/e2e tests/system tests/settings tests/production tests/given tests/servers tests/install tests/unit/collection docs/generate.py
  check "mypy, minikube" env -C tests/minikube mypy --config-file "$PWD/pyproject.toml" --cache-dir "$PWD/.mypy_cache" conftest.py test_minikube.py
  # Its package is found from its own folder.
  check "mypy, explorer" env -C tests/explorer mypy --config-file "$PWD/pyproject.toml" --cache-dir "$PWD/.mypy_cache" explorer conftest.py test_machines.py
  check "shellcheck" shellcheck install_dep.sh lock_dep.sh test.sh teardown.sh tests/ansible_test.sh tests/compatibility.sh tests/newest.sh tests/minikube/bin/docker tests/given/official/entrypoint.sh .ci/run images/vm/init images/minikube/kindnet images/minikube/node-start images/minikube/preload images/node/rootfs/usr/local/sbin/*
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

molecule_scenario() {
  local log=$results/molecule_$1.log
  # Wide lines: Molecule folds what it shows of a test, the reason of its failure first of all.
  check "molecule $1" env COLUMNS=200 molecule test -s "$1"
  # A scenario without tests proves nothing.
  ! grep -q 'no tests found' "$log" || record 0 1 "molecule $1 has no tests"
}

# A deployment of its own: another list of machines, another folder, the same commands.
of_its_own() {
  export ODOO_DEPLOY_NODES=$PWD/tests/e2e/nodes.yml ODOO_DEPLOY_DIR=$PWD/.deploy/e2e VAGRANT_DOTFILE_PATH=$PWD/.deploy/e2e/vagrant
  export ANSIBLE_CACHE_PLUGIN_CONNECTION=$PWD/.deploy/e2e/facts
  exec {held}< "$PWD/test.sh"
  flock "$held" # e2e and odoo14 after each other
  check "teardown of leftovers" ./teardown.sh --yes
}

e2e() {
  of_its_own
  check "run.py --dry-run on nothing" dry_run_on_nothing
  check "run.py from nothing" ./run.py --yes
  check "run.py again changes nothing" changes_nothing
  check_python "e2e" tests/e2e
  left_out slow || check_python "production" tests/production
  if left_out slow; then check_python "system" tests/system -m "not slow"; else check_python "system" tests/system; fi
  check_python "settings" tests/settings
  check "teardown" ./teardown.sh --yes
  check "nothing is left" leftovers
}

# What the series decides. Its database is the deployment's from then on, and nobody names the series again.
odoo14() {
  of_its_own
  check "run.py from nothing, Odoo 14" ./run.py --yes -e odoo_k8s_version=14
  check "run.py again changes nothing" changes_nothing
  check_python "system, Odoo 14" tests/system/test_modules.py tests/system/test_odoo_conf.py tests/system/test_y_reports.py
  check "teardown" ./teardown.sh --yes
  check "nothing is left" leftovers
}

given() { check_python given tests/given -x; }

servers() { check_python servers tests/servers -x; }

minikube() {
  check "install_dep.sh --minikube" ./install_dep.sh --tests --minikube
  check_python minikube tests/minikube
}

install() { check_python install tests/install; }

# Another commit, other sequences; the named ones always. The first seed is shown, which draws the same ones again.
explorer() {
  local first
  first=$((16#$(git rev-parse --short=7 HEAD 2> /dev/null || date +%Y%m%d)))
  alone echo "explorer: seeds from $first on (pytest tests/explorer --named --seeds 8 --from $first)"
  check_python explorer tests/explorer --named --seeds 8 --acts 6 --from "$first" --lanes 2
}

# A fixed seed: the answer depends on the commit alone. `pytest tests/unit` draws new examples every time.
unit() { check_python unit tests/unit --hypothesis-seed=0; }

# What moved is the answer, whether or not the tests pass.
newest() {
  check "unit tests, newest packages" tests/newest.sh
  alone sed -n 's/^moved: /        /p' "$results/unit_tests__newest_packages.log"
}

# The hash of all files but the documentation, and of their modes. Which file a part depends on is not guessed: it may be any.
content() {
  git ls-files -coz --exclude-standard -- . ':!docs' ':!changelogs' ':!*.md' |
    xargs -0 sh -c 'stat --format="%f %n" -- "$@"; sha256sum -- "$@"' sh 2> /dev/null | sha256sum | cut -c1-16
}

# A part of the work, unless it passed before and is what it was then.
lane() {
  local part=$* name mark
  name=${part// /_}
  mark=$memory/$name-$(content)
  if ! $fresh && [[ $1 != lint && $1 != unit && $1 != newest && -e $mark ]]; then
    alone printf 'ok      %-34s passed on %s, unchanged since\n' "$part" "$(date -r "$mark" '+%F %R')"
    cp "$mark" "$results/$name.outcomes"
    return
  fi
  readonly outcomes=$results/$name.unfinished
  "$@"
  # Somebody may have changed it meanwhile.
  awk '{ failed += $2 } END { exit failed }' "$outcomes" && [ "$mark" = "$memory/$name-$(content)" ] && cp "$outcomes" "$mark"
  mv "$outcomes" "$results/$name.outcomes"
}
find "$memory" -type f -mmin +1440 -delete

# A group of processes for each lane: whoever ends this ends what the lanes started.
set -m
end_lanes() {
  local lane
  for lane in $(jobs -rp); do kill -TERM -- "-$lane"; done
  exit 130
}
trap end_lanes INT TERM
for item in "${work[@]}"; do
  [ "$item" != explorer ] || wait # it has lanes of its own, and what it waits for is short: it comes last, by itself
  while [ "$(jobs -rp | wc -l)" -ge "$lanes" ]; do wait -n; done
  # shellcheck disable=SC2086 # a command and its scenario
  lane $item &
done
wait

outcomes=$results/outcomes
for item in "${work[@]}"; do
  cat "$results/${item// /_}.outcomes" 2> /dev/null || echo "0 1 $item broke off"
done > "$outcomes"
read -r passed failed < <(awk '{ passed += $1; failed += $2 } END { print passed + 0, failed + 0 }' "$outcomes")
awk '$2 { $1 = $2 = ""; print "failed:" $0 }' "$outcomes"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
