//! The server is restarted, in half of the histories within two hours of the flip: a restart makes every plan anew. All
//! pages are read again: time rises for everybody, for some more than for others, and fades within minutes to hours. Blocks
//! touched stay what they were. While the server is away nothing is known.

use crate::generator::PER_HOUR;
use crate::generator::events::{Change, Events};
use crate::generator::statement::Statement;
use crate::rng::Rng;

/// Hours around the flip in which the restart is.
const NEAR_HOURS: f64 = 2.0;

pub(super) fn apply(rng: &mut Rng, statement: &Statement, events: &mut Events) {
    let from = events.near_flip_or_anywhere(rng, NEAR_HOURS);
    let away = 1 + rng.below(3) as usize;
    events.forget(from, from + away);
    let fades = rng.log_between((1.0, 6.0 * PER_HOUR as f64));
    let slower = rng.log_between((1.5, 20.0)).ln();
    // A statement whose pages are always in use is warm again at once; a rare one stays cold. It is never faster than before.
    let own = (slower * rng.between((-0.5, 1.0))).max(-slower * statement.sensitivity);
    events.fade(from + away, fades, &Change { server: slower, time: own, ..Change::NONE });
    let calls = rng.log_between((0.3, 1.0)).ln();
    events.fade(from + away, fades, &Change { calls, ..Change::NONE });
}
