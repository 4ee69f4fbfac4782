#!/usr/bin/env bash
# The release program with its default budget, five times the default cadence, beside a private PostgreSQL under load;
# writes docs/endurance.md. Fails if the budget is exceeded in any minute, or if the collector leaves a trace.
#
#   scripts/endurance.sh                30 minutes on PostgreSQL 17
#   scripts/endurance.sh 5 14 FILE      5 minutes on PostgreSQL 14, the table in FILE
set -euo pipefail
cd "$(dirname "$0")/.."

readonly MINUTES="${1:-30}" MAJOR="${2:-17}" FILE="${3:-docs/endurance.md}"
readonly PROFILE="${DBINTEL_BENCH_PROFILE:-release}"
target="${CARGO_TARGET_DIR:-$PWD/target}"

# The program by itself: built together with the benches it would get features that only they need.
cargo build --quiet --profile "$PROFILE" -p dbintel
cargo build --quiet --release -p dbintel-benches --bins
DBINTEL_BIN="$target/$PROFILE/dbintel" "$target/release/dbintel-endurance" "$MINUTES" "$MAJOR" "$FILE"
