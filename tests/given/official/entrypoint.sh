#!/bin/sh
# Connects to the database that its environment names, which is none of the deployment's.
set -e
case ${1:-odoo} in
  odoo | -*)
    [ "${1:-}" != odoo ] || shift
    exec odoo --db_host "${HOST:-db}" --db_port "${PORT:-5432}" --db_user "${USER:-odoo}" --db_password "${PASSWORD:-odoo}" "$@"
    ;;
  *) exec "$@" ;;
esac
