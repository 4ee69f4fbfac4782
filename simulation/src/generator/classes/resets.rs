//! What is known has holes: counters are reset, entries are evicted for hours, readings fail. A block after a reset holds a
//! part of its calls, one after a failed reading those of two blocks. In a third of the histories the first days are lost, and
//! in half there is a reset within an hour of the flip.

use crate::generator::PER_DAY;
use crate::generator::events::{Change, Events};
use crate::rng::Rng;

/// Hours around the flip in which the first reset is.
const NEAR_HOURS: f64 = 1.0;
/// Most resets, evictions and failed readings of a history, each.
const EACH_MAX: u64 = 6;
/// Blocks for which an entry is evicted: up to a day.
const EVICTED: (f64, f64) = (1.0, PER_DAY as f64);
/// Share of histories that begin late.
const BEGINS_LATE: f64 = 0.33;

pub(super) fn apply(rng: &mut Rng, events: &mut Events) {
    if rng.chance(BEGINS_LATE) {
        let days = rng.between((0.0, events.flip() as f64 / PER_DAY as f64));
        events.forget(0, (days * PER_DAY as f64) as usize);
    }
    for number in 0..=rng.below(EACH_MAX) {
        let at =
            if number == 0 { events.near_flip_or_anywhere(rng, NEAR_HOURS) } else { events.anywhere(rng) };
        // The block with the reset in it shows what happened since; the one before it may be lost.
        let calls = rng.between((0.05, 1.0)).ln();
        events.add(at, at + 1, &Change { calls, ..Change::NONE });
        if rng.chance(0.5) {
            events.forget(at.saturating_sub(1), at);
        }
    }
    for _ in 0..rng.below(EACH_MAX) {
        let at = events.anywhere(rng);
        let length = rng.log_between(EVICTED);
        events.forget(at, at + length as usize);
    }
    for _ in 0..rng.below(EACH_MAX) {
        let at = events.anywhere(rng);
        events.forget(at, at + 1);
        events.add(at + 1, at + 2, &Change { calls: 2.0_f64.ln(), ..Change::NONE });
    }
}
