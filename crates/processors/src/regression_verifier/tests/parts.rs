//! The look at everything, in parts.

use dbintel_model::finding::FindingKind;

use super::world::{World, world};
use crate::regression_verifier::look::LOOKED_AT_PER_CALL;

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

fn left(world: &World) -> Option<usize> {
    world.verifier.look_left().map(|(_, statements)| statements)
}

#[test]
fn a_batch_that_ends_an_hour_does_one_part_and_the_seconds_do_the_others() {
    let mut world = many();
    world.hours(1);
    end_an_hour(&mut world);
    assert_eq!(left(&world), Some(2 * LOOKED_AT_PER_CALL + 10));
    for rest in [LOOKED_AT_PER_CALL + 10, 10, 0] {
        assert!(left(&world).is_some());
        world.tick();
        assert_eq!(left(&world).unwrap_or(0), rest);
    }
    assert_eq!(left(&world), None);
}

#[test]
fn what_is_left_when_the_next_blocks_are_over_is_done_before_them() {
    let mut world = many();
    let last = world.statements.len() - 1;
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
