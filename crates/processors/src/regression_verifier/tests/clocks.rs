//! A clock of the server that is wrong for a while, or is set.

use super::world::World;

const HOUR: i64 = 3_600;

/// Hours that are kept, of all statements.
fn kept(world: &World) -> usize {
    world.verifier.statements.iter().map(|statement| statement.hours.len()).sum()
}

fn ignored(world: &World) -> f64 {
    world.count("regression_verifier_intervals_ignored_total", &[("reason", "clock")])
}

/// Readings with a clock that is wrong by so much.
fn wrong(world: &mut World, seconds: i64, readings: usize) {
    world.ahead = seconds;
    (0..readings).for_each(|_| world.interval());
    world.ahead = 0;
}

#[test]
fn one_reading_of_a_wrong_clock_changes_nothing_that_is_told() {
    let told = |by: Option<i64>| {
        let mut world = World::after_a_week("{}");
        world.flip(3, 1.0, 1.0, &[]);
        wrong(&mut world, by.unwrap_or(0), 1);
        world.flip(7, 5.0, 5.0, &[]);
        world.hours(10);
        let since = world.found.first().map(|event| event.finding.opened_at);
        (world.told(), since, world.verifier.trials.len(), ignored(&world))
    };
    let (usual, since, trials, none) = told(None);
    assert_eq!((usual.first().map(String::as_str), none), (Some("plan_regression open careful"), 0.0));
    for by in [30, 80, -30] {
        assert_eq!(told(Some(by * HOUR)), (usual.clone(), since, trials, 40.0), "{by}");
    }
}

#[test]
fn two_readings_of_a_clock_that_is_years_wrong_lose_nothing_that_is_kept() {
    for years in [-56, 10] {
        let mut world = World::after_a_week("{}");
        // The first clock that is seen is believed.
        world.interval();
        let before = kept(&world);
        wrong(&mut world, years * 365 * 24 * HOUR, 2);
        world.hours(1);
        // An hour is closed, and the oldest one may have gone for it.
        let now = kept(&world);
        assert!(now.abs_diff(before) <= world.statements.len(), "{years}: {before} {now}");
        assert_eq!(ignored(&world), 80.0);
    }
}

/// By an hour it is as it was: it was set, and what comes is evidence again, wherever it was set to.
#[test]
fn a_clock_that_was_set_is_believed_after_an_hour() {
    for by in [-24, 24, -96] {
        let mut world = World::after_a_week("{}");
        // The first clock that is seen is believed.
        world.interval();
        let before = kept(&world);
        world.ahead = by * HOUR;
        world.hours(1);
        assert_eq!((ignored(&world), kept(&world)), (480.0, before));
        world.hours(3);
        assert_eq!(ignored(&world), 480.0);
        // What was dated later than it is now is not kept, the rest is.
        assert!(kept(&world) > before / 3, "{by}: {before} {}", kept(&world));
        world.flip(7, 5.0, 5.0, &[]);
        world.hours(24);
        assert_eq!(world.opened(), ["plan_regression careful"], "{by}: {:?}", world.told());
        let late = world.count("regression_verifier_intervals_ignored_total", &[("reason", "too_late")]);
        assert_eq!(late, 0.0, "{by}");
    }
}
