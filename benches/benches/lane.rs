//! How many records per second pass a lane and become requests: door, queue, lane task, fan-out, encoder. Without
//! compression and sending, which have their own limits.
//!
//! `cargo bench -p dbintel-benches --bench lane`. One iteration is one poll's batch: 5,000 statements of which 200
//! leave, or 2,000 points. Making the batch is not timed, dropping it is.

#![allow(missing_docs, clippy::expect_used, reason = "criterion_group; a broken bench stops loudly")]

use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dbintel_benches::fixtures;
use dbintel_model::{Batch, Clock, Record, SystemClock, Text};
use dbintel_otlp::encode::{Encoded, Format, LogsEncoder, MetricsEncoder, RequestBytes};
use dbintel_pipeline::memory::MemoryState;
use dbintel_pipeline::status::{ComponentKind, StatusBoard};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{
    Delivery, Door, ExporterInput, ExporterTelemetry, Lane, LaneContext, LaneHandle, LaneLimits, QueueLimits,
    Signals, Sink, Supervisor, WeightedQueue,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

const STATEMENTS: usize = 5_000;
const STATEMENTS_THAT_LEAVE: usize = 200;
const POINTS: usize = 2_000;
const QUEUE: QueueLimits = QueueLimits { max_bytes: 256 << 20, max_items: 64 };

fn lane(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lane");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let (door, input, _running) = start(&runtime);
    let statements = statements();
    let mut logs = LogsEncoder::new(Format::Protobuf, RequestBytes::default());
    group.throughput(Throughput::Elements(STATEMENTS as u64));
    group.bench_function("statements_5000_of_which_200_leave", |bench| {
        let pass = |batch| {
            runtime.block_on(pass(&door, &input, batch, |batch, full| {
                logs.push_batch(batch, |_| true, full);
                full.extend(logs.finish());
                full.drain(..).for_each(|request| logs.recycle(request.body));
            }));
        };
        bench.iter_batched(|| statements.clone(), pass, BatchSize::LargeInput);
    });
    let points = fixtures::points(POINTS);
    let mut metrics = MetricsEncoder::new(Format::Protobuf, RequestBytes::default());
    group.throughput(Throughput::Elements(POINTS as u64));
    group.bench_function("metric_points_2000", |bench| {
        let pass = |batch| {
            runtime.block_on(pass(&door, &input, batch, |batch, full| {
                metrics.push_batch(batch, |_| true, full);
                full.extend(metrics.finish());
                full.drain(..).for_each(|request| metrics.recycle(request.body));
            }));
        };
        bench.iter_batched(|| points.clone(), pass, BatchSize::LargeInput);
    });
    group.finish();
}

/// As a poll gives them: all that did something, the first of them ranked.
fn statements() -> Batch {
    let mut batch = fixtures::queries(STATEMENTS, 500);
    for (index, record) in batch.records.iter_mut().enumerate() {
        if let Record::Query(query) = record {
            query.rank = (index < STATEMENTS_THAT_LEAVE).then_some(1);
        }
    }
    batch
}

async fn pass(
    door: &Door,
    input: &ExporterInput,
    batch: Batch,
    encode: impl FnOnce(&Batch, &mut Vec<Encoded>),
) {
    door.offer(batch).expect("the lane has room");
    let delivery = input.pop().await.expect("the lane goes on");
    encode(&delivery.batch, &mut Vec::new());
}

fn start(runtime: &Runtime) -> (Door, ExporterInput, (LaneHandle, Supervisor)) {
    let _context = runtime.enter();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let registry = Registry::default();
    let supervisor = Supervisor::new(Arc::clone(&clock), registry.clone());
    let input: ExporterInput = Arc::new(WeightedQueue::<Delivery>::new(QUEUE));
    let id = Text::Static("bench");
    let cx = LaneContext {
        id: id.clone(),
        limits: LaneLimits { queue: QUEUE },
        chain: Vec::new(),
        sinks: vec![Sink {
            input: Arc::clone(&input),
            signals: Signals::ALL,
            telemetry: ExporterTelemetry::new(registry.clone(), id.clone()),
        }],
        requests: mpsc::channel(1).0,
        store: None,
        memory: MemoryState::default(),
        status: StatusBoard::default().register(ComponentKind::Lane, id, clock.now()),
        overrides: dbintel_pipeline::overrides::Overrides::new(Arc::clone(&clock)),
        clock,
        registry,
        seed: 1,
    };
    let lane = Lane::start(cx, &supervisor);
    (lane.door(), input, (lane, supervisor))
}

criterion_group!(benches, lane);
criterion_main!(benches);
