//! What a plan of PostgreSQL costs that was not seen before: reading, summary, fingerprints and redaction, each and
//! together.
//!
//! `cargo bench -p dbintel-benches --bench plan`. One iteration is one plan of about 10 KiB as a server wrote it.

#![allow(missing_docs, reason = "criterion_group makes undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbintel_plan::{Budget, parse_postgresql, redact_postgresql};

/// As auto_explain logs it with `log_analyze`, `log_verbose`, `log_buffers` and `log_settings`.
const PLAN: &[u8] = include_bytes!("../data/plan-10k.json");

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    group.throughput(Throughput::Bytes(PLAN.len() as u64));
    let parse = || parse_postgresql(black_box(PLAN), &mut Budget::unlimited());
    let redact = || redact_postgresql(black_box(PLAN), &mut Budget::unlimited());
    let parsed = parse();
    group.bench_function("parse", |bench| bench.iter(parse));
    group.bench_function("summary", |bench| bench.iter(|| black_box(&parsed.plan).summary()));
    group.bench_function("fingerprints", |bench| bench.iter(|| black_box(&parsed.plan).fingerprints()));
    group.bench_function("redact", |bench| bench.iter(redact));
    group.bench_function("all_four", |bench| {
        bench.iter(|| {
            let plan = parse().plan;
            (plan.summary(), plan.fingerprints(), redact().json.len())
        });
    });
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
