//! What takes a processor longer is done in parts, between batches.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Parts that the first tick begins.
const PARTS: usize = 1_000;

/// Parts that were done, and how many had been when each batch came.
#[derive(Clone, Debug, Default)]
struct Seen {
    done: Arc<AtomicUsize>,
    at_batches: Arc<Mutex<Vec<usize>>>,
}

struct Worker {
    left: Option<usize>,
    seen: Seen,
}

impl Processor for Worker {
    fn id(&self) -> &str {
        "worker"
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        self.seen.at_batches.lock().push(self.seen.done.load(Ordering::Relaxed));
        out.emit(batch);
    }

    fn tick(&mut self, _cx: &mut Context<'_>, _out: &mut Output) {
        self.left.get_or_insert(PARTS);
    }

    fn go_on(&mut self, _cx: &mut Context<'_>, out: &mut Output) -> bool {
        let Some(left) = self.left.filter(|left| *left > 0) else { return false };
        self.left = Some(left - 1);
        if self.seen.done.fetch_add(1, Ordering::Relaxed) + 1 == PARTS {
            out.emit(batch(1));
        }
        left > 1
    }
}

fn worker(seen: &Seen) -> ProcessorFactory {
    working(seen, None)
}

/// One that has begun before the first tick.
fn begun(seen: &Seen) -> ProcessorFactory {
    working(seen, Some(PARTS))
}

fn working(seen: &Seen, left: Option<usize>) -> ProcessorFactory {
    let seen = seen.clone();
    let build = move || -> Box<dyn Processor> { Box::new(Worker { left, seen: seen.clone() }) };
    ProcessorFactory { id: "worker".into(), build: Arc::new(build) }
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_one_part_and_what_the_last_part_gives_goes_through_the_rest_of_the_chain() {
    let seen = Seen::default();
    let fixture = start(vec![worker(&seen), factory()], WIDE);
    while seen.done.load(Ordering::Relaxed) < 10 {
        tokio::task::yield_now().await;
    }
    let at_offer = seen.done.load(Ordering::Relaxed);
    fixture.lane.door().offer(batch(2)).unwrap();
    tokio::time::sleep(TICK / 2).await;
    let at_batch = seen.at_batches.lock().clone();
    assert!(
        matches!(at_batch[..], [at] if at <= at_offer + 1),
        "offered at {at_offer}, taken at {at_batch:?}"
    );
    assert_eq!(seen.done.load(Ordering::Relaxed), PARTS);
    let lengths: Vec<_> =
        std::iter::from_fn(|| fixture.input.try_pop()).map(|d| d.batch.records.len()).collect();
    // The processor after the worker adds a record.
    assert_eq!(lengths, [3, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_part_is_done_after_every_batch_however_many_wait() {
    let seen = Seen::default();
    let fixture = start(vec![begun(&seen)], WIDE);
    for _ in 0..8 {
        fixture.lane.door().offer(batch(1)).unwrap();
    }
    tokio::time::sleep(TICK / 2).await;
    // The first tick, which comes among them, is followed by a part as well.
    let at_batches = seen.at_batches.lock().clone();
    assert!(at_batches.len() == 8 && at_batches.windows(2).all(|pair| pair[0] < pair[1]), "{at_batches:?}");
    assert!(at_batches.last().is_some_and(|done| *done <= 8), "{at_batches:?}");
}

/// The successor takes over the state, and knows nothing of what was to be done for the one before.
#[tokio::test(start_paused = true)]
async fn what_was_begun_is_done_before_the_chain_is_replaced() {
    let seen = Seen::default();
    let fixture = start(vec![worker(&seen)], WIDE);
    fixture.lane.replace_chain(vec![factory()]).await.unwrap();
    assert_eq!(seen.done.load(Ordering::Relaxed), PARTS);
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_done_before_the_lane_ends() {
    let seen = Seen::default();
    let fixture = start(vec![worker(&seen)], WIDE);
    assert!(fixture.lane.drain(Duration::from_secs(1)).await);
    assert_eq!(seen.done.load(Ordering::Relaxed), PARTS);
    assert_eq!(fixture.input.try_pop().map(|delivery| delivery.batch.records.len()), Some(1));
}
