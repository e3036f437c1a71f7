#!/bin/sh
# Runs inside the image build, as root, on Debian bullseye: installs odoo-14 and takes away what a server does not use.
# From the Dockerfile: LANGUAGES, PDF.
set -eu
export DEBIAN_FRONTEND=noninteractive

apt-get update -qq
apt-get install -qq --no-install-recommends odoo-14 >/dev/null
python=$(python3 -c 'import odoo; print(odoo.__path__[0])')
site=${python%/odoo}

# Translations that nobody asked for.
keep="-name en.po"
for language in $LANGUAGES; do keep="$keep -o -name $language.po -o -name ${language}_*.po"; done
# Patterns are meant to reach find as words.
set -f
# shellcheck disable=SC2086
find "$python" -path '*/i18n*' \( -name '*.po' -o -name '*.pot' \) ! \( $keep \) -delete
set +f
set -f
names="-name root.dat -o -name en.dat -o -name en_*.dat"
for language in $LANGUAGES; do names="$names -o -name $language.dat -o -name ${language}_*.dat"; done
# shellcheck disable=SC2086
find /usr/share/python-babel-localedata "$site/babel" -name '*.dat' ! \( $names -o -path '*/global.dat' \) -delete
set +f
# Tests of the addons, but for addons that load them (resource, which half of Odoo builds on); pictures of the application store.
for tests in "$python"/addons/*/tests; do
  grep -qsw tests "${tests%/tests}/__init__.py" "${tests%/tests}/__manifest__.py" || rm -rf "$tests"
done
find "$python/addons" -mindepth 3 -maxdepth 3 -type d -path '*/static/tests' -prune -exec rm -rf {} +
find "$python/addons" -path '*/static/description/*' -type f ! -name 'icon.*' -delete

# Needed by packages that are not used: databases are dumped where they are, wkhtmltopdf draws without OpenGL drivers,
# python3-pydot's graphs are a developer's.
drop="postgresql-client postgresql-client-13 postgresql-client-common perl perl-modules-5.32 libperl5.32
  libllvm11 libz3-4 libgl1-mesa-dri iso-codes graphviz libgvc6 libgvpr2 liblab-gamut1 libann0 libcdt5 libgts-0.7-5 libpathplan4
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
rm -rf /var/lib/apt/lists /var/cache/apt /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/* /usr/share/doc /usr/share/man /usr/share/info \
  /usr/share/perl /usr/share/perl5 /usr/share/iso-codes /usr/share/libwacom /usr/share/lintian /usr/share/bug \
  /usr/lib/x86_64-linux-gnu/perl /usr/lib/x86_64-linux-gnu/dri /root/.cache
# What was cut must not be missed at the first import.
python3 -c 'import odoo, odoo.http, odoo.addons, odoo.addons.resource'
if [ "$PDF" != 0 ]; then
  echo '<h1>Report</h1>' | QT_QPA_PLATFORM=offscreen XDG_RUNTIME_DIR=/tmp wkhtmltopdf --quiet - /tmp/report.pdf
  head -c 5 /tmp/report.pdf | grep -q %PDF-
  rm /tmp/report.pdf
fi
