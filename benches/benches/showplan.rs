//! How fast showplans of SQL Server are read, summarised, fingerprinted and redacted.
//!
//! `cargo bench -p dbintel-benches --bench showplan`. The plan is made, see
//! `dbintel_benches::plans`; the larger one has about a mebibyte.

#![allow(missing_docs, reason = "criterion_group makes undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbintel_benches::plans::showplan;
use dbintel_plan::{Budget, parse_sql_server, redact_sql_server};

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("showplan");
    for (name, bytes) in [("10KiB", 10 * 1024), ("1MiB", 1024 * 1024)] {
        let xml = showplan(bytes);
        group.throughput(Throughput::Bytes(xml.len() as u64));
        group.bench_function(format!("parse/{name}"), |bench| {
            bench.iter(|| {
                parse_sql_server(black_box(xml.as_bytes()), &mut Budget::unlimited()).plan.nodes().len()
            });
        });
        let parsed = parse_sql_server(xml.as_bytes(), &mut Budget::unlimited());
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        group.bench_function(format!("summary_and_fingerprints/{name}"), |bench| {
            bench.iter(|| (black_box(&parsed.plan).summary().nodes, parsed.plan.fingerprints()));
        });
        group.bench_function(format!("redact/{name}"), |bench| {
            bench.iter(|| redact_sql_server(black_box(xml.as_bytes()), &mut Budget::unlimited()).xml.len());
        });
        group.bench_function(format!("all/{name}"), |bench| {
            bench.iter(|| {
                let bytes = black_box(xml.as_bytes());
                let plan = parse_sql_server(bytes, &mut Budget::unlimited()).plan;
                let redacted = redact_sql_server(bytes, &mut Budget::unlimited());
                (plan.summary().nodes, plan.fingerprints(), redacted.xml.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
