//! Whether our own reader of recorded JSON lines is worth it: a minute of 1,000 statements, as the `file` exporter writes them, read to
//! records by it, and by serde_json to nothing and to values.
//!
//! `cargo bench -p dbintel-benches --bench replay`. What serde_json takes to look at the text and drop it is the least that any reader on
//! top of it could take.

#![allow(missing_docs, clippy::expect_used, reason = "criterion_group; a broken bench stops loudly")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbintel_benches::replay::Recording;
use dbintel_replay::Reader;

fn replay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replay");
    let mut text = Vec::new();
    Recording::new(1_000).write(1, &mut text).expect("memory");
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    group.throughput(Throughput::Bytes(text.len() as u64));
    let mut reader = Reader::default();
    group.bench_function("dbintel_records", |bench| {
        bench.iter(|| {
            let mut records = 0;
            for line in &lines {
                reader.line(line, &mut |batch| records += batch.records.len()).expect("our own lines");
            }
            reader.finish(&mut |batch| records += batch.records.len());
            assert_eq!(records, 1_000);
        });
    });
    group.bench_function("serde_json_ignored", |bench| {
        bench.iter(|| {
            for line in &lines {
                black_box(serde_json::from_slice::<serde::de::IgnoredAny>(line).expect("JSON"));
            }
        });
    });
    group.bench_function("serde_json_values", |bench| {
        bench.iter(|| {
            for line in &lines {
                black_box(serde_json::from_slice::<serde_json::Value>(line).expect("JSON"));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
