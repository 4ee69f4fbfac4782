#!/usr/bin/env bash
# Coverage-guided fuzzing of the parsers of foreign bytes, on the pinned stable toolchain: see fuzz/README.md.
# FUZZ_SECONDS per target, 60 unless set.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
target="$(rustc -vV | sed -n 's/^host: //p')"
# `--target` keeps the flags away from build scripts.
cargo build --release --target "$target"
for source in fuzz_targets/*.rs; do
  name="$(basename "$source" .rs)"
  mkdir -p "corpus/$name" "artifacts/$name"
  dictionary=()
  [ -f "$name.dict" ] && dictionary=("-dict=$name.dict")
  "target/$target/release/$name" "corpus/$name" "${dictionary[@]}" -max_len=300 \
    "-max_total_time=${FUZZ_SECONDS:-60}" "-artifact_prefix=artifacts/$name/"
done
