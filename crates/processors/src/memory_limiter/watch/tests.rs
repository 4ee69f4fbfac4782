use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dbintel_model::ManualClock;
use dbintel_pipeline::memory::MemoryAccount;

use super::*;

const LIMITS: MemoryLimits = MemoryLimits { soft_bytes: 80, hard_bytes: 100 };

struct Fixture {
    watch: MemoryWatch,
    cx: MemoryWatchContext,
    clock: ManualClock,
    purges: Arc<AtomicUsize>,
}

fn context(clock: &ManualClock, purges: &Arc<AtomicUsize>, read: ReadUsedBytes) -> MemoryWatchContext {
    let purges = Arc::clone(purges);
    MemoryWatchContext {
        limits: LIMITS,
        check_interval: Duration::from_secs(1),
        state: MemoryState::default(),
        view: MemoryView::default(),
        accounts: MemoryAccounts::default(),
        purge: Arc::new(move || {
            purges.fetch_add(1, Ordering::Relaxed);
        }),
        read,
        clock: Arc::new(clock.clone()),
        registry: Registry::default(),
    }
}

fn fixture() -> Fixture {
    let clock = ManualClock::at(Timestamp::from_nanos(1_000_000_000_000));
    let purges = Arc::default();
    let cx = context(&clock, &purges, Arc::new(|| None));
    Fixture { watch: MemoryWatch::new(cx.clone()), cx, clock, purges }
}

impl Fixture {
    /// One second passes, then a check.
    fn check(&mut self, used: Option<u64>) -> Check {
        self.clock.advance(Duration::from_secs(1));
        self.watch.check(self.clock.now(), self.clock.monotonic(), used)
    }

    fn value(&self, name: &str) -> f64 {
        self.cx.registry.value(name, &[]).unwrap()
    }
}

#[test]
fn time_refused_is_counted_from_reading_to_reading() {
    let mut fixture = fixture();
    for used in [80, 81, 81, 120, 70, 70, 90, 10] {
        fixture.check(Some(used));
    }
    let standing = fixture.cx.view.standing();
    assert_eq!((standing.refusing_for, standing.spells), (Duration::from_secs(4), 2));
    assert_eq!(fixture.value("dbintel_memory_limiter_refusing_seconds_total"), 4.0);
    assert_eq!(fixture.value("dbintel_memory_limiter_refusing"), 0.0);
    assert_eq!(fixture.value("dbintel_memory_limiter_hard_limit_bytes"), 100.0);
}

#[test]
fn the_standing_tells_since_when() {
    let mut fixture = fixture();
    fixture.check(Some(90));
    let since = fixture.clock.now();
    fixture.check(Some(110));
    let standing = fixture.cx.view.standing();
    assert_eq!((standing.refusing_since, standing.pressure()), (Some(since), Pressure::Hard));
    fixture.check(Some(80));
    assert_eq!(fixture.cx.view.standing().pressure(), Pressure::None);
}

#[test]
fn the_allocator_is_asked_at_both_limits_and_caches_only_at_the_hard_one() {
    let mut fixture = fixture();
    let (held, _cache) = cache(&fixture);
    let asked = |check: Check| (check.purged, check.freed.is_some());
    assert_eq!(asked(fixture.check(Some(80))), (false, false));
    assert_eq!(asked(fixture.check(Some(90))), (true, false));
    assert_eq!(asked(fixture.check(Some(91))), (false, false));
    assert_eq!(asked(fixture.check(Some(101))), (true, true));
    for _ in 1..RELIEF_PAUSE.as_secs() {
        assert_eq!(asked(fixture.check(Some(101))), (false, false));
    }
    assert_eq!(asked(fixture.check(Some(101))), (true, true));
    assert_eq!((held.load(Ordering::Relaxed), fixture.purges.load(Ordering::Relaxed)), (0, 3));
    assert_eq!(fixture.value("dbintel_memory_limiter_shrinks_total"), 2.0);
}

