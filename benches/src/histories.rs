//! What the histories of `regression_verifier` take and cost: 10,000 statements with a week of hours and a day of short blocks,
//! then as many of them under trial as there can be, then all of it taken over by a new processor: as a lane hands it over, and from a store.

mod stored;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{
    Batch, Counters, Exactness, Interval, Moments, Monotonic, Node, PlanChange, PlanFingerprint,
    PlanIdentity, PlanRung, PlanSpan, Query, QueryKey, QueryText, Record, Timestamp,
};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Context, Output, Processor as _};
use dbintel_processors::regression_verifier::{MAX_TRIALS, RegressionVerifier, RegressionVerifierConfig};
use dbintel_testkit::process::Figures;
use serde::Serialize;

use crate::allocations::Allocations;
use crate::fixtures;
use crate::machine::cpu_time;

pub use self::stored::FromStore;

/// Statements, as many as the default lets in.
const STATEMENTS: usize = 10_000;
/// A Monday, at midnight.
const BEGINS: Timestamp = Timestamp::from_nanos(1_794_787_200_000_000_000);
const TEN_MINUTES: Duration = Duration::from_secs(600);
/// Readings of a day.
const PER_DAY: usize = 144;
/// Days, after which every history is full.
const DAYS: usize = 9;
/// Seconds without a batch that are made of ten minutes: enough to close, make the control of, look at and store everything.
const SECONDS: u32 = 200;

/// Id of the processor, with which the keys of its values begin.
const ID: &str = "regression_verifier";

/// What it took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Histories {
    /// Statements, all with full histories.
    pub statements: usize,
    /// Resident memory that the process has more of for each statement, in bytes. Texts are shared with the records and not in it.
    pub rss_per_statement: f64,
    /// Bytes in use for each statement, as the allocator counts them.
    pub live_per_statement: f64,
    /// Statements under trial.
    pub trials: usize,
    /// Bytes in use for each of them that are added in the day after its change of plan.
    pub live_per_trial: f64,
    /// Intervals a second on one core, over the last day without trials, with the looks at everything and what is stored: by the
    /// processor's time and by the clock, which counts what the host of a virtual machine took as well.
    pub intervals_per_second: ByBoth<f64>,
    /// The longest that a batch was in the processor, in milliseconds, by both.
    pub worst_batch_ms: ByBoth<f64>,
    /// The longest that a part of what is done between batches took, in milliseconds, by both.
    pub worst_part_ms: ByBoth<f64>,
    /// Bytes of the state as the store has it.
    pub state_bytes: usize,
    /// Seconds until a new processor had taken it over from memory, as when a chain is replaced.
    pub restore_seconds: f64,
    /// The same from a store, as when a process begins.
    pub from_store: FromStore,
}

struct World {
    verifier: RegressionVerifier,
    texts: Vec<Arc<QueryText>>,
    node: Arc<Node>,
    counters: Counters,
    now: Timestamp,
    worst_batch: Took,
    worst_part: Took,
    worked: Took,
}

/// A figure by the processor's time ([`cpu_time`]), and by the clock.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ByBoth<T> {
    /// By the processor's time.
    pub cpu: T,
    /// By the clock.
    pub clock: T,
}

type Took = ByBoth<Duration>;

/// Lets nine days pass, and one with trials.
#[must_use]
pub fn measure() -> Histories {
    let mut world = World::new();
    let empty = taken();
    for _ in 0..(DAYS - 1) * PER_DAY {
        world.ten_minutes();
    }
    (world.worst_batch, world.worst_part, world.worked) = Default::default();
    for _ in 0..PER_DAY {
        world.ten_minutes();
    }
    let intervals_per_second = world.worked.map(|took| (PER_DAY * STATEMENTS) as f64 / took.as_secs_f64());
    let full = taken();
    world.change_plans();
    for _ in 0..PER_DAY {
        world.ten_minutes();
    }
    let tried = taken();
    let state = world.verifier.snapshot().expect("it has a state");
    let mut next = verifier(Registry::default());
    let begun = Instant::now();
    next.restore(&state).expect("its own state");
    let restore_seconds = begun.elapsed().as_secs_f64();
    drop((next, world.verifier));
    let from_store = stored::measure(&state);
    let per = |after: f64, before: f64, count: usize| (after - before) / count as f64;
    Histories {
        statements: STATEMENTS,
        rss_per_statement: per(full.0, empty.0, STATEMENTS),
        live_per_statement: per(full.1, empty.1, STATEMENTS),
        trials: MAX_TRIALS,
        live_per_trial: per(tried.1, full.1, MAX_TRIALS),
        intervals_per_second,
        worst_batch_ms: world.worst_batch.map(|took| took.as_secs_f64() * 1e3),
        worst_part_ms: world.worst_part.map(|took| took.as_secs_f64() * 1e3),
        state_bytes: state.len(),
        restore_seconds,
        from_store,
    }
}

/// Resident bytes of this process, and bytes in use.
fn taken() -> (f64, f64) {
    // Free pages go back within a second or so.
    std::thread::sleep(Duration::from_secs(3));
    (Figures::of(std::process::id()).rss_bytes as f64, Allocations::now().live_bytes as f64)
}

fn verifier(registry: Registry) -> RegressionVerifier {
    let (accounts, config) = (MemoryAccounts::default(), RegressionVerifierConfig::default());
    RegressionVerifier::new(ID.into(), &"postgresql/orders".into(), config, registry, &accounts)
}

