#!/usr/bin/env bash
# Checks everything in deploy/ without a network and without a cluster.
#
#   DBINTEL_BIN=...     the program; by default dbintel of the debug build, in CARGO_TARGET_DIR or target
#   DBINTEL_CACHE=...   where scripts/setup.sh keeps what it downloads; the first run adds a Python environment there,
#                       for which alone it needs the network
#
# Promises: what cannot be checked is a failure, never skipped; nothing is installed but that environment; servers run on
# Unix sockets of their own and are gone afterwards. What it cannot check is in README.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/common.sh
. ../scripts/common.sh

# The oldest version we support, the first with privileges on parameters, the newest.
readonly POSTGRES_MAJORS='13 15 18'
# systemd's own figure for what a service could do to its machine, times ten; 100 is everything. It was 12.
readonly EXPOSURE_MAX=15

fail() { printf 'deploy test: FAILED: %s\n' "$*" >&2; exit 1; }
passed() { printf 'deploy test: %s: ok\n' "$*" >&2; }
need() { command -v "$1" >/dev/null || fail "$1 is missing: install $2"; }

main() {
    local cache program
    program=$(realpath "${DBINTEL_BIN:-${CARGO_TARGET_DIR:-../target}/debug/dbintel}")
    [ -x "$program" ] || fail "no program at $program: cargo build -p dbintel, or set DBINTEL_BIN"
    need python3 'python3 and python3-venv'
    need psql postgresql-client
    need systemd-analyze systemd
    need readelf binutils
    cache=$(cache_dir)
    setup_environment "$cache/deploy"

    work=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 1' INT TERM
    start_postgresql "$cache" "$program"
    "$cache/deploy/bin/shellcheck" --external-sources --source-path=.. test.sh image.sh test/*.sh
    passed 'shell scripts'
    "$cache/deploy/bin/python" test/manifests.py "$program"
    check_systemd "$program"
    check_image
    finish_postgresql
}

# Servers that still run after a failure are told to end, and have ended when this has.
clean_up() {
    local pid
    for pid in "$work"/*.pid; do
        [ ! -e "$pid" ] || kill -TERM "$(cat "$pid")" 2>/dev/null || true
    done
    wait
    rm -rf "$work"
}

# The copy of the requirements is written last: it says that all is there.
setup_environment() {
    cmp -s test/requirements.txt "$1/requirements.txt" && return 0
    mkdir -p "$1"
    lock_cache "$1"
    cmp -s test/requirements.txt "$1/requirements.txt" && return 0
    python3 -c 'import ensurepip, venv' 2>/dev/null || fail 'python3 cannot make environments: install python3-venv'
    say "making the Python environment of deploy/test.sh"
    python3 -m venv --clear "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r test/requirements.txt
    cp test/requirements.txt "$1/requirements.txt"
}

# They take longest and wait most, so they run beside everything else.
start_postgresql() {
    local major
    for major in $POSTGRES_MAJORS; do
        bash test/postgresql.sh "$major" "$1" "$2" >"$work/postgresql-$major.log" 2>&1 &
        echo $! >"$work/postgresql-$major.pid"
    done
}

finish_postgresql() {
    local major failed=
    for major in $POSTGRES_MAJORS; do
        wait "$(cat "$work/postgresql-$major.pid")" || failed="$failed $major"
        cat "$work/postgresql-$major.log" >&2
    done
    [ -z "$failed" ] || fail "PostgreSQL$failed"
}

check_systemd() {
    local output
    # Only the path of the program is another one here.
    sed "s,^ExecStart=/usr/local/bin/dbintel ,ExecStart=$1 ," systemd/dbintel.service >"$work/dbintel.service"
    output=$(systemd-analyze verify --man=no --recursive-errors=no "$work/dbintel.service" 2>&1) || fail "systemd: $output"
    [ -z "$output" ] || fail "systemd: $output"
    output=$(systemd-analyze security --no-pager --offline=true --threshold="$EXPOSURE_MAX" "$work/dbintel.service") ||
        fail "systemd: more exposed than $EXPOSURE_MAX: $output"
    sed 's/^ProtectHome=/ProtectHomes=/' "$work/dbintel.service" >"$work/broken.service"
    if systemd-analyze verify --man=no --recursive-errors=no "$work/broken.service" 2>/dev/null; then
        fail 'systemd-analyze did not find a misspelt key'
    fi
    mkdir "$work/credentials"
    echo invented >"$work/credentials/password"
    output=$(env -i "CREDENTIALS_DIRECTORY=$work/credentials" "$1" validate --config systemd/dbintel.yaml 2>&1 >/dev/null) ||
        fail "systemd/dbintel.yaml: $output"
    [ -z "$output" ] || fail "systemd/dbintel.yaml: $output"
    passed systemd
}

# Without buildah: a program that is not static must be refused before anything is made, and the line of Containerfile
# that image.sh changes must be there.
check_image() {
    local output
    if output=$(bash image.sh "$(command -v bash)" 2>&1); then fail "image.sh packed a program that is not static"; fi
    case $output in *'is not static'*) ;; *) fail "image.sh: $output" ;; esac
    grep -q '^COPY --from=build /image/ /$' Containerfile || fail 'Containerfile: image.sh cannot use it'
    passed image
}

main
