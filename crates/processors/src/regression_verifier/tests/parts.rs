//! The look at everything, in parts.

use std::time::Duration;

use dbintel_model::finding::FindingKind;
use dbintel_model::{PlanRung, Timestamp};

use super::world::{World, world};
use crate::regression_verifier::control::{self, CONTROL_BLOCKS_PER_CALL, Controls};
use crate::regression_verifier::look::{CLOSED_PER_CALL, LOOKED_AT_PER_CALL};
use crate::regression_verifier::statement::Statement;

/// Three parts of statements and somewhat more.
fn many() -> World {
    let mut world = world("{}");
    let some = world.statements.clone();
    world.statements = some.iter().copied().cycle().take(3 * LOOKED_AT_PER_CALL + 10).collect();
    world
}

/// Until an hour is over, and only batches came.
fn end_an_hour(world: &mut World) {
    world.ticks = 0;
    let before = world.verifier.closed.hour;
    while world.verifier.closed.hour == before {
        world.interval();
    }
}

/// Statements that are left to look at.
fn left(world: &World) -> Option<usize> {
    world.verifier.look_left().map(|(_, _, statements)| statements)
}

#[test]
fn after_the_batch_that_ends_an_hour_everything_is_looked_at_in_parts() {
    let mut world = many();
    world.hours(1);
    end_an_hour(&mut world);
    let all = 3 * LOOKED_AT_PER_CALL + 10;
    assert_eq!(world.verifier.look_left(), Some((all - CLOSED_PER_CALL, false, all)));
    while world.verifier.look_left().is_some_and(|(closing, is_made, _)| closing > 0 || !is_made) {
        assert_eq!(left(&world), Some(all));
        world.go_on();
    }
    for rest in [2 * LOOKED_AT_PER_CALL + 10, LOOKED_AT_PER_CALL + 10, 10, 0] {
        assert_eq!(left(&world).unwrap_or(0), rest);
        world.go_on();
    }
    assert_eq!(left(&world), None);
}

/// A full table's control takes many calls, and until the last one it is what it was.
#[test]
fn the_control_is_made_in_parts_and_is_the_same_as_if_it_were_made_at_once() {
    let mut world = many();
    world.step = Duration::from_secs(1_800);
    // Steps of half an hour are six times as long as those that hours are counted by.
    world.hours(10);
    world.load = 2.0;
    world.hours(5);
    end_an_hour(&mut world);
    let points = |world: &World| world.verifier.controls.hours().to_vec();
    let (before, mut calls) = (points(&world), 0);
    assert!(before.len() > 80 && before.iter().any(|point| point.log_ratio > 0.5));
    while world.verifier.look_left().is_some_and(|(_, is_made, _)| !is_made) {
        assert_eq!(points(&world), before);
        world.go_on();
        calls += 1;
    }
    let blocks: usize = world.verifier.statements.iter().map(|of| of.hours.iter().count()).sum();
    assert!(calls * CONTROL_BLOCKS_PER_CALL >= blocks && calls > 4, "{calls} calls for {blocks} blocks");
    let made = points(&world);
    assert_eq!(made.len(), before.len() + 1);
    let mut at_once = Controls::default();
    let steady = |of: &Statement| control::steady(of, Timestamp::from_nanos(0));
    let steady: Vec<_> = world.verifier.statements.iter().filter_map(steady).collect();
    at_once.begin(steady, 24, [true, false]);
    while !at_once.go_on(&world.verifier.statements) {}
    assert!(at_once.hours() == made);
}

#[test]
fn what_is_left_when_the_next_blocks_are_over_is_done_before_them() {
    let mut world = many();
    let last = world.statements.len() - 1;
    world.rung = PlanRung::Generic;
    world.hours(1);
    for plan in 0..10 {
        world.flip_to(last, 5_000 + plan % 2, &[]);
    }
    end_an_hour(&mut world);
    let closed = world.verifier.closed;
    assert!(left(&world).is_some());
    assert!(world.found.is_empty(), "{:?}", world.found);
    // Two intervals close the next short block, of which no statement is asked the questions of an hour.
    world.interval();
    world.interval();
    assert!(world.verifier.closed.short > closed.short);
    let kinds: Vec<FindingKind> = world.found.iter().map(|event| event.finding.kind).collect();
    assert_eq!(kinds, [FindingKind::PlanFlapping]);
}
