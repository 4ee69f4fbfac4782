//! Active series: which metric streams had a point lately.
//!
//! A series is a metric with the attributes of its point and resource. It is held as a 64-bit hash, with the time of its
//! last point. Limit: [`SERIES_MAX`] per server; points of further ones leave, are counted as not tracked, and the
//! number of active series is then a lower bound. With `budget.max_series`, points of new series beyond it are dropped;
//! those of active ones go on.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::time::Duration;

use dbintel_model::{Labels, MetricPoint, Monotonic, Value};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::rota::{Rota, Ticked};
use crate::hashed::Hashed;

/// Series held for one server: at 32 bytes each, and room for the tables, about 18 MiB at most.
pub const SERIES_MAX: usize = 200_000;

/// The active series of one lane.
#[derive(Debug, Default)]
pub(super) struct Series {
    seen: HashMap<u64, Monotonic, BuildHasherDefault<Hashed>>,
    rota: Rota<u64>,
}

/// What became of a point's series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is active.
    Active,
    /// It is beyond the configured limit.
    TooMany,
    /// There was no room to note it.
    Untracked,
}

// === impl Series ===

impl Series {
    /// Series active now.
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Notes a point of the series.
    pub(super) fn note(&mut self, series: u64, now: Monotonic, max: Option<u32>) -> Seen {
        if let Some(seen) = self.seen.get_mut(&series) {
            *seen = now;
            return Seen::Active;
        }
        if max.is_some_and(|max| self.seen.len() >= usize::try_from(max).unwrap_or(usize::MAX)) {
            return Seen::TooMany;
        }
        if self.seen.len() >= SERIES_MAX {
            return Seen::Untracked;
        }
        self.seen.insert(series, now);
        self.rota.add(series);
        Seen::Active
    }

    /// Forgets series that had no point for a while.
    pub(super) fn forget(&mut self, ticked: Ticked, after: Duration) {
        let Self { seen, rota } = self;
        rota.turn(ticked.passed, |series| {
            let keep = seen.get(&series).is_some_and(|seen| ticked.now.since(*seen) <= after);
            if !keep {
                seen.remove(&series);
            }
            keep
        });
    }
}

/// The identity of a point's series, from the hash of its labels.
pub(super) fn identity(point: &MetricPoint, labels: u64) -> u64 {
    let hash = xxh3_64_with_seed(point.metric.name.as_bytes(), labels);
    point.fixed.iter().fold(hash, |hash, (_, value)| xxh3_64_with_seed(value.as_bytes(), hash))
}

/// The hash of labels, names included.
pub(super) fn labels_hash(labels: &Labels) -> u64 {
    let attributes = labels.resource.iter().chain(&labels.point);
    attributes.fold(0, |hash, attribute| {
        let hash = xxh3_64_with_seed(attribute.key.as_bytes(), hash);
        match &attribute.value {
            Value::Text(text) => xxh3_64_with_seed(text.as_bytes(), hash),
            Value::Int(int) => xxh3_64_with_seed(&int.to_le_bytes(), hash),
            Value::Double(double) => xxh3_64_with_seed(&double.to_le_bytes(), hash),
            Value::Bool(bool) => xxh3_64_with_seed(&[u8::from(*bool)], hash),
        }
    })
}
