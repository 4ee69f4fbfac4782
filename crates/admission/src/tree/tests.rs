use proptest::prelude::*;

use super::*;
use crate::breaker::State;
use crate::ledger::Budget;
use crate::schedule::{Days, Schedule, TimeOfDay, Window};
use crate::shed::ShedLevel;
use crate::vocabulary::{CostClass, Outcome, StatementError};
use crate::{HeavyWork, LimitSchedule};

const NOON: Timestamp = Timestamp::from_nanos(1_767_268_800_000_000_000);
const MIDNIGHT: Timestamp = Timestamp::from_nanos(NOON.as_nanos() + 12 * 3_600_000_000_000);

fn at_ms(ms: u64) -> Monotonic {
    Monotonic::default().plus(Duration::from_millis(ms))
}

fn at(secs: u64) -> Monotonic {
    at_ms(secs * 1_000)
}

fn tree() -> ServerTree {
    ServerTree::new(TreeConfig::default(), at(0))
}

fn request<'a>(database: &'a str, feature: &'a str) -> Request<'a> {
    Request { database: Some(database), feature, purpose: Purpose::Statements, cheapest: false }
}

fn probe(database: &str) -> Request<'_> {
    Request { database: Some(database), feature: "probe", purpose: Purpose::Connect, cheapest: true }
}

fn ok(database_ms: u64) -> Outcome {
    let time = Duration::from_millis(database_ms);
    Outcome { wall: time, database: Some(time), rows: 1, error: None }
}

fn failed(error: StatementError) -> Outcome {
    Outcome { wall: Duration::from_millis(1), database: None, rows: 0, error: Some(error) }
}

fn sqlstate(code: &'static str) -> Outcome {
    failed(StatementError::Sqlstate(code.into()))
}

fn admit(tree: &mut ServerTree, now: Monotonic, request: &Request<'_>) -> Result<Grant, Denial> {
    tree.admit(now, NOON, request, ProcessVerdict::default())
}

fn report(tree: &mut ServerTree, now: Monotonic, id: GrantId, outcome: &Outcome) -> Vec<NodeTransition> {
    tree.report(now, id, outcome, &mut fastrand::Rng::with_seed(1))
}

fn run(
    tree: &mut ServerTree,
    now: Monotonic,
    request: &Request<'_>,
    outcome: &Outcome,
) -> Vec<NodeTransition> {
    let grant = admit(tree, now, request).unwrap();
    report(tree, now, grant.id, outcome)
}

/// From ten in the evening to six in the morning.
fn night() -> Schedule {
    let time = |text| TimeOfDay::try_parse(text).unwrap();
    let night = Window { days: Days::ALL, from: time("22:00"), to: time("06:00") };
    Schedule::try_new("UTC", vec![night]).unwrap()
}

/// What stands against a request: level, gate and class.
fn against(
    tree: &mut ServerTree,
    now: Monotonic,
    request: &Request<'_>,
) -> (Level, Gate, Option<FailureClass>) {
    let denial = admit(tree, now, request).unwrap_err();
    assert!(!denial.reason.is_empty() && !denial.retry_after.is_zero());
    (denial.level, denial.gate, denial.class)
}

#[test]
fn a_lost_connection_in_one_database_denies_all_and_the_server_recovers() {
    let mut tree = tree();
    assert_eq!(run(&mut tree, at(0), &request("a", "statements"), &failed(StatementError::Connection)), []);
    let opened = run(&mut tree, at(1), &request("a", "statements"), &failed(StatementError::Connection));
    assert_eq!((opened.len(), opened[0].level, &opened[0].database), (1, Level::Server, &None));
    let lost = (Level::Server, Gate::Breaker, Some(FailureClass::ConnectionLost));
    assert_eq!(against(&mut tree, at(1), &request("b", "statements")), lost);
    assert_eq!(against(&mut tree, at(1), &Request { database: None, ..request("", "wal") }), lost);

    let grant = admit(&mut tree, at(3), &probe("b")).unwrap();
    assert!(grant.probe && grant.transitions[0].transition.to == State::HalfOpen);
    assert_eq!(against(&mut tree, at(3), &probe("a")), (Level::Server, Gate::Breaker, None));
    report(&mut tree, at(3), grant.id, &ok(1));
    let closed = run(&mut tree, at(4), &probe("a"), &ok(1));
    assert_eq!((closed[0].level, closed[0].transition.to), (Level::Server, State::Closed));
    assert_eq!(closed[0].transition.open_for, Some(Duration::from_secs(3)));
    assert!(admit(&mut tree, at(4), &request("b", "statements")).is_ok());
}

