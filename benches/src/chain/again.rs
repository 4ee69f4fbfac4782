//! The same load several times, to tell what batches take from what the machine takes.
//!
//! On a virtual machine the longest of 30,000 batches says how long the host kept a core from running, and processor time
//! ([`cpu_time`](crate::machine::cpu_time)) has a part of that in it too. But the host does not know which batch is under way. So in each run
//! a lane begins from nothing, by a clock that is set to the same time, and gets as many batches of the same content at the same
//! distances from its own beginning. Work that falls on the same batch in every run, and what that batch waits for, is in all of its times;
//! what the machine adds falls on others each time. So the longest of the shortest times is told, and of the second shortest ones.
//!
//! Work of ours that falls on another batch in each run is not in the shortest times: where tables grow by chance, or a tick and
//! a batch come at once. For that the runs stand beside them, with the most that a batch took of the processor.
//!
//! Histories are short here; `histories` has full ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dbintel_model::{Clock, Monotonic, SystemClock, Timestamp};
use serde::Serialize;

use super::feed::{Feed, Kind};
use super::lane::Running;
use super::{HALF, LONG_MS, LONGEST_TOLD, Load, Passing, WARM_UP_PASSES, offer};
use crate::machine::stolen_seconds;

/// A Monday, 20 seconds before the end of an hour: within seven minutes blocks of ten minutes and of an hour end, and the verifier looks at
/// both.
const BEGINS: Timestamp = Timestamp::from_nanos(1_795_427_980_000_000_000);
/// After the lane has begun to tick by the second. What came before has settled then, and each batch is offered at the same distance from
/// a tick in every run.
const OFFERED_AFTER: Duration = Duration::from_millis(3_010);
/// After its clock was set, a lane begins.
const READY_AFTER: Duration = Duration::from_secs(2);
/// What a lane needs until it waits for its first batch.
const BEGINNING: Duration = Duration::from_millis(1);

/// A load and its runs.
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
    /// Of the shortest time of each batch.
    pub shortest: Times,
    /// Of the second shortest, where there is more than one run.
    pub second_shortest: Option<Times>,
    /// The longest of the shortest times: how many seconds after the first batch, and how many milliseconds.
    pub longest: Vec<(f64, f64)>,
}

/// Times of batches.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// Half of them were shorter, in milliseconds.
    pub median_ms: f64,
    /// One in a hundred was longer.
    pub p99_ms: f64,
    /// The longest.
    pub worst_ms: f64,
    /// How many were longer than [`LONG_MS`].
    pub long: usize,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// In the lane.
    pub in_lane: Times,
    /// Processor time of the lane's thread from one batch to the next, with what it did in between.
    pub processor: Times,
    /// Time that the host took meanwhile, in seconds.
    pub stolen_seconds: f64,
    /// Memory in use, every five seconds, in MiB.
    pub live_mib: Vec<f64>,
}

/// The machine's clock, with another time of day.
#[derive(Debug)]
struct SetClock {
    clock: SystemClock,
    since: Monotonic,
}

impl Clock for SetClock {
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
    let mut of_runs: Vec<Vec<f64>> = Vec::new();
    let runs = (0..runs)
        .map(|_| {
            let (run, times_ms) = run(records_per_second, length);
            of_runs.push(times_ms);
            run
        })
        .collect();
    let (batches, seconds) = (of_runs[0].len(), length.as_secs_f64());
    let sorted = |batch: usize| {
        let mut times: Vec<f64> = of_runs.iter().map(|times_ms| times_ms[batch]).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let of_batches: Vec<Vec<f64>> = (0..batches).map(sorted).collect();
    let every = seconds / batches as f64;
    let mut longest: Vec<(f64, f64)> =
        of_batches.iter().enumerate().map(|(number, times)| (number as f64 * every, times[0])).collect();
    longest.sort_by(|a, b| b.1.total_cmp(&a.1));
    longest.truncate(LONGEST_TOLD);
    let shortest = Times::of(of_batches.iter().map(|times| times[0]));
    let second_shortest = (of_runs.len() > 1).then(|| Times::of(of_batches.iter().map(|times| times[1])));
    Again { records_per_second, seconds, batches, runs, shortest, second_shortest, longest }
}

/// One run, and the times of all batches in their order.
fn run(records_per_second: f64, length: Duration) -> (Run, Vec<f64>) {
    let stolen_before = stolen_seconds();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (clock, set_at) = (SystemClock::default(), Instant::now());
    let clock: Arc<dyn Clock> = Arc::new(SetClock { since: clock.monotonic(), clock });
    let mut feed = Feed::new(Kind::TopLeaves, Arc::clone(&clock));
    let (mut batch, plans) = (feed.batch(), feed.plans());
    // How long it takes to make all this differs; from here on each run is in step with the hours as well.
    let ready = set_at + READY_AFTER;
    assert!(Instant::now() < ready, "the machine was not ready in time");
    std::thread::sleep(ready - Instant::now());
    let (running, began) = runtime.block_on(async {
        let began = Instant::now();
        let running = Running::start(clock);
        // Its task runs when this one waits.
        tokio::time::sleep(BEGINNING).await;
        (running, began)
    });
    let mut passing = Passing { runtime: &runtime, running: &running, feed: &mut feed };
    passing.send(plans);
    for _ in 0..WARM_UP_PASSES {
        passing.pass(&mut batch);
    }
    drop(batch);
    let load = Load { begins: Some(began + OFFERED_AFTER), ..Load::new(&feed, records_per_second, length) };
    let watched = offer(&runtime, &running, &mut feed, &load);
    let run = Run {
        in_lane: Times::of(watched.latencies_ms.iter().copied()),
        processor: Times::of(watched.cpu.iter().map(|(took, _)| took.as_secs_f64() * 1e3)),
        stolen_seconds: stolen_seconds() - stolen_before,
        live_mib: watched.live_mib,
    };
    (run, watched.latencies_ms)
}

// === impl Times ===

impl Times {
    fn of(times_ms: impl Iterator<Item = f64>) -> Self {
        let mut times_ms: Vec<f64> = times_ms.collect();
        times_ms.sort_by(f64::total_cmp);
        let count = times_ms.len();
        Self {
            median_ms: times_ms[count / 2],
            p99_ms: times_ms[count * 99 / 100],
            worst_ms: times_ms[count - 1],
            long: times_ms.iter().filter(|ms| **ms > LONG_MS).count(),
        }
    }
}
