//! Memory of the real process, as the kernel reports it: refusal above the soft limit, acceptance again after a burst,
//! and a flat line under overload. The allocator is the program's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use dbintel_admin::resources::ResourceMonitor;
use dbintel_exporters::otlp;
use dbintel_model::{Batch, Change, ChangeKind, Clock, Record, Server, SystemClock, Target, Text};
use dbintel_pipeline::memory::{MemoryAccounts, MemoryLimits, MemoryState};
use dbintel_pipeline::status::{ComponentKind, StatusBoard};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{
    Delivery, Door, Exporter as _, ExporterContext, ExporterInput, ExporterTelemetry, Lane, LaneContext,
    LaneHandle, LaneLimits, QueueLimits, RefuseReason, Signals, Sink, Supervisor, Weighed, WeightedQueue,
};
use dbintel_processors::memory_limiter::{MemoryView, MemoryWatchContext};
use dbintel_testkit::otlp_sink::{Behaviour, Options, OtlpSink};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The tests look at the memory of one process.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const MIB: u64 = 1 << 20;
/// How far the hard limit is above the soft one.
const HARD_ABOVE_SOFT: u64 = 200 * MIB;
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// A lane whose one exporter input is in the test's hands, and a watch over the memory of this process.
struct World {
    /// Above it the door refuses.
    soft_bytes: u64,
    lane: LaneHandle,
    input: ExporterInput,
    monitor: ResourceMonitor,
    registry: Registry,
    accounts: MemoryAccounts,
    clock: Arc<dyn Clock>,
    board: StatusBoard,
    telemetry: ExporterTelemetry,
    server: Arc<Server>,
    _stop: tokio_util::sync::DropGuard,
}

fn world(soft_above_now: u64, input_limits: QueueLimits) -> World {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (registry, board, memory) = (Registry::default(), StatusBoard::default(), MemoryState::default());
    let accounts = MemoryAccounts::new(registry.clone());
    let monitor = ResourceMonitor::new(Arc::clone(&clock), None);
    let supervisor = Supervisor::new(Arc::clone(&clock), registry.clone());
    let soft_bytes = monitor.rss_bytes().unwrap() + soft_above_now;
    let reader = monitor.clone();
    let shutdown = CancellationToken::new();
    let watch = MemoryWatchContext {
        limits: MemoryLimits { soft_bytes, hard_bytes: soft_bytes + HARD_ABOVE_SOFT },
        check_interval: CHECK_INTERVAL,
        state: memory.clone(),
        view: MemoryView::default(),
        accounts: accounts.clone(),
        purge: Arc::new(|| {}),
        read: Arc::new(move || reader.rss_bytes()),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
    };
    let status = board.register(ComponentKind::Extension, "watch".into(), clock.now());
    let stop = shutdown.clone();
    supervisor.start("watch".into(), status, shutdown.clone(), move || watch.clone().run(stop.clone()));
    let input = Arc::new(WeightedQueue::<Delivery>::new(input_limits));
    let telemetry = ExporterTelemetry::new(registry.clone(), "otlphttp".into());
    let lane = Lane::start(
        LaneContext {
            id: "postgresql".into(),
            limits: LaneLimits { queue: QueueLimits { max_bytes: 64 << 20, max_items: 64 } },
            chain: Vec::new(),
            sinks: vec![Sink {
                input: Arc::clone(&input),
                signals: Signals::ALL,
                telemetry: telemetry.clone(),
            }],
            requests: mpsc::channel(1).0,
            store: None,
            memory,
            overrides: dbintel_pipeline::overrides::Overrides::new(Arc::clone(&clock)),
            clock: Arc::clone(&clock),
            registry: registry.clone(),
            status: board.register(ComponentKind::Lane, "postgresql".into(), clock.now()),
            seed: 1,
        },
        &supervisor,
    );
    let server = Arc::new(Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "localhost".into(),
        port: 5432,
        resource: Vec::new(),
    });
    World {
        soft_bytes,
        lane,
        input,
        monitor,
        registry,
        accounts,
        clock,
        board,
        telemetry,
        server,
        _stop: shutdown.drop_guard(),
    }
}

impl World {
    /// A batch of about so many bytes, no text shared with another.
    fn batch(&self, bytes: usize) -> Batch {
        let record = |n: usize| {
            let mut change = Change::new(ChangeKind::Setting);
            change.after = Some(Text::from(format!("{n:01024}")));
            Record::Change(Box::new(change))
        };
        Batch {
            target: Arc::new(Target::server(Arc::clone(&self.server))),
            node: None,
            observed_at: self.clock.now(),
            server_clock: None,
            records: (0..bytes / 1_024).map(record).collect(),
        }
    }
}