#[test]
fn lock_timeouts_in_one_database_leave_the_others() {
    let mut tree = tree();
    for feature in ["one", "two"] {
        assert_eq!(run(&mut tree, at(0), &request("a", feature), &sqlstate("55P03")), []);
    }
    let opened = run(&mut tree, at(0), &request("a", "three"), &sqlstate("55P03"));
    assert_eq!(
        (opened.len(), opened[0].level, opened[0].database.as_deref()),
        (1, Level::Database, Some("a"))
    );
    let locked = (Level::Database, Gate::Breaker, Some(FailureClass::LockTimeout));
    assert_eq!(against(&mut tree, at(1), &request("a", "one")), locked);
    assert!(admit(&mut tree, at(1), &request("b", "one")).is_ok());
    assert!(admit(&mut tree, at(1), &Request { database: None, ..request("", "wal") }).is_ok());
}

#[test]
fn a_missing_privilege_disables_one_feature_and_is_asked_again_rarely() {
    let mut tree = tree();
    let opened = run(&mut tree, at(0), &request("a", "sizes"), &sqlstate("42501"));
    assert_eq!(
        (opened.len(), opened[0].level, opened[0].feature.as_deref()),
        (1, Level::Feature, Some("sizes"))
    );
    let denied = (Level::Feature, Gate::Breaker, Some(FailureClass::InsufficientPrivilege));
    assert_eq!(against(&mut tree, at(149), &request("a", "sizes")), denied);
    assert_eq!(run(&mut tree, at(149), &request("a", "tables"), &ok(1)), []);
    assert_eq!(run(&mut tree, at(149), &request("b", "sizes"), &ok(1)), []);
    assert!(admit(&mut tree, at(300), &request("a", "sizes")).unwrap().probe, "the wait is 150 to 300 s");
}

#[test]
fn a_feature_that_times_out_alone_is_given_up_alone() {
    let mut tree = tree();
    let mut opened = Vec::new();
    for second in 0..3 {
        opened.extend(run(&mut tree, at(second), &request("a", "heavy"), &sqlstate("57014")));
        opened.extend(run(&mut tree, at(second), &request("a", "light"), &ok(1)));
    }
    assert_eq!(opened.iter().map(|t| t.level).collect::<Vec<_>>(), [Level::Feature]);
    assert!(admit(&mut tree, at(3), &request("a", "light")).is_ok());
}

#[test]
fn slow_statements_open_the_database() {
    let mut config = TreeConfig::default();
    config.limits.budget = Budget::of_core(1.0);
    let mut tree = ServerTree::new(config, at(0));
    let slow = ok(5_001);
    let mut slow_run = |feature| run(&mut tree, at(0), &request("a", feature), &slow);
    assert_eq!([slow_run("x"), slow_run("y")], [[], []]);
    let opened = slow_run("z");
    assert_eq!((opened.len(), opened[0].level), (1, Level::Database));
    assert_eq!(opened[0].transition.class, Some(FailureClass::Slow));
    assert!(admit(&mut tree, at(0), &request("b", "x")).is_ok());
}

#[test]
fn a_full_table_and_a_zero_limit_name_their_gate() {
    let mut config = TreeConfig { max_databases: 1, max_features: 2, max_grants: 3, ..TreeConfig::default() };
    let mut tree = ServerTree::new(config.clone(), at(0));
    let full = |level| (level, Gate::LimitReached, None);
    let _ = admit(&mut tree, at(0), &request("a", "one")).unwrap();
    let _ = admit(&mut tree, at(0), &request("a", "two")).unwrap();
    assert_eq!(against(&mut tree, at(0), &request("b", "one")), full(Level::Database));
    assert_eq!(against(&mut tree, at(0), &request("a", "three")), full(Level::Feature));
    let _ = admit(&mut tree, at(0), &request("a", "one")).unwrap();
    assert_eq!(against(&mut tree, at(0), &request("a", "one")), full(Level::Server));
    let held = Override::Open { reason: "x".into(), until: at(9) };
    assert_eq!(
        tree.order(at(0), &Scope::Database(Some("b".into())), held.clone()).unwrap_err().gate,
        Gate::LimitReached
    );
    let feature = Scope::Feature(Some("a".into()), "three".into());
    assert_eq!(tree.order(at(0), &feature, held).unwrap_err().gate, Gate::LimitReached);

    config.limits.budget = Budget::of_core(0.0);
    let mut tree = ServerTree::new(config.clone(), at(0));
    assert_eq!(against(&mut tree, at(0), &request("a", "one")).1, Gate::Budget);
    config.limits = Limits { statement_burst: 0, ..Limits::default() };
    let mut tree = ServerTree::new(config, at(0));
    assert_eq!(against(&mut tree, at(0), &probe("a")).1, Gate::Rate);
}

