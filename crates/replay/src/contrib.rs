//! Statements as OpenTelemetry contrib's receiver tells them.
//!
//! Its `db.server.top_query` has differences of counters, the time of the reading, and no interval. So:
//!
//! * an interval lasts from the reading of this server before to this one; the first reading of a file has none;
//! * the first time that a statement is told, its numbers are its counters since their last reset, for all that is known, and no
//!   difference: they are passed over. After the collector was started anew that is so again, and the file does not say so: a start
//!   in the middle of a file gives one interval that is far too large for every statement;
//! * mean times follow from differences; their spread is not known, and rises and falls are harder to tell from chance;
//! * statements outside the top of a reading are missing in it. That is no sample at random: they are those that took little time.

use std::collections::HashSet;

use dbintel_model::{Interval, QueryKey, Timestamp};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::counts::PassedOver;

/// Statements of one server that are remembered as told; with one more all are forgotten and pass for new ones.
pub const SIGHTINGS_MAX: usize = 100_000;

/// What is known of the readings of one server.
#[derive(Debug, Default)]
pub(crate) struct Contrib {
    before: Option<Timestamp>,
    now: Option<Timestamp>,
    seen: HashSet<u64>,
}

impl Contrib {
    /// The interval of what is told of this statement at this time.
    pub(crate) fn interval(&mut self, key: &QueryKey, time: Timestamp) -> Result<Interval, PassedOver> {
        if self.now.is_none_or(|now| time > now) {
            (self.before, self.now) = (self.now, Some(time));
        }
        if self.seen.len() >= SIGHTINGS_MAX {
            self.seen.clear();
        }
        let is_new = self.seen.insert(identity(key));
        let start = self.before.filter(|before| *before < time).ok_or(PassedOver::NoInterval)?;
        if is_new { Err(PassedOver::FirstSighting) } else { Ok(Interval { start, end: time }) }
    }
}

fn identity(key: &QueryKey) -> u64 {
    let seed = key.query_id.cast_unsigned() ^ u64::from(key.user_id).rotate_left(32);
    xxh3_64_with_seed(key.database.as_bytes(), seed)
}

/// A number for a name, where a file has the name alone. Two of them are the same once in four billion.
pub(crate) fn number_of(name: &str) -> u32 {
    let [a, b, c, d, ..] = xxhash_rust::xxh3::xxh3_64(name.as_bytes()).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
