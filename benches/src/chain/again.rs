//! The same load several times, to tell what a batch takes from what the machine takes.
//!
//! On a virtual machine the longest of 30,000 batches says how long the host kept a core from running, and the processor time of a
//! thread does not say it either, since hosts do not account for everything they take. But the host does not know which batch is
//! under way. So a lane begins from nothing, by a clock that begins at the same moment of the same day, and gets the same batches at the
//! same times after that, once for each run. What a batch takes of itself, and what it waits for, it takes in every run; what the
//! machine adds, it adds to others each time. The shortest of its times is what the program answers for, and the longest of these
//! is given. The longest of each run stands beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dbintel_model::{Clock, Monotonic, SystemClock, Timestamp};
use serde::Serialize;

use super::feed::{Feed, Kind};
use super::lane::Running;
use super::{HALF, LONG_MS, LONGEST_TOLD, Load, Passing, WARM_UP_PASSES, offer};
use crate::machine::stolen_seconds;

/// A Monday, five minutes before the end of an hour, so that every run has an hour's end and one of ten minutes in it.
const BEGINS: Timestamp = Timestamp::from_nanos(1_795_427_700_000_000_000);
/// After the lane was started, which ticks by the second: what came before has settled, and each batch is offered at the same distance
/// from a tick in every run.
const OFFERED_AFTER: Duration = Duration::from_millis(3_010);

/// Times in the lane, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Again {
    /// Load, in records per second.
    pub records_per_second: f64,
    /// How long each run was.
    pub seconds: f64,
    /// Batches of each.
    pub batches: usize,
    /// The runs.
    pub runs: Vec<Run>,
    /// Of the shortest times that the batches took: the median, the 99th percentile and the longest.
    pub shortest: [f64; 3],
    /// How many of these are longer than [`LONG_MS`].
    pub long: usize,
    /// The longest of them: after how many seconds, and how many milliseconds.
    pub longest: Vec<(f64, f64)>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The median, the 99th percentile and the longest of the times.
    pub times_ms: [f64; 3],
    /// How many were longer than [`LONG_MS`].
    pub long: usize,
    /// Time that the host took meanwhile, in seconds.
    pub stolen_seconds: f64,
    /// Memory in use, every five seconds, in MiB.
    pub live_mib: Vec<f64>,
}

/// A clock that was set.
#[derive(Debug)]
struct Set {
    clock: SystemClock,
    since: Monotonic,
}

impl Clock for Set {
    fn now(&self) -> Timestamp {
        BEGINS.plus(self.clock.monotonic().since(self.since))
    }

    fn monotonic(&self) -> Monotonic {
        self.clock.monotonic()
    }
}

/// What a poll gives, at half of what is asked of the chain.
#[must_use]
pub fn measure(asked: f64, runs: u32, length: Duration) -> Again {
    let records_per_second = asked * HALF;
    let mut shortest: Vec<f64> = Vec::new();
    let runs = (0..runs)
        .map(|_| {
            let stolen_before = stolen_seconds();
            let (times_ms, live_mib) = run(records_per_second, length);
            if shortest.is_empty() {
                shortest.clone_from(&times_ms);
            }
            shortest.iter_mut().zip(&times_ms).for_each(|(shortest, time)| *shortest = shortest.min(*time));
            let (times_ms, long) = summary(times_ms);
            Run { times_ms, long, stolen_seconds: stolen_seconds() - stolen_before, live_mib }
        })
        .collect();
    let (batches, seconds) = (shortest.len(), length.as_secs_f64());
    let every = seconds / batches as f64;
    let mut longest: Vec<(f64, f64)> =
        shortest.iter().enumerate().map(|(number, ms)| (number as f64 * every, *ms)).collect();
    longest.sort_by(|a, b| b.1.total_cmp(&a.1));
    longest.truncate(LONGEST_TOLD);
    let (shortest, long) = summary(shortest);
    Again { records_per_second, seconds, batches, runs, shortest, long, longest }
}

/// The median, the 99th percentile and the longest, and how many are too long.
fn summary(mut times_ms: Vec<f64>) -> ([f64; 3], usize) {
    times_ms.sort_by(f64::total_cmp);
    let count = times_ms.len();
    let long = times_ms.iter().filter(|ms| **ms > LONG_MS).count();
    ([times_ms[count / 2], times_ms[count * 99 / 100], times_ms[count - 1]], long)
}

/// Times of all batches in their order, and memory.
fn run(records_per_second: f64, length: Duration) -> (Vec<f64>, Vec<f64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let clock = SystemClock::default();
    let clock: Arc<dyn Clock> = Arc::new(Set { since: clock.monotonic(), clock });
    let started = Instant::now();
    let running = runtime.block_on(async { Running::start(Arc::clone(&clock)) });
    let mut feed = Feed::new(Kind::TopLeaves, clock);
    let mut batch = feed.batch();
    let plans = feed.plans();
    let mut passing = Passing { runtime: &runtime, running: &running, feed: &mut feed };
    passing.send(plans);
    for _ in 0..WARM_UP_PASSES {
        passing.pass(&mut batch);
    }
    drop(batch);
    let load = Load::new(&feed, records_per_second, length, started + OFFERED_AFTER);
    let watched = offer(&runtime, &running, &mut feed, &load);
    (watched.latencies_ms, watched.live_mib)
}
