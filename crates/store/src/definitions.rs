//! Self-metrics of the store.

use dbintel_pipeline::telemetry::SelfMetric;
use dbintel_pipeline::telemetry::SelfMetricKind::{Counter, Gauge};

/// Open findings.
pub static FINDINGS_OPEN: SelfMetric = SelfMetric {
    name: "dbintel_findings_open",
    help: "Findings that are open, accepted or applied, by kind and category.",
    kind: Gauge,
    labels: &["kind", "category"],
};

/// Changes of findings.
pub static FINDINGS: SelfMetric = SelfMetric {
    name: "dbintel_findings_total",
    help: "Findings that this process opened (state open) or changed, by kind and new state.",
    kind: Counter,
    labels: &["kind", "state"],
};

/// Entries that wait.
pub static PENDING: SelfMetric = SelfMetric {
    name: "dbintel_store_pending_entries",
    help: "Baselines that wait to be written to the store.",
    kind: Gauge,
    labels: &[],
};

/// Bytes that wait.
pub static PENDING_BYTES: SelfMetric =
    SelfMetric { name: "dbintel_store_pending_bytes", help: "Bytes of them.", kind: Gauge, labels: &[] };

/// Entries that were refused.
pub static REFUSED: SelfMetric = SelfMetric {
    name: "dbintel_store_refused_total",
    help: "Baselines the store did not take, or could not write before the end, by reason: store_full, too_large, no_store, shutdown.",
    kind: Counter,
    labels: &["reason"],
};

/// Entries written.
pub static WRITTEN: SelfMetric = SelfMetric {
    name: "dbintel_store_written_total",
    help: "Baselines written to the store.",
    kind: Counter,
    labels: &[],
};

/// Failures.
pub static ERRORS: SelfMetric = SelfMetric {
    name: "dbintel_store_errors_total",
    help: "Operations of the store that failed, by reason: unavailable, busy, full, corrupt, database, conflict, other. What was to be written is tried again.",
    kind: Counter,
    labels: &["reason"],
};

/// Rows that cannot be read.
pub static UNREADABLE: SelfMetric = SelfMetric {
    name: "dbintel_store_unreadable_total",
    help: "Rows of the store that were passed over because their checksum or content is wrong, by table.",
    kind: Counter,
    labels: &["table"],
};

/// Files set aside.
pub static SET_ASIDE: SelfMetric = SelfMetric {
    name: "dbintel_store_set_aside_total",
    help: "SQLite files that were damaged and set aside; a new one was begun.",
    kind: Counter,
    labels: &[],
};

/// Histories lost.
pub static BEGUN_ANEW: SelfMetric = SelfMetric {
    name: "dbintel_store_histories_begun_anew_total",
    help: "Servers whose histories began anew because what the store kept of them could not be read, after trying for a minute.",
    kind: Counter,
    labels: &[],
};

/// Rows deleted.
pub static DELETED: SelfMetric = SelfMetric {
    name: "dbintel_store_deleted_total",
    help: "Rows deleted because their time was over, by table.",
    kind: Counter,
    labels: &["table"],
};

/// Size of the store.
pub static BYTES: SelfMetric = SelfMetric {
    name: "dbintel_store_bytes",
    help: "Bytes of the store, by the database.",
    kind: Gauge,
    labels: &[],
};

/// Other collectors.
pub static OTHER_INSTANCES: SelfMetric = SelfMetric {
    name: "dbintel_store_other_instances",
    help: "Other collectors that use this store and watch a server this one watches.",
    kind: Gauge,
    labels: &[],
};

/// Every self-metric of the store, for documentation.
pub static ALL: &[&SelfMetric] = &[
    &FINDINGS_OPEN,
    &FINDINGS,
    &PENDING,
    &PENDING_BYTES,
    &REFUSED,
    &WRITTEN,
    &ERRORS,
    &UNREADABLE,
    &SET_ASIDE,
    &BEGUN_ANEW,
    &DELETED,
    &BYTES,
    &OTHER_INSTANCES,
];
