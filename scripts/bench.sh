#!/usr/bin/env bash
# Micro-benches, then the whole process on private PostgreSQL servers; prints machine and table, writes
# target/bench.json. A target that is missed is printed as missed and fails nothing.
#
#   scripts/bench.sh                    quick: about 10 minutes after the build
#   scripts/bench.sh full               figures to quote: about 25 minutes; the machine should do nothing else
#   scripts/bench.sh quick steady idle  some scenarios only, see benches/src/bin/dbintel-bench.rs; no micro-benches
#   scripts/bench.sh quick --minutes 10 chain   the processors alone, statements for ten minutes at half load
#   scripts/bench.sh quick --minutes 7 --runs 5 again   the same minutes several times, to tell our time from the machine's
#   DBINTEL_BENCH_PROFILE=release ...   a program with symbols for a profiler, instead of the one that is shipped
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PROFILE="${DBINTEL_BENCH_PROFILE:-dist}"
readonly EXTENT="${1:-quick}"
shift || true

case "$EXTENT" in
    quick) CRITERION=(--warm-up-time 0.3 --measurement-time 1 --sample-size 20) ;;
    full) CRITERION=(--warm-up-time 2 --measurement-time 6) ;;
    *) printf 'bench: usage: %s [quick|full] [scenario...]\n' "$0" >&2; exit 2 ;;
esac

target="${CARGO_TARGET_DIR:-$PWD/target}"

# The program by itself: built together with the benches it would get features that only they need.
cargo build --quiet --profile "$PROFILE" -p dbintel
cargo build --quiet --release -p dbintel-benches --bins

if [ "$#" -eq 0 ]; then
    cargo bench --quiet -p dbintel-benches --no-run
    cargo bench --quiet -p dbintel-benches -- "${CRITERION[@]}" --noplot --quiet 2>&1 | grep -v '^Benchmarking'
fi
DBINTEL_BIN="$target/$PROFILE/dbintel" "$target/release/dbintel-bench" "$EXTENT" "$@"
