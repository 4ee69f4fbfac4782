//! How fast records become OTLP bytes, and which way to write lengths is the fastest.
//!
//! `cargo bench -p dbintel-otlp --bench encode`. Prints bytes per second (of output) and records per second.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench stops loudly")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use dbintel_model::catalogue::{METRICS, STATEMENT_COUNTERS};
use dbintel_model::{
    Attribute, Batch, Counters, Exactness, Interval, Labels, MetricPoint, Moments, Number, Query, QueryKey,
    QueryText, Record, Server, Session, Target, Text, Timestamp, ValueRef,
};
use dbintel_otlp::compress::{Compression, Compressor, GzipLevel, ZstdLevel};
use dbintel_otlp::encode::{Encoded, Format, LogsEncoder, MetricsEncoder, RequestBytes};

/// Records per batch.
const RECORDS: usize = 512;

fn batch(records: Vec<Record>) -> Batch {
    let server = Server {
        receiver: Text::Static("postgresql/orders"),
        system: Text::Static("postgresql"),
        address: Text::Static("db.example"),
        port: 5432,
        resource: vec![
            Attribute::new("service.name", "orders"),
            Attribute::new("server.address", "db.example"),
            Attribute::new("server.port", 5432),
        ],
    };
    Batch {
        target: Arc::new(Target::server(Arc::new(server))),
        node: None,
        observed_at: Timestamp::from_nanos(1_795_236_205_000_000_000),
        server_clock: None,
        records,
    }
}

fn text(index: usize, length: usize) -> Arc<QueryText> {
    let sql = format!("SELECT a, b FROM orders_{index} WHERE id = $1 AND note = $2 ");
    Arc::new(QueryText {
        masked: Some(sql.repeat(length / sql.len() + 1)[..length].into()),
        fingerprint: 0x0123_4567_89ab_cdef,
        kind: "select",
        operation: Some("SELECT"),
        summary: Some("SELECT orders".into()),
        truncated: false,
    })
}

fn query(index: usize, length: usize) -> Record {
    let time = Timestamp::from_nanos(1_795_236_205_000_000_000);
    let counters: Vec<f64> = (0..STATEMENT_COUNTERS.len()).map(|n| n as f64).collect();
    Record::Query(Box::new(Query {
        key: QueryKey {
            system: "postgresql",
            database: Text::Static("orders"),
            database_id: 16_384,
            user: Text::Static("app"),
            user_id: 10,
            query_id: -1_234_567_890_123_456_789,
            toplevel: Some(true),
        },
        text: Some(text(index, length)),
        interval: Interval { start: time, end: time },
        calls: 100,
        total_time_ms: 12.5,
        moments: Some(Moments { mean_ms: 0.125, variance_ms2: Some(0.01) }),
        counters: Counters::new(&STATEMENT_COUNTERS, &counters),
        exactness: Exactness::Exact,
        rank: Some(1),
        plan: None,
        plan_missing: None,
        plan_times: None,
        errors: None,
    }))
}

fn session(index: usize) -> Record {
    Record::Session(Box::new(Session {
        pid: 1_000 + i64::try_from(index).unwrap(),
        database: Some(Text::Static("orders")),
        user: Some(Text::Static("app")),
        state: Some(Text::Static("active")),
        wait_event_type: Some(Text::Static("IO")),
        wait_event: Some(Text::Static("DataFileRead")),
        ..Session::default()
    }))
}

fn point(index: usize) -> Record {
    let metric = &METRICS[index % 20];
    let labels = Labels {
        resource: Vec::new(),
        point: vec![
            Attribute::new("db.namespace", "orders"),
            Attribute::new("db.collection.name", format!("public.table_{index}")),
        ],
    };
    Record::Metric(MetricPoint {
        metric,
        labels: Arc::new(labels),
        fixed: &[],
        value: Number::Int(i64::try_from(index * 1_000).unwrap()),
        start: Some(Timestamp::from_nanos(1)),
        time: Timestamp::from_nanos(1_795_236_205_000_000_000),
    })
}

/// Times a batch per iteration, once by bytes and once by records.
fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut encode: impl FnMut() -> usize) {
    let bytes = encode() as u64;
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function(format!("{name}/bytes"), |bench| bench.iter(&mut encode));
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function(format!("{name}/records"), |bench| bench.iter(&mut encode));
}

fn encoders(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    let shapes = [
        ("query_1KiB", batch((0..RECORDS).map(|n| query(n, 1_024)).collect())),
        ("query_10KiB", batch((0..RECORDS).map(|n| query(n, 10_240)).collect())),
        ("session", batch((0..RECORDS).map(session).collect())),
    ];
    for format in [Format::Protobuf, Format::Json] {
        for (name, batch) in &shapes {
            let mut encoder = LogsEncoder::new(format, RequestBytes::MAX);
            let mut full: Vec<Encoded> = Vec::new();
            measure(&mut group, &format!("{format:?}/{name}"), || {
                encoder.push_batch(black_box(batch), |_| true, &mut full);
                let mut bytes = 0;
                for request in full.drain(..).chain(encoder.finish()).collect::<Vec<_>>() {
                    bytes += request.body.len();
                    encoder.recycle(request.body);
                }
                bytes
            });
        }
        let points = batch((0..RECORDS).map(point).collect());
        let mut encoder = MetricsEncoder::new(format, RequestBytes::MAX);
        let mut full = Vec::new();
        measure(&mut group, &format!("{format:?}/points"), || {
            encoder.push_batch(black_box(&points), |_| true, &mut full);
            let request = encoder.finish().unwrap();
            let bytes = request.body.len();
            encoder.recycle(request.body);
            bytes
        });
    }
    group.finish();
}

