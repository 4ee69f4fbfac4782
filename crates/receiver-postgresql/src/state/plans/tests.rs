use std::sync::Arc;

use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{
    Attribute, Change, ChangeKind, Clock as _, Counters, Exactness, Interval, ManualClock, PlanFormat,
    PlanIdentity, PlanRung, ROLE_FACT, TABLE_FACT, Timestamp,
};

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

fn key(query_id: i64) -> QueryKey {
    QueryKey {
        system: "postgresql",
        database: "app".into(),
        database_id: 5,
        user: "web".into(),
        user_id: 10,
        query_id,
        toplevel: None,
    }
}

fn text(raw: &str) -> Arc<QueryText> {
    Arc::new(crate::state::texts::query_text(raw, false))
}

fn query(query_id: i64, total_time_ms: f64, raw: &str) -> Record {
    Record::Query(Box::new(Query {
        key: key(query_id),
        text: Some(text(raw)),
        interval: Interval { start: Timestamp::default(), end: Timestamp::default() },
        calls: 1,
        total_time_ms,
        moments: None,
        counters: Counters::new(&STATEMENT_COUNTERS, &vec![f64::NAN; STATEMENT_COUNTERS.len()]),
        exactness: Exactness::Exact,
        rank: Some(1),
        plan: None,
        plan_missing: None,
        plan_times: None,
        errors: None,
    }))
}

fn due(probes: &Probes, clock: &ManualClock, max: usize) -> Vec<i64> {
    probes.due(clock.monotonic(), max).iter().map(|candidate| candidate.key.query_id).collect()
}

fn three(clock: &ManualClock) -> Probes {
    let mut probes = Probes::every(HOUR);
    let mut records = [
        query(1, 1.0, "select * from a"),
        query(2, 9.0, "select * from b"),
        query(3, 5.0, "select * from c"),
    ];
    probes.observe(&mut records, clock.monotonic());
    probes
}

#[test]
fn what_was_asked_for_comes_first_then_what_takes_most_time() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = three(&clock);
    assert_eq!(due(&probes, &clock, 2), [2, 3]);
    probes.request(key(1), clock.monotonic());
    probes.request(key(4), clock.monotonic());
    assert_eq!(due(&probes, &clock, 9), [1, 4, 2, 3]);
    for id in [1, 4, 2, 3] {
        probes.explained(&key(id), clock.monotonic());
    }
    assert_eq!(due(&probes, &clock, 9), [0; 0]);
    // A request is served even if its turn has not come.
    probes.request(key(3), clock.monotonic());
    assert_eq!(due(&probes, &clock, 9), [3]);
    probes.explained(&key(3), clock.monotonic());
    clock.advance(HOUR);
    assert_eq!(due(&probes, &clock, 9), [2, 3, 1, 4]);
}

#[test]
fn a_change_moves_the_statements_of_its_table_to_the_front_but_not_too_soon() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = three(&clock);
    for id in [1, 2, 3] {
        probes.explained(&key(id), clock.monotonic());
    }
    let change = |kind, subject: Option<&str>| {
        let mut change = Change::new(kind);
        (change.database, change.subject) =
            (subject.map(|_| "app".into()), subject.map(|subject| subject.to_owned().into()));
        [Record::Change(Box::new(change))]
    };
    probes.observe(&mut change(ChangeKind::Analyze, Some("public.c")), clock.monotonic());
    assert_eq!(due(&probes, &clock, 9), [0; 0]);
    clock.advance(MIN_PAUSE_AFTER_CHANGE);
    assert_eq!(due(&probes, &clock, 9), [3]);
    probes.observe(&mut change(ChangeKind::Setting, None), clock.monotonic());
    assert_eq!(due(&probes, &clock, 9), [2, 3, 1]);
    probes.explained(&key(3), clock.monotonic());
    probes.observe(&mut change(ChangeKind::StatisticsReset, None), clock.monotonic());
    assert_eq!(due(&probes, &clock, 9), [2, 1]);
}

