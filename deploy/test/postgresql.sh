#!/usr/bin/env bash
# Runs deploy/postgresql on a private server of one major version: postgresql.sh MAJOR CACHE PROGRAM
#
# Promises: the server listens on a Unix socket of its own only; it is stopped and its files are removed however this
# ends; the servers come from scripts/setup-postgres.sh.
set -euo pipefail

readonly MAJOR=$1 CACHE=$2 PROGRAM=$3
readonly BIN=$CACHE/postgres/$MAJOR/bin
# The user that runs the servers when the tests run as root; see scripts/setup-postgres.sh.
readonly SERVER_USER='dbintel-test'
# How long the collector may take to deliver what it reads.
readonly COLLECT_SECONDS=8
readonly PASSWORD="it's only for this test"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
collector=
collector_started=

say() { printf 'deploy test: postgresql %s: %s\n' "$MAJOR" "$*" >&2; }
fail() { say "FAILED: $*"; exit 1; }

as_server() { if [ "$(id -u)" -eq 0 ]; then runuser -u "$SERVER_USER" -- "$@"; else "$@"; fi; }

# sql ROLE ARGUMENT...: psql with unaligned output and no one's ~/.psqlrc.
sql() { psql -XAtq -v ON_ERROR_STOP=1 -h "$work" -U "$1" -d "${DATABASE:-postgres}" "${@:2}" 2>&1; }
admin() { sql postgres "$@"; }

# equal WHAT EXPECTED ACTUAL
equal() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }
# refused WHAT MESSAGE COMMAND...: the command must fail, and say this.
refused() {
    local output
    if output=$("${@:3}"); then fail "$1 was not refused: $output"; fi
    case $output in *"$2"*) ;; *) fail "$1 was refused with another message: $output" ;; esac
}

main() {
    [ -x "$BIN/postgres" ] || fail "no server at $BIN: run scripts/setup-postgres.sh"
    work=$(mktemp -d /tmp/dbintel-deploy.XXXXXX)
    trap clean_up EXIT
    trap 'exit 1' INT TERM
    start_server
    check_setup
    check_role
    check_collector
    check_drop
    check_managed
    say ok
}

clean_up() {
    [ -z "$collector" ] || kill -KILL "$collector" 2>/dev/null || true
    [ ! -e "$work/data/postmaster.pid" ] || as_server "$BIN/pg_ctl" stop -D "$work/data" -m immediate -s || true
    rm -rf "$work"
}

start_server() {
    chmod 0755 "$work"
    if [ "$(id -u)" -eq 0 ]; then chown "$SERVER_USER" "$work"; fi
    cd "$work"
    as_server "$BIN/initdb" -U postgres -A trust --no-locale -E UTF8 --no-sync -D "$work/data" >"$work/initdb.log" 2>&1 ||
        fail "initdb: $(cat "$work/initdb.log")"
    printf '%s\n' 'local all dbintel scram-sha-256' 'local all all trust' | as_server tee "$work/data/pg_hba.conf" >/dev/null
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$work'" 'fsync = off' 'shared_buffers = 16MB' \
        'max_connections = 20' "shared_preload_libraries = 'pg_stat_statements'" |
        as_server tee -a "$work/data/postgresql.conf" >/dev/null
    as_server "$BIN/pg_ctl" start -D "$work/data" -l "$work/server.log" -s -w || fail "start: $(cat "$work/server.log")"
}

check_setup() {
    local output
    refused 'a role that is superuser' 'may do more than look' \
        admin -c 'CREATE ROLE dbintel SUPERUSER' -f "$here/../postgresql/setup.sql"
    equal 'after a refused set-up' 'f' "$(admin -c "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')")"
    admin -c 'DROP ROLE dbintel'
    equal 'output of setup.sql' '' "$(admin -f "$here/../postgresql/setup.sql")"
    output=$(admin -f "$here/../postgresql/setup.sql") || fail "setup.sql a second time: $output"
    case $output in *ERROR* | *WARNING*) fail "setup.sql a second time: $output" ;; esac
    # As \password does it: a hash that the client has computed.
    admin -c "SET password_encryption = 'scram-sha-256'" -c "ALTER ROLE dbintel PASSWORD '${PASSWORD//\'/\'\'}'"
    export PGPASSWORD=$PASSWORD
}

check_role() {
    local settings=(default_transaction_read_only=on statement_timeout=5s lock_timeout=100ms
        idle_in_transaction_session_timeout=30s pg_stat_statements.track=none is_superuser=off)
    local setting shows=() expected=
    for setting in "${settings[@]}"; do
        shows+=(-c "SHOW ${setting%%=*}")
        expected+="${setting#*=} "
    done
    equal "settings of the role (${settings[*]})" "$expected" "$(sql dbintel "${shows[@]}" | tr '\n' ' ')"
    admin -c 'CREATE TABLE secrets (secret text)' -c "INSERT INTO secrets VALUES ('canary')"
    refused 'reading a table' 'permission denied for table secrets' sql dbintel -c 'SELECT * FROM secrets'
    refused 'making a table' 'read-only transaction' sql dbintel -c 'CREATE TABLE t ()'
    refused 'a long statement' 'statement timeout' sql dbintel -c "SET statement_timeout = '50ms'" -c 'SELECT pg_sleep(5)'
    equal 'statements of others' 't' "$(sql dbintel -c "SELECT count(*) > 0 FROM pg_stat_statements WHERE query LIKE 'INSERT INTO secrets%'")"
    equal 'its own statements' '0' "$(admin -c "SELECT count(*) FROM pg_stat_statements WHERE userid = 'dbintel'::regrole")"
    hold_connections 5
    refused 'a sixth connection' 'too many connections for role' sql dbintel -c 'SELECT 1'
    release_connections
}

