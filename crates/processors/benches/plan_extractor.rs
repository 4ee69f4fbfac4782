//! What one plan of about 10 KiB costs in `plan_extractor`: not seen before, seen before, and one that is a change.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dbintel_model::{
    Attribute, Batch, Clock, Monotonic, PlanFormat, PlanIdentity, PlanObservation, PlanRung, QueryKey,
    Record, Server, SystemClock, Target, Text, Timestamp,
};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Context, Output, Processor as _};
use dbintel_processors::plan_extractor::{PlanCache, PlanExtractor, PlanExtractorConfig};

/// Joins of the plan: each is two nodes of some 600 bytes.
const JOINS: usize = 9;

fn extractor() -> PlanExtractor {
    let (registry, accounts) = (Registry::default(), MemoryAccounts::default());
    let (id, config) = (Text::Static("plan_extractor"), PlanExtractorConfig::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let cache = PlanCache::new(&id, &config, clock, &accounts);
    PlanExtractor::new(id, &"postgresql".into(), config, cache, registry, &accounts)
}

/// A left-deep tree of hash joins over index scans; `number` is a literal, `index` names the indexes.
fn plan(number: usize, index: &str) -> String {
    let common = |rows: usize| {
        format!(
            r#""Parallel Aware": false, "Async Capable": false, "Startup Cost": 12.50, "Total Cost": {rows}.75, "Plan Rows": {rows}, "Plan Width": 64, "Disabled": false"#
        )
    };
    let scan = |n: usize| {
        format!(
            r#"{{"Node Type": "Index Scan", "Parent Relationship": "Inner", {}, "Scan Direction": "Forward", "Index Name": "orders_{n}_{index}", "Relation Name": "orders_{n}", "Schema": "public", "Alias": "o{n}", "Output": ["o{n}.id", "o{n}.customer", "o{n}.amount", "o{n}.created"], "Index Cond": "((o{n}.customer = $1) AND (o{n}.created > '2026-01-01'::date))", "Filter": "((o{n}.amount > {number}) AND (o{n}.state = 'open'::text))"}}"#,
            common(100 + n)
        )
    };
    let mut tree = scan(0);
    for n in 1..=JOINS {
        tree = format!(
            r#"{{"Node Type": "Hash Join", "Parent Relationship": "Outer", {}, "Join Type": "Inner", "Inner Unique": false, "Output": ["o0.id", "o{n}.amount"], "Hash Cond": "(o0.id = o{n}.id)", "Plans": [{tree}, {}]}}"#,
            common(1_000 * n),
            scan(n)
        );
    }
    format!(r#"[{{"Plan": {tree}, "Query Identifier": 42}}]"#)
}

fn batch(raw: &str) -> Batch {
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "localhost".into(),
        port: 5432,
        resource: vec![Attribute::new("server.address", "localhost")],
    };
    let at = Timestamp::from_nanos(1_795_236_205_000_000_000);
    let observation = PlanObservation {
        key: QueryKey {
            system: "postgresql",
            database: "shop".into(),
            database_id: 5,
            user: "app".into(),
            user_id: 10,
            query_id: 42,
            toplevel: None,
        },
        text: None,
        rung: PlanRung::Generic,
        identity: PlanIdentity::Proven,
        format: PlanFormat::PostgresqlJson,
        raw: raw.as_bytes().into(),
        obtained_at: at,
        tables: Arc::default(),
    };
    let target = Arc::new(Target::server(Arc::new(server)));
    let records = vec![Record::Plan(Box::new(observation))];
    Batch { target, node: None, observed_at: at, server_clock: Some(at), records }
}

fn process(extractor: &mut PlanExtractor, batch: Batch) -> Output {
    let mut random = fastrand::Rng::with_seed(1);
    let mut cx = Context { now: Timestamp::default(), monotonic: Monotonic::default(), random: &mut random };
    let mut out = Output::default();
    extractor.process(&mut cx, batch, &mut out);
    out
}

fn benchmark(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("plan of {} bytes", plan(1, "a").len()));
    let mut number = 0;
    let mut next = |index: &'static str| {
        number += 1;
        batch(&plan(number, index))
    };
    let mut unseen = extractor();
    group.bench_function("not seen before, same fingerprint", |bencher| {
        bencher.iter_batched(|| next("a"), |batch| process(&mut unseen, batch), BatchSize::SmallInput);
    });
    let mut seen = extractor();
    let raw = plan(1, "a");
    group.bench_function("seen before", |bencher| {
        bencher.iter_batched(|| batch(&raw), |batch| process(&mut seen, batch), BatchSize::SmallInput);
    });
    let (mut changing, mut turn) = (extractor(), 0);
    group.bench_function("seen before, and a change each time", |bencher| {
        let raw = [plan(1, "a"), plan(1, "b")];
        let mut next = || {
            turn = 1 - turn;
            batch(raw.get(turn).unwrap())
        };
        bencher.iter_batched(&mut next, |batch| process(&mut changing, batch), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