#[test]
fn ddl_moves_the_statements_of_its_table_and_a_setting_those_of_its_role() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = three(&clock);
    for id in [1, 2, 3] {
        probes.explained(&key(id), clock.monotonic());
    }
    clock.advance(MIN_PAUSE_AFTER_CHANGE);
    let mut observe = |kind, subject: &'static str, facts: &[(&'static str, &'static str)]| {
        let facts = facts.iter().map(|(key, value)| Attribute::new(*key, *value)).collect();
        let (database, subject) = (Some("app".into()), Some(subject.into()));
        let change = Change { database, subject, facts, ..Change::new(kind) };
        probes.observe(&mut [Record::Change(Box::new(change))], clock.monotonic());
        due(&probes, &clock, 9)
    };
    let ddl = ChangeKind::Ddl;
    assert_eq!(observe(ddl, "public.other_idx", &[(TABLE_FACT, "public.other")]), [0; 0]);
    assert_eq!(observe(ChangeKind::Setting, "work_mem", &[(ROLE_FACT, "other")]), [0; 0]);
    assert_eq!(observe(ddl, "public.some_idx", &[(TABLE_FACT, "public.b")]), [2]);
    assert_eq!(observe(ddl, "public.c", &[]), [2, 3]);
    assert_eq!(observe(ddl, "public.the a", &[]), [2, 3], "in quotes, and in no text");
    assert_eq!(observe(ChangeKind::Setting, "work_mem", &[(ROLE_FACT, "web")]), [2, 3, 1]);
}

#[test]
fn a_plan_is_another_one_if_its_bytes_are() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = three(&clock);
    let mut is_another =
        |query_id, raw: &[u8]| probes.is_another(&observation(query_id, PlanRung::Generic, raw));
    let seen = [(1, b"a"), (1, b"a"), (1, b"b"), (1, b"b"), (2, b"c"), (99, b"x"), (99, b"y")];
    assert_eq!(
        seen.map(|(id, raw)| is_another(id, raw)),
        [false, false, true, false, false, false, false],
        "the first one is no other one, and of what is not followed nothing is known"
    );
}

#[test]
fn a_plan_of_the_log_is_another_one_if_it_is_new_in_the_set() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = three(&clock);
    let seen = [(1, 10), (1, 10), (1, 11), (1, 10), (1, 11), (2, 12), (99, 1), (99, 2)];
    assert_eq!(
        seen.map(|(id, plan)| probes.is_another_in_log(&key(id), plan)),
        [false, false, true, false, false, false, false, false],
        "the first one is no other one, and of what is not followed nothing is known"
    );
    let lost = observation(1, PlanRung::Actual, b"a");
    probes.lost(&lost, clock.monotonic());
    assert!(probes.is_another_in_log(&key(1), 11), "what was lost is another one again");
    for plan in 0..MAX_LOGGED_PLANS as u128 {
        assert!(probes.is_another_in_log(&key(1), 100 + plan));
    }
    assert!(!probes.is_another_in_log(&key(1), 100));
    assert!(probes.is_another_in_log(&key(1), 11), "so many are remembered");
}

fn observation(query_id: i64, rung: PlanRung, raw: &[u8]) -> PlanObservation {
    PlanObservation {
        key: key(query_id),
        text: None,
        rung,
        identity: PlanIdentity::Proven,
        format: PlanFormat::PostgresqlJson,
        raw: raw.into(),
        obtained_at: Timestamp::default(),
        tables: Arc::default(),
    }
}

