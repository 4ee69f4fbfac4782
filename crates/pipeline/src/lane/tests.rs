mod ending;
mod parts;
mod seams;

use dbintel_model::{Batch, ManualClock, Server, Target, Timestamp};
use dbintel_model::{Change, ChangeKind, Counters, Exactness, Interval, Query, QueryKey, QueryText, Record};

use super::*;
use crate::exporter::Delivery;
use crate::memory::MemoryLimits;
use crate::status::{ComponentKind, StatusBoard};
use crate::{Context, Output, RefuseReason};

/// Panics on a batch whose record count is 13, adds a record to every other, and remembers how many it has seen.
struct Probe {
    seen: u8,
}

impl Processor for Probe {
    fn id(&self) -> &str {
        "probe"
    }

    fn process(&mut self, _cx: &mut Context<'_>, mut batch: Batch, out: &mut Output) {
        assert!(batch.records.len() != 13, "thirteen");
        self.seen += 1;
        batch.records.push(record());
        out.emit(batch);
    }

    fn command(&mut self, _cx: &mut Context<'_>, _command: &Command, _out: &mut Output) -> Reply {
        Reply { lines: vec![("seen".into(), self.seen.to_string().into())], ..Reply::default() }
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(vec![self.seen])
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let error = RestoreError { id: "probe".into(), reason: "one byte expected".into() };
        self.seen = *state.first().ok_or(error)?;
        Ok(())
    }

    fn restore_kept(&mut self, kept: &[(&str, &[u8])]) -> Result<(), RestoreError> {
        match kept {
            [("seen", state)] => self.restore(state),
            _ => Err(RestoreError { id: "probe".into(), reason: "one key expected".into() }),
        }
    }
}

fn record() -> Record {
    Record::Change(Box::new(Change::new(ChangeKind::Restart)))
}

fn batch(records: usize) -> Batch {
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "localhost".into(),
        port: 5432,
        resource: Vec::new(),
    };
    Batch {
        target: Arc::new(Target::server(Arc::new(server))),
        node: None,
        observed_at: Timestamp::default(),
        server_clock: None,
        records: vec![record(); records],
    }
}

/// A statement outside the top, which is for processors only.
fn unranked(query_id: i64) -> Record {
    let text = QueryText {
        masked: Some("x".repeat(4 << 10).into()),
        fingerprint: 1,
        kind: "select",
        operation: None,
        summary: None,
        truncated: false,
    };
    Record::Query(Box::new(Query {
        key: QueryKey {
            system: "postgresql",
            database: "orders".into(),
            database_id: 1,
            user: "app".into(),
            user_id: 2,
            query_id,
            toplevel: None,
        },
        text: Some(Arc::new(text)),
        interval: Interval { start: Timestamp::default(), end: Timestamp::default() },
        calls: 1,
        total_time_ms: 1.0,
        moments: None,
        counters: Counters::new(&[], &[]),
        exactness: Exactness::Exact,
        rank: None,
        plan: None,
        plan_missing: None,
        errors: None,
        plan_times: None,
    }))
}

fn factory() -> ProcessorFactory {
    ProcessorFactory { id: "probe".into(), build: Arc::new(|| Box::new(Probe { seen: 0 })) }
}

struct Fixture {
    lane: LaneHandle,
    input: ExporterInput,
    registry: Registry,
    memory: MemoryState,
    overrides: Overrides,
}

fn start(chain: Vec<ProcessorFactory>, input_limits: QueueLimits) -> Fixture {
    start_with(chain, input_limits, mpsc::channel(1).0, None)
}

fn start_with(
    chain: Vec<ProcessorFactory>,
    input_limits: QueueLimits,
    requests: mpsc::Sender<Request>,
    store: Option<Arc<dyn StateStore>>,
) -> Fixture {
    let (registry, board, memory) = (Registry::default(), StatusBoard::default(), MemoryState::default());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::default()));
    let overrides = Overrides::new(Arc::clone(&clock));
    let input = Arc::new(WeightedQueue::<Delivery>::new(input_limits));
    let telemetry = ExporterTelemetry::new(registry.clone(), "debug".into());
    let cx = LaneContext {
        id: "postgresql".into(),
        limits: LaneLimits { queue: QueueLimits { max_bytes: 1 << 20, max_items: 8 } },
        chain,
        sinks: vec![Sink { input: Arc::clone(&input), signals: Signals::ALL, telemetry }],
        requests,
        store,
        memory: memory.clone(),
        overrides: overrides.clone(),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
        status: board.register(ComponentKind::Lane, "postgresql".into(), Timestamp::default()),
        seed: 1,
    };
    let lane = Lane::start(cx, &Supervisor::new(clock, registry.clone()));
    Fixture { lane, input, registry, memory, overrides }
}

const WIDE: QueueLimits = QueueLimits { max_bytes: 1 << 20, max_items: 100 };