#[test]
fn the_process_gives_up_work_in_order_and_itself_last() {
    let mut tree = tree();
    let mut gate = |purpose, level| {
        let verdict = ProcessVerdict { level, rate_exhausted: None };
        let request = Request { purpose, ..request("a", "x") };
        tree.admit(at(0), NOON, &request, verdict).err().map(|denial| denial.gate)
    };
    assert_eq!(gate(Purpose::Plans, ShedLevel::Plans), Some(Gate::Process));
    assert_eq!(gate(Purpose::Sessions, ShedLevel::Plans), None);
    assert_eq!(gate(Purpose::Statements, ShedLevel::Statements), Some(Gate::Process));
    assert_eq!(gate(Purpose::Connect, ShedLevel::Statements), None);
    assert_eq!(gate(Purpose::Connect, ShedLevel::Everything), Some(Gate::Process));
    let verdict = ProcessVerdict { level: ShedLevel::Nothing, rate_exhausted: Some(Duration::from_secs(1)) };
    assert_eq!(tree.admit(at(0), NOON, &probe("a"), verdict).unwrap_err().gate, Gate::ProcessRate);
}

#[test]
fn plans_have_a_limit_of_their_own_and_statements_at_once_too() {
    let mut tree = tree();
    let plan = Request { purpose: Purpose::Plans, ..request("a", "plan") };
    for _ in 0..2 {
        run(&mut tree, at(0), &plan, &ok(0));
    }
    assert_eq!(against(&mut tree, at(0), &plan).1, Gate::PlanRate);
    assert_eq!(tree.view(at(0)).nodes[1].rate_rejected, 1);
    run(&mut tree, at(0), &request("a", "other"), &ok(0));
    for _ in 0..4 {
        let _ = admit(&mut tree, at(0), &request("a", "other")).unwrap();
    }
    assert_eq!(against(&mut tree, at(0), &request("a", "other")).1, Gate::InFlight);
}

#[test]
fn distress_opens_the_right_breaker_and_the_unknown_none() {
    let check = |signals: DistressSignals, expected: Option<(Level, FailureClass)>| {
        let mut tree = tree();
        run(&mut tree, at(0), &request("a", "x"), &ok(1));
        let transitions = tree.distress(at(0), Some("a"), &signals, &mut fastrand::Rng::with_seed(1));
        let found = transitions.first().map(|t| (t.level, t.transition.class.unwrap()));
        assert_eq!(found, expected, "{signals:?}");
        assert_eq!(admit(&mut tree, at(0), &request("a", "x")).is_err(), expected.is_some());
        let server = expected.is_some_and(|(level, _)| level == Level::Server);
        assert_eq!(admit(&mut tree, at(0), &request("b", "x")).is_err(), server);
    };
    let none = DistressSignals::default();
    check(none, None);
    check(DistressSignals { free_connection_slots: Some(3), own_lock_waits: Some(0), ..none }, None);
    let slots = Some((Level::Server, FailureClass::DistressSlots));
    check(DistressSignals { free_connection_slots: Some(2), ..none }, slots);
    let replay = Some((Level::Server, FailureClass::DistressReplay));
    check(DistressSignals { replay_lag_rising_while_snapshot_open: Some(true), ..none }, replay);
    let locks = Some((Level::Database, FailureClass::DistressLocks));
    check(DistressSignals { own_lock_waits: Some(1), ..none }, locks);
    let planning = Some((Level::Database, FailureClass::DistressPlanning));
    check(DistressSignals { planning_time: Some(Duration::from_secs(1)), ..none }, planning);
    check(DistressSignals { planning_time: Some(TreeConfig::default().planning_time_max), ..none }, None);
}