# hold_connections NUMBER: as role dbintel, until release_connections.
hold_connections() {
    local number
    mkfifo "$work/hold"
    for ((number = 0; number < $1; number++)); do sql dbintel <"$work/hold" >/dev/null & done
    exec 8>"$work/hold"
    wait_for 'held connections' "$1"
}

release_connections() {
    exec 8>&-
    rm "$work/hold"
    wait_for 'released connections' 0
}

# wait_for WHAT NUMBER: of connections of the role dbintel.
wait_for() {
    local tries=100 count
    while count=$(admin -c "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dbintel'") && [ "$count" != "$2" ]; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$1: expected $2, got $count"
        sleep 0.1
    done
}

# The collector itself, with this role and everything switched on, must be refused nothing.
check_collector() {
    cat >"$work/dbintel.yaml" <<EOF
receivers:
  postgresql:
    endpoint: $work:5432
    transport: unix
    username: dbintel
    password: \${env:PGPASSWORD}
    initial_delay: 0
    collection_interval: 1s
    events: {db.server.query_sample: {enabled: true}}
    top_query_collection: {collection_interval: 1s}
    object_collection: {collection_interval: 1s}
    size_collection: {collection_interval: 1s}
processors:
  circuit_breaker: {limits: {budget: 60s}}
exporters:
  file: {path: $work/telemetry.jsonl}
extensions:
  health_check: {endpoint: "127.0.0.1:0"}
  zpages: {endpoint: "127.0.0.1:0"}
service:
  extensions: [health_check, zpages]
  pipelines:
    databases: {receivers: [postgresql], exporters: [file]}
  telemetry: {metrics: {level: none}}
EOF
    "$PROGRAM" run --config "$work/dbintel.yaml" >"$work/collector.log" 2>&1 &
    collector=$!
    collector_started=$SECONDS
    until grep -qs 'postgresql.commits' "$work/telemetry.jsonl" && grep -qs 'db.server.top_query' "$work/telemetry.jsonl"; do
        # Somebody must work, or there are no top queries.
        admin -c 'SELECT count(*) FROM secrets' >/dev/null
        kill -0 "$collector" 2>/dev/null || fail "the collector has ended: $(cat "$work/collector.log")"
        [ $((SECONDS - collector_started)) -lt "$COLLECT_SECONDS" ] ||
            fail "the collector delivered nothing: $(cat "$work/collector.log")"
        sleep 0.1
    done
    refused 'drop.sql under a running collector' 'the role dbintel is connected' admin -f "$here/../postgresql/drop.sql"
    kill -TERM "$collector"
    wait "$collector" || fail "the collector stopped badly: $(cat "$work/collector.log")"
    collector=
    # What a missing privilege looks like in telemetry and log.
    if grep -E 'insufficient_privilege|permission denied|42501' "$work/telemetry.jsonl" "$work/collector.log"; then
        fail 'the collector was refused something'
    fi
    wait_for 'connections after the end' 0
}

check_drop() {
    admin -c 'CREATE SCHEMA kept' -c 'ALTER SCHEMA kept OWNER TO dbintel'
    refused 'drop.sql for a role that owns something' 'owns objects' admin -f "$here/../postgresql/drop.sql"
    admin -c 'DROP SCHEMA kept'
    admin -c 'CREATE DATABASE orders' -c 'GRANT CONNECT ON DATABASE orders TO dbintel' -c 'GRANT USAGE ON SCHEMA public TO dbintel'
    DATABASE=orders admin -c 'GRANT USAGE ON SCHEMA public TO dbintel'
    [ "$MAJOR" -lt 15 ] || admin -c 'GRANT SET ON PARAMETER pg_stat_statements.track TO dbintel'
    refused 'drop.sql for a role with privileges elsewhere' 'database orders' admin -f "$here/../postgresql/drop.sql"
    DATABASE=orders admin -c 'DROP OWNED BY dbintel'
    equal 'output of drop.sql' '' "$(admin -f "$here/../postgresql/drop.sql")"
    equal 'roles left' '0' "$(admin -c "SELECT count(*) FROM pg_roles WHERE rolname = 'dbintel'")"
    equal 'the table of somebody else' 'canary' "$(admin -c 'SELECT secret FROM secrets')"
    equal 'the extension' '1' "$(admin -c "SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'")"
    case $(admin -f "$here/../postgresql/drop.sql") in *'there is no role dbintel'*) ;; *) fail 'drop.sql a second time' ;; esac
}

# The administrator of a managed service is no superuser: the set-up must work, and say what it could not do.
check_managed() {
    local output
    admin -c 'CREATE ROLE manager LOGIN CREATEROLE' -c 'GRANT pg_monitor TO manager WITH ADMIN OPTION'
    output=$(sql manager -f "$here/../postgresql/setup.sql") || fail "setup.sql without superuser: $output"
    case $output in *"own statements will be counted"*) ;; *) fail "setup.sql without superuser did not warn: $output" ;; esac
    output=$(sql manager -f "$here/../postgresql/drop.sql") || fail "drop.sql without superuser: $output"
    equal 'roles left' '0' "$(admin -c "SELECT count(*) FROM pg_roles WHERE rolname = 'dbintel'")"
}

main
