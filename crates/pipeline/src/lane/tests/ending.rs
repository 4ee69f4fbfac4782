//! What a lane that ends passes on, loses and counts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as blocking;

use futures_util::future::BoxFuture;

use super::*;
use crate::{StateChange, StateRefused};

/// Blocks its thread with a batch until the sender is gone, and says that it does.
struct Stuck {
    reached: Arc<AtomicUsize>,
    until: Arc<Mutex<blocking::Receiver<()>>>,
}

impl Processor for Stuck {
    fn id(&self) -> &str {
        "stuck"
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        self.reached.fetch_add(1, Ordering::Relaxed);
        let _ = self.until.lock().recv();
        out.emit(batch);
    }
}

fn lost(fixture_registry: &Registry) -> Option<f64> {
    let labels = [("receiver", "postgresql"), ("reason", "shutdown")];
    fixture_registry.value("dbintel_lane_lost_records_total", &labels)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_when_time_is_up_is_counted_in_records() {
    let (reached, (release, until)) = (Arc::<AtomicUsize>::default(), blocking::sync_channel::<()>(1));
    let (seen, until) = (Arc::clone(&reached), Arc::new(Mutex::new(until)));
    let build = move || -> Box<dyn Processor> {
        Box::new(Stuck { reached: Arc::clone(&seen), until: Arc::clone(&until) })
    };
    let fixture = start(vec![ProcessorFactory { id: "stuck".into(), build: Arc::new(build) }], WIDE);
    for _ in 0..4 {
        fixture.lane.door().offer(batch(5)).unwrap();
    }
    while reached.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!fixture.lane.drain(Duration::from_millis(100)).await);
    assert_eq!(lost(&fixture.registry), Some(15.0));
    // The one in hand is not lost: it goes on as soon as the processor does.
    drop(release);
    let delivery = tokio::time::timeout(Duration::from_secs(10), fixture.input.pop()).await.unwrap().unwrap();
    assert_eq!(delivery.batch.records.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_has_failed_often_still_drains() {
    let fixture = start(vec![factory()], WIDE);
    let panics =
        || fixture.registry.value("dbintel_component_panics_total", &[("component", "lane/postgresql")]);
    for number in 1..=7 {
        fixture.lane.door().offer(batch(13)).unwrap();
        while panics() != Some(f64::from(number)) {
            tokio::time::sleep(TICK / 2).await;
        }
    }
    for records in [2, 3] {
        fixture.lane.door().offer(batch(records)).unwrap();
    }
    // It would be started again after half a minute at the earliest.
    assert!(fixture.lane.drain(Duration::from_secs(5)).await);
    let lengths: Vec<_> =
        std::iter::from_fn(|| fixture.input.try_pop()).map(|d| d.batch.records.len()).collect();
    assert_eq!((lengths, lost(&fixture.registry)), (vec![3, 4], None));
}

/// Cannot be read, and counts what it is given.
#[derive(Debug, Default)]
struct Unreadable(AtomicUsize);

impl StateStore for Unreadable {
    fn put(&self, _change: StateChange) -> Result<(), StateRefused> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn load(&self) -> BoxFuture<'_, Vec<StateChange>> {
        Box::pin(std::future::pending())
    }
}

/// Gives out its state at the end.
struct Keeper;

impl Processor for Keeper {
    fn id(&self) -> &str {
        "keeper"
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        out.store(StateChange { key: "keeper/a".into(), value: Some(vec![1]) });
        out.emit(batch);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_ends_before_the_store_was_read_passes_on_what_waits_and_leaves_the_store_as_it_is() {
    let store = Arc::<Unreadable>::default();
    let keeper = ProcessorFactory { id: "keeper".into(), build: Arc::new(|| Box::new(Keeper)) };
    let held: Arc<dyn StateStore> = Arc::<Unreadable>::clone(&store);
    let fixture = start_with(vec![keeper], WIDE, mpsc::channel(1).0, Some(held));
    fixture.lane.door().offer(batch(2)).unwrap();
    assert!(fixture.lane.drain(Duration::from_secs(5)).await);
    assert_eq!((fixture.input.len(), store.0.load(Ordering::Relaxed)), (1, 0));
    let labels = [("receiver", "postgresql"), ("reason", "no_store")];
    let not_stored = fixture.registry.value("dbintel_lane_state_changes_lost_total", &labels);
    assert_eq!((not_stored, lost(&fixture.registry)), (Some(1.0), None));
}
