//! The chain with every processor on: how much it lets through on one core, what it allocates, and how long a batch is
//! in the lane while it is half loaded.
//!
//! Lane and consumer share one thread, so one core. A batch is one poll's; what counts is the time from the door's
//! acceptance until the batch is at the exporter's input. Making batches is not counted.

pub mod again;
mod feed;
mod lane;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use dbintel_model::{Batch, Clock, SystemClock};
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::time::timeout;

pub use self::feed::Kind;
pub use self::lane::CHAIN;

use self::feed::Feed;
use self::lane::Running;
use crate::allocations::Allocations;
use crate::machine::{cpu_time, stolen_seconds};
use crate::scenario::Extent;
use crate::watch::{median, mib};

/// Passes before anything is counted: every text was seen, every table has its size.
const WARM_UP_PASSES: usize = 50;
/// Batches that are under way at most while the lane is half loaded.
const POOL: usize = 8;
/// What is asked of the chain, in records per second on one core.
pub const ASKED: f64 = 500_000.0;
/// Share of the capacity, and of what is asked, at which latency is measured.
const HALF: f64 = 0.5;
/// How long at most the machine's own pauses are looked for.
const PAUSES_SOUGHT: Duration = Duration::from_secs(30);
/// How long a batch is waited for that may have been dropped as a whole.
const PATIENCE: Duration = Duration::from_secs(60);
/// What no batch is to take at half of what is asked, in milliseconds.
pub const LONG_MS: f64 = 5.0;
/// Memory that work that is always the same reads, and how often.
const SAME_WORK_BYTES: usize = 4 << 20;
const SAME_WORK_PASSES: usize = 8;
/// Batches whose time is told one by one.
const LONGEST_TOLD: usize = 5;
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What one kind of batch gave.
#[derive(Clone, Debug, Serialize)]
pub struct Passed {
    /// The kind, in words.
    pub kind: String,
    /// Records per second through the chain on one core.
    pub records_per_second: f64,
    /// Nanoseconds per record by processor, in the order of [`CHAIN`].
    pub processor_ns: Vec<f64>,
    /// Requests for memory per record, in door, lane and chain.
    pub allocations_per_record: f64,
    /// Records per second of the first pass, which sees every text for the first time.
    pub first_pass_per_second: f64,
    /// At half of that load, and at half of what is asked of the chain.
    pub latencies: Vec<Latency>,
}

/// Times in the lane, in milliseconds, and memory over the time.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// Load, in records per second.
    pub records_per_second: f64,
    /// How long.
    pub seconds: f64,
    /// Batches.
    pub batches: usize,
    /// Half of them were shorter.
    pub median_ms: f64,
    /// One in a hundred was longer.
    pub p99_ms: f64,
    /// The longest.
    pub worst_ms: f64,
    /// How many were longer than [`LONG_MS`].
    pub long: usize,
    /// Time for which the host of a virtual machine kept its cores from running, all of them together, in seconds.
    pub stolen_seconds: f64,
    /// The most processor time that the lane's thread took from one batch to the next: what the program itself needs, where
    /// the time on the clock has what the machine took in between as well.
    pub worst_cpu_ms: f64,
    /// The longest pause the machine imposed, for as long but at most [`PAUSES_SOUGHT`], on a thread that did nothing but read
    /// the clock.
    pub machine_pause_ms: f64,
    /// What the machine makes of work that is always the same, done as often, for as long but at most [`PAUSES_SOUGHT`].
    pub same_work: SameWork,
    /// The batches that took most of the processor: after how many seconds, and how many milliseconds.
    pub longest_cpu: Vec<(f64, f64)>,
    /// Bytes in use at the beginning, and medians of the first and last third.
    pub live: LiveBytes,
}

/// Times of work that is always the same, in milliseconds: reading as much memory as a batch and its statements have. Where its longest
/// is many times its median, that is the machine's doing.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct SameWork {
    /// Half of the times were shorter.
    pub median_ms: f64,
    /// One in a hundred was longer.
    pub p99_ms: f64,
    /// The longest.
    pub worst_ms: f64,
}

/// Bytes that the process has in use, in MiB. Tables are swept every 30 seconds, so that they go up and down.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LiveBytes {
    /// When the load began.
    pub start_mib: f64,
    /// Median over the first third.
    pub first_third_mib: f64,
    /// Median over the last third.
    pub last_third_mib: f64,
}

/// Measures every kind; what a poll gives for `minutes` at half of what is asked.
#[must_use]
pub fn measure(extent: Extent, minutes: Option<u32>) -> Vec<Passed> {
    let full = Duration::from_secs(extent.choose(5, 20));
    let half = Duration::from_secs(extent.choose(10, 30));
    let long = minutes.map_or(half, |minutes| Duration::from_secs(60) * minutes);
    let kinds = [(Kind::TopLeaves, long), (Kind::Sessions, half), (Kind::AllLeave, half)];
    kinds.into_iter().map(|(kind, of_asked)| measure_kind(kind, full, half, of_asked)).collect()
}

