//! State is handed over, and comes back from the store.

use std::collections::BTreeMap;

use dbintel_model::FindingEvent;
use proptest::prelude::*;

use dbintel_pipeline::Processor as _;

use super::world::{World, world};
use crate::regression_verifier::keep::STORED_PER_CALL;

/// What is told in the same world with something done to the processor at some moments.
fn told(mut replace: impl FnMut(&mut World)) -> Vec<FindingEvent> {
    let mut world = World::after_a_week("{}");
    replace(&mut world);
    world.index("dropped");
    world.flip(
        7,
        5.0,
        5.0,
        &[("ddl", "ddl index public.orders_customer dropped on public.orders, noticed at 2026")],
    );
    world.hours(1);
    replace(&mut world);
    world.hours(15);
    replace(&mut world);
    world.hours(3);
    world.index("created");
    replace(&mut world);
    world.statements[7].ms /= 5.0;
    world.statements[7].blocks /= 5.0;
    world.hours(20);
    world.found
}

fn numbers(found: &[FindingEvent]) -> Vec<(String, i64)> {
    let number = |event: &FindingEvent| {
        let ratio = event.finding.effect.and_then(|effect| effect.ratio).unwrap_or(0.0);
        (
            format!("{} {} {}", event.finding.id, event.finding.state, event.finding.category),
            (ratio * 100.0) as i64,
        )
    };
    found.iter().map(number).collect()
}

#[test]
fn a_processor_that_is_replaced_or_killed_comes_to_the_same_verdicts() {
    let undisturbed = numbers(&told(|_| {}));
    assert!(undisturbed.len() >= 3, "{undisturbed:?}");
    assert_eq!(numbers(&told(World::hand_over)), undisturbed);
    assert_eq!(numbers(&told(World::kill)), undisturbed);
}

fn hours(world: &World) -> BTreeMap<u64, Vec<(i64, i64)>> {
    let calls = |sums: super::super::sums::Sums| sums.calls.round() as i64;
    let of = |statement: &super::super::statement::Statement| {
        let open = Some((statement.hour.place, statement.hour.sums)).filter(|(_, sums)| !sums.is_empty());
        statement.hours.iter().chain(open).map(|(place, sums)| (place, calls(sums))).collect()
    };
    world.verifier.statements.iter().map(|statement| (statement.id, of(statement))).collect()
}

#[test]
fn a_sudden_end_loses_no_interval_that_was_told() {
    let mut world = world("{}");
    for _ in 0..3 {
        world.hours(31);
        world.interval();
        let before = hours(&world);
        world.kill();
        assert_eq!(hours(&world), before);
    }
}

/// A text that is known late gives the statement another key in the store, for all of its days.
#[test]
fn what_was_stored_before_the_text_was_known_is_stored_under_it() {
    let mut world = world("{}");
    world.texts_are_known = false;
    world.hours(50);
    world.texts_are_known = true;
    world.interval();
    let before = hours(&world);
    world.kill();
    assert_eq!(hours(&world), before);
    assert_eq!(world.store.keys().filter(|key| key.contains("/about/")).count(), 40);
}

/// Of days that are not kept any more, nothing stays in the store.
#[test]
fn the_store_is_as_bounded_as_the_memory() {
    let mut world = world("{}");
    world.hours(20 * 24);
    let store = &world.store;
    let days = store.keys().filter(|key| key.contains("/day/")).count();
    assert!(days <= 40 * 11, "{days}");
    let largest = store.iter().filter(|(key, _)| key.contains("/day/")).map(|(_, bytes)| bytes.len()).max();
    assert!(largest.unwrap() <= 552, "{largest:?}");
}

