#!/bin/sh
# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# What postgres_major_upgrade.yml does on a server's machine, as root: postgres-major.sh check|upgrade|undo|retire
# FROM and TO are the major versions; ENCODING, COLLATE, CTYPE and CHECKSUMS are the old cluster's, for check.
# Each may be killed anywhere and run again.
set -eu
LC_ALL=C.UTF-8
export LC_ALL

old=/var/lib/postgresql/$FROM/main
new=/var/lib/postgresql/$TO/upgrade
config=/etc/postgresql/$TO/upgrade
work=/var/lib/postgresql/major
unit=postgres-major.service

fail() {
  echo "$*" >&2
  exit 1
}

# As the user postgres and in a unit: whatever an earlier, killed run of this left is stopped with all that it started.
in_unit() {
  systemd-run --quiet --collect --wait --pipe --unit="$unit" --uid=postgres --gid=postgres --working-directory="$work" \
    --setenv=FROM="$FROM" --setenv=TO="$TO" --setenv=OLD="$1" --setenv=NEW="$new" --setenv=CONFIG="$config" \
    --setenv=LC_ALL=C.UTF-8 /bin/sh -euc "$2" 9>&-
}

forget_earlier() {
  if systemctl is-active --quiet "$unit"; then systemctl stop "$unit"; fi
  systemctl reset-failed "$unit" 2>/dev/null || true
}

# The cluster gets its name, and so is taken for the server's, only once it holds the databases.
make_new() {
  rm -rf "$config" "$new"
  # shellcheck disable=SC2046 # one word each
  pg_createcluster --port 5439 --datadir "$new" --start-conf disabled "$TO" upgrade $(cat "$work/cluster") >/dev/null
}

# pg_upgrade's reports name what is in the way; its logs stay in $work.
explain() {
  {
    find "$work" "$new/pg_upgrade_output.d" -name '*.txt' -exec tail -n 20 {} +
    find "$work" "$new/pg_upgrade_output.d" -name '*.log' -exec grep -hE '^(pg_[a-z]+|psql)[^ ]* .*(error|ERROR):' {} + \
      | grep -v 'terminating connection' | sort -u
  } > "$work/reasons" 2>/dev/null || true
  if [ -s "$work/reasons" ]; then tail -n 30 "$work/reasons"; else grep -v 'ok$' "$1" | tail -n 20; fi
  rm -rf "$work/logs"
  if [ -d "$new/pg_upgrade_output.d" ]; then cp -a "$new/pg_upgrade_output.d" "$work/logs"; fi
}

# What a killed playbook began may still run: it is let finish.
exec 9> /run/lock/postgres-major
flock 9

