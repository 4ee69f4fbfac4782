//! How fast records become OTLP requests, as protobuf and as JSON.
//!
//! `cargo bench -p dbintel-benches --bench otlp`. Bytes are those of the finished requests.

#![allow(missing_docs, reason = "criterion_group makes undocumented functions")]

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use dbintel_benches::fixtures::{self, RECORDS};
use dbintel_model::Batch;
use dbintel_otlp::encode::{Encoded, Format, LogsEncoder, MetricsEncoder, RequestBytes};

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("otlp");
    for format in [Format::Protobuf, Format::Json] {
        let name = format!("{format:?}").to_lowercase();
        logs(&mut group, &format!("{name}/text_1KiB"), format, &fixtures::queries(RECORDS, 1_024));
        logs(&mut group, &format!("{name}/small_record"), format, &fixtures::sessions(RECORDS));
        points(&mut group, &format!("{name}/metric_point"), format, &fixtures::points(RECORDS));
    }
    group.finish();
}

fn logs(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, format: Format, batch: &Batch) {
    let mut encoder = LogsEncoder::new(format, RequestBytes::MAX);
    let mut full: Vec<Encoded> = Vec::new();
    measure(group, name, move || {
        encoder.push_batch(black_box(batch), |_| true, &mut full);
        full.extend(encoder.finish());
        full.drain(..).map(|request| give_back(request, |buffer| encoder.recycle(buffer))).sum()
    });
}

fn points(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, format: Format, batch: &Batch) {
    let mut encoder = MetricsEncoder::new(format, RequestBytes::MAX);
    let mut full: Vec<Encoded> = Vec::new();
    measure(group, name, move || {
        encoder.push_batch(black_box(batch), |_| true, &mut full);
        full.extend(encoder.finish());
        full.drain(..).map(|request| give_back(request, |buffer| encoder.recycle(buffer))).sum()
    });
}

fn give_back(request: Encoded, recycle: impl FnOnce(Vec<u8>)) -> usize {
    let bytes = request.body.len();
    recycle(request.body);
    bytes
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut encode: impl FnMut() -> usize) {
    let bytes = encode() as u64;
    group.throughput(Throughput::ElementsAndBytes { elements: RECORDS as u64, bytes });
    group.bench_function(name, |bench| bench.iter(&mut encode));
}

criterion_group!(benches, encode);
criterion_main!(benches);
