use dbintel_evidence::{Direction, Numbers, Thresholds, TypicalWaits, WaitingCall};
use dbintel_model::{PlanFingerprint, PlanRung, QueryKey};

use super::*;
use crate::regression_verifier::statement::Statement;

const MINUTE: u64 = 60_000_000_000;

fn at(minutes: u64) -> Timestamp {
    Timestamp::from_nanos(1_793_491_200_000_000_000 + minutes * MINUTE)
}

fn about() -> About {
    let key = QueryKey {
        system: "postgresql",
        database: "shop".into(),
        database_id: 5,
        user: "app".into(),
        user_id: 10,
        query_id: 7,
        toplevel: Some(true),
    };
    About { key, text: None, fingerprint: Some(1), node: 0 }
}

/// A verdict with nothing in it but these numbers.
fn verdict(numbers: &Numbers) -> Verdict {
    let of_nothing =
        dbintel_evidence::judge(&dbintel_evidence::Case::new(&[], &[], 0), &Thresholds::default());
    Verdict { direction: Direction::Slower, numbers: *numbers, ..of_nothing }
}

/// A change of plan ten minutes after the old plan was last seen, told with these causes.
fn trial(causes: &[(&'static str, &'static str)]) -> Trial {
    let cause = |(kind, said): &(&'static str, &'static str)| PlanCause {
        kind: Text::Static(kind),
        description: Text::Static(said),
    };
    let plan = |exact| PlanFingerprint { shape: exact, exact };
    let flip = Flip {
        rung: PlanRung::Actual,
        is_proven: true,
        old: plan(1),
        new: plan(2),
        old_last_seen: at(60),
        old_cost: None,
        new_cost: None,
        was_seen_before: false,
        difference: "".into(),
        causes: causes.iter().map(cause).collect(),
        causes_not_listed: 0,
    };
    Trial::new(&Statement::new(1, about()), Some(flip), at(70), (0, 0), (0, 0))
}

fn event(kind: ChangeKind, subject: &'static str, minutes: u64) -> Event {
    Event {
        kind,
        at: at(minutes),
        database: Some("shop".into()),
        subject: Some(subject.into()),
        table: Some(subject.into()),
        role: None,
        object: None,
        action: None,
        before: None,
        after: None,
        modified: None,
        rows: None,
    }
}

fn all_of(events: Vec<Event>) -> Events {
    let mut all = Events::default();
    for event in events {
        all.push(event);
    }
    all
}

