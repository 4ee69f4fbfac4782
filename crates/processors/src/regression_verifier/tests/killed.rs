//! The processor is killed at any moment, when a part of what it has to store was given and a part of what it gave was written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::world::{World, world};
use crate::regression_verifier::coding;
use crate::regression_verifier::hours::{History, Open, Packed};
use crate::regression_verifier::keep::STORED_WITHIN_SECONDS;
use crate::regression_verifier::statement::Statement;

/// More statements than leave within one second.
const STATEMENTS: usize = 300;
/// Seconds of an interval: those within which what changed is given, and one in which the store writes it.
const SECONDS: usize = STORED_WITHIN_SECONDS + 2;

/// What is known of each statement, thing by thing. One that is about to be known by another id may be there twice.
type State = BTreeMap<(i64, &'static str), Vec<String>>;

fn blocks<P: Packed>(closed: &History<P>, open: Open) -> Vec<(i64, u16, u16)> {
    let open = (!open.sums.is_empty()).then_some((open.place, open.sums));
    let coded = |(place, sums): (i64, super::super::sums::Sums)| {
        (place, coding::sum(sums.calls), coding::sum(sums.total_ms))
    };
    closed.iter().chain(open).map(coded).collect()
}

fn state(world: &World) -> State {
    let mut all = State::new();
    for statement in world.verifier.statements.iter() {
        let (trial, seen) = (world.verifier.trials.get(statement.id), statement.plans.seen);
        let timed_out = statement.timed_out.as_deref().map(|of| of.hours().collect::<Vec<_>>());
        let things = [
            ("hours", format!("{:?}", blocks(&statement.hours, statement.hour))),
            ("shorts", format!("{:?}", blocks(&statement.shorts, statement.short))),
            ("weight", format!("{}", statement.weight_ms)),
            (
                "plans",
                format!("{:?}", (seen.last, seen.rung, statement.plans.changed_at, &statement.plan_changes)),
            ),
            ("waits", format!("{:?}", statement.waits)),
            ("time-outs", format!("{:?}", timed_out.unwrap_or_default())),
            ("trial", format!("{:?}", trial.map(|trial| (trial.at, trial.seen, trial.waits)))),
        ];
        for (thing, value) in things {
            all.entry((statement.about.key.query_id, thing)).or_default().push(value);
        }
    }
    all
}

/// Everything is as it was at one of these times.
fn nothing_is_lost(known: &[State], restored: &State) -> Result<(), TestCaseError> {
    for (thing, before) in &known[0] {
        let now = restored.get(thing);
        prop_assert!(now.is_some(), "{thing:?} is gone: {before:?}");
        let may_be: BTreeSet<&String> = known.iter().filter_map(|known| known.get(thing)).flatten().collect();
        prop_assert!(
            now.unwrap().iter().any(|now| may_be.contains(now)),
            "{thing:?} is {now:?} and was {may_be:?}"
        );
    }
    Ok(())
}

/// What happens beside the intervals of all statements.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    Flip(usize),
    Sessions(usize),
    TimeOuts(usize),
    Texts,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Nothing),
        1 => (0..STATEMENTS).prop_map(Event::Flip),
        2 => (0..STATEMENTS).prop_map(Event::Sessions),
        2 => (0..STATEMENTS).prop_map(Event::TimeOuts),
        1 => Just(Event::Texts),
    ]
}