/// `full` long as fast as it goes, `of_capacity` long at half of that, `of_asked` long at half of what is asked.
fn measure_kind(kind: Kind, full: Duration, of_capacity: Duration, of_asked: Duration) -> Passed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let running = runtime.block_on(async { Running::start(Arc::clone(&clock)) });
    let mut feed = Feed::new(kind, clock);
    let mut batch = feed.batch();
    let plans = feed.plans();
    let mut passing = Passing { runtime: &runtime, running: &running, feed: &mut feed };
    passing.send(plans);
    let (first, _) = passing.pass(&mut batch);
    let first_pass_per_second = batch.records.len() as f64 / first.as_secs_f64();
    for _ in 0..WARM_UP_PASSES {
        passing.pass(&mut batch);
    }
    let (before, seconds_before) = (Allocations::now(), running.seconds());
    let (mut took, mut made, mut records) = (Duration::ZERO, 0, 0);
    let begun = Instant::now();
    while begun.elapsed() < full {
        let (pass, of_feed) = passing.pass(&mut batch);
        took += pass;
        made += of_feed;
        records += batch.records.len();
    }
    let (after, seconds_after) = (Allocations::now(), running.seconds());
    drop(batch);
    let per_second = records as f64 / took.as_secs_f64();
    let by_processor = seconds_after.iter().zip(seconds_before).map(|(after, before)| after - before);
    Passed {
        kind: kind.as_str().to_owned(),
        records_per_second: per_second,
        processor_ns: by_processor.map(|seconds| seconds * 1e9 / records as f64).collect(),
        allocations_per_record: (after.requests - before.requests).saturating_sub(made) as f64
            / records as f64,
        first_pass_per_second,
        latencies: [(per_second, of_capacity), (ASKED, of_asked)]
            .map(|(load, seconds)| half_load(&runtime, &running, &mut feed, load * HALF, seconds))
            .into(),
    }
}

/// One batch after the other, as fast as they go.
struct Passing<'a> {
    runtime: &'a Runtime,
    running: &'a Running,
    feed: &'a mut Feed,
}

impl Passing<'_> {
    /// Sends the batch through. How long it took, and how often feeding asked for memory.
    fn pass(&mut self, batch: &mut Batch) -> (Duration, u64) {
        let made = self.feed.refresh(batch);
        let empty = Batch { records: Vec::new(), target: Arc::clone(&batch.target), node: None, ..*batch };
        let full = std::mem::replace(batch, empty);
        let begun = Instant::now();
        *batch = self.send(full);
        (begun.elapsed(), made)
    }

    fn send(&self, batch: Batch) -> Batch {
        self.runtime.block_on(async {
            self.running.door.offer(batch).expect("the lane has room");
            take(self.running).await
        })
    }
}

async fn take(running: &Running) -> Batch {
    let delivery = timeout(PATIENCE, running.input.pop()).await.expect("the chain lets the batch through");
    let delivery = delivery.expect("the lane goes on");
    Arc::try_unwrap(delivery.batch).expect("nobody else holds the batch")
}

/// A load of batches, offered evenly.
struct Load {
    every: Duration,
    batches: u32,
    /// When the first is offered; without it, as soon as everything is ready.
    begins: Option<Instant>,
}

impl Load {
    fn new(feed: &Feed, records_per_second: f64, seconds: Duration) -> Self {
        let every = Duration::from_secs_f64(feed.records() as f64 / records_per_second);
        let batches = (seconds.as_secs_f64() / every.as_secs_f64()) as u32;
        Self { every, batches, begins: None }
    }
}

/// Times in the lane at this load, and what the machine makes of itself before it.
fn half_load(
    runtime: &Runtime,
    running: &Running,
    feed: &mut Feed,
    records_per_second: f64,
    seconds: Duration,
) -> Latency {
    let load = Load::new(feed, records_per_second, seconds);
    let machine_pause_ms = longest_pause_ms(seconds.min(PAUSES_SOUGHT));
    let same_work = same_work(load.every, seconds.min(PAUSES_SOUGHT));
    let stolen_before = stolen_seconds();
    let watched = offer(runtime, running, feed, &load);
    let stolen_seconds = stolen_seconds() - stolen_before;
    Latency { machine_pause_ms, same_work, stolen_seconds, ..watched.conclude(records_per_second) }
}

