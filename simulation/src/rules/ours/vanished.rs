//! `statement_vanished`, looked for every hour as `regression_verifier` does it.

use dbintel_evidence::unprompted::{TimedOut, Watched};

use super::unprompted::Told;
use crate::generator::timeouts::{HOURS_BEFORE, Hour, Statement};

/// Hours of a day.
const PER_DAY: i64 = 24;
/// Hours of calls that the processor keeps.
const KEPT_HOURS: i64 = 168;

/// The hours of the looks at which a finding began. A look is made when the hour before it is over.
#[must_use]
pub fn begun(watched: &Statement) -> Vec<usize> {
    let ran: Vec<(i64, f64)> = (0..)
        .zip(&watched.hours)
        .filter(|(_, hour)| hour.calls > 0)
        .map(|(place, hour)| (place, hour.calls as f64))
        .collect();
    let (mut counted, mut known_since) = (None::<TimedOut>, 0);
    let (mut told, mut begun) = (Told::default(), Vec::new());
    for (place, Hour { timed_out, .. }) in (0_i64..).zip(&watched.hours) {
        if watched.restart == Some(place as usize) {
            (counted, known_since) = (None, place + 1);
        }
        if *timed_out > 0 {
            counted.get_or_insert_with(|| TimedOut::new(place)).note(place, *timed_out);
        }
        let closed = place + 1;
        if closed <= HOURS_BEFORE as i64 {
            continue;
        }
        let index = |place: i64| ran.partition_point(|(other, _)| *other < place);
        let kept = ran.get(index(closed - KEPT_HOURS)..index(closed)).unwrap_or_default();
        let statement = counted.as_ref().map(|timed_out| {
            let calls = kept.iter().copied();
            Watched { timed_out, calls, per_day: PER_DAY, closed, known_since }
        });
        let found = statement.as_ref().is_some_and(|of| of.vanished().is_some());
        if told.look(closed, found, statement.is_none_or(|of| of.is_back())) {
            begun.push(place as usize);
        }
    }
    begun
}
