//! Finished spans of dbintel itself, for `/debug/tracez`.
//!
//! Promises:
//! * only spans of dbintel's own modules, at level debug or above;
//! * of a span: name, start, duration, whether it failed, and the fields in [`FIELDS_ALLOWED`], which hold names and
//!   numbers; no other field is looked at, so no SQL and no secret can be kept;
//! * of each name and latency bucket, and of each name's failures, the last [`BUCKET_SPANS_MAX`]; at most
//!   [`SPAN_NAMES_MAX`] names; further names are counted, not kept.

mod layer;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Text, Timestamp};
use dbintel_pipeline::telemetry::{Counter, Registry};
use parking_lot::Mutex;

use crate::definitions;

pub use layer::{TracezFilter, TracezLayer, is_own_span};

/// Span names that are kept apart. They are constants of the program.
pub const SPAN_NAMES_MAX: usize = 64;
/// Spans kept of each name and bucket.
pub const BUCKET_SPANS_MAX: usize = 8;
/// Bytes of the fields of one span, as text.
pub const FIELD_BYTES_MAX: usize = 256;
/// Fields that are kept.
pub const FIELDS_ALLOWED: [&str; 26] = [
    "attempt",
    "batches",
    "bytes",
    "component",
    "database",
    "endpoint",
    "error.type",
    "exporter",
    "family",
    "items",
    "lane",
    "loop",
    "outcome",
    "part",
    "points",
    "processor",
    "purpose",
    "reason",
    "receiver",
    "records",
    "rows",
    "server",
    "signal",
    "sqlstate",
    "status",
    "target",
];
/// Where latency buckets begin.
pub(crate) const BUCKET_STARTS: [Duration; 9] = [
    Duration::ZERO,
    Duration::from_micros(10),
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
];
/// Number of the bucket of failed spans; those before it are of latency.
pub(crate) const ERRORS: usize = BUCKET_STARTS.len();
/// Buckets of one name.
pub(crate) const BUCKETS: usize = ERRORS + 1;

/// The finished spans. Cloning it gives another handle to the same ones.
#[derive(Clone, Debug)]
pub struct SpanStore {
    names: Arc<Mutex<BTreeMap<&'static str, Family>>>,
    not_kept: Counter,
}

/// All that is known of the spans of one name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    /// Spans that have begun and not ended.
    pub(crate) running: u64,
    /// Finished spans by bucket, kept or not.
    pub(crate) counts: [u64; BUCKETS],
    /// The last finished spans by bucket, oldest first.
    pub(crate) kept: [VecDeque<FinishedSpan>; BUCKETS],
}

/// One finished span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FinishedSpan {
    pub(crate) started: Timestamp,
    pub(crate) duration: Duration,
    pub(crate) failed: bool,
    pub(crate) fields: Text,
}

// === impl SpanStore ===

impl SpanStore {
    /// A store without spans.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let labels = vec![("reason", Text::Static("too_many_names"))];
        Self { names: Arc::default(), not_kept: registry.counter(&definitions::SPANS_NOT_KEPT, labels) }
    }

    /// Every name with its spans, by name.
    pub(crate) fn families(&self) -> Vec<(&'static str, Family)> {
        let names = self.names.lock();
        names.iter().map(|(name, family)| (*name, family.clone())).collect()
    }

    fn begin(&self, name: &'static str) {
        let mut names = self.names.lock();
        if names.len() < SPAN_NAMES_MAX || names.contains_key(name) {
            names.entry(name).or_default().running += 1;
        } else {
            drop(names);
            self.not_kept.increment();
        }
    }

    fn end(&self, name: &'static str, span: FinishedSpan) {
        if let Some(family) = self.names.lock().get_mut(name) {
            family.end(span);
        }
    }
}

// === impl Family ===

impl Family {
    fn end(&mut self, span: FinishedSpan) {
        self.running = self.running.saturating_sub(1);
        let bucket = span.bucket();
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        if let Some(kept) = self.kept.get_mut(bucket) {
            if kept.len() == BUCKET_SPANS_MAX {
                kept.pop_front();
            }
            kept.push_back(span);
        }
    }
}

// === impl FinishedSpan ===

impl FinishedSpan {
    fn bucket(&self) -> usize {
        if self.failed {
            return ERRORS;
        }
        BUCKET_STARTS.iter().rposition(|start| self.duration >= *start).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
