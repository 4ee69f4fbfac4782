//! How the process stands to its memory limits, for pages.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Text, Timestamp};
use dbintel_pipeline::memory::{MemoryLimits, Pressure};
use parking_lot::Mutex;

/// What the watch found last, shared with every processor that shows it. It outlives a replaced watch.
#[derive(Clone, Debug, Default)]
pub struct MemoryView(Arc<Mutex<MemoryStanding>>);

/// How the process stands to its limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryStanding {
    /// The limits in force; `None` before the watch has started.
    pub limits: Option<MemoryLimits>,
    /// Memory used at the last check; `None` where it could not be read.
    pub used_bytes: Option<u64>,
    /// Since when doors refuse because of memory; `None` when they do not.
    pub refusing_since: Option<Timestamp>,
    /// Whether the last check was above the hard limit.
    pub above_hard: bool,
    /// Time during which doors refused, finished spells and the present one.
    pub refusing_for: Duration,
    /// Spells of refusing.
    pub spells: u64,
    /// Times caches were emptied.
    pub shrinks: u64,
    /// Bytes that caches gave back by that.
    pub freed_bytes: usize,
    /// Checks in a row without a reading.
    pub unread: u32,
}

// === impl MemoryView ===

impl MemoryView {
    /// How the process stood at the last check.
    #[must_use]
    pub fn standing(&self) -> MemoryStanding {
        self.0.lock().clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut MemoryStanding)) {
        change(&mut self.0.lock());
    }
}

// === impl MemoryStanding ===

impl MemoryStanding {
    /// The pressure at the last check.
    #[must_use]
    pub const fn pressure(&self) -> Pressure {
        match (self.refusing_since, self.above_hard) {
            (None, _) => Pressure::None,
            (Some(_), false) => Pressure::Soft,
            (Some(_), true) => Pressure::Hard,
        }
    }

    /// The standing as lines of a page.
    #[must_use]
    pub fn lines(&self, now: Timestamp) -> Vec<(Text, Text)> {
        let lines = [
            ("memory used", self.used_line()),
            ("soft limit", self.limit_line(|limits| limits.soft_bytes, "above it, lanes refuse records")),
            ("hard limit", self.limit_line(|limits| limits.hard_bytes, "above it, caches are emptied too")),
            ("refusing now", self.refusing_line(now)),
            ("refused so far", format!("{} s in all, {}", self.refusing_for.as_secs(), times(self.spells))),
            ("caches emptied", self.shrinks_line()),
        ];
        lines.map(|(name, value)| (name.into(), value.into())).into()
    }

    fn used_line(&self) -> String {
        let Some(used) = self.used_bytes else {
            return "unknown: the kernel gave no figure, the limits are not enforced".to_owned();
        };
        let mut line = format!("{} resident", mib(used));
        if let Some(limits) = self.limits.filter(|limits| limits.soft_bytes > 0) {
            // Writing to a string cannot fail.
            let _ = write!(line, ", {} % of the soft limit", percent(used, limits.soft_bytes));
        }
        line
    }

    fn limit_line(&self, of: impl FnOnce(&MemoryLimits) -> u64, meaning: &str) -> String {
        self.limits
            .as_ref()
            .map_or_else(|| "not set yet".to_owned(), |limits| format!("{}: {meaning}", mib(of(limits))))
    }

    fn shrinks_line(&self) -> String {
        let freed = mib(u64::try_from(self.freed_bytes).unwrap_or(u64::MAX));
        format!("{}, {freed} given back", times(self.shrinks))
    }

    fn refusing_line(&self, now: Timestamp) -> String {
        match self.refusing_since {
            None => "no".to_owned(),
            Some(since) => format!(
                "yes, since {since}, {} s, above the {} limit",
                now.since(since).as_secs(),
                if self.above_hard { "hard" } else { "soft" }
            ),
        }
    }
}

fn times(number: u64) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}

fn percent(part: u64, whole: u64) -> u128 {
    u128::from(part) * 100 / u128::from(whole)
}

/// Bytes as mebibytes with one decimal.
pub(super) fn mib(bytes: u64) -> String {
    let tenths = (u128::from(bytes) * 10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
