//! How fast, and how much, a request of 500 statements with 1 KiB of masked text each is compressed.
//!
//! `cargo bench -p dbintel-benches --bench compress`. Bytes are those before compression; the ratio is
//! printed beside.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "criterion_group; a broken bench stops loudly; the ratio is nothing criterion could show"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbintel_benches::fixtures;
use dbintel_otlp::compress::{Compression, Compressor, GzipLevel, ZstdLevel};
use dbintel_otlp::encode::{Format, LogsEncoder, RequestBytes};

fn compression(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compression");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut body = request();
    group.throughput(Throughput::Bytes(body.len() as u64));
    let gzip = |level| GzipLevel::try_new(level).map(Compression::Gzip);
    let zstd = |level| ZstdLevel::try_new(level).map(Compression::Zstd);
    let kinds = [("gzip_1", gzip(1)), ("gzip_6", gzip(6)), ("zstd_1", zstd(1)), ("zstd_3", zstd(3))];
    for (name, kind) in kinds {
        let mut compressor = Compressor::new(kind.expect("a valid level"));
        let mut once = |body: &mut Vec<u8>| {
            let compressed =
                runtime.block_on(compressor.compress(std::mem::take(body))).expect("compressible");
            *body = compressed.spare;
            compressed.body.len()
        };
        let compressed = once(&mut body);
        let ratio = body.len() as f64 / compressed as f64;
        eprintln!("compression/{name}: {} bytes to {compressed}, ratio {ratio:.2}", body.len());
        group.bench_function(name, |bench| bench.iter(|| once(&mut body)));
    }
    group.finish();
}

fn request() -> Vec<u8> {
    let mut encoder = LogsEncoder::new(Format::Protobuf, RequestBytes::MAX);
    let mut full = Vec::new();
    encoder.push_batch(&fixtures::queries(500, 1_024), |_| true, &mut full);
    assert!(full.is_empty(), "the records are to fit into one request");
    encoder.finish().expect("a request").body
}

criterion_group!(benches, compression);
criterion_main!(benches);
