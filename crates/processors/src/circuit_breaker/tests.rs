use std::sync::Arc;
use std::time::Duration;

use dbintel_admission::{DistressSignals, FailureClass, MemoryPressure, ProcessLoad};
use dbintel_model::{Clock, ManualClock, Server, Target, Timestamp};
use dbintel_pipeline::admission::{
    Admission as _, Outcome, Permit, Purpose, StatementError, StatementRequest,
};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::guard::{TRANSITIONS_KEPT, TRANSITIONS_SHOWN};
use super::*;

/// Friday, 15 January 2027, 08:00 UTC.
const FRIDAY_AT_EIGHT: u64 = 1_800_000_000_000_000_000;

struct World {
    clock: Arc<ManualClock>,
    registry: Registry,
    load: Arc<Mutex<ProcessLoad>>,
    guard: Guard,
}

fn config(settings: Value) -> Result<CircuitBreakerConfig, Vec<String>> {
    let settings: CircuitBreakerSettings = serde_json::from_value(settings).unwrap();
    validate(&settings)
        .map(|validated| validated.config)
        .map_err(|errors| errors.into_iter().map(|error| error.field).collect())
}

fn world(settings: Value) -> World {
    let clock = Arc::new(ManualClock::at(Timestamp::from_nanos(FRIDAY_AT_EIGHT)));
    let load = Arc::new(Mutex::new(ProcessLoad::default()));
    let read = Arc::clone(&load);
    let of_gate: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let process = ProcessGate::new(of_gate, Arc::new(move || *read.lock()));
    World { load, ..of_process(settings, &clock, &process) }
}

/// A server of a process that has others.
fn of_process(settings: Value, clock: &Arc<ManualClock>, process: &ProcessGate) -> World {
    let clock = Arc::clone(clock);
    let (registry, load) = (Registry::default(), Arc::new(Mutex::new(ProcessLoad::default())));
    let of_guard: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let cx = GuardContext {
        receiver: "postgresql".into(),
        server: "db:5432".into(),
        clock: Arc::clone(&of_guard),
        registry: registry.clone(),
        overrides: dbintel_pipeline::overrides::Overrides::new(Arc::clone(&clock) as Arc<dyn Clock>),
        accounts: MemoryAccounts::new(registry.clone()),
        process: process.clone(),
        seed: 7,
    };
    let guard = Guard::new(&config(settings).unwrap(), Duration::from_secs(5), cx);
    World { clock, registry, load, guard }
}

fn target() -> Target {
    let server = Arc::new(Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "db".into(),
        port: 5432,
        resource: Vec::new(),
    });
    Target { server, database: Some("app".into()) }
}

impl World {
    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn admit(&self, purpose: Purpose, feature: &'static str, cheapest: bool) -> Result<Permit, String> {
        let target = target();
        let request = StatementRequest { target: &target, purpose, feature, cheapest };
        self.guard.admit(&request).map_err(|denied| denied.to_string())
    }

    fn metric(&self, name: &str, more: &[(&str, &str)]) -> Option<f64> {
        self.guard.publish();
        let mut labels = vec![("receiver", "postgresql"), ("server", "db:5432"), ("database", "app")];
        labels.extend(more);
        self.registry.value(name, &labels)
    }
}

fn took(millis: u64) -> Outcome {
    let time = Duration::from_millis(millis);
    Outcome { wall: time * 2, database: Some(time), rows: 1, error: None }
}

fn failed(error: StatementError) -> Outcome {
    Outcome { wall: Duration::from_millis(1), database: None, rows: 0, error: Some(error) }
}

#[test]
fn what_is_spent_is_booked_with_its_source_and_the_budget_closes_the_gate() {
    let world = world(json!({"limits": {"budget": "100ms"}}));
    world.admit(Purpose::Statements, "statements", false).unwrap().report(&took(25));
    let of_statements = [("purpose", "statements"), ("source", "statement")];
    assert_eq!(world.metric("collector_database_time_seconds_total", &of_statements), Some(0.025));
    assert_eq!(world.metric("collector_database_budget_ratio", &[]), Some(0.25));
    world
        .admit(Purpose::Sizes, "sizes", false)
        .unwrap()
        .report(&failed(StatementError::Sqlstate("42P01".into())));
    let of_sizes = [("purpose", "sizes"), ("source", "wall")];
    assert_eq!(world.metric("collector_database_time_seconds_total", &of_sizes), Some(0.001));
    world.admit(Purpose::Statements, "statements", false).unwrap().report(&took(40));
    // 66 of 100 ms are spent, and the last one took 40.
    let denied = world.admit(Purpose::Statements, "statements", false).unwrap_err();
    assert!(denied.contains("budget"), "{denied}");
    let gate = [("receiver", "postgresql"), ("purpose", "statements"), ("gate", "budget")];
    assert_eq!(world.registry.value("dbintel_admission_denied_total", &gate), Some(1.0));
    world.pass(62);
    assert!(world.admit(Purpose::Statements, "statements", false).is_ok());
}

