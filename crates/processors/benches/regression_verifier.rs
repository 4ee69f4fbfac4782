//! What `regression_verifier` costs: intervals of statements with a full history, the look at everything once an hour, and taking over
//! the state of 10,000 statements.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{
    Batch, Counters, Exactness, Interval, Moments, Monotonic, Node, PlanFingerprint, PlanReference, PlanRung,
    Query, QueryKey, QueryText, Record, Server, Target, Timestamp,
};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Context, Output, Processor as _};
use dbintel_processors::regression_verifier::{RegressionVerifier, RegressionVerifierConfig};

const STATEMENTS: usize = 10_000;
const START: Timestamp = Timestamp::from_nanos(1_793_491_200_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
const TEN_SECONDS: Duration = Duration::from_secs(10);

fn verifier() -> RegressionVerifier {
    let accounts = MemoryAccounts::default();
    let config = RegressionVerifierConfig::default();
    RegressionVerifier::new(
        "regression_verifier".into(),
        &"postgresql".into(),
        config,
        Registry::default(),
        &accounts,
    )
}

fn batch(end: Timestamp, length: Duration) -> Batch {
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "localhost".into(),
        port: 5432,
        resource: Vec::new(),
    };
    let value = |column: &str| if ["shared_blks_hit", "rows"].contains(&column) { 6_000.0 } else { 0.0 };
    let values: Vec<f64> = STATEMENT_COUNTERS.iter().map(|definition| value(definition.column)).collect();
    let start = Timestamp::from_nanos(end.as_nanos() - u64::try_from(length.as_nanos()).unwrap());
    let record = |n: usize| {
        Record::Query(Box::new(Query {
            key: QueryKey {
                system: "postgresql",
                database: "shop".into(),
                database_id: 5,
                user: "app".into(),
                user_id: 10,
                query_id: n as i64,
                toplevel: Some(true),
            },
            text: Some(Arc::new(QueryText {
                masked: None,
                fingerprint: n as u64,
                kind: "select",
                operation: None,
                summary: None,
                truncated: false,
            })),
            interval: Interval { start, end },
            calls: 100,
            total_time_ms: 500.0 + n as f64,
            moments: Some(Moments { mean_ms: 5.0, variance_ms2: Some(4.0) }),
            counters: Counters::new(&STATEMENT_COUNTERS, &values),
            exactness: Exactness::Exact,
            rank: None,
            plan: Some(PlanReference {
                fingerprint: PlanFingerprint { shape: 1, exact: 1 },
                rung: PlanRung::Generic,
            }),
            errors: None,
            plan_missing: None,
            plan_times: None,
        }))
    };
    Batch {
        target: Arc::new(Target::server(Arc::new(server))),
        node: Some(Arc::new(Node { system_identifier: Some(1), ..Node::default() })),
        observed_at: end,
        server_clock: Some(end),
        records: (0..STATEMENTS).map(record).collect(),
    }
}

/// The batch passes on, with everything it entails; what is given to the store is dropped.
fn run(verifier: &mut RegressionVerifier, batch: Batch) -> Output {
    let (mut out, mut random) = (Output::default(), fastrand::Rng::with_seed(1));
    let now = batch.observed_at;
    let mut cx = Context { now, monotonic: Monotonic::default(), random: &mut random };
    verifier.process(&mut cx, batch, &mut out);
    while verifier.go_on(&mut cx, &mut out) {}
    out
}

/// A verifier with a week of hours of every statement, a short block of each hour, and the time it has come to.
fn after_a_week() -> (RegressionVerifier, Timestamp) {
    let (mut verifier, mut now) = (verifier(), START);
    for _ in 0..8 * 24 * 6 {
        now = now.plus(HOUR / 6);
        run(&mut verifier, batch(now, TEN_SECONDS));
    }
    (verifier, now)
}

fn costs(criterion: &mut Criterion) {
    let (mut verifier, mut now) = after_a_week();
    let mut group = criterion.benchmark_group("regression_verifier");
    group.sample_size(20);
    group.throughput(Throughput::Elements(STATEMENTS as u64));
    // Ten seconds each, so that every 60th closes short blocks and every 360th hours.
    group.bench_function("intervals", |bencher| {
        bencher.iter_batched(
            || {
                now = now.plus(TEN_SECONDS);
                batch(now, TEN_SECONDS)
            },
            |batch| run(&mut verifier, batch),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("intervals_of_a_new_hour", |bencher| {
        bencher.iter_batched(
            || {
                now = now.plus(HOUR);
                batch(now, TEN_SECONDS)
            },
            |batch| run(&mut verifier, batch),
            BatchSize::PerIteration,
        );
    });
    let state = verifier.snapshot().unwrap();
    group.bench_function("restore", |bencher| {
        bencher.iter_batched(
            self::verifier,
            |mut verifier| verifier.restore(&state),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, costs);
criterion_main!(benches);