/// A GRANT is as good as the end of the wait for what was refused for want of it, there and only there.
#[test]
fn changed_abilities_let_refused_queries_try_at_once() {
    let refused = |code| {
        let mut tree = tree();
        for database in ["a", "b"] {
            run(&mut tree, at(0), &request(database, "view"), &sqlstate(code));
            run(&mut tree, at(0), &request(database, "other"), &ok(1));
            let _ = admit(&mut tree, at(1), &request(database, "view")).unwrap_err();
        }
        tree
    };
    for code in ["42501", "42P01", "55000"] {
        let mut tree = refused(code);
        tree.abilities_changed(at(1), Some("a"));
        let probe = admit(&mut tree, at(1), &request("a", "view")).unwrap();
        assert!(probe.probe, "{code}: one probe, not a flood");
        let _ = admit(&mut tree, at(1), &request("a", "view")).unwrap_err();
        let _ = admit(&mut tree, at(1), &request("b", "view")).unwrap_err();
        assert_eq!(report(&mut tree, at(2), probe.id, &ok(1)), []);
        let closed = run(&mut tree, at(3), &request("a", "view"), &ok(1));
        assert_eq!((closed[0].level, closed[0].transition.to), (Level::Feature, State::Closed));
        tree.abilities_changed(at(4), None);
        assert!(admit(&mut tree, at(4), &request("b", "view")).unwrap().probe, "{code}: everywhere");
    }
    // What has nothing to do with abilities waits on, and so does what a person holds open.
    let mut tree = refused("42501");
    for _ in 0..FailureClass::ServerError.rule().threshold {
        run(&mut tree, at(1), &request("a", "broken"), &sqlstate("XX000"));
    }
    let held = Override::Open { reason: "night".into(), until: at(60) };
    tree.order(at(1), &Scope::Feature(Some("a".into()), "other".into()), held).unwrap();
    tree.abilities_changed(at(2), None);
    for feature in ["broken", "other"] {
        let _ = admit(&mut tree, at(2), &request("a", feature)).unwrap_err();
    }
}

/// A probe that was let through early and failed does not begin the waits anew.
#[test]
fn a_probe_that_came_early_and_failed_lengthens_the_wait() {
    let mut tree = tree();
    let opened = run(&mut tree, at(0), &request("a", "view"), &sqlstate("42501"));
    let first = opened[0].transition.wait.unwrap();
    tree.abilities_changed(at(1), None);
    let again = run(&mut tree, at(1), &request("a", "view"), &sqlstate("42501"));
    assert_eq!(again.len(), 1, "{again:?}");
    let base = FailureClass::InsufficientPrivilege.rule().base;
    assert!(first <= base && again[0].transition.wait.unwrap() >= base, "{first:?} {again:?}");
}

#[test]
fn orders_reach_what_was_never_asked_for_and_end_by_themselves() {
    let mut tree = tree();
    let scope = Scope::Feature(Some("a".into()), "sizes".into());
    let held = Override::Open { reason: "night".into(), until: at(60) };
    let transition = tree.order(at(0), &scope, held).unwrap().unwrap();
    assert_eq!((transition.level, transition.feature.as_deref()), (Level::Feature, Some("sizes")));
    let denial = admit(&mut tree, at(1), &request("a", "sizes")).unwrap_err();
    assert_eq!(
        (denial.reason.as_str(), denial.retry_after.as_secs()),
        ("feature sizes, breaker: by order: night", 59)
    );
    assert!(admit(&mut tree, at(1), &request("a", "tables")).is_ok());
    assert!(admit(&mut tree, at(60), &request("a", "sizes")).unwrap().probe);
}

/// A migration may rename the database, or keep everybody out, for a while.
#[test]
fn a_hold_outlives_its_database_and_ends_with_its_time() {
    let feature = Scope::Feature(Some("b".into()), "sizes".into());
    for (scope, database) in [(Scope::Database(Some("a".into())), "a"), (feature, "b")] {
        let mut tree = tree();
        let held = Override::Open { reason: "migration".into(), until: at(60) };
        tree.order(at(0), &scope, held).unwrap();
        tree.retain_databases(at(1), |_| false);
        assert!(tree.knows(database));
        let denial = admit(&mut tree, at(10), &request(database, "sizes")).unwrap_err();
        assert!(denial.reason.ends_with("by order: migration"), "{}", denial.reason);
        tree.retain_databases(at(60), |_| false);
        assert!(!tree.knows(database));
    }
}