#[test]
fn a_lost_connection_opens_and_two_probes_close_it_and_all_of_it_is_counted() {
    let world = world(json!({}));
    for _ in 0..2 {
        world
            .admit(Purpose::Statements, "statements", false)
            .unwrap()
            .report(&failed(StatementError::Connection));
    }
    let denied = world.admit(Purpose::Statements, "statements", true).unwrap_err();
    assert!(denied.contains("breaker") && denied.contains("connection_lost"), "{denied}");
    assert!(world.guard.describe().iter().any(|(_, line)| line.contains("connection_lost")));
    world.guard.publish();
    let server = [("receiver", "postgresql"), ("server", "db:5432"), ("database", ""), ("state", "open")];
    assert_eq!(world.registry.value("circuit_breaker_state", &server), Some(1.0));
    assert_eq!(world.registry.value("circuit_breaker_trips_total", &server[..3]), Some(1.0));
    world.pass(3);
    assert!(world.admit(Purpose::Sizes, "sizes", false).is_err(), "only the cheapest is a probe");
    let probe = world.admit(Purpose::Connect, "connect", true).unwrap();
    assert!(world.admit(Purpose::Connect, "connect", true).is_err(), "one probe at a time");
    probe.report(&took(1));
    world.admit(Purpose::Server, "node", true).unwrap().report(&took(1));
    assert!(world.admit(Purpose::Sizes, "sizes", false).is_ok());
    assert_eq!(world.registry.value("circuit_breaker_recovery_time_seconds", &server[..3]), Some(3.0));
}

/// What the breakers did is kept for a page, the latest of it.
#[test]
fn what_the_breakers_did_is_kept_within_bounds() {
    let world = world(json!({"max_backoff": "1s", "success_threshold": 1}));
    // Each round opens, or half-opens and opens again.
    for _ in 0..TRANSITIONS_KEPT {
        let probe = world.admit(Purpose::Connect, "connect", true).unwrap();
        probe.report(&failed(StatementError::Connection));
        world.pass(2);
    }
    let kept = world.guard.transitions();
    assert_eq!(kept.len(), TRANSITIONS_KEPT);
    assert!(kept.is_sorted_by_key(|change| change.transition.at));
    assert!(kept.iter().all(|change| change.transition.class == Some(FailureClass::ConnectionLost)));
    let lines = world.guard.describe();
    let latest = lines.iter().filter(|(name, _)| name.contains(" s ago, server")).count();
    assert_eq!(latest, TRANSITIONS_SHOWN, "{lines:#?}");
    assert!(lines.last().unwrap().1.contains("to open, connection_lost, next probe after"), "{lines:#?}");
}

/// The receiver learns what a breaker is open for, so that it can give its connections back.
#[test]
fn a_denial_names_the_class_that_opened_the_breaker() {
    let world = world(json!({}));
    let request =
        |target| StatementRequest { target, purpose: Purpose::Server, feature: "node", cheapest: true };
    let target = target();
    let signals = DistressSignals { free_connection_slots: Some(0), ..DistressSignals::default() };
    world.guard.distress(&target, &signals);
    let denied = world.guard.admit(&request(&target)).unwrap_err();
    assert_eq!(denied.class, Some(FailureClass::DistressSlots));
    assert!(denied.class.is_some_and(FailureClass::wants_slots));
}

/// Who is told that abilities have changed does not wait.
#[test]
fn a_query_without_privilege_is_tried_again_when_abilities_change() {
    let world = world(json!({}));
    let refused = || failed(StatementError::Sqlstate("42501".into()));
    world.admit(Purpose::Server, "bgwriter", false).unwrap().report(&refused());
    world.pass(1);
    assert!(world.admit(Purpose::Server, "bgwriter", false).is_err());
    world.guard.abilities_changed(&target());
    assert!(world.admit(Purpose::Server, "bgwriter", false).is_ok());
}

