//! Records that were kept a moment ago, so that equal ones are not sent again.
//!
//! Promises:
//! * a record is remembered only after it was kept: what a draw or a limit cuts hides nothing;
//! * at most `max_entries` are remembered, the latest ones; the queue beside them is at most twice as long;
//! * a duplicate is one of the same rule and the same time bucket, so that every draw is seen: the estimator over what
//!   is kept stays unbiased.

use std::collections::{HashMap, VecDeque};

use dbintel_model::Monotonic;

use super::config::DedupConfig;
use super::decision::{Identity, TimeBucket};

/// A record of a rule.
type Key = (Identity, usize);

/// The window.
#[derive(Debug)]
pub(super) struct Dedup {
    config: DedupConfig,
    entries: HashMap<Key, Seen>,
    /// Keys by the time they were kept; one that was kept again since then is not the newest of its key.
    order: VecDeque<(Key, Monotonic)>,
    lookups: u64,
    hits: u64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    kept_at: Monotonic,
    bucket: TimeBucket,
    suppressed: u32,
}

// === impl Dedup ===

impl Dedup {
    pub(super) fn new(config: DedupConfig) -> Self {
        Self { config, entries: HashMap::new(), order: VecDeque::new(), lookups: 0, hits: 0 }
    }

    /// Whether the record is a duplicate of one kept in the window; it is then counted as suppressed.
    pub(super) fn is_duplicate(&mut self, key: Key, bucket: TimeBucket, now: Monotonic) -> bool {
        self.lookups += 1;
        let window = self.config.window;
        let seen = self.entries.get_mut(&key);
        let Some(seen) = seen.filter(|seen| seen.bucket == bucket && now.since(seen.kept_at) < window) else {
            return false;
        };
        seen.suppressed = seen.suppressed.saturating_add(1);
        self.hits += 1;
        true
    }

    /// Remembers a record that was kept, and gives the number of duplicates suppressed since it was last kept.
    pub(super) fn keep(&mut self, key: Key, bucket: TimeBucket, now: Monotonic) -> u32 {
        let seen = Seen { kept_at: now, bucket, suppressed: 0 };
        let before = self.entries.insert(key, seen);
        self.order.push_back((key, now));
        while self.entries.len() > self.config.max_entries {
            self.forget_oldest();
        }
        if self.order.len() > self.config.max_entries.saturating_mul(2) {
            let entries = &self.entries;
            self.order.retain(|(key, at)| entries.get(key).is_some_and(|seen| seen.kept_at == *at));
        }
        before.map_or(0, |seen| seen.suppressed)
    }

    /// Forgets what nobody will ask for.
    pub(super) fn expire(&mut self, now: Monotonic) {
        let retention = self.config.retention;
        while self.order.front().is_some_and(|(_, at)| now.since(*at) > retention) {
            self.forget_oldest();
        }
    }

    /// Lookups and hits since the last call.
    pub(super) fn take_counts(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.lookups), std::mem::take(&mut self.hits))
    }

    /// Records that are remembered.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn forget_oldest(&mut self) {
        let Some((key, at)) = self.order.pop_front() else {
            return self.entries.clear();
        };
        if self.entries.get(&key).is_some_and(|seen| seen.kept_at == at) {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