fn happen(world: &mut World, event: Event) {
    match event {
        Event::Nothing => {}
        Event::Flip(statement) => world.flip(statement, 1.0, 1.0, &[]),
        Event::Sessions(statement) => world.sessions(statement, 3, Some("Lock")),
        Event::TimeOuts(statement) => world.statements[statement].timed_out = 2,
        Event::Texts => world.texts_are_known = true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is restored is as it was before the last interval or later.
    #[test]
    fn a_sudden_end_loses_no_more_than_the_last_interval(
        begins in (22 * 60..25 * 60_u64),
        lives in prop::collection::vec(
            (prop::collection::vec(events(), 1..12), 0..SECONDS, 0..40_usize, 0..=100_usize),
            1..3,
        ),
    ) {
        let mut world = world("{}");
        let some = world.statements.clone();
        world.statements = some.iter().copied().cycle().take(STATEMENTS).collect();
        (world.step, world.ticks, world.texts_are_known) = (Duration::from_secs(60), 0, false);
        world.clock.advance(Duration::from_secs(begins * 60));
        for (events, seconds, parts, share) in lives {
            let mut known = Vec::new();
            for event in events {
                (0..SECONDS).for_each(|_| world.second(usize::MAX));
                known = vec![state(&world)];
                happen(&mut world, event);
                world.interval();
                known.push(state(&world));
            }
            (0..seconds).for_each(|_| world.second(usize::MAX));
            known.push(state(&world));
            world.second(parts);
            known.push(state(&world));
            world.kill_when_written(world.given.len() * share / 100);
            nothing_is_lost(&known, &state(&world))?;
        }
    }
}

/// Between any two values of a finding that was just opened: whoever is there afterwards follows it, or finds the same again.
#[test]
fn a_finding_outlives_a_sudden_end_with_what_follows_it() {
    for written in 0..12 {
        let mut world = World::after_a_week("{}");
        world.flip(7, 5.0, 5.0, &[]);
        world.ticks = 0;
        // The second in which it is found is the one in which it is given to the store.
        while world.found.is_empty() {
            world.interval();
            (0..SECONDS).for_each(|_| {
                if world.found.is_empty() {
                    world.second(usize::MAX);
                }
            });
        }
        world.ticks = 4;
        let id = world.found[0].finding.id;
        world.kill_when_written(written.min(world.given.len()));
        let verifier = &world.verifier;
        for kept in verifier.findings.iter() {
            let trial = verifier.trials.get(kept.subject).and_then(|trial| trial.finding);
            assert_eq!((kept.finding.id, trial), (id, Some(id)), "{written} values were written");
        }
        world.hours(3);
        let open: Vec<_> = world.verifier.findings.iter().map(|kept| kept.finding.id).collect();
        assert_eq!(open, [id], "{written} values were written");
        assert!(world.found.iter().all(|event| event.finding.id == id));
    }
}

/// What sessions waited for changes nothing else of a statement.
#[test]
fn what_sessions_waited_for_outlives_a_stop() {
    let mut world = World::after_a_week("{}");
    world.flip(7, 1.0, 1.0, &[]);
    world.ticks = 0;
    for statement in [3, 7] {
        world.sessions(statement, 20, Some("Lock"));
    }
    let before = state(&world);
    world.finish();
    world.kill();
    assert_eq!(state(&world), before);
}

/// Closed hours of each statement.
fn closed_hours(world: &World) -> BTreeMap<i64, Vec<(i64, u16, u16)>> {
    let of = |statement: &Statement| {
        let closed = blocks(&statement.hours, Open::default());
        (statement.about.key.query_id, closed)
    };
    world.verifier.statements.iter().map(of).collect()
}

fn under_trial(world: &World) -> impl Iterator<Item = u64> + '_ {
    let of_query = |statement: &&Statement| statement.about.key.query_id == 7;
    world.verifier.statements.iter().filter(of_query).map(|statement| statement.id)
}

/// With its text a statement gets another id: between any two values of it, it is there under one of them at least, and is not counted twice.
#[test]
fn a_statement_that_gets_another_id_outlives_a_sudden_end() {
    const SHARES: usize = 40;
    for share in 0..=SHARES {
        let mut world = world("{}");
        world.texts_are_known = false;
        // What the last of them closed is over.
        world.hours(2);
        world.flip(7, 1.0, 1.0, &[]);
        world.interval();
        world.interval();
        (world.texts_are_known, world.ticks) = (true, 0);
        let (mut known, closed) = (vec![state(&world)], closed_hours(&world));
        assert!(closed.values().all(|hours| hours.len() == 2), "{closed:?}");
        world.interval();
        known.push(state(&world));
        world.second(usize::MAX);
        known.push(state(&world));
        world.kill_when_written(world.given.len() * share / SHARES);
        nothing_is_lost(&known, &state(&world)).unwrap();
        world.interval();
        world.finish();
        world.kill();
        assert_eq!((world.verifier.statements.len(), closed_hours(&world)), (40, closed), "{share}");
        assert!(world.verifier.trials.iter().map(|trial| trial.statement).eq(under_trial(&world)), "{share}");
    }
}
