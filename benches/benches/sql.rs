//! How fast statement texts are masked, fingerprinted, classified and summarised.
//!
//! `cargo bench -p dbintel-benches --bench sql`. One iteration is 64 different statements.

#![allow(missing_docs, reason = "criterion_group makes undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbintel_benches::fixtures::{normalised_statement, statement};
use dbintel_plan::sql::{MaskLimits, Masker, mask};

const STATEMENTS: usize = 64;

fn masking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sql");
    let normalised = |bytes| (0..STATEMENTS).map(|index| normalised_statement(index, bytes)).collect();
    let raw = |bytes| (0..STATEMENTS).map(|index| statement(index, bytes)).collect();
    let shapes: [(&str, Vec<String>); 4] = [
        ("normalised_200B", normalised(200)),
        ("normalised_1KiB", normalised(1_024)),
        ("literals_200B", raw(200)),
        ("literals_1KiB", raw(1_024)),
    ];
    for (name, texts) in &shapes {
        let bytes = texts.iter().map(String::len).sum::<usize>() as u64;
        group.throughput(Throughput::ElementsAndBytes { elements: STATEMENTS as u64, bytes });
        group.bench_function(format!("mask/{name}"), |bench| {
            bench.iter(|| mask_all(texts, |text| mask(text, MaskLimits::default()).text.len()));
        });
        let mut masker = Masker::new(MaskLimits::default());
        group.bench_function(format!("masker_reused/{name}"), |bench| {
            bench.iter(|| mask_all(texts, |text| masker.mask(text).text.len()));
        });
    }
    group.finish();
}

fn mask_all(texts: &[String], mut mask: impl FnMut(&str) -> usize) -> usize {
    texts.iter().map(|text| mask(black_box(text))).sum()
}

criterion_group!(benches, masking);
criterion_main!(benches);