/// What is named of this kind.
fn named(ranked: &[Ranked<'_>], kind: &str) -> Vec<String> {
    let of_kind = ranked.iter().filter(|ranked| *ranked.cause.kind == *kind);
    of_kind.map(|ranked| ranked.cause.sentence.to_string()).collect()
}

/// A table that has half as many rows again as at the analysis before is named beside the analysis that told it.
#[test]
fn growth_is_named_with_the_analysis_that_showed_it() {
    let grown = "public.orders had 1.5 times as many rows as at the analysis before.";
    for (before, rows, table, expected) in [
        (Some(1_000.0), Some(1_500.0), "public.orders", Some(grown)),
        (Some(1_000.0), Some(1_490.0), "public.orders", None),
        (Some(1_000.0), Some(100.0), "public.orders", None),
        // Of another table, of one without rows, and where nothing is known.
        (Some(1_000.0), Some(1_500.0), "public.customers", None),
        (Some(0.0), Some(1_500.0), "public.orders", None),
        (None, Some(1_500.0), "public.orders", None),
        (Some(1_000.0), None, "public.orders", None),
    ] {
        let events = all_of(vec![
            Event { rows: before, ..event(ChangeKind::Analyze, table, 5) },
            Event { rows, ..event(ChangeKind::Analyze, "public.orders", 65) },
        ]);
        let trial = trial(&[("analyze", "analyze public.orders, at 2026")]);
        let ranked = ranked(&trial, &about(), &verdict(&Numbers::default()), &events);
        let what = format!("{before:?} {rows:?} {table}: {ranked:?}");
        assert_eq!(named(&ranked, "growth"), expected.into_iter().collect::<Vec<_>>(), "{what}");
        // The analysis is what can be looked into first.
        assert_eq!(&*ranked[0].cause.kind, "analyze", "{what}");
    }
}

/// A typical call that takes so long, of which these shares wait for locks and for input or output.
fn call(call_ms: f64, locks: f64, io: f64) -> WaitingCall {
    WaitingCall { call_ms, waits: TypicalWaits { share: locks + io, error: 0.01, locks, io } }
}

#[test]
fn what_was_measured_since_is_named_where_it_changed_enough() {
    let waited = |since: WaitingCall| Numbers {
        waited: Some(Waited { before: call(10.0, 0.0, 0.1), since }),
        ..Numbers::default()
    };
    let control = |ratio| Numbers { control_ratio: Some(ratio), ..Numbers::default() };
    let called = |before: f64, hours: usize, after: f64, hours_after: f64| Numbers {
        executions_before: before,
        same_hour_blocks: hours,
        block_hours: 1.0,
        executions_after: after,
        hours_after,
        ..Numbers::default()
    };
    let io = "Most of the added time is waiting, mostly for input and output: by the sampled sessions, 1.00 of the 10.00 ms of a typical \
              call before, 40.00 of 50.00 ms since.";
    let often = "It is called 2.0 times as often as before.";
    let load = "The rest of the server is at 1.20 times its usual time as well; that is divided out.";
    for (numbers, kind, expected) in [
        (waited(call(50.0, 0.2, 0.6)), "cache_and_io", Some(io)),
        (waited(call(50.0, 0.6, 0.2)), "locks", Some("Most of the added time is waiting, mostly for locks")),
        // Most of the added time is no waiting, and a call that takes no longer waits for nothing more.
        (waited(call(50.0, 0.0, 0.3)), "cache_and_io", None),
        (waited(call(9.0, 0.0, 0.9)), "cache_and_io", None),
        // Ten hours before with 1,000 calls, five since.
        (called(1_000.0, 10, 1_000.0, 5.0), "concurrency", Some(often)),
        (called(1_000.0, 10, 990.0, 5.0), "concurrency", None),
        (called(1_000.0, 10, 1_000.0, 0.0), "concurrency", None),
        (called(0.0, 10, 1_000.0, 5.0), "concurrency", None),
        (control(1.2), "load", Some(load)),
        (control(1.19), "load", None),
    ] {
        let mut all = Vec::new();
        measured_since(&verdict(&numbers), &mut all);
        let said = named(&all, kind);
        let is_said =
            expected.map_or(said.is_empty(), |expected| said.len() == 1 && said[0].starts_with(expected));
        // And nothing else.
        assert!(is_said && all.len() == said.len(), "{kind}: {all:?}");
    }
    let mut all = Vec::new();
    measured_since(&Verdict { conclusion: Conclusion::CpuBound, ..verdict(&Numbers::default()) }, &mut all);
    assert_eq!(named(&all, "processor").len(), 1);
}

/// A setting of two databases is told in the same words, and only that of the statement's own is taken back.
#[test]
fn the_change_behind_a_cause_is_one_that_reaches_the_statement() {
    let of = |database: &'static str, minutes| Event {
        database: Some(database.into()),
        table: None,
        before: Some("4".into()),
        after: Some("1000".into()),
        ..event(ChangeKind::Setting, "random_page_cost", minutes)
    };
    let trial = trial(&[("setting", "setting random_page_cost: 4 -> 1000, noticed at 2026")]);
    for (events, expected) in
        [(vec![of("shop", 65), of("other", 66)], Some("shop")), (vec![of("other", 65)], None)]
    {
        let events = all_of(events);
        let ranked = ranked(&trial, &about(), &verdict(&Numbers::default()), &events);
        let event = ranked[0].event.and_then(|event| event.database.as_deref());
        assert_eq!((&*ranked[0].cause.kind, event), ("setting", expected));
    }
}
