//! Self-metrics that only processors have, beside those of [`dbintel_pipeline::telemetry::definitions`].

use dbintel_pipeline::telemetry::SelfMetric;
use dbintel_pipeline::telemetry::SelfMetricKind::{Counter, Gauge};

/// Bytes held by one queue or cache, by account.
pub static MEMORY_ACCOUNT_BYTES: SelfMetric = SelfMetric {
    name: "dbintel_memory_account_bytes",
    help: "Bytes held by one queue or cache, by account.",
    kind: Gauge,
};

/// Time during which lanes refused records because of memory.
pub static MEMORY_LIMITER_REFUSING_SECONDS: SelfMetric = SelfMetric {
    name: "dbintel_memory_limiter_refusing_seconds_total",
    help: "Time during which lanes refused records because of memory.",
    kind: Counter,
};

/// Times caches were asked to empty themselves because memory use was above the hard limit.
pub static MEMORY_LIMITER_SHRINKS: SelfMetric = SelfMetric {
    name: "dbintel_memory_limiter_shrinks_total",
    help: "Times caches were asked to empty themselves because memory use was above the hard limit.",
    kind: Counter,
};

/// Checks of memory use that found no reading.
pub static MEMORY_LIMITER_UNREAD: SelfMetric = SelfMetric {
    name: "dbintel_memory_limiter_unread_total",
    help: "Checks of memory use that found no reading.",
    kind: Counter,
};

/// Every self-metric of this crate, for documentation.
pub static ALL: &[&SelfMetric] = &[
    &MEMORY_ACCOUNT_BYTES,
    &MEMORY_LIMITER_REFUSING_SECONDS,
    &MEMORY_LIMITER_SHRINKS,
    &MEMORY_LIMITER_UNREAD,
];
