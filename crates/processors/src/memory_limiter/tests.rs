//! The limiter against a real lane: what is offered at the door under pressure, and afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dbintel_model::{Change, ChangeKind, Clock, ManualClock, Record, Server, Target, Timestamp};
use dbintel_pipeline::memory::{MemoryLimits, MemoryState};
use dbintel_pipeline::status::{ComponentKind, StatusBoard};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{
    Lane, LaneContext, LaneHandle, LaneLimits, ProcessorFactory, QueueLimits, RefuseReason, Supervisor,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;

const CHECK_INTERVAL: Duration = Duration::from_secs(1);

fn batch() -> Batch {
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
        records: vec![Record::Change(Box::new(Change::new(ChangeKind::Restart)))],
    }
}

fn lane(memory: MemoryState, view: MemoryView, accounts: MemoryAccounts, clock: &ManualClock) -> LaneHandle {
    let (registry, board) = (Registry::default(), StatusBoard::default());
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let build = move || -> Box<dyn Processor> {
        Box::new(MemoryLimiter::new("memory_limiter".into(), view.clone(), accounts.clone()))
    };
    let cx = LaneContext {
        id: "postgresql".into(),
        limits: LaneLimits { queue: QueueLimits { max_bytes: 1 << 20, max_items: 8 } },
        chain: vec![ProcessorFactory { id: "memory_limiter".into(), build: Arc::new(build) }],
        sinks: Vec::new(),
        requests: mpsc::channel(1).0,
        store: None,
        memory,
        overrides: dbintel_pipeline::overrides::Overrides::new(Arc::clone(&clock)),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
        status: board.register(ComponentKind::Lane, "postgresql".into(), clock.now()),
        seed: 1,
    };
    Lane::start(cx, &Supervisor::new(clock, registry))
}

#[tokio::test(start_paused = true)]
async fn above_the_soft_limit_the_door_refuses_and_takes_again_at_the_next_check() {
    let clock = ManualClock::at(Timestamp::from_nanos(1_795_236_205_000_000_000));
    let used = Arc::new(AtomicU64::new(50 << 20));
    let read = Arc::clone(&used);
    let watch = MemoryWatchContext {
        limits: MemoryLimits { soft_bytes: 80 << 20, hard_bytes: 100 << 20 },
        check_interval: CHECK_INTERVAL,
        state: MemoryState::default(),
        view: MemoryView::default(),
        accounts: MemoryAccounts::default(),
        purge: Arc::new(|| {}),
        read: Arc::new(move || Some(read.load(Ordering::Relaxed))),
        clock: Arc::new(clock.clone()),
        registry: Registry::default(),
    };
    let _account = watch.accounts.open("plan cache".into(), || 3 << 20);
    let lane = lane(watch.state.clone(), watch.view.clone(), watch.accounts.clone(), &clock);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(watch.run(CancellationToken::new()));
    let door = lane.door();
    let pass = async |by: Duration| {
        clock.advance(by);
        tokio::time::sleep(by).await;
    };

    pass(Duration::from_millis(100)).await;
    door.offer(batch()).unwrap();
    used.store(81 << 20, Ordering::Relaxed);
    pass(CHECK_INTERVAL).await;
    assert_eq!(door.offer(batch()).unwrap_err().reason, RefuseReason::Memory);
    pass(CHECK_INTERVAL * 3).await;
    let shown = lane.command(Command::Show).await;
    assert_eq!(
        lines(&shown),
        [
            "memory used: 81.0 MiB resident, 101 % of the soft limit",
            "soft limit: 80.0 MiB: above it, lanes refuse records",
            "hard limit: 100.0 MiB: above it, caches are emptied too",
            "refusing now: yes, since 2026-11-21T04:43:26.100000Z, 3 s, above the soft limit",
            "refused so far: 3 s in all, once",
            "caches emptied: 0 times, 0.0 MiB given back",
            "passed on: 1 batches, 1 records",
            "accounted: 3.0 MiB in 1 queues, caches and tables",
            "account plan cache: 3.0 MiB",
        ]
    );
    used.store(80 << 20, Ordering::Relaxed);
    assert_eq!(door.offer(batch()).unwrap_err().reason, RefuseReason::Memory);
    pass(CHECK_INTERVAL).await;
    door.offer(batch()).unwrap();
}

fn lines(replies: &[(Text, Reply)]) -> Vec<String> {
    let lines = replies.iter().flat_map(|(_, reply)| &reply.lines);
    lines.map(|(name, value)| format!("{name}: {value}")).collect()
}
