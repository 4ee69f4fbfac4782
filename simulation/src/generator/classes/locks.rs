//! Storms of locks: for ten minutes to a day the statement takes 5 to 1,000 times as long, waiting, and touches what it
//! always touched. One storm is within two hours of the flip in half of the histories; in half of the storms the whole server
//! is slower.

use crate::generator::events::{Change, Events};
use crate::generator::{PER_DAY, PER_HOUR};
use crate::rng::Rng;

/// Most storms of a history.
const STORMS_MAX: u64 = 4;
/// Hours around the flip in which the first one begins.
const NEAR_HOURS: f64 = 2.0;
/// Blocks of a storm.
const LENGTH: (f64, f64) = (PER_HOUR as f64 / 6.0, PER_DAY as f64);

pub(super) fn apply(rng: &mut Rng, events: &mut Events) {
    for number in 0..=rng.below(STORMS_MAX) {
        let from =
            if number == 0 { events.near_flip_or_anywhere(rng, NEAR_HOURS) } else { events.anywhere(rng) };
        let server = if rng.chance(0.5) { rng.log_between((1.0, 2.0)).ln() } else { 0.0 };
        let time = rng.log_between((5.0, 1_000.0)).ln();
        let calls = rng.log_between((0.2, 1.0)).ln();
        events.add_at(from as i64, rng.log_between(LENGTH), &Change { server, time, calls, ..Change::NONE });
    }
}
