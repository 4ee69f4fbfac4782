#!/usr/bin/env bash
# Servers in trouble, one after the other, each with what the guard did, what it cost and that others kept their cadence;
# writes docs/trials.md. The same tests run in `make test`; here they run alone, so that their figures are of nothing else.
#
#   scripts/trials.sh          ten minutes
#   scripts/trials.sh FILE     the tables in FILE
set -euo pipefail
cd "$(dirname "$0")/.."

readonly FILE="${1:-docs/trials.md}"
directory="$(mktemp -d)"
trap 'rm -rf "$directory"' EXIT

DBINTEL_TRIALS="$directory" cargo test --quiet -p dbintel-receiver-postgresql --test guard -- --test-threads=1

processor="$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
postgres="$(. scripts/common.sh; "$(cache_dir)/postgres/17/bin/postgres" --version)"
{
    cat <<TEXT
# Servers in trouble

Made by \`make trials\` on $(date -u +%F); not to be edited. $postgres, dbintel $(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1) (debug build), on $(nproc) cores of $processor.

Each server is a real one, brought into trouble while the collector reads everything there is every second, which is ten to sixty times as often as by default. The first table of each has what the breakers did and when, in seconds since the start; where it is empty no breaker had to open. The second has what all of it cost the server, by purpose, as the statements themselves say or, where nothing can be said, by our clock. The third has how often each database was read: of the server in trouble, and of another server that the same process watches. Waits of servers and databases are shortened to two seconds (\`max_backoff\`), so that a recovery can be waited for; those of single queries, such as one without privileges, are not. The waits by default are in [circuit-breaker.md](circuit-breaker.md). In none of them did anybody have to do anything for the collector to recover.
TEXT
    for table in "$directory"/*.md; do
        printf '\n'
        cat "$table"
    done
} >"$FILE"