#[tokio::test(start_paused = true)]
async fn batches_go_through_the_chain_to_the_exporters_and_draining_loses_none() {
    let fixture = start(vec![factory(), factory()], WIDE);
    for records in 1..=5 {
        fixture.lane.door().offer(batch(records)).unwrap();
    }
    assert!(fixture.lane.drain(Duration::from_secs(1)).await);
    let lengths: Vec<_> =
        std::iter::from_fn(|| fixture.input.try_pop()).map(|d| d.batch.records.len()).collect();
    assert_eq!(lengths, [3, 4, 5, 6, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_loses_its_batch_counted_and_nothing_else() {
    let fixture = start(vec![factory()], WIDE);
    for records in [1, 13, 2] {
        fixture.lane.door().offer(batch(records)).unwrap();
    }
    assert!(fixture.lane.drain(Duration::from_secs(60)).await);
    assert_eq!(fixture.input.len(), 2);
    let lost = [("receiver", "postgresql"), ("reason", "panic")];
    assert_eq!(fixture.registry.value("dbintel_lane_lost_records_total", &lost), Some(13.0));
    let panics = [("component", "lane/postgresql")];
    assert_eq!(fixture.registry.value("dbintel_component_panics_total", &panics), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn the_door_refuses_above_the_soft_limit_and_when_the_queue_is_full() {
    let fixture = start(vec![factory()], WIDE);
    let limits = MemoryLimits { soft_bytes: 80, hard_bytes: 100 };
    let door = fixture.lane.door();
    fixture.memory.update(&limits, 90);
    assert_eq!(door.offer(batch(3)).unwrap_err().reason, RefuseReason::Memory);
    fixture.memory.update(&limits, 70);
    for _ in 0..8 {
        door.offer(batch(1)).unwrap();
    }
    let refused = door.offer(batch(2)).unwrap_err();
    assert_eq!((refused.reason, refused.batch.records.len()), (RefuseReason::QueueFull, 2));
    let count = |reason| {
        let labels = [("receiver", "postgresql"), ("reason", reason)];
        fixture.registry.value("otelcol_receiver_refused_log_records", &labels)
    };
    assert_eq!((count("memory"), count("queue_full")), (Some(3.0), Some(2.0)));
    let accepted =
        fixture.registry.value("otelcol_receiver_accepted_log_records", &[("receiver", "postgresql")]);
    assert_eq!(accepted, Some(8.0));
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_does_not_read_loses_the_oldest_counted() {
    let fixture = start(Vec::new(), QueueLimits { max_bytes: 1 << 20, max_items: 2 });
    for records in 1..=5 {
        fixture.lane.door().offer(batch(records)).unwrap();
    }
    assert!(fixture.lane.drain(Duration::from_secs(1)).await);
    let lost = [("exporter", "debug"), ("reason", "input_full")];
    let count = fixture.registry.value("otelcol_exporter_enqueue_failed_log_records", &lost);
    assert_eq!(count, Some(1.0 + 2.0 + 3.0));
}

#[tokio::test(start_paused = true)]
async fn a_replaced_chain_takes_over_the_state_of_its_predecessor() {
    let fixture = start(vec![factory()], WIDE);
    for _ in 0..3 {
        fixture.lane.door().offer(batch(1)).unwrap();
    }
    while fixture.input.len() < 3 {
        tokio::task::yield_now().await;
    }
    fixture.lane.replace_chain(vec![factory()]).await.unwrap();
    let replies = fixture.lane.command(Command::Show).await;
    let expected = Reply { lines: vec![("seen".into(), "3".into())], ..Reply::default() };
    assert_eq!(replies, [("probe".into(), expected)]);
}

#[tokio::test(start_paused = true)]
async fn who_asks_a_lane_without_holding_it_gets_no_answer_after_its_end() {
    let fixture = start(vec![factory()], WIDE);
    let commands = fixture.lane.commands();
    assert_eq!(commands.command(Command::Show).await.map(|replies| replies.len()), Some(1));
    assert!(fixture.lane.drain(Duration::from_secs(1)).await);
    let answer = tokio::time::timeout(Duration::from_secs(1), commands.command(Command::Show)).await;
    assert_eq!(answer, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn what_is_switched_off_is_passed_by_and_counted() {
    let fixture = start(vec![factory()], WIDE);
    let off = |what: &str| {
        let order = crate::overrides::Order::Bypass(what.parse().unwrap());
        fixture.overrides.set(order, "a test", Duration::from_secs(60), false).unwrap();
    };
    off("processors/probe");
    fixture.lane.door().offer(batch(3)).unwrap();
    let passed_by = tokio::time::timeout(Duration::from_secs(1), fixture.input.pop()).await.unwrap().unwrap();
    assert_eq!(passed_by.batch.records.len(), 3, "the probe would have added one");
    off("exporters/debug");
    fixture.lane.door().offer(batch(5)).unwrap();
    assert!(fixture.lane.drain(Duration::from_secs(1)).await);
    assert!(fixture.input.try_pop().is_none());
    let labels = [("exporter", "debug"), ("reason", "bypassed")];
    let lost = fixture.registry.value("otelcol_exporter_enqueue_failed_log_records", &labels);
    assert_eq!(lost, Some(5.0));
}

#[tokio::test(start_paused = true)]
async fn what_never_leaves_is_not_weighed_against_what_does() {
    let fixture = start(Vec::new(), QueueLimits { max_bytes: 64 << 10, max_items: 8 });
    let mut batch = batch(1);
    batch.records.extend((0..200).map(unranked));
    fixture.lane.door().offer(batch).unwrap();
    assert!(fixture.lane.drain(Duration::from_secs(1)).await);
    let lost = [("exporter", "debug"), ("reason", "input_full")];
    assert_eq!(fixture.registry.value("otelcol_exporter_enqueue_failed_log_records", &lost), None);
    assert_eq!(fixture.input.try_pop().map(|delivery| delivery.batch.records.len()), Some(1));
}
