//! A receiver on a real server, with a lane whose batches the test reads.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod client;
pub mod followed;
pub mod load;
pub mod pooler;
pub mod proxy;
pub mod sent;
pub mod settings;
pub mod trial;
pub mod workload;
pub mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dbintel_admission::ProcessLoad;
use dbintel_model::{
    Batch, Clock, Gap, GapReason, MetricPoint, Monotonic, Number, PlanObservation, Query, QueryKey, Record,
    Session, SystemClock, Text, Timestamp,
};
use dbintel_pipeline::memory::{MemoryAccounts, MemoryLimits, MemoryState};
use dbintel_pipeline::status::{ComponentKind, Missing, State, StatusBoard};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{
    Context, Delivery, Lane, LaneContext, LaneHandle, LaneLimits, Output, Processor, ProcessorFactory,
    QueueLimits, Receiver as _, ReceiverContext, Request, Requests, Signals, Supervised, Supervisor,
    WeightedQueue,
};
use dbintel_processors::circuit_breaker::{self, CircuitBreakerSettings, Guard, GuardContext, ProcessGate};
use dbintel_processors::plan_extractor::{PlanCache, PlanExtractor, PlanExtractorConfig};
use dbintel_receiver_postgresql::config::{Settings, validate};
use dbintel_receiver_postgresql::{PostgresqlReceiver, server};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Every reading of the statements has one point of it.
const STATEMENTS: &str = "postgresql.statements.count";
/// A guard that lets tests of other things poll every second, and read on a server that is in trouble.
const GENEROUS: &str = "{limits: {budget: 60s, statements_per_second: 10000, burst: 10000, \
    plans_per_minute: 10000}, free_slots_min: 0, slow_threshold: 60s, planning_time_max: 60s, max_backoff: 1s, \
    success_threshold: 1}";
/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(180);

/// Plans that the lane got.
pub type Plans = Arc<Mutex<Vec<PlanObservation>>>;

/// When each database was read.
pub type Visits = Arc<Mutex<BTreeMap<Text, BTreeSet<Timestamp>>>>;

/// A processor that notes plans and when databases were read, and lets everything go on.
struct Tap(Plans, Visits);

impl Processor for Tap {
    fn id(&self) -> &str {
        "tap"
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        let plans = batch.records.iter().filter_map(|record| match record {
            Record::Plan(plan) => Some((**plan).clone()),
            _ => None,
        });
        self.0.lock().extend(plans);
        if let Some(database) = &batch.target.database {
            self.1.lock().entry(database.clone()).or_default().insert(batch.observed_at);
        }
        out.emit(batch);
    }
}

fn tap(plans: Plans, visits: Visits) -> ProcessorFactory {
    let build = move || -> Box<dyn Processor> { Box::new(Tap(Arc::clone(&plans), Arc::clone(&visits))) };
    ProcessorFactory { id: "tap".into(), build: Arc::new(build) }
}

/// The last processor, which shows the test all records: also those that are for processors only and leave by no exporter.
struct End(Arc<WeightedQueue<Delivery>>);

impl Processor for End {
    fn id(&self) -> &str {
        "end"
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        let mut seen = batch.clone();
        seen.records.retain(|record| !matches!(record, Record::Plan(_)));
        let pushed = self.0.push_evicting(Delivery::new(Arc::new(seen), Signals::ALL, 1));
        assert!(pushed.is_ok_and(|evicted| evicted.is_empty()), "the test reads what comes");
        out.emit(batch);
    }
}

fn end(input: Arc<WeightedQueue<Delivery>>) -> ProcessorFactory {
    let build = move || -> Box<dyn Processor> { Box::new(End(Arc::clone(&input))) };
    ProcessorFactory { id: "end".into(), build: Arc::new(build) }
}

fn extractor(clock: &Arc<dyn Clock>, registry: &Registry, accounts: &MemoryAccounts) -> ProcessorFactory {
    let (id, config) = (Text::Static("plan_extractor"), PlanExtractorConfig::default());
    let cache = PlanCache::new(&id, &config, Arc::clone(clock), accounts);
    let (of_chain, registry, accounts) = (id.clone(), registry.clone(), accounts.clone());
    let receiver = Text::Static("postgresql");
    let build = move || -> Box<dyn Processor> {
        let (id, registry) = (of_chain.clone(), registry.clone());
        Box::new(PlanExtractor::new(id, &receiver, config, cache.clone(), registry, &accounts))
    };
    ProcessorFactory { id, build: Arc::new(build) }
}

fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