#[test]
fn waits_after_failures_grow_by_their_reason_and_end_with_a_plan() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = three(&clock);
    for id in [1, 2] {
        probes.explained(&key(id), clock.monotonic());
    }
    let mut waits = Vec::new();
    for _ in 0..4 {
        probes.failed(&key(3), MissingPlan::LockTimeout, clock.monotonic());
        let mut waited = 0;
        while due(&probes, &clock, 9).is_empty() {
            clock.advance(Duration::from_secs(60));
            waited += 1;
        }
        waits.push(waited);
    }
    assert_eq!(waits, [1, 2, 4, 8]);
    probes.failed(&key(3), MissingPlan::Syntax, clock.monotonic());
    assert_eq!(probes.reason(&key(3)), Some(MissingPlan::Syntax));
    clock.advance(HOUR * 23);
    assert!(!due(&probes, &clock, 9).contains(&3));
    clock.advance(HOUR);
    assert!(due(&probes, &clock, 9).contains(&3));
    probes.explained(&key(3), clock.monotonic());
    assert_eq!(probes.reason(&key(3)), None);
}

#[test]
fn every_statement_without_a_plan_has_one_reason() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = three(&clock);
    probes.observe(&mut [query(7, 100.0, "begin")], clock.monotonic());
    probes.explained(&key(1), clock.monotonic());
    probes.postponed(&key(1), MissingPlan::NotAdmitted, clock.monotonic());
    probes.postponed(&key(2), MissingPlan::NotAdmitted, clock.monotonic());
    let missing: Vec<_> = probes.missing().into_iter().filter(|(_, count)| *count > 0).collect();
    let expected =
        [(MissingPlan::NotYetProbed, 1), (MissingPlan::NotAdmitted, 1), (MissingPlan::StatementKind, 1)];
    assert_eq!(missing, expected);
    // What was postponed lets others go first, and is the first one then.
    assert_eq!(due(&probes, &clock, 9), [3]);
    clock.advance(RETRY_SOON);
    assert_eq!(due(&probes, &clock, 9), [2, 1, 3]);
}

#[test]
fn what_is_remembered_is_bounded_and_the_cut_is_counted() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = Probes::every(HOUR);
    let ids = 0..i64::try_from(MAX_CANDIDATES).unwrap() + 10;
    let mut records: Vec<Record> = ids.map(|id| query(id, 1.0, "select * from a")).collect();
    probes.observe(&mut records, clock.monotonic());
    assert_eq!(due(&probes, &clock, usize::MAX).len(), MAX_CANDIDATES);
    assert_eq!((probes.take_cut(), probes.take_cut()), (10, 0));
    for id in 0..=i64::try_from(MAX_REQUESTS).unwrap() {
        probes.request(key(1_000_000 + id), clock.monotonic());
    }
    assert!(probes.take_cut() > 0);
}

#[test]
fn reasons_are_a_closed_list_with_names_of_their_own() {
    let names: std::collections::BTreeSet<_> =
        MissingPlan::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(names.len(), MissingPlan::ALL.len());
    let check = |sqlstate, reason| assert_eq!(MissingPlan::of_sqlstate(sqlstate), reason, "{sqlstate}");
    check("42501", MissingPlan::InsufficientPrivilege);
    check("42P01", MissingPlan::ObjectMissing);
    check("57014", MissingPlan::StatementTimeout);
    check("XX000", MissingPlan::ServerError);
}

#[test]
fn the_document_of_plans_has_every_reason() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plans.md");
    let document = std::fs::read_to_string(path).unwrap();
    for reason in MissingPlan::ALL {
        let row = format!("| `{}` | {} |\n", reason.as_str(), reason.description());
        assert!(document.contains(&row), "docs/plans.md lacks: {row}");
    }
}