#[test]
fn a_process_that_runs_short_gives_up_work_in_order() {
    let world = world(json!({}));
    let is_admitted = |purpose| world.admit(purpose, "some", false).is_ok();
    *world.load.lock() = ProcessLoad { cpu_share: Some(0.92), memory: MemoryPressure::Soft };
    world.pass(2);
    assert!(!is_admitted(Purpose::Sizes) && !is_admitted(Purpose::Sessions));
    assert!(is_admitted(Purpose::Statements));
    *world.load.lock() = ProcessLoad { cpu_share: None, memory: MemoryPressure::Hard };
    world.pass(2);
    assert!(!is_admitted(Purpose::Statements));
}

/// The share is of what was asked for since the last look, in each database.
#[test]
fn what_a_rate_rejects_is_shown_as_a_share() {
    let world = world(json!({"limits": {"statements_per_second": 1.0, "burst": 2}}));
    let ask = || world.admit(Purpose::Server, "some", false).map(|permit| permit.report(&took(0))).is_ok();
    let rate = || world.metric("rate_limiter_rejection_rate", &[]);
    assert!(ask());
    assert_eq!(rate(), Some(0.0));
    assert_eq!([ask(), ask()], [true, false]);
    assert_eq!(rate(), Some(0.5));
    assert!(!ask());
    assert_eq!(rate(), Some(1.0));
    let whole = [("receiver", "postgresql"), ("server", "db:5432"), ("database", "")];
    assert_eq!(world.registry.value("rate_limiter_rejection_rate", &whole), None, "nothing was asked of it");
    world.pass(1);
    assert!(ask());
    assert_eq!(rate(), Some(0.0));
}

/// All servers together have one rate, whatever those of each are; it is theirs again as time goes by.
#[test]
fn the_process_has_a_rate_of_its_own() {
    let settings = || json!({"limits": {"statements_per_second": 1_000.0, "burst": 1_000, "budget": "60s"}});
    let first = world(settings());
    let now: Arc<dyn Clock> = Arc::<ManualClock>::clone(&first.clock);
    let shared = ProcessGate::new(now, Arc::new(ProcessLoad::default));
    let guards: Vec<World> = (0..20).map(|_| of_process(settings(), &first.clock, &shared)).collect();
    let until_refused = || {
        let admitted = |world: &World| {
            let admitted = std::iter::from_fn(|| world.admit(Purpose::Server, "some", false).ok());
            admitted.map(|permit| permit.report(&took(0))).count()
        };
        guards.iter().map(admitted).sum::<usize>()
    };
    assert_eq!(until_refused(), STATEMENT_BURST as usize);
    let refused = guards[19].admit(Purpose::Server, "some", false).map(drop).unwrap_err();
    assert!(refused.contains("process"), "{refused}");
    first.pass(1);
    assert_eq!(until_refused(), STATEMENTS_PER_SECOND as usize);
}

#[test]
fn settings_that_cannot_be_are_named() {
    let wrong = json!({
        "limits": {"budget": "0s", "statements_per_second": 0.0, "burst": 0, "plans_per_minute": -1.0},
        "success_threshold": 0, "planning_time_max": "1ms", "max_timeout": "2m", "max_backoff": "10ms",
        "schedule": {"time_zone": "Nowhere/Town", "windows": [{"from": "08:00", "to": "18:00"}]},
        "heavy_work": {"windows": [{"from": "25:00", "to": "18:00"}]},
    });
    assert_eq!(
        config(wrong).unwrap_err(),
        [
            "limits.budget",
            "limits.statements_per_second",
            "limits.plans_per_minute",
            "limits.burst",
            "success_threshold",
            "planning_time_max",
            "max_backoff",
            "max_timeout",
            "schedule",
            "heavy_work.windows.0.from",
        ]
    );
    assert!(config(json!({})).is_ok());
    assert!(serde_json::from_value::<CircuitBreakerSettings>(json!({"budget": "1s"})).is_err());
}

/// What a window says nothing of is not more in it than outside.
#[test]
fn limits_that_a_window_leaves_out_are_the_ordinary_ones() {
    let ordinary = json!({"plans_per_minute": 1.0, "statements_per_second": 5.0, "burst": 7});
    let window = json!({"from": "08:00", "to": "09:00", "limits": {"budget": "50ms"}});
    let settings = json!({"limits": ordinary, "schedule": {"windows": [window]}});
    let tree = config(settings).unwrap().tree(Duration::from_secs(5));
    let limits = tree.schedule.unwrap().limits[0];
    assert_eq!(limits.budget.per_minute, Duration::from_millis(50));
    assert_eq!(
        (limits.plans_per_minute, limits.statements_per_second, limits.statement_burst),
        (1.0, 5.0, 7)
    );
}