/// Of databases that pg_hba.conf does not let us into, the others know nothing. A wrong password is wrong everywhere.
#[test]
fn a_database_that_refuses_us_alone_opens_only_its_own_breaker() {
    let connect =
        |database| Request { database, feature: "connect", purpose: Purpose::Connect, cheapest: true };
    let opened = |database, code| {
        let mut tree = tree();
        let transitions = run(&mut tree, at(0), &connect(database), &sqlstate(code));
        let levels: Vec<_> = transitions.iter().map(|transition| transition.level).collect();
        (levels.contains(&Level::Server), admit(&mut tree, at(1), &request("app", "x")).is_ok())
    };
    assert_eq!(opened(Some("rejected"), "28000"), (false, true));
    assert_eq!(opened(Some("rejected"), "28P01"), (true, false));
    assert_eq!(opened(None, "28000"), (true, false));
    let mut tree = tree();
    run(&mut tree, at(0), &connect(Some("rejected")), &sqlstate("28000"));
    let denial = admit(&mut tree, at(1), &connect(Some("rejected"))).unwrap_err();
    assert_eq!((denial.level, denial.class), (Level::Database, Some(FailureClass::AuthenticationFailed)));
}

#[test]
fn a_lost_grant_is_written_off_at_its_timeout_and_its_report_is_harmless() {
    let mut tree = tree();
    let lost = admit(&mut tree, at(0), &request("a", "x")).unwrap();
    run(&mut tree, at(119), &request("a", "y"), &ok(1));
    assert_eq!((tree.view(at(119)).grants, tree.view(at(119)).nodes[1].in_flight), (1, 1));
    assert!(admit(&mut tree, at(120), &request("b", "y")).is_ok());
    let view = tree.view(at(120));
    assert_eq!((view.grants, view.nodes[1].in_flight), (1, 0));
    assert_eq!(view.nodes[1].spent, lost.timeout + Duration::from_millis(1));
    assert_eq!(report(&mut tree, at(121), lost.id, &failed(StatementError::Connection)), []);
    assert_eq!(tree.view(at(120)), view);
}

#[test]
fn a_report_for_a_database_that_is_gone_or_back_touches_only_the_server() {
    let mut tree = tree();
    let early = admit(&mut tree, at(0), &request("a", "x")).unwrap();
    tree.retain_databases(at(0), |name| name != "a");
    assert_eq!(tree.view(at(0)).nodes.len(), 1);
    run(&mut tree, at(0), &request("a", "x"), &ok(1));
    let view = tree.view(at(1));
    for grant in [early.id, early.id] {
        assert_eq!(report(&mut tree, at(1), grant, &sqlstate("42501")), []);
    }
    assert_eq!(tree.view(at(1)).nodes, view.nodes);
}

#[test]
fn limits_follow_the_clock_on_the_wall_and_heavy_work_waits_for_its_window() {
    let schedule = night();
    let limits = Limits { statements_per_second: 1.0, statement_burst: 1, ..Limits::default() };
    let mut tree = ServerTree::new(
        TreeConfig {
            schedule: Some(LimitSchedule { schedule: schedule.clone(), limits: vec![limits] }),
            heavy_work: Some(HeavyWork { schedule, classes: vec![CostClass::Sizes] }),
            ..TreeConfig::default()
        },
        at(0),
    );
    let sizes = Request { purpose: Purpose::Sizes, ..request("a", "sizes") };
    let denial = admit(&mut tree, at(0), &sizes).unwrap_err();
    assert_eq!((denial.gate, denial.retry_after), (Gate::Window, Duration::from_secs(10 * 3_600)));
    run(&mut tree, at(0), &request("a", "x"), &ok(0));
    // One was used, and stays used under the limit of the night.
    let verdict = ProcessVerdict::default();
    assert_eq!(tree.admit(at(0), MIDNIGHT, &sizes, verdict).unwrap_err().gate, Gate::Rate);
    assert!(tree.admit(at(1), MIDNIGHT, &sizes, verdict).is_ok());
    assert_eq!((tree.view(at(1)).window, tree.view(at(1)).nodes[1].statements_per_second), (Some(0), 1.0));
}

