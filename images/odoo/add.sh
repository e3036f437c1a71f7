#!/bin/sh
# Runs inside the image build, as root: puts wheels/ and addons/ of the context where Odoo finds them.
set -eu
context=/tmp/context
# A wheel is a zip file of what belongs in site-packages. Addons are plain Python, so neither pip nor the network is needed.
site=$(python3 -c 'import site; print(site.getsitepackages()[0])')
mkdir -p "$site" /opt/odoo/addons
for wheel in "$context"/wheels/*.whl; do
  [ -e "$wheel" ] || continue
  if python3 -m zipfile -l "$wheel" | grep -q '\.data/'; then
    echo "$wheel has parts outside of site-packages: build an image of your own with pip and name it in odoo_k8s_image_base" >&2
    exit 1
  fi
  python3 -m zipfile -e "$wheel" "$site"
done
if [ -d "$context/addons" ]; then cp -R "$context/addons/." /opt/odoo/addons/; fi
# Bytecode now: the root file system is read-only when it runs.
python3 -m compileall -q "$site" /opt/odoo/addons
getent group 10001 >/dev/null || echo 'odoo-run:x:10001:' >>/etc/group
getent passwd 10001 >/dev/null || echo 'odoo-run:x:10001:10001:Odoo:/tmp:/usr/sbin/nologin' >>/etc/passwd
rm -rf "$context"
