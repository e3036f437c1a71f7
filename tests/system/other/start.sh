#!/bin/sh
# PostgreSQL for whoever comes by the socket, until the container is removed.
set -eu
install -d -o other /run/other
runuser -u other -- sh -c 'initdb --pgdata ~/data --auth trust >/dev/null && exec postgres -D ~/data -k /run/other -c listen_addresses='