/// A running receiver.
pub struct Watched {
    pub registry: Registry,
    pub board: StatusBoard,
    pub memory: MemoryState,
    pub accounts: MemoryAccounts,
    pub guard: Guard,
    /// By the clock of the guard.
    pub started: Monotonic,
    /// Plans do not leave the lane: a processor of the test sees them.
    pub plans: Plans,
    /// When each database was read, since the start.
    pub visits: Visits,
    requests: mpsc::Sender<Request>,
    input: Arc<WeightedQueue<Delivery>>,
    seen: Vec<Arc<Batch>>,
    receiver: Option<Supervised>,
    lane: Option<LaneHandle>,
}

impl Watched {
    /// Starts a receiver with this configuration.
    pub fn start(yaml: &str) -> Self {
        Self::start_guarded(yaml, GENEROUS)
    }

    /// Starts a receiver with this configuration, and with this one of what stands before the server.
    pub fn start_guarded(yaml: &str, guard: &str) -> Self {
        Self::start_with(yaml, guard, false, &system_clock())
    }

    /// Starts a receiver with this configuration that lives by this clock.
    pub fn start_by(yaml: &str, clock: &Arc<dyn Clock>) -> Self {
        Self::start_with(yaml, GENEROUS, false, clock)
    }

    /// Starts a receiver whose plans a `plan_extractor` makes events of.
    pub fn start_extracting(yaml: &str) -> Self {
        Self::start_with(yaml, GENEROUS, true, &system_clock())
    }

    fn start_with(yaml: &str, guard: &str, extracting: bool, clock: &Arc<dyn Clock>) -> Self {
        let settings: Settings = dbintel_config::from_yaml(yaml).expect("readable settings");
        let config = validate(&settings).expect("valid settings").config;
        let started = clock.monotonic();
        let (registry, board, memory) = (Registry::default(), StatusBoard::default(), MemoryState::default());
        let accounts = MemoryAccounts::new(registry.clone());
        let supervisor = Supervisor::new(Arc::clone(clock), registry.clone());
        let input = Arc::new(WeightedQueue::new(QueueLimits { max_bytes: 1 << 30, max_items: 1 << 20 }));
        let (requests, receiver_requests) = mpsc::channel(16);
        let (plans, visits, asking) = (Plans::default(), Visits::default(), requests.clone());
        let id = Text::from("postgresql");
        let mut chain = vec![tap(Arc::clone(&plans), Arc::clone(&visits))];
        chain.extend(extracting.then(|| extractor(clock, &registry, &accounts)));
        chain.push(end(Arc::clone(&input)));
        let lane = Lane::start(
            LaneContext {
                id: id.clone(),
                limits: LaneLimits { queue: QueueLimits { max_bytes: 64 << 20, max_items: 64 } },
                chain,
                sinks: Vec::new(),
                requests,
                store: None,
                memory: memory.clone(),
                overrides: dbintel_pipeline::overrides::Overrides::new(Arc::clone(clock)),
                clock: Arc::clone(clock),
                registry: registry.clone(),
                status: board.register(ComponentKind::Lane, id.clone(), clock.now()),
                seed: 1,
            },
            &supervisor,
        );
        let guard_settings: CircuitBreakerSettings =
            dbintel_config::from_yaml(guard).expect("readable settings");
        let guard = Guard::new(
            &circuit_breaker::validate(&guard_settings).expect("valid settings").config,
            config.limits.statement_timeout,
            GuardContext {
                receiver: id.clone(),
                server: "server".into(),
                clock: Arc::clone(clock),
                registry: registry.clone(),
                overrides: dbintel_pipeline::overrides::Overrides::new(Arc::clone(clock)),
                accounts: accounts.clone(),
                process: ProcessGate::new(Arc::clone(clock), Arc::new(ProcessLoad::default)),
                seed: 1,
            },
        );
        let of_watched = guard.clone();
        let status = board.register(ComponentKind::Receiver, id.clone(), clock.now());
        let shutdown = CancellationToken::new();
        let mut cx = Some(ReceiverContext {
            door: lane.door(),
            admission: Arc::new(guard.clone()),
            requests: Requests::new(receiver_requests),
            accounts: accounts.clone(),
            clock: Arc::clone(clock),
            registry: registry.clone(),
            status: status.clone(),
            shutdown: shutdown.clone(),
        });
        let receiver = supervisor.start("receiver".into(), status, shutdown, move || {
            let watched = server(&config, id.clone(), &[]);
            let receiver = Box::new(PostgresqlReceiver::new(config.clone(), watched));
            let cx = cx.take().expect("the receiver under test does not fail");
            async move { receiver.run(cx).await }
        });
        let (receiver, lane) = (Some(receiver), Some(lane));
        Self {
            registry,
            board,
            memory,
            accounts,
            guard: of_watched,
            started,
            plans,
            visits,
            requests: asking,
            input,
            seen: Vec::new(),
            receiver,
            lane,
        }
    }

