//! A deployment changes what is asked, in half of the histories within two hours of the flip: other numbers of calls, other
//! rows per call and with them other work, sometimes only more load. Nothing is wrong with the plan. In a third of the
//! histories it is taken back hours later.

use crate::generator::events::{Change, Events};
use crate::generator::{PER_DAY, PER_HOUR};
use crate::rng::Rng;

/// Hours around the flip in which the deployment is.
const NEAR_HOURS: f64 = 2.0;
/// Share of deployments after which a call asks for more or fewer rows: by more than a quarter, so that it can be seen.
const OTHER_ROWS: f64 = 0.7;
/// Share of deployments that are taken back.
const TAKEN_BACK: f64 = 0.33;

pub(super) fn apply(rng: &mut Rng, events: &mut Events) {
    let from = events.near_flip_or_anywhere(rng, NEAR_HOURS);
    let mut change =
        Change { calls: rng.log_between((0.3, 3.0)).ln(), server: rng.between((-0.2, 0.2)), ..Change::NONE };
    let rows = if rng.chance(0.8) { rng.log_between((1.4, 8.0)) } else { rng.log_between((0.2, 0.65)) }.ln();
    let (work, time) = (rng.between((0.5, 1.2)), rng.between((0.5, 1.2)));
    let load = rng.log_between((1.0, 2.0)).ln();
    if rng.chance(OTHER_ROWS) {
        change = Change { rows, work: work * rows, time: time * rows, busy: time * rows, ..change };
    } else {
        change.time = load;
    }
    let length = if rng.chance(TAKEN_BACK) {
        rng.log_between((PER_HOUR as f64, PER_DAY as f64))
    } else {
        events.len() as f64
    };
    events.add_at(from as i64, length, &change);
}