/// What the model costs alone: visiting every attribute of the records, writing nothing.
fn visiting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("visit_only");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, records) in [
        ("query_1KiB", (0..RECORDS).map(|n| query(n, 1_024)).collect::<Vec<_>>()),
        ("session", (0..RECORDS).map(session).collect()),
    ] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let mut bytes = 0;
                for record in &records {
                    record.for_each_attribute(&mut |key, value| {
                        bytes += key.len();
                        if let ValueRef::Text(text) = value {
                            bytes += text.len();
                        }
                    });
                }
                bytes
            });
        });
    }
    group.finish();
}

/// The three ways to write the length of a record, on the same attributes.
fn length_prefix(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("length_prefix");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, records) in [
        ("query_1KiB", (0..RECORDS).map(|n| query(n, 1_024)).collect::<Vec<_>>()),
        ("session", (0..RECORDS).map(session).collect()),
    ] {
        let mut out = Vec::new();
        group.bench_function(format!("{name}/backpatch"), |bench| {
            bench.iter(|| {
                out.clear();
                for record in &records {
                    out.extend_from_slice(&[0x12, 0, 0]);
                    let start = out.len();
                    record.for_each_attribute(&mut |key, value| naive::key_value(&mut out, key, value));
                    let length = out.len() - start;
                    out[start - 2] = (length & 0x7f) as u8 | 0x80;
                    out[start - 1] = (length >> 7) as u8;
                }
                out.len()
            });
        });
        group.bench_function(format!("{name}/size_pass"), |bench| {
            bench.iter(|| {
                out.clear();
                for record in &records {
                    let mut length = 0;
                    record.for_each_attribute(&mut |key, value| length += naive::size(key, value));
                    out.push(0x12);
                    naive::varint(&mut out, length);
                    record.for_each_attribute(&mut |key, value| naive::key_value(&mut out, key, value));
                }
                out.len()
            });
        });
        let mut inner = Vec::new();
        group.bench_function(format!("{name}/inner_then_copy"), |bench| {
            bench.iter(|| {
                out.clear();
                for record in &records {
                    inner.clear();
                    record.for_each_attribute(&mut |key, value| naive::key_value(&mut inner, key, value));
                    out.push(0x12);
                    naive::varint(&mut out, inner.len());
                    out.extend_from_slice(&inner);
                }
                out.len()
            });
        });
    }
    group.finish();
}

/// An attribute, written the same way for all three.
mod naive {
    use super::ValueRef;

    pub(super) fn varint(out: &mut Vec<u8>, mut value: usize) {
        while value >= 0x80 {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    fn varint_len(value: usize) -> usize {
        (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
    }

    fn any_len(value: ValueRef<'_>) -> usize {
        match value {
            ValueRef::Text(text) => 1 + varint_len(text.len()) + text.len(),
            ValueRef::Int(int) => 1 + varint_len(int as usize),
            ValueRef::Double(_) => 9,
            ValueRef::Bool(_) => 2,
        }
    }

    fn inner_len(key: &str, any: usize) -> usize {
        2 + varint_len(key.len()) + key.len() + varint_len(any) + any
    }

    pub(super) fn size(key: &str, value: ValueRef<'_>) -> usize {
        let inner = inner_len(key, any_len(value));
        1 + varint_len(inner) + inner
    }

    pub(super) fn key_value(out: &mut Vec<u8>, key: &str, value: ValueRef<'_>) {
        let any = any_len(value);
        out.push(0x32);
        varint(out, inner_len(key, any));
        out.push(0x0a);
        varint(out, key.len());
        out.extend_from_slice(key.as_bytes());
        out.push(0x12);
        varint(out, any);
        match value {
            ValueRef::Text(text) => {
                out.push(0x0a);
                varint(out, text.len());
                out.extend_from_slice(text.as_bytes());
            }
            ValueRef::Int(int) => {
                out.push(0x18);
                varint(out, int as usize);
            }
            ValueRef::Double(double) => {
                out.push(0x21);
                out.extend_from_slice(&double.to_le_bytes());
            }
            ValueRef::Bool(bool) => out.extend_from_slice(&[0x10, u8::from(bool)]),
        }
    }
}

fn compression(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compress");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let batch = batch((0..RECORDS).map(|n| query(n, 1_024)).collect());
    let mut encoder = LogsEncoder::new(Format::Protobuf, RequestBytes::MAX);
    encoder.push_batch(&batch, |_| true, &mut Vec::new());
    let mut body = encoder.finish().unwrap().body;
    group.throughput(Throughput::Bytes(body.len() as u64));
    let kinds = [Compression::Gzip(GzipLevel::default()), Compression::Zstd(ZstdLevel::default())];
    for kind in kinds {
        let mut compressor = Compressor::new(kind);
        group.bench_function(kind.encoding().unwrap(), |bench| {
            bench.iter(|| {
                let taken = std::mem::take(&mut body);
                let compressed = runtime.block_on(compressor.compress(taken)).unwrap();
                body = compressed.spare;
                compressed.body.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encoders, visiting, length_prefix, compression);
criterion_main!(benches);
