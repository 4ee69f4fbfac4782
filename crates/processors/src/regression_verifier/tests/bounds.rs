//! Memory, order of eviction, and records that nobody expects.

use dbintel_model::finding::FindingKind;
use dbintel_model::{Counters, Exactness, Interval, Moments, Query, Record, Timestamp};
use dbintel_pipeline::{GivenUpView, Processor as _, StatementView};
use proptest::prelude::*;

use super::super::trial::{TRIAL_BYTES_MAX, Trial};
use super::world::{World, counters, key, text, world};

pub(super) fn query(world: &World, statement: usize) -> Query {
    let end = world.now();
    Query {
        key: key(statement),
        text: Some(text(statement)),
        interval: Interval { start: Timestamp::from_nanos(end.as_nanos() - 60_000_000_000), end },
        calls: 100,
        total_time_ms: 500.0,
        moments: Some(Moments { mean_ms: 5.0, variance_ms2: Some(4.0) }),
        counters: counters(6_000.0, 100.0),
        exactness: Exactness::Exact,
        rank: None,
        plan: None,
        errors: None,
        plan_missing: None,
        plan_times: None,
    }
}

#[test]
fn a_statement_takes_four_kibibytes_and_a_trial_sixteen_more() {
    let mut world = World::after_a_week("{}");
    let causes = ["ddl"; 16].map(|kind| (kind, "x".repeat(2_000)));
    let causes: Vec<(&'static str, &str)> =
        causes.iter().map(|(kind, said)| (*kind, said.as_str())).collect();
    world.flip(7, 1.0, 1.0, &causes);
    world.hours(30);
    world.flip(8, 1.0, 1.0, &causes);
    world.hours(20);
    for statement in world.verifier.statements.iter() {
        assert!(statement.bytes() <= 4_096, "{}", statement.bytes());
        assert!(statement.bytes() > 3_000, "the history is full: {}", statement.bytes());
    }
    let trials: Vec<usize> = world.verifier.trials.iter().map(Trial::bytes).collect();
    assert!(trials.len() == 1 && trials[0] <= TRIAL_BYTES_MAX && trials[0] > 8_000, "{trials:?}");
}

#[test]
fn beyond_the_bound_of_trials_those_that_lose_the_least_are_given_up() {
    let mut world = world("{max_trials: 3}");
    world.hours(30);
    for statement in [5, 20, 10, 1, 30] {
        world.flip(statement, 1.0, 1.0, &[]);
    }
    let tried: Vec<i64> = world
        .verifier
        .trials
        .iter()
        .map(|trial| world.verifier.statements.get(trial.statement).unwrap().about.key.query_id)
        .collect();
    assert_eq!(tried.len(), 3);
    assert!([10, 20, 30].iter().all(|statement| tried.contains(statement)), "{tried:?}");
    assert_eq!(world.count("regression_verifier_trials_ended_total", &[("reason", "displaced")]), 2.0);
    let under_trial = world.verifier.statements.iter().filter(|statement| statement.is_under_trial).count();
    assert_eq!(under_trial, 3);
}

/// A statement whose trial was given up says so itself, also after a kill, as long as an hour of that time is kept; and so does the next
/// finding about it, whose usual hours that time is part of.
#[test]
fn a_statement_whose_trial_was_given_up_says_so_and_why() {
    let mut world = World::after_a_week("{max_trials: 1}");
    let began = world.now();
    // The one that takes the most time is tried, and the other has no room, although it loses time.
    world.flip(39, 1.0, 1.0, &[]);
    world.flip(7, 5.0, 5.0, &[]);
    world.hours(30);
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(world.count("regression_verifier_trials_ended_total", &[("reason", "displaced")]), 1.0);
    let given_up = |world: &mut World| {
        let said = |one: &StatementView| Some((one.query_id.to_string(), one.trial_given_up?));
        world.top().statements.iter().filter_map(said).collect::<Vec<_>>()
    };
    let second = |at: Timestamp| Timestamp::from_nanos(at.as_secs() * 1_000_000_000);
    let said = GivenUpView { since: second(began), at: second(began), others: 1 };
    assert_eq!(given_up(&mut world), [("7".to_owned(), said)]);
    world.kill();
    assert_eq!(given_up(&mut world), [("7".to_owned(), said)]);
    world.flip(7, 5.0, 5.0, &[]);
    world.hours(30);
    let finding = &world.of_kind(FindingKind::PlanRegression).last().expect("a finding").finding;
    let sentence = format!(
        "Its trial since {} was given up at {}, because 1 others lost more time, as far as was known, or had a finding: what happened \
         then was not judged, and is among the hours before.",
        said.since, said.at
    );
    assert!(finding.failure_modes.iter().any(|mode| **mode == *sentence), "{:?}", finding.failure_modes);
    world.hours(5 * 24);
    assert_eq!(given_up(&mut world), []);
}

#[test]
fn statements_are_bounded_and_the_forgotten_leave_the_store() {
    let mut world = world("{max_statements: 20}");
    world.hours(2);
    assert_eq!(world.verifier.statements.len(), 20);
    let labels = [("receiver", "postgresql"), ("limit", "verifier_statements")];
    assert!(world.registry.value("dbintel_limit_reached_total", &labels).unwrap() > 0.0);
    let kept = world.store.keys().filter(|key| key.contains("/about/")).count();
    // Some are forgotten and seen again between two calls.
    assert!(kept <= 21, "{kept}");
    // One that is forgotten and seen again is stored again after it was removed.
    world.finish();
    let statements = |world: &World| -> Vec<(u64, usize)> {
        let mut all: Vec<_> =
            world.verifier.statements.iter().map(|statement| (statement.id, statement.hours.len())).collect();
        all.sort_unstable();
        all
    };
    let before = statements(&world);
    world.kill();
    assert_eq!(statements(&world), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Numbers, times and texts as no server gives them.
    #[test]
    fn any_records_are_survived(
        steps in prop::collection::vec(
            (0..50_usize, any::<i64>(), any::<f64>(), any::<u64>(), any::<u64>(), prop::option::of(any::<f64>()), any::<f64>(), 0..4_u8),
            1..60,
        ),
    ) {
        let mut world = world("{max_statements: 16, max_trials: 4}");
        world.hours(1);
        for (n, calls, total, start, end, variance, work, what) in steps {
            let mut query = query(&world, n);
            (query.calls, query.total_time_ms) = (calls, total);
            query.moments = Some(Moments { mean_ms: total, variance_ms2: variance });
            query.counters = counters(work, total);
            match what {
                0 => query.interval = Interval { start: Timestamp::from_nanos(start), end: Timestamp::from_nanos(end) },
                1 => query.counters = Counters::new(&dbintel_model::catalogue::STATEMENT_COUNTERS, &[]),
                2 => query.text = None,
                _ => {}
            }
            world.see(vec![Record::Query(Box::new(query))]);
            if what == 3 {
                world.flip_to(n % 40, u128::from(start), &[]);
            }
            if calls % 7 == 0 {
                world.interval();
            }
        }
        world.hours(2);
        world.hand_over();
        prop_assert!(world.verifier.snapshot().is_some() && world.verifier.bytes() < 1 << 20);
    }
}