/// Offers until the door refuses because of memory.
async fn push_above_soft(world: &World, door: &Door) {
    loop {
        match door.offer(world.batch(1 << 20)) {
            Ok(()) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(refused) if refused.reason == RefuseReason::Memory => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_above_the_soft_limit_and_accepted_again_within_30_s_of_the_end_of_the_burst() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let world = world(60 * MIB, QueueLimits { max_bytes: 1 << 30, max_items: 1 << 20 });
    let door = world.lane.door();
    let pushed = tokio::time::timeout(Duration::from_secs(60), push_above_soft(&world, &door)).await;
    assert!(pushed.is_ok(), "the door did not refuse at {:?} bytes", world.monitor.rss_bytes());
    // The burst ends: the exporter ships what it has.
    while let Some(delivery) = world.input.try_pop() {
        drop(delivery);
    }
    let accepted = async {
        while door.offer(world.batch(1_024)).is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let again = tokio::time::timeout(Duration::from_secs(30), accepted).await;
    assert!(again.is_ok(), "still refused at {:?} bytes", world.monitor.rss_bytes());
}

/// What can be read again is let go above the hard limit, so that the door opens although nobody has stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_above_the_hard_limit_is_emptied_and_the_door_opens_again() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let world = world(60 * MIB, QueueLimits { max_bytes: 1 << 30, max_items: 1 << 20 });
    let limits = QueueLimits { max_bytes: usize::MAX, max_items: usize::MAX };
    let cache = Arc::new(WeightedQueue::<Block>::new(limits));
    let (read, clear) = (Arc::clone(&cache), Arc::clone(&cache));
    let _account = world.accounts.open_cache(
        "texts".into(),
        move || read.len_bytes(),
        move || while clear.try_pop().is_some() {},
    );
    let freed = || world.registry.value("dbintel_memory_limiter_freed_bytes_total", &[]).unwrap_or(0.0);
    for _ in 0..3 * HARD_ABOVE_SOFT / MIB {
        cache.try_push(Block(vec![1; 1 << 20])).unwrap();
        if freed() > 0.0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let door = world.lane.door();
    let accepted = async {
        while freed() < HARD_ABOVE_SOFT as f64 || door.offer(world.batch(1_024)).is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let again = tokio::time::timeout(Duration::from_secs(30), accepted).await;
    assert!(again.is_ok(), "{} bytes freed, {:?} resident", freed(), world.monitor.rss_bytes());
}

/// An entry of a cache.
#[derive(Debug)]
struct Block(Vec<u8>);

impl Weighed for Block {
    fn weight_bytes(&self) -> usize {
        self.0.len()
    }
}

/// Twice as much as the backend takes, for a minute: what finds no room is counted, and memory does not grow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat_under_twice_the_load_the_backend_takes() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let world = world(200 * MIB, QueueLimits { max_bytes: 32 << 20, max_items: 1_024 });
    let sink = OtlpSink::start_with(Options::new().counts_only()).await;
    sink.always(Behaviour::Accept.after(Duration::from_millis(200)));
    let yaml = format!(
        "endpoint: {}\ncompression: none\nsending_queue: {{num_consumers: 1, max_bytes: 8MiB}}",
        sink.http_endpoint()
    );
    let settings: otlp::OtlpHttpSettings = dbintel_config::from_yaml(&yaml).unwrap();
    let exporter = otlp::OtlpExporter::new(otlp::validate_http(&settings).unwrap().config);
    let abort = CancellationToken::new();
    let cx = ExporterContext {
        id: "otlphttp".into(),
        input: Arc::clone(&world.input),
        clock: Arc::clone(&world.clock),
        registry: world.registry.clone(),
        telemetry: world.telemetry.clone(),
        accounts: world.accounts.clone(),
        status: world.board.register(ComponentKind::Exporter, "otlphttp".into(), world.clock.now()),
        abort: abort.clone(),
    };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(Box::new(exporter).run(cx));
    let door = world.lane.door();
    // The backend takes about five requests of 1 MiB per second; this offers ten.
    let mut resident = Vec::new();
    for second in 0..60 {
        for _ in 0..20 {
            drop(door.offer(world.batch(512 * 1_024)));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if second >= 15 {
            resident.push(world.monitor.rss_bytes().unwrap());
        }
    }
    let lost = |kind: &str, reason: &str| {
        let name = format!("otelcol_exporter_{kind}_log_records");
        world.registry.value(&name, &[("exporter", "otlphttp"), ("reason", reason)]).unwrap_or(0.0)
    };
    let queue_full = lost("enqueue_failed", "queue_full");
    assert!(queue_full > 0.0, "the backend kept up: this was no overload");
    let (first, last) = (mean(&resident[..15]), mean(&resident[30..]));
    assert!(*resident.iter().max().unwrap() < world.soft_bytes, "above the limit: {resident:?}");
    assert!(last < first * 1.1 + 5.0 * MIB as f64, "grew from {first} to {last} bytes: {resident:?}");
    abort.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[allow(clippy::cast_precision_loss, reason = "bytes, for a mean")]
fn mean(values: &[u64]) -> f64 {
    values.iter().map(|value| *value as f64).sum::<f64>() / values.len() as f64
}
