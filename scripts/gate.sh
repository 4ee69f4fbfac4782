#!/usr/bin/env bash
# The whole gate, in the order in which it fails fastest. `make test` sets up what it needs and calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUST_BACKTRACE="${RUST_BACKTRACE:-0}"

step() { printf '\n== %s\n' "$*"; }

step "format"
cargo fmt --all --check

step "dependencies: licences, bans, sources"
cargo deny --log-level error check licenses bans sources

step "lints"
cargo clippy --workspace --all-targets --quiet -- -D warnings

# Their workspace is its own. Without libFuzzer no C++ compiler is needed, and most crates are compiled already.
step "fuzz targets"
cargo check --quiet --locked --manifest-path fuzz/Cargo.toml --no-default-features \
  --target-dir "${CARGO_TARGET_DIR:-target}"

step "program"
cargo build --quiet -p dbintel -p dbintel-testkit --bins

step "tests: unit, property, integration and end to end, on PostgreSQL of these versions"
. scripts/common.sh
for server in "$(cache_dir)"/postgres/*/bin/postgres; do
  "$server" --version
done
cargo test --workspace --quiet

step "deployment files"
bash deploy/test.sh

step "gate passed"
