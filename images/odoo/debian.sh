#!/bin/sh
# Runs inside the image build, as root: installs Odoo and takes away what a server does not use.
# From the Dockerfile: LANGUAGES, PDF, and packages/ with a package of Odoo (odoo*.deb) that this Debian does not have by itself, and
# one of wkhtmltopdf with Qt's patches (wkhtmlto*.deb). Without an odoo*.deb: Debian bullseye's odoo-14.
set -eu
export DEBIAN_FRONTEND=noninteractive
packages=/tmp/build/packages
install() { apt-get install -qq --no-install-recommends "$@" >/dev/null; }
known() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

# What a package depends on, one name a line: the first of its alternatives, without versions.
depends() { dpkg-deb -f "$1" Depends Pre-Depends | sed 's/^[^:]*: //' | tr ',' '\n' | sed 's/|.*//; s/([^)]*)//; s/:any//; s/ //g; /^$/d'; }

# The name by which this Debian has it; nothing: it is not needed.
name_here() {
  case $1 in
    postgresql-client | adduser | lsb-base | init-system-helpers) ;;              # databases are dumped where they are; no service runs
    python3-pytz) if known python3-pytz; then echo python3-pytz; else echo python3-tz; fi ;;
    python3-lxml-html-clean) if known "$1"; then echo "$1"; else echo python3-lxml; fi ;; # part of lxml before 5.2
    python3-pypdf) if known python3-pypdf2; then echo python3-pypdf2; else echo "$1"; fi ;; # bookworm's pypdf 3.4 refuses what sale does
    wkhtmltopdf) ;;
    *) if known "$1"; then echo "$1"; else echo "not in this Debian: $1" >&2; fi ;;
  esac
}

apt-get update -qq
set -- "$packages"/odoo*.deb
if [ -e "$1" ]; then
  wanted=
  for package in $(depends "$1"); do wanted="$wanted $(name_here "$package")"; done
  # shellcheck disable=SC2086
  install python3 python3-ldap $wanted
  # Its scripts would make a system user and a service.
  dpkg-deb -x "$1" /
else
  install odoo-14
fi
if [ "$PDF" != 0 ]; then
  set -- "$packages"/wkhtmlto*.deb
  if [ -e "$1" ]; then
    # shellcheck disable=SC2046
    install $(depends "$1")
    dpkg-deb -x "$1" /
    [ -e /usr/bin/wkhtmltopdf ] || ln -s /usr/local/bin/wkhtmltopdf /usr/bin/wkhtmltopdf
  else
    install wkhtmltopdf
  fi
fi
python=$(python3 -c 'import odoo; print(list(odoo.__path__)[0])')
site=${python%/odoo}
# From 19 on Debian's package has all addons but base next to the server.
addons="$python/addons"
if [ -d "$site/addons/web" ]; then addons="$addons $site/addons"; fi

# Translations that nobody asked for.
keep="-name en.po"
for language in $LANGUAGES; do keep="$keep -o -name $language.po -o -name ${language}_*.po"; done
# Patterns are meant to reach find as words.
set -f
# shellcheck disable=SC2086
find "$python" $addons -path '*/i18n*' \( -name '*.po' -o -name '*.pot' \) ! \( $keep \) -delete
set +f
set -f
names="-name root.dat -o -name en.dat -o -name en_*.dat"
for language in $LANGUAGES; do names="$names -o -name $language.dat -o -name ${language}_*.dat"; done
for folder in /usr/share/python-babel-localedata "$site/babel"; do
  # shellcheck disable=SC2086
  if [ -d "$folder" ]; then find "$folder" -name '*.dat' ! \( $names -o -path '*/global.dat' \) -delete; fi
done
set +f
# Tests of the addons, but for addons that load them (resource, which half of Odoo builds on); pictures of the application store.
for folder in $addons; do
  for tests in "$folder"/*/tests; do
    grep -qsw tests "${tests%/tests}/__init__.py" "${tests%/tests}/__manifest__.py" || rm -rf "$tests"
  done
  find "$folder" -mindepth 3 -maxdepth 3 -type d -path '*/static/tests' -prune -exec rm -rf {} +
  find "$folder" -path '*/static/description/*' -type f ! -name 'icon.*' -delete
done

# Needed by packages that are not used: databases are dumped where they are, wkhtmltopdf draws without OpenGL drivers,
# python3-pydot's graphs are a developer's.
drop="postgresql-client postgresql-client-13 postgresql-client-common perl perl-modules-5.32 perl-modules-5.36 libperl5.32 libperl5.36
  libllvm11 libllvm15 libz3-4 libgl1-mesa-dri iso-codes graphviz libgvc6 libgvpr2 liblab-gamut1 libann0 libcdt5 libgts-0.7-5 libpathplan4
  libvulkan1 libdrm-intel1 libdrm-nouveau2 libdrm-radeon1 libdrm-amdgpu1"
if [ "$PDF" = 0 ]; then
  drop="$drop wkhtmltopdf libqt5webkit5 libqt5gui5 libqt5widgets5 libqt5svg5 libqt5quick5 libqt5qml5 libqt5qmlmodels5
    libqt5core5a libqt5network5 libqt5printsupport5 libqt5positioning5 libqt5sensors5 libqt5webchannel5 libqt5dbus5
    libgstreamer1.0-0 libgstreamer-plugins-base1.0-0 libinput10 libinput-bin xkb-data shared-mime-info libhyphen0"
fi

apt-get clean
for package in $drop; do
  dpkg-query -W "$package" >/dev/null 2>&1 || continue
  dpkg --purge --force-depends --force-remove-essential "$package" >/dev/null 2>&1
done
# The root file system is read-only when it runs. What is no Python of this version (templates of scaffold) stays as it is.
for folder in "$python" "$site/addons"; do
  if [ -d "$folder" ]; then python3 -m compileall -q -j 0 "$folder" || true; fi
done
rm -rf /var/lib/apt/lists /var/cache/apt /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/* /usr/share/doc /usr/share/man /usr/share/info \
  /usr/share/perl /usr/share/perl5 /usr/share/iso-codes /usr/share/libwacom /usr/share/lintian /usr/share/bug \
  /usr/lib/x86_64-linux-gnu/perl /usr/lib/x86_64-linux-gnu/dri /root/.cache /tmp/build
# What was cut must not be missed at the first import.
python3 -c 'import odoo.modules, odoo.http, odoo.addons.base.models, odoo.addons.resource'
if [ "$PDF" != 0 ]; then
  echo '<h1>Report</h1>' | QT_QPA_PLATFORM=offscreen XDG_RUNTIME_DIR=/tmp wkhtmltopdf --quiet - /tmp/report.pdf
  head -c 5 /tmp/report.pdf | grep -q %PDF-
  rm /tmp/report.pdf
fi
