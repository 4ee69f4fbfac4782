//! How long the server plans our statements.
//!
//! It says so to nobody who does not ask, and to ask means to plan once more. So the question is put only on suspicion,
//! which costs nothing: what is left of our own clock after the time the server says the execution took, and two ways
//! there and back, is parsing, planning, waiting for locks on the catalogue, and whatever kept the network, the server's
//! processors or our own. Of all rows the one with the least is taken, so that neither our own work on a row nor what waits
//! in buffers counts, and a statement is suspected only when it was slow twice in a row. `EXPLAIN` then names the planning
//! time, as the server measured it; it runs nothing.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a statement that has begun so late is asked about.
pub(super) const EXPLAIN: &str = "EXPLAIN (SUMMARY, COSTS OFF) ";
/// What stands before the answer, in milliseconds.
const ANSWER: &str = "Planning Time: ";

/// Before their execution statements of ours take less than a millisecond on a server that is well.
const SUSPICIOUS: Duration = Duration::from_millis(100);
/// Statements of a connection whose last time is known. A server with everything switched on is read by about fifty.
const MAX_STATEMENTS: usize = 128;
/// Ways there and back of a statement: one for its text, one for its execution.
const ROUND_TRIPS: u32 = 2;

/// What the statements of one connection took before their execution.
#[derive(Debug, Default)]
pub(super) struct Planning {
    /// At most [`MAX_STATEMENTS`]: further ones are not judged.
    last: BTreeMap<String, Duration>,
    /// The worst of those that were slow twice in a row, with its text.
    suspect: Option<(Duration, String)>,
    round_trip: Duration,
}

/// One statement, row by row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beginning(Option<Duration>);

// === impl Planning ===

impl Planning {
    /// A statement that plans nothing took this long, there and back.
    pub(super) const fn round_trip(&mut self, took: Duration) {
        self.round_trip = took;
    }

    /// A statement without arguments that ended well.
    pub(super) fn add(&mut self, what: &str, text: &str, beginning: Beginning) {
        let Some(began) = beginning.0 else { return };
        let before = began.saturating_sub(self.round_trip * ROUND_TRIPS);
        let Some(last) = self.last.get_mut(what) else {
            if self.last.len() < MAX_STATEMENTS {
                self.last.insert(what.to_owned(), before);
            }
            return;
        };
        let twice = before.min(std::mem::replace(last, before));
        if twice >= SUSPICIOUS && self.suspect.as_ref().is_none_or(|(worst, _)| *worst < twice) {
            self.suspect = Some((twice, text.to_owned()));
        }
    }

    /// The text of the worst statement that was slow twice in a row since the last call.
    pub(super) fn suspect(&mut self) -> Option<String> {
        self.suspect.take().map(|(_, text)| text)
    }
}

// === impl Beginning ===

impl Beginning {
    /// A row that arrived so long after the statement was sent, made so long after its execution had begun.
    pub(super) fn row(&mut self, arrived: Duration, made: Option<Duration>) {
        if let Some(made) = made {
            let began = arrived.saturating_sub(made);
            self.0 = Some(self.0.map_or(began, |before| before.min(began)));
        }
    }
}

/// The planning time in a line of the answer, if it is that line.
pub(super) fn answer(line: &str) -> Option<Duration> {
    let millis: f64 = line.strip_prefix(ANSWER)?.strip_suffix(" ms")?.parse().ok()?;
    Duration::try_from_secs_f64(millis / 1e3).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn of(rows: &[(u64, u64)]) -> Beginning {
        let mut beginning = Beginning::default();
        rows.iter().for_each(|(arrived, made)| beginning.row(ms(*arrived), Some(ms(*made))));
        beginning
    }

    #[test]
    fn a_hold_up_of_one_statement_raises_no_suspicion() {
        let mut planning = Planning::default();
        for arrived in [900, 5, 5, 900, 5] {
            planning.add("table", "SELECT 1", of(&[(arrived, 2)]));
            planning.add("index", "SELECT 2", of(&[(4, 1)]));
            assert_eq!(planning.suspect(), None);
        }
        for arrived in [900, 700] {
            planning.add("table", "SELECT 1", of(&[(arrived, 2)]));
            planning.add("index", "SELECT 2", of(&[(arrived / 2, 2)]));
        }
        assert_eq!(planning.suspect().as_deref(), Some("SELECT 1"), "the worst");
        assert_eq!(planning.suspect(), None, "once");
    }

    #[test]
    fn neither_the_way_nor_our_own_work_counts() {
        let mut planning = Planning::default();
        planning.round_trip(ms(100));
        for _ in 0..2 {
            // The last row waited half a second for us.
            planning.add("texts", "SELECT 1", of(&[(215, 5), (230, 10), (780, 20)]));
            planning.add("silent", "SELECT 2", Beginning::default());
        }
        assert_eq!(planning.suspect(), None);
    }

    #[test]
    fn no_more_statements_are_held_than_allowed() {
        let mut planning = Planning::default();
        for number in 0..MAX_STATEMENTS * 2 {
            planning.add(&number.to_string(), "SELECT 1", of(&[(1, 0)]));
        }
        assert_eq!(planning.last.len(), MAX_STATEMENTS);
    }

    #[test]
    fn only_the_line_of_the_planning_time_is_read() {
        assert_eq!(answer("Planning Time: 702.250 ms"), Some(Duration::from_micros(702_250)));
        for line in ["Result", "Execution Time: 1.0 ms", "Planning Time: -1 ms", "Planning Time: x ms", ""] {
            assert_eq!(answer(line), None, "{line}");
        }
    }
}