case $1 in
  # Beside the running server, which only answers questions.
  check)
    forget_earlier
    if [ -e "/var/lib/postgresql/$TO/main" ]; then
      fail "/var/lib/postgresql/$TO/main is in the way: it holds data that no cluster uses; move it away"
    fi
    rm -rf "$work"
    install -d -o postgres -g postgres -m 0700 "$work"
    echo "--encoding $ENCODING --lc-collate $COLLATE --lc-ctype $CTYPE -- $CHECKSUMS" > "$work/cluster"
    make_new
    # shellcheck disable=SC2016 # expanded in the unit
    if ! in_unit "$old" '"/usr/lib/postgresql/$TO/bin/pg_upgrade" --check --old-datadir "$OLD" --new-datadir "$NEW" \
        --old-bindir "/usr/lib/postgresql/$FROM/bin" --new-bindir "/usr/lib/postgresql/$TO/bin" --old-port 5432 --new-port 5439 \
        --new-options "-c config_file=$CONFIG/postgresql.conf"' > "$work/check.out" 2>&1; then
      explain "$work/check.out" >&2
      rm -rf "$config" "$new"
      exit 1
    fi
    touch "$work/fresh"
    ;;

  # The server is stopped and has everything that the old primary wrote.
  upgrade)
    if [ -e "/etc/postgresql/$TO/main/postgresql.conf" ]; then exit 0; fi
    forget_earlier
    if [ -e "$old/global/pg_control" ]; then
      # Nobody takes it for a standby's data any more: what is written to it from here on, no other server has.
      mv "$old" "$old.upgrading"
    fi
    # While it links, pg_upgrade keeps the old data from being started, by this name.
    if [ -e "$old.upgrading/global/pg_control.old" ]; then
      mv -f "$old.upgrading/global/pg_control.old" "$old.upgrading/global/pg_control"
    fi
    if [ ! -e "$work/fresh" ]; then
      rm -rf "/var/lib/postgresql/$TO/main"
      make_new
    fi
    rm -f "$work/fresh"
    # Recovery ends in single-user mode, which no client can reach. The functions of exclusive backups are gone from 15 on, and a right to
    # call them would not be restored; the role postgres_backup grants their successors.
    # shellcheck disable=SC2016 # expanded in the unit
    if ! in_unit "$old.upgrading" '
        rm -f "$OLD/standby.signal" "$OLD/postmaster.pid"
        options="-c config_file=/etc/postgresql/$FROM/main/postgresql.conf -c data_directory=$OLD -c archive_mode=off -c synchronous_standby_names="
        revoke="DO \$\$ DECLARE f regprocedure; BEGIN
          FOR f IN SELECT p.oid FROM pg_proc p, aclexplode(p.proacl) a, pg_roles r
            WHERE p.proname IN ('"'pg_start_backup', 'pg_stop_backup'"') AND a.grantee = r.oid AND r.rolname = '"'backup'"'
          LOOP EXECUTE format('"'REVOKE EXECUTE ON FUNCTION %s FROM backup'"', f); END LOOP; END \$\$"
        echo "$revoke" | tr "\n" " " | "/usr/lib/postgresql/$FROM/bin/postgres" --single -D "$OLD" $options postgres
        "/usr/lib/postgresql/$FROM/bin/pg_controldata" -D "$OLD" | grep "^Database cluster state: *shut down$"
        exec "/usr/lib/postgresql/$TO/bin/pg_upgrade" --link --jobs "$(nproc)" --old-datadir "$OLD" --new-datadir "$NEW" \
          --old-bindir "/usr/lib/postgresql/$FROM/bin" --new-bindir "/usr/lib/postgresql/$TO/bin" --old-options "$options" \
          --new-options "-c config_file=$CONFIG/postgresql.conf"
      ' > "$work/upgrade.out" 2>&1; then
      explain "$work/upgrade.out" >&2
      exit 1
    fi
    sed -i "s|/$TO/upgrade|/$TO/main|g; s|$TO-upgrade|$TO-main|g; s|'$TO/upgrade'|'$TO/main'|; s|^port = .*|port = 5432|" "$config/postgresql.conf"
    echo auto > "$config/start.conf"
    rm -rf "/var/lib/postgresql/$TO/main"
    mv "$new" "/var/lib/postgresql/$TO/main"
    # Tells a later run that not everything was done yet.
    echo "$FROM" > "$work/unfinished"
    sync
    # From here on this machine's server is the new one.
    mv "$config" "/etc/postgresql/$TO/main"
    ;;

  # The old primary serves again, or never stopped: the copy is worth nothing.
  undo)
    forget_earlier
    rm -rf "$config" "$new" "$old.upgrading"
    if [ ! -e "/etc/postgresql/$TO/main" ]; then rm -rf "/var/lib/postgresql/$TO/main"; fi
    ;;

  # On the upgraded machine nothing is left of the old cluster that is not part of the new one. On the others its data is the way back.
  retire)
    for config in /etc/postgresql/*/main; do
      version=$(basename "$(dirname "$config")")
      if [ "$version" = "$TO" ] || [ ! -e "$config" ]; then continue; fi
      data=/var/lib/postgresql/$version
      systemctl disable --now --quiet "postgresql@$version-main.service"
      rm -rf "/etc/systemd/system/postgresql@$version-main.service.d" "$data/main.upgrading"
      if [ -e "$data/main/global/pg_control" ]; then
        echo disabled > "$config/start.conf"
        sed -i "s|/$version/main|/$version/replaced|g; s|$version-main|$version-replaced|g" "$config/postgresql.conf"
        mv "$data/main" "$data/replaced"
      fi
      if [ -e "$data/replaced" ]; then
        rm -rf "/etc/postgresql/$version/replaced"
        mv "$config" "/etc/postgresql/$version/replaced"
      else
        rm -rf "$config"
        rmdir --ignore-fail-on-non-empty "$data" "/etc/postgresql/$version"
      fi
      echo "retired $version"
    done
    systemctl daemon-reload
    ;;
  *) fail "usage: $0 check|upgrade|undo|retire" ;;
esac