/// A cache, empty at first, and its account.
fn cache(fixture: &Fixture) -> (Arc<AtomicUsize>, MemoryAccount) {
    let held = Arc::new(AtomicUsize::new(0));
    let (read, clear) = (Arc::clone(&held), Arc::clone(&held));
    let account = fixture.cx.accounts.open_cache(
        "plans".into(),
        move || read.load(Ordering::Relaxed),
        move || clear.store(0, Ordering::Relaxed),
    );
    (held, account)
}

#[test]
fn above_the_hard_limit_caches_give_back_what_they_hold_and_queues_keep_it() {
    let mut fixture = fixture();
    let (held, _cache) = cache(&fixture);
    let _queue = fixture.cx.accounts.open("queue".into(), || 5);
    held.store(700, Ordering::Relaxed);
    assert_eq!(fixture.check(Some(100)).freed, None);
    assert_eq!(fixture.check(Some(101)).freed, Some(Freed { caches: 1, bytes: 700 }));
    assert_eq!(fixture.cx.accounts.balances(), [("plans".into(), 0), ("queue".into(), 5)]);
    assert_eq!(fixture.value("dbintel_memory_limiter_freed_bytes_total"), 700.0);
    assert_eq!(fixture.cx.view.standing().freed_bytes, 700);
}

#[test]
fn what_caches_gave_is_logged_once_per_episode() {
    let mut fixture = fixture();
    let (_held, _cache) = cache(&fixture);
    let told = |check: Check| (check.freed.is_some(), check.told);
    assert_eq!(told(fixture.check(Some(101))), (true, true));
    for _ in 1..RELIEF_PAUSE.as_secs() {
        assert_eq!(told(fixture.check(Some(101))), (false, false));
    }
    // The same episode, after the pause and after a reading between the limits.
    assert_eq!(told(fixture.check(Some(101))), (true, false));
    fixture.check(Some(90));
    assert_eq!(told(fixture.check(Some(101))), (true, false));
    // Another episode.
    fixture.check(Some(80));
    assert_eq!(told(fixture.check(Some(101))), (true, true));
    // One that follows within the pause is not logged for itself.
    fixture.check(Some(80));
    assert_eq!(told(fixture.check(Some(101))), (true, false));
}

#[test]
fn doors_do_not_stay_shut_for_want_of_readings() {
    let mut fixture = fixture();
    fixture.check(Some(90));
    for _ in 1..UNREAD_CHECKS_MAX {
        assert_eq!(fixture.check(None).now, Pressure::Soft);
    }
    assert_eq!(fixture.check(None).now, Pressure::None);
    assert_eq!(fixture.cx.state.pressure(), Pressure::None);
    assert_eq!(fixture.cx.view.standing().used_bytes, None);
    assert_eq!(fixture.value("dbintel_memory_limiter_unread_total"), f64::from(UNREAD_CHECKS_MAX));
    assert_eq!(fixture.check(Some(90)).now, Pressure::Soft);
}

#[test]
fn a_replaced_watch_takes_over_pressure_and_standing() {
    let mut fixture = fixture();
    fixture.check(Some(90));
    let since = fixture.cx.view.standing().refusing_since;
    fixture.watch = MemoryWatch::new(fixture.cx.clone());
    assert_eq!(fixture.check(Some(95)).before, Pressure::Soft);
    let standing = fixture.cx.view.standing();
    assert_eq!((standing.refusing_since, standing.spells), (since, 1));
}

#[tokio::test(start_paused = true)]
async fn the_task_checks_every_interval_and_stops_when_asked() {
    let clock = ManualClock::at(Timestamp::default());
    let used = Arc::new(AtomicU64::new(90));
    let (read, purges) = (Arc::clone(&used), Arc::default());
    let cx = context(&clock, &purges, Arc::new(move || Some(read.load(Ordering::Relaxed))));
    let (state, shutdown) = (cx.state.clone(), CancellationToken::new());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(cx.run(shutdown.clone()));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(state.pressure(), Pressure::Soft);
    used.store(80, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(state.pressure(), Pressure::Soft);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(state.pressure(), Pressure::None);
    shutdown.cancel();
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), Ok(()));
}