// === impl ByBoth ===

impl<T: Copy> ByBoth<T> {
    fn map<U>(self, each: impl Fn(T) -> U) -> ByBoth<U> {
        ByBoth { cpu: each(self.cpu), clock: each(self.clock) }
    }

    fn with(self, other: Self, each: impl Fn(T, T) -> T) -> Self {
        Self { cpu: each(self.cpu, other.cpu), clock: each(self.clock, other.clock) }
    }
}

impl Took {
    fn by<T>(work: impl FnOnce() -> T) -> (T, Self) {
        let (cpu, begun) = (cpu_time(), Instant::now());
        let done = work();
        (done, Self { cpu: cpu_time().saturating_sub(cpu), clock: begun.elapsed() })
    }
}

// === impl World ===

impl World {
    fn new() -> Self {
        let text = |n: usize| QueryText {
            masked: Some(format!("SELECT * FROM orders AS o{n} WHERE customer = ?").into()),
            fingerprint: n as u64,
            kind: "select",
            operation: Some("SELECT"),
            summary: Some("SELECT orders".into()),
            truncated: false,
        };
        let value = |column: &str| if ["shared_blks_hit", "rows"].contains(&column) { 6_000.0 } else { 0.0 };
        let values: Vec<f64> = STATEMENT_COUNTERS.iter().map(|definition| value(definition.column)).collect();
        Self {
            verifier: verifier(Registry::default()),
            texts: (0..STATEMENTS).map(|n| Arc::new(text(n))).collect(),
            node: Arc::new(Node { system_identifier: Some(1), ..Node::default() }),
            counters: Counters::new(&STATEMENT_COUNTERS, &values),
            now: BEGINS,
            worst_batch: Took::default(),
            worst_part: Took::default(),
            worked: Took::default(),
        }
    }

    fn key(n: usize) -> QueryKey {
        QueryKey {
            system: "postgresql",
            database: "shop".into(),
            database_id: 5,
            user: "app".into(),
            user_id: 10,
            query_id: n as i64,
            toplevel: Some(true),
        }
    }

    fn query(&self, n: usize, interval: Interval) -> Record {
        Record::Query(Box::new(Query {
            key: Self::key(n),
            text: self.texts.get(n).map(Arc::clone),
            interval,
            calls: 100,
            total_time_ms: 500.0 + n as f64,
            moments: Some(Moments { mean_ms: 5.0 + n as f64 / 100.0, variance_ms2: Some(4.0) }),
            counters: self.counters.clone(),
            exactness: Exactness::Exact,
            rank: None,
            plan: None,
            errors: None,
            plan_missing: None,
            plan_times: None,
        }))
    }

    fn ten_minutes(&mut self) {
        let start = self.now;
        self.now = self.now.plus(TEN_MINUTES);
        let interval = Interval { start, end: self.now };
        let records = (0..STATEMENTS).map(|n| self.query(n, interval)).collect();
        self.process(records);
        for second in 0..SECONDS {
            let mut random = fastrand::Rng::with_seed(1);
            let now = self.now.plus(Duration::from_secs(u64::from(second)));
            let mut cx = Context { now, monotonic: Monotonic::default(), random: &mut random };
            self.part(|verifier, out| verifier.tick(&mut cx, out));
            while self.part(|verifier, out| verifier.go_on(&mut cx, out)) {}
        }
    }

    /// A part of what is done between batches. What it gives out is taken from it each time, as a lane does.
    fn part<T>(&mut self, work: impl FnOnce(&mut RegressionVerifier, &mut Output) -> T) -> T {
        let mut out = Output::default();
        let (done, took) = Took::by(|| work(&mut self.verifier, &mut out));
        self.worst_part = self.worst_part.with(took, Duration::max);
        self.worked = self.worked.with(took, |all, took| all + took);
        done
    }

    fn process(&mut self, records: Vec<Record>) {
        let (mut out, mut random) = (Output::default(), fastrand::Rng::with_seed(1));
        let batch = Batch {
            node: Some(Arc::clone(&self.node)),
            observed_at: self.now,
            server_clock: Some(self.now),
            ..fixtures::batch(records)
        };
        let mut cx = Context { now: self.now, monotonic: Monotonic::default(), random: &mut random };
        let ((), took) = Took::by(|| self.verifier.process(&mut cx, batch, &mut out));
        self.worst_batch = self.worst_batch.with(took, Duration::max);
        self.worked = self.worked.with(took, |all, took| all + took);
    }

    /// As many statements as can be under trial get another plan.
    fn change_plans(&mut self) {
        let plan = |exact| PlanFingerprint { shape: exact, exact };
        let change = |n: usize| {
            Record::PlanChange(Box::new(PlanChange {
                key: Self::key(n),
                text: self.texts.get(n).map(Arc::clone),
                rung: PlanRung::Actual,
                identity: PlanIdentity::Proven,
                at: self.now,
                old: plan(1),
                old_span: PlanSpan { first: BEGINS, last: self.now },
                old_cost: Some(1.0),
                new: plan(2),
                new_cost: Some(2.0),
                seen_before: None,
                difference: "Index Scan -> Seq Scan".into(),
                causes: Vec::new(),
                causes_not_listed: 0,
            }))
        };
        let changes = (0..MAX_TRIALS).map(change).collect();
        self.process(changes);
    }
}