    /// Waits until something among all batches so far gives an answer.
    pub async fn until<T>(&mut self, what: &str, mut find: impl FnMut(&[Arc<Batch>]) -> Option<T>) -> T {
        let waiting = async {
            loop {
                if let Some(found) = find(&self.seen) {
                    return found;
                }
                let delivery = self.input.pop().await.expect("the lane goes on");
                self.seen.push(delivery.batch);
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("{what} did not come; status: {:#?}", self.board.components()))
    }

    /// Waits until the plan of a statement has come whose masked text contains `part`.
    pub async fn plan(&mut self, part: &str) -> PlanObservation {
        let plans = Arc::clone(&self.plans);
        let of_text = |plan: &&PlanObservation| {
            plan.text.as_ref().and_then(|text| text.masked.as_deref()).is_some_and(|text| text.contains(part))
        };
        self.until(part, |_| plans.lock().iter().find(of_text).cloned()).await
    }

    /// Asks for a plan as a processor does.
    pub async fn request_plan(&self, key: QueryKey) {
        self.requests.send(Request::Plan(key)).await.expect("the receiver runs");
    }

    /// Forgets the batches so far.
    pub fn forget(&mut self) {
        while let Some(delivery) = self.input.try_pop() {
            drop(delivery);
        }
        self.seen.clear();
    }

    /// Takes in what has come and was not waited for, and then one more reading of the statements: what the lane had taken
    /// before is there.
    pub async fn catch_up(&mut self) {
        while let Some(delivery) = self.input.try_pop() {
            self.seen.push(delivery.batch);
        }
        self.readings(1).await;
    }

    /// Every batch so far.
    pub fn batches(&self) -> &[Arc<Batch>] {
        &self.seen
    }

    /// Waits for a statement whose masked text contains `part`.
    pub async fn query(&mut self, part: &str) -> Query {
        let find =
            |batches: &[Arc<Batch>]| queries(batches).find(|query| text_of(query).contains(part)).cloned();
        self.until(part, find).await
    }

    /// Waits for a gap of this part.
    pub async fn gap(&mut self, what: &str) -> Gap {
        self.until(what, |batches| gaps(batches).find(|gap| gap.what.as_str() == what).cloned()).await
    }

    /// Waits for a gap of this part with this reason.
    pub async fn gap_because(&mut self, what: &str, reason: GapReason) -> Gap {
        let find = |batches: &[Arc<Batch>]| {
            gaps(batches).find(|gap| gap.what.as_str() == what && gap.reason == reason).cloned()
        };
        self.until(&format!("{what}: {}", reason.as_str()), find).await
    }

    /// Waits until what has come so far is old, and new data of this metric come.
    pub async fn still_delivers(&mut self, metric: &str, attributes: &[(&str, &str)]) -> f64 {
        self.forget();
        self.until(metric, |batches| value(batches, metric, attributes)).await
    }

    /// Waits for the first reading of the statements, which is a baseline.
    pub async fn baseline(&mut self) {
        self.until("a baseline", |batches| value(batches, STATEMENTS, &[])).await;
    }

    /// Waits for so many further readings of the statements.
    pub async fn readings(&mut self, number: usize) {
        let readings =
            |batches: &[Arc<Batch>]| points(batches).filter(|point| point.metric.name == STATEMENTS).count();
        let before = readings(&self.seen);
        self.until("further readings", |batches| (readings(batches) >= before + number).then_some(())).await;
    }

    /// What the status board says is missing of this part.
    pub fn missing(&self, part: &str) -> Option<Missing> {
        self.status().and_then(|status| status.missing.get(part).cloned())
    }

    /// Waits until the status board says that nothing of this part is missing.
    pub async fn until_not_missing(&self, part: &str) {
        let waiting = async {
            while self.missing(part).is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("{part} is still missing: {:#?}", self.board.components()));
    }

    /// The state of the receiver.
    pub fn state(&self) -> State {
        self.status().expect("registered").state
    }

    /// A self-metric of this receiver.
    pub fn own(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Vec<_> = [("receiver", "postgresql")].iter().chain(labels).copied().collect();
        self.registry.value(name, &labels)
    }

    /// Bytes of a memory account.
    pub fn account(&self, name: &str) -> Option<f64> {
        self.registry.value("dbintel_memory_account_bytes", &[("account", name)])
    }

    /// Waits until a self-metric of this receiver satisfies a condition.
    pub async fn until_own(&self, name: &str, labels: &[(&str, &str)], wanted: impl Fn(f64) -> bool) {
        let waiting = async {
            while !self.own(name, labels).is_some_and(&wanted) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("{name} {labels:?} is {:?}", self.own(name, labels)));
    }

    /// Makes the lane refuse everything, as under memory pressure, or take everything again.
    pub fn refuse(&self, refuse: bool) {
        let limits = MemoryLimits { soft_bytes: 1, hard_bytes: 2 };
        self.memory.update(&limits, if refuse { 2 } else { 0 });
    }

    fn status(&self) -> Option<dbintel_pipeline::status::ComponentStatus> {
        self.board.components().into_iter().find(|status| status.kind == ComponentKind::Receiver)
    }

    /// Stops the receiver and the lane.
    pub async fn stop(mut self) {
        let receiver = self.receiver.take().expect("stopped once");
        assert!(receiver.stop(Duration::from_secs(30)).await, "the receiver did not stop");
        let lane = self.lane.take().expect("stopped once");
        assert!(lane.drain(Duration::from_secs(5)).await, "the lane did not drain");
    }
}

fn records(batches: &[Arc<Batch>]) -> impl Iterator<Item = &Record> {
    batches.iter().flat_map(|batch| &batch.records)
}

pub fn queries(batches: &[Arc<Batch>]) -> impl Iterator<Item = &Query> {
    records(batches).filter_map(|record| match record {
        Record::Query(query) => Some(&**query),
        _ => None,
    })
}

pub fn sessions(batches: &[Arc<Batch>]) -> impl Iterator<Item = &Session> {
    records(batches).filter_map(|record| match record {
        Record::Session(session) => Some(&**session),
        _ => None,
    })
}

pub fn gaps(batches: &[Arc<Batch>]) -> impl Iterator<Item = &Gap> {
    records(batches).filter_map(|record| match record {
        Record::Gap(gap) => Some(&**gap),
        _ => None,
    })
}

pub fn changes(batches: &[Arc<Batch>]) -> impl Iterator<Item = &dbintel_model::Change> {
    records(batches).filter_map(|record| match record {
        Record::Change(change) => Some(&**change),
        _ => None,
    })
}

pub fn plan_changes(batches: &[Arc<Batch>]) -> impl Iterator<Item = &dbintel_model::PlanChange> {
    records(batches).filter_map(|record| match record {
        Record::PlanChange(change) => Some(&**change),
        _ => None,
    })
}

pub fn query_plans(batches: &[Arc<Batch>]) -> impl Iterator<Item = &dbintel_model::QueryPlan> {
    records(batches).filter_map(|record| match record {
        Record::QueryPlan(plan) => Some(&**plan),
        _ => None,
    })
}

pub fn points(batches: &[Arc<Batch>]) -> impl Iterator<Item = &MetricPoint> {
    records(batches).filter_map(|record| match record {
        Record::Metric(point) => Some(point),
        _ => None,
    })
}

/// The last value of a metric whose attributes contain these.
pub fn value(batches: &[Arc<Batch>], name: &str, attributes: &[(&str, &str)]) -> Option<f64> {
    let matches = |point: &&MetricPoint| {
        let held = texts_of(point);
        point.metric.name == name
            && attributes.iter().all(|(key, value)| held.iter().any(|(k, v)| k == key && v == value))
    };
    points(batches).filter(matches).last().map(|point| point.value.as_f64())
}

/// The attributes of a point that are texts.
pub fn texts_of(point: &MetricPoint) -> Vec<(String, String)> {
    let mut held = Vec::new();
    point.for_each_attribute(&mut |key, value| {
        if let dbintel_model::ValueRef::Text(text) = value {
            held.push((key.to_owned(), text.to_owned()));
        }
    });
    held
}

/// All calls of one statement that were reported.
pub fn calls(batches: &[Arc<Batch>], query_id: i64) -> i64 {
    queries(batches).filter(|query| query.key.query_id == query_id).map(|query| query.calls).sum()
}

pub fn text_of(query: &Query) -> &str {
    query.text.as_ref().and_then(|text| text.masked.as_deref()).unwrap_or("")
}

pub fn int(number: Number) -> i64 {
    match number {
        Number::Int(int) => int,
        Number::Double(double) => panic!("{double} is not a whole number"),
    }
}

impl Watched {
    /// Waits for one more batch.
    pub async fn next(&mut self) {
        let delivery = tokio::time::timeout(PATIENCE, self.input.pop()).await.expect("a batch comes");
        self.seen.extend(delivery.map(|delivery| delivery.batch));
    }
}
