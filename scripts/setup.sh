#!/usr/bin/env bash
# Everything that `make test` and `make demo` need besides the Rust toolchain and a C compiler.
#
# Promises: idempotent; quiet and fast when all is there; everything it downloads is pinned and lies in the cache
# (see common.sh), except Debian packages and cargo-deny, which go where apt and cargo put them.
#
#   scripts/setup.sh            all of it
#   DBINTEL_CACHE=/dir ...      another cache
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=scripts/common.sh
. ./common.sh

readonly CARGO_DENY_VERSION='0.20.2'
readonly REQUIREMENTS='../tests/oracle/requirements.txt'

main() {
    local cache
    cache=$(cache_dir)
    ./setup-postgres.sh
    setup_oracle "$cache"
    setup_pgbouncer
    setup_cargo_deny
}

# The Python environment of tests/oracle. Its copy of the requirements is written last: it says that all is there.
setup_oracle() {
    local environment="$1/oracle"
    cmp -s "$REQUIREMENTS" "$environment/requirements.txt" && return 0
    lock_cache "$1"
    cmp -s "$REQUIREMENTS" "$environment/requirements.txt" && return 0
    ensure_python
    say "making the Python environment of the oracle"
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$REQUIREMENTS"
    cp "$REQUIREMENTS" "$environment/requirements.txt"
}

# Debian has python3 without ensurepip unless python3-venv is there.
ensure_python() {
    command -v python3 >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3 python3-venv
}

# The pooler behind which the receiver is tested (crates/receiver-postgresql/tests/pooler.rs). The tests run their own
# instance; the service that the Debian package brings along is not needed and may be disabled.
setup_pgbouncer() {
    [ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null || install_packages pgbouncer
}

setup_cargo_deny() {
    command -v cargo-deny >/dev/null && return 0
    command -v cargo >/dev/null || die "no cargo: install the Rust toolchain of rust-toolchain.toml first"
    say "building cargo-deny $CARGO_DENY_VERSION"
    cargo install --quiet cargo-deny --locked --version "$CARGO_DENY_VERSION"
}

main
