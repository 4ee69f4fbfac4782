//! How long the difference of two readings of `pg_stat_statements` takes.
//!
//! `cargo bench -p dbintel-benches --bench statements`. One iteration is one poll; an element is one entry.

#![allow(missing_docs, reason = "criterion_group makes undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbintel_benches::fixtures::snapshot;
use dbintel_receiver_postgresql::state::statements::StatementDeltas;

const ENTRIES: usize = 5_000;

fn difference(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("statements");
    group.throughput(Throughput::Elements(ENTRIES as u64));
    for (name, idle_but_one_in) in [("all_active", 1), ("one_in_100_active", 100)] {
        let mut deltas = StatementDeltas::default();
        deltas.commit(snapshot(ENTRIES, 1, idle_but_one_in));
        let current = snapshot(ENTRIES, 2, idle_but_one_in);
        let found = deltas.difference(&current).deltas.len();
        assert_eq!(found, ENTRIES.div_ceil(idle_but_one_in), "the fixture is not what the bench is about");
        group.bench_function(format!("difference_5000/{name}"), |bench| {
            bench.iter(|| deltas.difference(black_box(&current)).deltas.len());
        });
    }
    group.finish();
}

criterion_group!(benches, difference);
criterion_main!(benches);
