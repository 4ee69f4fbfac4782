//! What a processor gives out besides batches of its own accord: from a tick to the exporters, the receiver, the store.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::admission::Permissive;
use crate::memory::MemoryAccounts;
use crate::processor::{MAX_REQUESTS_PER_CALL, MAX_STATE_CHANGES_PER_CALL};
use crate::{Receiver, ReceiverContext, Requests, StateChange, StateRefused};
use futures_util::future::BoxFuture;

/// At every tick emits a batch of one record, asks for so many plans, and changes so many values.
struct Ticker {
    requests: usize,
    changes: usize,
}

impl Processor for Ticker {
    fn id(&self) -> &str {
        "ticker"
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        out.emit(batch);
    }

    fn tick(&mut self, _cx: &mut Context<'_>, out: &mut Output) {
        out.emit(batch(1));
        for n in 0..self.requests {
            out.request(plan(n));
        }
        for n in 0..self.changes {
            out.store(StateChange { key: format!("ticker/{n}").into(), value: Some(vec![1]) });
        }
    }
}

/// Panics on a batch of one record.
struct Fussy;

impl Processor for Fussy {
    fn id(&self) -> &str {
        "fussy"
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, _out: &mut Output) {
        assert!(batch.records.len() != 1, "one");
    }
}

fn ticker(requests: usize, changes: usize) -> ProcessorFactory {
    let build = move || -> Box<dyn Processor> { Box::new(Ticker { requests, changes }) };
    ProcessorFactory { id: "ticker".into(), build: Arc::new(build) }
}

fn plan(query_id: usize) -> Request {
    Request::Plan(QueryKey {
        system: "postgresql",
        database: "orders".into(),
        database_id: 1,
        user: "app".into(),
        user_id: 2,
        query_id: query_id as i64,
        toplevel: None,
    })
}

fn lost_requests(fixture: &Fixture) -> Option<f64> {
    fixture.registry.value("dbintel_lane_requests_lost_total", &[("receiver", "postgresql")])
}

fn lost_changes(fixture: &Fixture, reason: &str) -> Option<f64> {
    let labels = [("receiver", "postgresql"), ("reason", reason)];
    fixture.registry.value("dbintel_lane_state_changes_lost_total", &labels)
}