/// Which statement it is is stored again once a day, since the store deletes what was not written for weeks; and not of all statements at once.
#[test]
fn every_statement_is_stored_again_once_a_day_each_in_its_own_hour() {
    let mut world = world("{}");
    world.hours(24);
    let is_about = |key: &String| key.contains("/about/");
    let (mut stored, all) = (Vec::new(), world.statements.len());
    for _ in 0..24 {
        // What is written is there again.
        world.store.retain(|key, _| !is_about(key));
        world.hours(1);
        stored.push(world.store.keys().filter(|key| is_about(key)).count());
    }
    assert_eq!(stored.iter().sum::<usize>(), all, "{stored:?}");
    assert!(stored.iter().all(|of_hour| *of_hour <= all / 4), "{stored:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_taken_over_or_refused(
        kind in 0..11_usize, id in any::<u64>(), bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0..400_usize,
    ) {
        let mut world = world("{}");
        world.interval();
        let kind = ["about", "day", "short", "trial", "finding", "follow", "told", "control", "events", "watch", "ended"][kind];
        let key = format!("{kind}/{id:016x}/00020000");
        let with_layout = [&[1][..], &bytes].concat();
        world.verifier.take_over(&[(key.as_str(), &bytes), (key.as_str(), &with_layout)]);
        let state = world.verifier.snapshot().unwrap();
        let cut = state.len() * cut / 400;
        let _ = dbintel_pipeline::Processor::restore(&mut world.verifier, &state[..cut]);
        world.interval();
    }
}

/// Statements and trials as they were stored before waits were kept by hour of day: with the latest hours, and before that with three sums of
/// four bytes.
#[test]
fn what_was_stored_in_the_layouts_before_is_taken_over() {
    const SUMS: [u8; 12] = [0; 12];
    const LATEST: [u8; 16] = [0; 16];
    for layout in [1, 2] {
        let mut world = World::after_a_week("{}");
        world.flip(7, 5.0, 5.0, &[]);
        world.hours(1);
        let (statements, trials) = (world.verifier.statements.len(), world.verifier.trials.len());
        for (key, value) in &mut world.store {
            // At the end of a statement are its waits, changes, repaired hours, time-outs and a trial that was given up, of which it has
            // none; of a trial, what it lost, and no finding, regression, repair and executions by plan.
            let end = value.len().saturating_sub(14);
            let former = match (key.split('/').nth(1), layout) {
                (Some("about"), 1) => [&value[..end + 9], &SUMS].concat(),
                (Some("about"), _) => [&value[..end + 9], &[1], &LATEST, &value[end + 10..end + 13]].concat(),
                (Some("trial"), 1) => [&value[..end - 2 * 18], &SUMS, &SUMS, &value[end..end + 11]].concat(),
                (Some("trial"), _) => [&value[..end - 2 * 18], &LATEST, &LATEST, &value[end..]].concat(),
                (Some("watch"), _) => value.clone(),
                _ => continue,
            };
            assert_eq!(std::mem::replace(value, former)[0], 3);
            value[0] = if key.contains("/watch/") { 1 } else { layout };
        }
        world.kill();
        assert_eq!((world.verifier.statements.len(), world.verifier.trials.len()), (statements, trials));
        world.hours(10);
        assert_eq!(world.opened(), ["plan_regression careful"]);
    }
}

/// A collector that is stopped in good order loses nothing, however much waits to be stored.
#[test]
fn an_orderly_stop_stores_all_that_waits() {
    let mut world = world("{}");
    world.ticks = 0;
    world.interval();
    world.interval();
    let all = world.statements.len();
    let count = |world: &World, kind: &str| world.store.keys().filter(|key| key.contains(kind)).count();
    assert!(all > STORED_PER_CALL && count(&world, "/about/") == 0);
    world.finish();
    assert_eq!((count(&world, "/about/"), count(&world, "/day/")), (all, all));
    world.kill();
    assert_eq!(world.verifier.statements.len(), all);
}

/// What waits to be stored waits under the id it had; with the text comes another one.
#[test]
fn a_statement_whose_text_comes_while_it_waits_is_stored_as_it_is_then() {
    let mut world = world("{}");
    (world.texts_are_known, world.ticks) = (false, 0);
    world.interval();
    world.texts_are_known = true;
    world.interval();
    world.ticks = 10;
    world.interval();
    let stored = |kind: &str| world.store.keys().filter(|key| key.contains(kind)).count();
    assert_eq!((stored("/about/"), stored("/day/")), (world.statements.len(), world.statements.len()));
}
