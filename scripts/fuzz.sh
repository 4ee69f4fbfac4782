#!/usr/bin/env bash
# Coverage-guided fuzzing of the parsers of foreign bytes, on the pinned stable toolchain: see fuzz/README.md.
# FUZZ_SECONDS per target, 60 unless set. Names of targets as arguments, or all.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
target="$(rustc -vV | sed -n 's/^host: //p')"
# `--target` keeps the flags away from build scripts.
cargo build --release --target "$target"
# Longer inputs only make the rounds fewer; a configuration with references into several files needs some room.
longest() { case "$1" in config_yaml | otlp_answer | kernel_files | server_log) echo 1000 ;; plan_postgresql | plan_fingerprint) echo 2500 ;; showplan | otlp_lines) echo 4000 ;; *) echo 300 ;; esac; }
# Whole inputs to begin with, beside what earlier rounds have found.
seeds() { case "$1" in config_yaml) echo ../config ;; showplan | plan_fingerprint) echo ../crates/plan/tests/data/showplan ;; esac; }
[ $# -gt 0 ] || set -- $(basename -s .rs -a fuzz_targets/*.rs)
for name in "$@"; do
  mkdir -p "corpus/$name" "artifacts/$name"
  dictionary=()
  [ -f "$name.dict" ] && dictionary=("-dict=$name.dict")
  [ "$name" = plan_fingerprint ] && dictionary=("-dict=plan_postgresql.dict")
  "target/$target/release/$name" "corpus/$name" $(seeds "$name") "${dictionary[@]}" "-max_len=$(longest "$name")" \
    "-max_total_time=${FUZZ_SECONDS:-60}" "-artifact_prefix=artifacts/$name/"
done