/// The first tick comes at the start; half a second more keeps the end off the next one.
async fn pass_ticks(number: u32) {
    tokio::time::sleep(TICK * (number - 1) + TICK / 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_tick_comes_every_second_without_batches_and_what_it_emits_goes_through_the_rest_of_the_chain() {
    let fixture = start(vec![ticker(0, 0), factory()], WIDE);
    pass_ticks(4).await;
    let lengths: Vec<_> =
        std::iter::from_fn(|| fixture.input.try_pop()).map(|d| d.batch.records.len()).collect();
    // The processor after the one that ticks adds a record.
    assert_eq!(lengths, [2, 2, 2, 2]);
    assert_eq!((lost_requests(&fixture), lost_changes(&fixture, "no_store")), (None, None));
}

#[tokio::test(start_paused = true)]
async fn what_a_panic_loses_of_what_a_tick_emits_is_counted() {
    let fussy = ProcessorFactory { id: "fussy".into(), build: Arc::new(|| Box::new(Fussy)) };
    let fixture = start(vec![ticker(0, 0), fussy], WIDE);
    // It is started again after half a second at the earliest.
    tokio::time::sleep(TICK / 4).await;
    let lost = [("receiver", "postgresql"), ("reason", "panic")];
    assert_eq!(fixture.registry.value("dbintel_lane_lost_records_total", &lost), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_on_the_way_to_the_receiver_is_counted() {
    let (sender, receiver) = mpsc::channel(4);
    let requests = Requests::new(receiver);
    let fixture = start_with(vec![ticker(MAX_REQUESTS_PER_CALL + 10, 0)], WIDE, sender, None);
    pass_ticks(1).await;
    assert_eq!(lost_requests(&fixture), Some((MAX_REQUESTS_PER_CALL + 10 - 4) as f64));
    let next = || tokio::time::timeout(TICK * 2, requests.recv());
    for n in 0..4 {
        assert_eq!(next().await, Ok(Some(plan(n))));
    }
    // There is room again for those of the next tick.
    assert_eq!(next().await, Ok(Some(plan(0))));
    assert!(fixture.lane.drain(Duration::from_secs(1)).await);
}

/// Panics on the first request; counts the others.
struct Fragile(Arc<AtomicUsize>);

#[async_trait]
impl Receiver for Fragile {
    async fn run(self: Box<Self>, cx: ReceiverContext) -> Result<(), ComponentError> {
        loop {
            tokio::select! {
                () = cx.shutdown.cancelled() => return Ok(()),
                request = cx.requests.recv() => assert!(
                    request.is_none() || self.0.fetch_add(1, Ordering::Relaxed) > 0,
                    "the first request"
                ),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_reach_the_receiver_of_the_lane_also_after_it_was_restarted() {
    let (sender, receiver) = mpsc::channel(64);
    let fixture = start_with(vec![ticker(1, 0)], WIDE, sender, None);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::default()));
    let status = StatusBoard::default().register(ComponentKind::Receiver, "postgresql".into(), clock.now());
    let (shutdown, answered) = (CancellationToken::new(), Arc::<AtomicUsize>::default());
    let supervisor = Supervisor::new(Arc::clone(&clock), fixture.registry.clone());
    let cx = {
        let (requests, door, registry) =
            (Requests::new(receiver), fixture.lane.door(), fixture.registry.clone());
        let (status, shutdown) = (status.clone(), shutdown.clone());
        move || ReceiverContext {
            door: door.clone(),
            admission: Arc::new(Permissive),
            requests: requests.clone(),
            accounts: MemoryAccounts::default(),
            clock: Arc::clone(&clock),
            registry: registry.clone(),
            status: status.clone(),
            shutdown: shutdown.clone(),
        }
    };
    let counted = Arc::clone(&answered);
    let run = move || Box::new(Fragile(Arc::clone(&counted))).run(cx());
    let receiver = supervisor.start("receiver".into(), status, shutdown, run);
    pass_ticks(60).await;
    assert!(answered.load(Ordering::Relaxed) >= 5);
    assert_eq!(
        fixture.registry.value("dbintel_component_panics_total", &[("component", "receiver")]),
        Some(1.0)
    );
    assert_eq!(lost_requests(&fixture), None);
    assert!(receiver.stop(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn state_reaches_the_store_and_what_finds_no_room_is_counted() {
    let (sender, mut store) = mpsc::channel(3);
    let fixture = start_with(vec![ticker(0, 5)], WIDE, mpsc::channel(1).0, Some(Arc::new(sender)));
    pass_ticks(1).await;
    let key = |change: Option<StateChange>| change.map(|change| change.key.to_string());
    for n in 0..3 {
        assert_eq!(key(store.recv().await), Some(format!("ticker/{n}")));
    }
    assert_eq!(lost_changes(&fixture, "store_full"), Some(2.0));
    assert_eq!(lost_changes(&fixture, "no_store"), None);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_every_change_is_counted() {
    let fixture = start(vec![ticker(0, MAX_STATE_CHANGES_PER_CALL + 7)], WIDE);
    pass_ticks(1).await;
    assert_eq!(lost_changes(&fixture, "no_store"), Some(MAX_STATE_CHANGES_PER_CALL as f64));
    assert_eq!(lost_changes(&fixture, "limit"), Some(7.0));
    // What is lost here are no records.
    let lost = [("receiver", "postgresql"), ("reason", "no_store")];
    assert_eq!(fixture.registry.value("dbintel_lane_lost_records_total", &lost), None);
}

/// Keeps the same for good.
#[derive(Debug)]
struct Kept(Vec<StateChange>);

impl StateStore for Kept {
    fn put(&self, _change: StateChange) -> Result<(), StateRefused> {
        Ok(())
    }

    fn load(&self) -> BoxFuture<'_, Vec<StateChange>> {
        Box::pin(async {
            tokio::time::sleep(TICK).await;
            self.0.clone()
        })
    }
}

fn kept(key: &'static str, value: &[u8]) -> StateChange {
    StateChange { key: key.into(), value: Some(value.to_vec()) }
}

async fn seen(fixture: &Fixture) -> String {
    let replies = fixture.lane.command(Command::Show).await;
    let (_, reply) = replies.iter().find(|(id, _)| id.as_str() == "probe").unwrap();
    reply.lines[0].1.to_string()
}

#[tokio::test(start_paused = true)]
async fn processors_begin_with_what_the_store_kept_also_after_a_panic() {
    let store = Kept(vec![kept("probe/seen", &[7]), kept("probelike/seen", &[8]), kept("ticker/0", &[9])]);
    let fixture = start_with(vec![factory()], WIDE, mpsc::channel(1).0, Some(Arc::new(store)));
    // A batch that comes while the store is read waits, and is not seen by a processor without its state.
    fixture.lane.door().offer(batch(1)).unwrap();
    fixture.input.pop().await.unwrap();
    assert_eq!(seen(&fixture).await, "8");
    fixture.lane.door().offer(batch(13)).unwrap();
    pass_ticks(60).await;
    assert_eq!(seen(&fixture).await, "7");
    let panics =
        fixture.registry.value("dbintel_component_panics_total", &[("component", "lane/postgresql")]);
    assert_eq!(panics, Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn what_a_processor_cannot_use_leaves_it_without() {
    let store = Kept(vec![kept("probe/seen", &[])]);
    let fixture = start_with(vec![factory()], WIDE, mpsc::channel(1).0, Some(Arc::new(store)));
    assert_eq!(seen(&fixture).await, "0");
}