#[test]
fn a_schedule_changes_the_budget_by_the_time_of_the_week() {
    let window = json!({"days": ["friday"], "from": "08:00", "to": "09:00", "limits": {"budget": "50ms"}});
    let world = world(json!({"schedule": {"time_zone": "UTC", "windows": [window]}}));
    world.admit(Purpose::Statements, "statements", false).unwrap().report(&took(40));
    let is = |expected: f64| {
        let ratio = world.metric("collector_database_budget_ratio", &[]).unwrap();
        assert!((ratio - expected).abs() < 1e-9, "{ratio}");
    };
    is(0.8);
    world.pass(3_600);
    world.admit(Purpose::Statements, "statements", false).unwrap().report(&took(30));
    is(0.1);
}

/// Friday, eight o'clock at Greenwich, is nine in Berlin.
#[test]
fn heavy_work_of_the_settings_waits_for_its_window() {
    let window = json!({"days": ["friday"], "from": "10:00", "to": "11:00"});
    let in_berlin = |more: Value| {
        let mut heavy_work = json!({"time_zone": "Europe/Berlin", "windows": [window]});
        heavy_work.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world(json!({"heavy_work": heavy_work}))
    };
    let admitted = |world: &World| {
        let all = [Purpose::Plans, Purpose::Sizes, Purpose::Sessions, Purpose::Statements];
        all.map(|purpose| world.admit(purpose, "some", false).map(|permit| permit.report(&took(1))).is_ok())
    };
    let world = in_berlin(json!({}));
    assert_eq!(admitted(&world), [false, false, true, true]);
    let denied = world.admit(Purpose::Sizes, "some", false).map(drop).unwrap_err();
    assert!(denied.contains("heavy work waits for its window"), "{denied}");
    world.pass(3_599);
    assert_eq!(admitted(&world), [false, false, true, true]);
    world.pass(1);
    assert_eq!(admitted(&world), [true; 4]);
    world.pass(3_600);
    assert_eq!(admitted(&world), [false, false, true, true]);
    let of_sessions = in_berlin(json!({"classes": ["sessions"]}));
    assert_eq!(admitted(&of_sessions), [true, true, false, true]);
}

/// It is bounded also where nobody wrote one, and never shorter than what the receiver is configured to.
#[test]
fn the_longest_time_out_is_three_times_the_shortest_and_a_minute_at_most() {
    let longest = |settings: Value| {
        let config = config(settings).unwrap();
        [1, 5, 30, 60].map(|secs| config.tree(Duration::from_secs(secs)).timeout.max.as_secs())
    };
    assert_eq!(longest(json!({})), [3, 15, 60, 60]);
    assert_eq!(longest(json!({"max_timeout": "20s"})), [20, 20, 30, 60]);
}

#[test]
fn the_account_grows_with_the_databases_and_goes_back_with_them() {
    let world = world(json!({}));
    let bytes = || {
        world.guard.publish();
        let account = [("account", "receiver postgresql guard")];
        world.registry.value("dbintel_memory_account_bytes", &account).unwrap()
    };
    let empty = bytes();
    let permit = world.admit(Purpose::Statements, "statements", false).unwrap();
    let (with_permit, one_database) = (bytes(), {
        permit.report(&took(1));
        bytes()
    });
    assert!(empty > 0.0 && one_database > empty && with_permit > one_database);
    world.admit(Purpose::Sizes, "sizes", false).unwrap().report(&took(1));
    assert!(bytes() > one_database, "another query of ours");
    world.guard.retain_databases(&|_| false);
    assert_eq!(bytes(), empty);
}

#[test]
fn a_database_that_is_gone_has_no_series_and_the_others_keep_theirs() {
    let world = world(json!({}));
    world.admit(Purpose::Statements, "statements", false).unwrap().report(&took(1));
    world.guard.publish();
    let databases = || -> Vec<String> {
        let readings = world.registry.read();
        let labels = readings.iter().flat_map(|reading| reading.series.iter().map(|(labels, _)| labels));
        let named = labels.flat_map(|labels| labels.iter().filter(|(name, _)| *name == "database"));
        let mut names: Vec<String> = named.map(|(_, value)| value.to_string()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let before = databases();
    assert!(before.contains(&String::new()) && before.len() == 2, "{before:?}");
    world.guard.retain_databases(&|_| true);
    world.guard.publish();
    assert_eq!(databases(), before);
    world.guard.retain_databases(&|_| false);
    world.guard.publish();
    assert_eq!(databases(), [""]);
}