/// Offers batches from a thread of its own, and takes them out on that of the lane.
fn offer(runtime: &Runtime, running: &Running, feed: &mut Feed, load: &Load) -> Watched {
    let Load { every, batches, begins } = *load;
    let (back, returned) = sync_channel(POOL);
    let (offered, tickets) = sync_channel(POOL);
    for _ in 0..POOL {
        back.send(feed.batch()).expect("room for all of them");
    }
    let begins = begins.unwrap_or_else(Instant::now);
    assert!(
        Instant::now() < begins + every,
        "the machine was not ready in time: the first batches would come at once"
    );
    let door = running.door.clone();
    let mut watched = Watched::new(batches as usize);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut free: Vec<Batch> = Vec::with_capacity(POOL);
            for number in 0..batches {
                // The one that came back last, as an allocator gives out what was freed last: the others are there for a lane that is late.
                free.extend(returned.try_iter());
                let mut batch = free.pop().unwrap_or_else(|| returned.recv().expect("batches come back"));
                feed.refresh(&mut batch);
                // In step with the beginning, so that a late batch does not make the load lower.
                std::thread::sleep((begins + every * number).saturating_duration_since(Instant::now()));
                // Taken before the call, in which the door accepts.
                offered.send(Instant::now()).expect("the consumer waits");
                door.offer(batch).expect("the lane has room");
            }
        });
        runtime.block_on(watched.run(running, &tickets, &back, batches));
    });
    watched
}

/// The longest time between two readings of the clock, one right after the other.
fn longest_pause_ms(seconds: Duration) -> f64 {
    let begun = Instant::now();
    let (mut before, mut longest) = (begun, Duration::ZERO);
    while before - begun < seconds {
        let now = Instant::now();
        longest = longest.max(now - before);
        before = now;
    }
    longest.as_secs_f64() * 1e3
}

/// Does the same work at every interval and says how long it took.
fn same_work(every: Duration, seconds: Duration) -> SameWork {
    let memory: Vec<u64> = (0..SAME_WORK_BYTES as u64 / 8).collect();
    let (begun, mut times) = (Instant::now(), Vec::new());
    for number in 1.. {
        let started = Instant::now();
        for _ in 0..SAME_WORK_PASSES {
            // One value of each 64 bytes.
            black_box(memory.iter().step_by(8).fold(0, |all: u64, value| all.rotate_left(1) ^ value));
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
        let next = begun + every * number;
        if next >= begun + seconds {
            break;
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    times.sort_by(f64::total_cmp);
    let last = times.len() - 1;
    SameWork { median_ms: times[last / 2], p99_ms: times[last * 99 / 100], worst_ms: times[last] }
}

/// What the consumer sees. Its memory is all taken at the beginning.
struct Watched {
    begun: Instant,
    latencies_ms: Vec<f64>,
    cpu: Vec<(Duration, Duration)>,
    live_mib: Vec<f64>,
}

// === impl Watched ===

impl Watched {
    fn new(batches: usize) -> Self {
        Self {
            begun: Instant::now(),
            latencies_ms: Vec::with_capacity(batches),
            cpu: Vec::with_capacity(batches),
            live_mib: Vec::with_capacity(batches),
        }
    }

    async fn run(
        &mut self,
        running: &Running,
        tickets: &Receiver<Instant>,
        back: &SyncSender<Batch>,
        batches: u32,
    ) {
        let mut look_at = self.begun;
        for _ in 0..batches {
            let cpu_before = cpu_time();
            let batch = take(running).await;
            let offered = tickets.recv().expect("a ticket for each batch");
            self.latencies_ms.push(offered.elapsed().as_secs_f64() * 1e3);
            self.cpu.push((cpu_time().saturating_sub(cpu_before), self.begun.elapsed()));
            // The producer has gone after its last batch.
            let _ = back.send(batch);
            if Instant::now() >= look_at {
                look_at += LOOK_EVERY;
                self.look();
            }
        }
    }

    fn look(&mut self) {
        self.live_mib.push(mib(Allocations::now().live_bytes));
    }

    fn conclude(mut self, records_per_second: f64) -> Latency {
        let (live, third) = (&self.live_mib, self.live_mib.len() / 3);
        let live = LiveBytes {
            start_mib: live[0],
            first_third_mib: median(live[..=third].iter().copied()),
            last_third_mib: median(live[live.len() - third - 1..].iter().copied()),
        };
        self.latencies_ms.sort_by(f64::total_cmp);
        self.cpu.sort_unstable_by_key(|(took, _)| std::cmp::Reverse(*took));
        let longest = self.cpu.iter().take(LONGEST_TOLD);
        let longest_cpu: Vec<(f64, f64)> =
            longest.map(|(took, at)| (at.as_secs_f64(), took.as_secs_f64() * 1e3)).collect();
        let batches = self.latencies_ms.len();
        Latency {
            records_per_second,
            seconds: self.begun.elapsed().as_secs_f64(),
            batches,
            median_ms: self.latencies_ms[batches / 2],
            p99_ms: self.latencies_ms[batches * 99 / 100],
            worst_ms: self.latencies_ms[batches - 1],
            long: self.latencies_ms.iter().filter(|ms| **ms > LONG_MS).count(),
            stolen_seconds: 0.0,
            worst_cpu_ms: longest_cpu.first().map_or(0.0, |(_, took)| *took),
            longest_cpu,
            machine_pause_ms: 0.0,
            same_work: SameWork::default(),
            live,
        }
    }
}
