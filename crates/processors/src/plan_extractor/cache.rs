//! The cache of plans that were read: by the 128-bit hash of their bytes, bounded in bytes.
//!
//! It changes cost, never output: what it holds is a function of the bytes and of limits that are its own. All lanes
//! whose chain names the same processor share one.

use std::fmt;
use std::sync::Arc;

use dbintel_model::{Clock, PlanFormat, Text};
use dbintel_pipeline::memory::{MemoryAccount, MemoryAccounts};
use dbintel_plan::PlanProblems;
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use super::config::PlanExtractorConfig;
use super::extract::{ExtractLimits, Extracted, Unusable, extract};
use super::lru::{Limits, Lru};

/// Bytes of an entry beside what it holds: its key twice, and its places in both tables.
const ENTRY_BYTES: usize = 160;

/// A plan by its bytes. The length makes a collision of hashes less likely still.
type Key = (PlanFormat, usize, u128);
type Outcome = Result<Arc<Extracted>, Unusable>;

/// The cache. A clone is another handle to it.
#[derive(Clone)]
pub struct PlanCache {
    entries: Arc<Mutex<Lru<Key, Outcome>>>,
    limits: ExtractLimits,
    clock: Arc<dyn Clock>,
    _account: Arc<MemoryAccount>,
}

/// What a look gave.
pub(super) struct Look {
    pub(super) outcome: Outcome,
    /// What reading it took; `None` where it was in the cache or too large to be looked at.
    pub(super) read: Option<Reading>,
}

/// What reading a plan took.
pub(super) struct Reading {
    pub(super) millis: f64,
    pub(super) problems: PlanProblems,
    pub(super) evicted: u64,
}

// === impl PlanCache ===

impl PlanCache {
    /// An empty cache. The clock measures how long reading takes, and nothing is decided by it.
    #[must_use]
    pub fn new(
        name: &Text,
        config: &PlanExtractorConfig,
        clock: Arc<dyn Clock>,
        accounts: &MemoryAccounts,
    ) -> Self {
        let limits = Limits { entries: usize::MAX, bytes: config.cache_bytes, at_least: 0 };
        let entries = Arc::new(Mutex::new(Lru::new(limits)));
        let (held, cleared) = (Arc::clone(&entries), Arc::clone(&entries));
        let account = accounts.open_cache(
            format!("processor {name} plans").into(),
            move || held.lock().bytes(),
            move || cleared.lock().clear(),
        );
        Self {
            entries,
            limits: ExtractLimits { bytes: config.max_plan_bytes, steps: config.max_parse_steps },
            clock,
            _account: Arc::new(account),
        }
    }

    /// What is remembered of a plan; that it is too large needs no memory.
    pub(super) fn remembered(&self, format: PlanFormat, bytes: &[u8]) -> Option<Look> {
        if bytes.len() > self.limits.bytes {
            return Some(Look { outcome: Err(Unusable::TooLarge), read: None });
        }
        let outcome = self.entries.lock().get(&Self::key(format, bytes))?.clone();
        Some(Look { outcome, read: None })
    }

    fn key(format: PlanFormat, bytes: &[u8]) -> Key {
        (format, bytes.len(), xxh3_128(bytes))
    }

    /// Reads a plan, without the lock, and remembers what is to be known of it.
    pub(super) fn read(&self, format: PlanFormat, bytes: &[u8]) -> Look {
        let started = self.clock.monotonic();
        let (outcome, problems) = match format {
            PlanFormat::PostgresqlJson => extract(bytes, self.limits),
        };
        let millis = self.clock.monotonic().since(started).as_secs_f64() * 1e3;
        let weight = ENTRY_BYTES + outcome.as_ref().map_or(0, |extracted| extracted.weight_bytes());
        let evicted = self.entries.lock().insert(Self::key(format, bytes), outcome.clone(), weight);
        Look { outcome, read: Some(Reading { millis, problems, evicted }) }
    }

    /// Plans held, and their bytes.
    pub(super) fn held(&self) -> (usize, usize) {
        let entries = self.entries.lock();
        (entries.len(), entries.bytes())
    }
}

impl fmt::Debug for PlanCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plans, bytes) = self.held();
        f.debug_struct("PlanCache").field("plans", &plans).field("bytes", &bytes).finish_non_exhaustive()
    }
}