#[test]
fn values_are_planned_for_once_in_their_interval_or_when_asked_for() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = three(&clock);
    assert!(probes.wants_values(&key(1), clock.monotonic()));
    assert!(
        !probes.wants_values(&key(77), clock.monotonic()),
        "of a statement that is not known nothing is wanted"
    );
    probes.planned_for_values(&key(1), clock.monotonic().plus(HOUR));
    assert!(!probes.wants_values(&key(1), clock.monotonic()));
    probes.request(key(1), clock.monotonic());
    assert!(probes.wants_values(&key(1), clock.monotonic()));
    probes.explained(&key(1), clock.monotonic());
    assert!(!probes.wants_values(&key(1), clock.monotonic()));
    clock.advance(HOUR);
    assert!(probes.wants_values(&key(1), clock.monotonic()));
}

#[test]
fn where_nothing_is_explained_what_the_log_lacks_has_its_reason() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = three(&clock);
    probes.observe(&mut [query(4, 1.0, "vacuum a")], clock.monotonic());
    probes.request(key(5), clock.monotonic());
    probes.explained(&key(1), clock.monotonic());
    probes.not_explained(MissingPlan::LogNotReachable);
    let reasons = [1, 2, 5, 4].map(|id| probes.reason(&key(id)));
    let not_reachable = Some(MissingPlan::LogNotReachable);
    assert_eq!(reasons, [None, not_reachable, not_reachable, Some(MissingPlan::StatementKind)]);
    assert!(probes.requests.is_empty());
    probes.not_explained(MissingPlan::NotLogged);
    assert_eq!(probes.reason(&key(2)), Some(MissingPlan::NotLogged));
    assert_eq!(probes.known().len(), 5);
}

#[test]
fn a_statement_that_cannot_be_explained_keeps_the_plan_it_has_from_the_log() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = Probes::every(HOUR);
    let mut prepared = [query(1, 1.0, "prepare p as select 1")];
    probes.observe(&mut prepared, clock.monotonic());
    assert_eq!(probes.reason(&key(1)), Some(MissingPlan::StatementKind));
    probes.explained(&key(1), clock.monotonic());
    probes.observe(&mut prepared, clock.monotonic());
    assert_eq!(probes.reason(&key(1)), None);
    assert_eq!(due(&probes, &clock, 9), [0; 0]);
}

/// A reading in which each of so many executions touched so many blocks.
fn reading(query_id: i64, calls: i64, blocks: f64) -> Record {
    let Record::Query(mut query) = query(query_id, 1.0, "select * from a") else { unreachable!() };
    let value = |column: &str| match column {
        "shared_blks_hit" => blocks * calls as f64 - 1.0,
        "shared_blks_read" => 1.0,
        _ => f64::NAN,
    };
    let values: Vec<f64> = STATEMENT_COUNTERS.iter().map(|definition| value(definition.column)).collect();
    (query.calls, query.counters) = (calls, Counters::new(&STATEMENT_COUNTERS, &values));
    Record::Query(query)
}

#[test]
fn a_step_of_the_work_moves_a_statement_to_the_front_once() {
    let clock = ManualClock::at(Timestamp::default());
    let mut probes = Probes::every(HOUR);
    let read = |probes: &mut Probes, calls, blocks| {
        probes.observe(&mut [reading(1, calls, blocks)], clock.monotonic());
        due(probes, &clock, 9) == [1]
    };
    assert!(read(&mut probes, 100, 10.0), "it was never probed");
    probes.explained(&key(1), clock.monotonic());
    assert!(!read(&mut probes, 100, 19.0), "within the usual");
    assert!(!read(&mut probes, 2, 500.0), "too few executions to tell");
    clock.advance(MIN_PAUSE_AFTER_CHANGE / 2);
    assert!(!read(&mut probes, 100, 60.0), "a step, but it was probed a moment ago");
    clock.advance(MIN_PAUSE_AFTER_CHANGE / 2);
    assert!(read(&mut probes, 100, 61.0), "the step is not forgotten");
    probes.explained(&key(1), clock.monotonic());
    clock.advance(MIN_PAUSE_AFTER_CHANGE);
    assert!(!read(&mut probes, 100, 60.0), "it stays so");
    assert!(read(&mut probes, 100, 12.0), "and back");
}