#[test]
fn the_rate_follows_the_database_and_not_what_we_reject() {
    let mut tree = tree();
    let rate = |tree: &ServerTree| tree.view(at(0)).nodes[1].statements_per_second;
    run(&mut tree, at(0), &request("a", "x"), &ok(0));
    while let Ok(grant) = admit(&mut tree, at(0), &request("a", "x")) {
        report(&mut tree, at(0), grant.id, &ok(0));
    }
    assert_eq!(against(&mut tree, at(0), &request("a", "x")).1, Gate::Rate);
    assert_eq!(rate(&tree), 50.0);
    tree = self::tree();
    run(&mut tree, at(0), &request("a", "x"), &sqlstate("42501"));
    assert_eq!(rate(&tree), 50.0, "a privilege is not the database's health");
    let plans = |tree: &ServerTree| {
        let node = tree.databases.values().next().unwrap();
        (node.plans.rate().as_per_second() * 60.0 * 1e3).round() / 1e3
    };
    let usual = TreeConfig::default().limits.plans_per_minute;
    assert_eq!(plans(&tree), usual);
    run(&mut tree, at(0), &request("a", "y"), &sqlstate("57014"));
    assert_eq!((rate(&tree), plans(&tree)), (25.0, usual / 2.0));
    // Half a statement a second comes back every ten seconds, and a tenth of the EXPLAINs.
    run(&mut tree, at(10), &request("a", "z"), &ok(0));
    assert_eq!((rate(&tree), plans(&tree)), (25.5, (usual * 600.0).round() / 1e3));
    for second in [20, 30, 40] {
        run(&mut tree, at(second), &request("a", "z"), &sqlstate("57014"));
    }
    assert_eq!(plans(&tree), usual / 4.0, "it never falls lower");
    let fewer = Limits { plans_per_minute: 1.0, ..TreeConfig::default().limits };
    tree.databases.values_mut().for_each(|node| node.set_limits(at(40), &fewer));
    assert_eq!(plans(&tree), 1.0, "what a schedule allows comes first");
    tree.databases.values_mut().for_each(|node| node.observe(at(60), crate::aimd::Signal::Bad));
    assert_eq!(plans(&tree), 0.5, "and is halved like any other");
}

/// A statement that succeeds, but takes far longer than it usually does, halves the rate; nothing opens. What is usual is known of
/// each query for itself.
#[test]
fn a_statement_far_slower_than_usual_lowers_the_rate() {
    let mut tree = tree();
    let rates = |tree: &ServerTree| {
        let node = &tree.view(at(0)).nodes[1];
        (node.statements_per_second, (node.plans_per_minute * 1e3).round() / 1e3)
    };
    for _ in 0..tree.config.aimd.baseline_samples {
        assert_eq!(run(&mut tree, at(0), &request("a", "x"), &ok(1)), []);
    }
    let usual = (tree.config.limits.statements_per_second, tree.config.limits.plans_per_minute);
    run(&mut tree, at(0), &request("a", "another"), &ok(60));
    assert_eq!(rates(&tree), usual);
    assert_eq!(run(&mut tree, at(0), &request("a", "x"), &ok(60)), []);
    assert_eq!(rates(&tree), (usual.0 / 2.0, usual.1 / 2.0));
}

#[test]
fn optional_work_comes_back_when_nothing_else_runs() {
    let mut tree = tree();
    let sessions = Request { purpose: Purpose::Sessions, ..request("a", "sessions") };
    run(&mut tree, at(0), &sessions, &ok(400));
    for second in 0..=60 {
        assert_eq!(against(&mut tree, at(second), &sessions).1, Gate::Budget);
    }
    assert_eq!(tree.stretch(at(60), Some("a")), 2.0);
    assert!(admit(&mut tree, at(61), &sessions).is_ok());
}

/// What fails on our side before anything is sent says nothing of the server: no breaker opens, and the rate stays.
#[test]
fn what_was_not_sent_opens_nothing_and_costs_no_rate() {
    let mut tree = ServerTree::new(TreeConfig::default(), at(0));
    let connect = Request { purpose: Purpose::Connect, ..request("a", "connect") };
    let rate = |tree: &ServerTree| {
        let view = tree.view(at(0));
        view.nodes.iter().map(|node| node.statements_per_second).collect::<Vec<_>>()
    };
    run(&mut tree, at(0), &connect, &ok(1));
    let before = rate(&tree);
    for second in 1..30 {
        assert!(run(&mut tree, at(second), &connect, &failed(StatementError::NotSent)).is_empty());
    }
    assert_eq!((rate(&tree), tree.view(at(30)).breaker.state), (before, State::Closed));
    // The same as a connection that is lost opens.
    run(&mut tree, at(31), &connect, &failed(StatementError::Connection));
    let lost = run(&mut tree, at(32), &connect, &failed(StatementError::Connection));
    assert_eq!(lost.len(), 1);
}

