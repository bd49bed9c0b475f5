#!/bin/sh
# A PostgreSQL of one's own for tests: no password, no durability, loopback and a socket only.
#
#   tests/postgres.sh start DIR   makes or starts a server in DIR and prints its URL
#   tests/postgres.sh stop DIR    stops it, as a crash does; DIR may be removed afterwards, or
#                                 started again at the same URL
#   tests/postgres.sh make URL    makes a database of its own on a server and prints its URL
#
# The server refuses to run as root, so root runs it as the user `postgres`. Where no server is
# installed, root gets Debian's.
set -eu

fail() { echo "postgres.sh: $*" >&2; exit 1; }

# The folder with the newest server's programs.
find_bin() {
    newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
    for bin in "$newest" "$(dirname "$(command -v initdb 2>/dev/null || echo /none/initdb)")"; do
        [ -n "$bin" ] && [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] && echo "$bin" && return
    done
    return 1
}

install_server() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || fail "no PostgreSQL server found"
    {
        apt-get update
        # Only the programs: no server that starts by itself.
        mkdir -p /etc/postgresql-common
        [ -e /etc/postgresql-common/createcluster.conf ] ||
            echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql
    } >&2
}

as_owner() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

# A port nobody listens on: from those the system gives to nobody by itself.
free_port() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        port=$((15000 + $(od -An -N2 -tu2 /dev/urandom) % 15000))
        hex=$(printf '%04X' "$port")
        grep -qs ":$hex " /proc/net/tcp /proc/net/tcp6 || { echo "$port"; return; }
    done
    fail "found no free port"
}

start() {
    bin=$(find_bin) || { install_server; bin=$(find_bin) || fail "the installed server was not found"; }
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    [ "$(id -u)" != 0 ] || chown postgres "$dir"
    cd "$dir"
    if [ ! -e "$dir/data/PG_VERSION" ]; then
        as_owner "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
            --no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; fail "initdb failed"; }
    fi
    if ! as_owner "$bin/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; then
        attempt=0
        while :; do
            # Started again it is where it was, for those who wait for it.
            port=$(cat "$dir/port" 2>/dev/null) && [ "$attempt" = 0 ] || port=$(free_port)
            options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$dir'"
            options="$options -c fsync=off -c full_page_writes=off -c synchronous_commit=off"
            options="$options -c max_connections=200"
            as_owner "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -o "$options" -w -t 60 start \
                >/dev/null 2>&1 && break
            # Somebody else may have taken the port in between.
            attempt=$((attempt + 1))
            [ "$attempt" -lt 3 ] || { tail -n 20 "$dir/server.log" >&2; fail "the server did not start"; }
        done
        echo "$port" >"$dir/port"
    fi
    echo "postgres://postgres@127.0.0.1:$(cat "$dir/port")/postgres"
}

stop() {
    bin=$(find_bin) || fail "no PostgreSQL server found"
    dir=$(cd "$dir" && pwd)
    cd "$dir"
    as_owner "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null
}

make_database() {
    bin=$(find_bin) || fail "no PostgreSQL server found"
    name=made_$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
    "$bin/psql" --quiet --no-psqlrc --dbname "$1" --command "create database $name" >&2
    echo "$1" | sed "s|/[^/?]*\(?.*\)\{0,1\}\$|/$name\1|"
}

usage="usage: postgres.sh start DIR | stop DIR | make URL"
[ $# = 2 ] || fail "$usage"
dir=$2
case $1 in
    start) start ;;
    stop) stop ;;
    make) make_database "$2" ;;
    *) fail "$usage" ;;
esac