/// Everything a tree holds but its counts of rejections.
fn all_of(tree: &ServerTree) -> String {
    let mut tree = tree.clone();
    tree.databases.values_mut().for_each(|node| node.rate_rejected = 0);
    // That there was no room is remembered, for the cadence.
    let tree = format!("{tree:?}").replace("found_no_room: true", "found_no_room: false");
    tree.replace("gate_was_closed: true", "gate_was_closed: false")
}

/// An outcome by number.
fn outcome(how: u8, cost_ms: u64) -> Outcome {
    match how {
        0 => failed(StatementError::Connection),
        1 => failed(StatementError::Deadline),
        2 => failed(StatementError::Abandoned),
        3 => failed(StatementError::Decode),
        4 => sqlstate("55P03"),
        5 => sqlstate("42501"),
        6 => sqlstate("53300"),
        7 => failed(StatementError::NotSent),
        _ => ok(cost_ms),
    }
}

proptest! {
    /// Any history: a denied request changes nothing but the count of rejections; a server that was given up has at most
    /// one probe out; tables keep their bounds; and time and successes heal everything.
    #[test]
    fn any_history_keeps_the_promises(
        steps in prop::collection::vec(
            (0u64..20_000, 0usize..4, 0usize..4, 0usize..Purpose::COUNT, any::<bool>(), 0u8..12, 0u64..100), 1..150,
        ),
        seed: u64,
    ) {
        let config = TreeConfig { max_databases: 3, max_features: 3, max_grants: 8, ..TreeConfig::default() };
        let mut tree = ServerTree::new(config.clone(), at(0));
        let mut random = fastrand::Rng::with_seed(seed);
        let (names, mut now, mut out) = (["a", "b", "c", "d"], at(0), Vec::new());
        for (wait, database, feature, purpose, cheapest, how, cost) in steps {
            now = now.plus(Duration::from_millis(wait));
            let (database, purpose) = (names[database], Purpose::ALL[purpose]);
            let request = Request { database: Some(database), feature: names[feature], purpose, cheapest };
            tree.tend(now, Some(database));
            let (before, untouched) = (tree.view(now), all_of(&tree));
            match admit(&mut tree, now, &request) {
                Ok(grant) => {
                    if before.breaker.state != State::Closed {
                        prop_assert!(grant.probe && cheapest);
                    }
                    let node = before.nodes.iter().find(|node| node.database.as_deref() == Some(database));
                    if node.is_some_and(|node| node.breaker.state != State::Closed) {
                        prop_assert!(grant.probe && cheapest);
                    }
                    out.push(grant.id);
                }
                Err(_) => {
                    prop_assert_eq!(all_of(&tree), untouched);
                }
            }
            if how % 2 == 0 && !out.is_empty() {
                let id = out.swap_remove(usize::from(how) % out.len());
                tree.report(now, id, &outcome(how, cost), &mut random);
            }
            let view = tree.view(now);
            prop_assert!(view.nodes.len() <= 4 && view.grants <= 8);
            prop_assert!(view.nodes.iter().all(|node| node.features.len() <= 3 && node.in_flight <= 4));
        }
        // Past every wait; then the probe of each database in turn, until all is closed.
        now = now.plus(Duration::from_secs(3_600));
        for _ in 0..20 {
            for database in names {
                for feature in names {
                    let request = Request { feature, ..probe(database) };
                    if let Ok(grant) = admit(&mut tree, now, &request) {
                        tree.report(now, grant.id, &ok(0), &mut random);
                    }
                }
            }
            now = now.plus(Duration::from_secs(61));
        }
        let view = tree.view(now);
        prop_assert_eq!((view.breaker.state, view.grants), (State::Closed, 0));
        for node in view.nodes.iter().skip(1) {
            prop_assert_eq!((node.breaker.state, node.in_flight), (State::Closed, 0));
            prop_assert!(node.features.iter().all(|feature| feature.breaker.state == State::Closed));
        }
    }

    /// The gates fail closed, whatever happened before and whoever asks: where a table is full there is no permit for what is
    /// not in it, and where a limit is zero there is none at all, but for the one probe a minute that a budget lets pass.
    #[test]
    fn the_gates_fail_closed(
        steps in prop::collection::vec(
            (
                (0u64..20_000, any::<bool>()),
                (0usize..4, 0usize..4, 0usize..Purpose::COUNT, any::<bool>()),
                (0u8..12, 0u64..100),
            ),
            1..150,
        ),
        tables in (0usize..4, 0usize..4, 0usize..8),
        zero in 0usize..5,
        seed: u64,
    ) {
        let (max_databases, max_features, max_grants) = tables;
        let mut limits = Limits::default();
        match zero {
            0 => limits.statement_burst = 0,
            1 => limits.budget = Budget::of_core(0.0),
            2 => limits.plan_burst = 0,
            _ => {}
        }
        let schedule = Some(LimitSchedule { schedule: night(), limits: vec![limits] });
        let max_in_flight = if zero == 3 { 0 } else { TreeConfig::default().max_in_flight };
        let config = TreeConfig {
            max_databases, max_features, max_grants, max_in_flight, schedule, ..TreeConfig::default()
        };
        let mut tree = ServerTree::new(config, at(0));
        let mut random = fastrand::Rng::with_seed(seed);
        let (names, mut now, mut out, mut probed) = (["a", "b", "c", "d"], at(0), Vec::new(), BTreeMap::new());
        for ((wait, is_night), (database, feature, purpose, cheapest), (how, cost)) in steps {
            now = now.plus(Duration::from_millis(wait));
            let (database, feature, purpose) = (names[database], names[feature], Purpose::ALL[purpose]);
            tree.tend(now, Some(database));
            let view = tree.view(now);
            let node = view.nodes.iter().find(|node| node.database.as_deref() == Some(database));
            let features = node.map_or(&[][..], |node| node.features.as_slice());
            let is_full = view.grants >= max_grants
                || node.is_none() && view.nodes.len() > max_databases
                || features.len() >= max_features && features.iter().all(|held| held.feature.as_str() != feature);
            let class = purpose.class();
            let is_probe = cheapest && class == CostClass::Connection;
            let probed_lately = || probed.get(database).is_some_and(|at| now.since(*at) < Duration::from_secs(60));
            let is_zero = match zero {
                0 => is_night,
                1 => is_night && (probed_lately() || !is_probe),
                2 => is_night && class == CostClass::Plans,
                3 => true,
                _ => false,
            };
            let request = Request { database: Some(database), feature, purpose, cheapest };
            let wall = if is_night { MIDNIGHT } else { NOON };
            let granted = tree.admit(now, wall, &request, ProcessVerdict::default());
            prop_assert!(granted.is_err() || !is_full && !is_zero, "{request:?}: {is_full} {is_zero} {view:?}");
            if let Ok(grant) = granted {
                out.push(grant.id);
                if is_night {
                    probed.insert(database, now);
                }
            }
            if how % 2 == 0 && !out.is_empty() {
                let id = out.swap_remove(usize::from(how) % out.len());
                tree.report(now, id, &outcome(how, cost), &mut random);
            }
        }
    }

    /// One statement at a time: over any minute a database costs less than the budget plus one statement, and plus one
    /// probe, whatever is asked.
    #[test]
    fn the_budget_of_every_minute_is_held(
        steps in prop::collection::vec((0u64..2_000, 0usize..Purpose::COUNT, any::<bool>(), 0u64..150), 1..300),
    ) {
        let mut tree = ServerTree::new(TreeConfig { max_in_flight: 1, ..TreeConfig::default() }, at(0));
        let (mut now_ms, mut costs) = (0, Vec::<(u64, u64)>::new());
        for (wait, purpose, cheapest, cost) in steps {
            now_ms += wait;
            let request = Request { purpose: Purpose::ALL[purpose], cheapest, ..request("a", "x") };
            if let Ok(grant) = admit(&mut tree, at_ms(now_ms), &request) {
                now_ms += cost;
                report(&mut tree, at_ms(now_ms), grant.id, &ok(cost));
                costs.push((now_ms, cost));
            }
        }
        for (end, _) in &costs {
            let minute = costs.iter().filter(|(at, _)| at <= end && end - at < 60_000);
            let spent: u64 = minute.map(|(_, cost)| cost).sum();
            prop_assert!(spent < 300 + 150 + 150, "{spent} ms up to {end}");
        }
    }
}
