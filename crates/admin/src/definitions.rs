//! Self-metrics that only this crate has, beside those of [`dbintel_pipeline::telemetry::definitions`].

use dbintel_pipeline::telemetry::SelfMetric;
use dbintel_pipeline::telemetry::SelfMetricKind::{Counter, Gauge};

/// Requests to the admin endpoints that were turned away, by endpoint and reason.
pub static ADMIN_REFUSED: SelfMetric = SelfMetric {
    name: "dbintel_admin_refused_total",
    help: "Requests to the admin endpoints that were turned away, by endpoint and reason.",
    kind: Counter,
    labels: &["endpoint", "reason"],
};

/// Time since the main runtime last gave a sign of life.
pub static HEARTBEAT_AGE: SelfMetric = SelfMetric {
    name: "dbintel_heartbeat_age_seconds",
    help: "Time since the main runtime last gave a sign of life.",
    kind: Gauge,
    labels: &[],
};

/// Overrides in force, by what they switch off or hold and their level, with the seconds until they end by themselves.
pub static OVERRIDE_SECONDS_LEFT: SelfMetric = SelfMetric {
    name: "dbintel_override_seconds_left",
    help: "Overrides in force, by what they switch off or hold and their level, with the seconds until they end by themselves.",
    kind: Gauge,
    labels: &["override", "level"],
};

/// Bytes of memory the process may use: the limit of its control group, or else the memory of the machine.
pub static PROCESS_MEMORY_LIMIT: SelfMetric = SelfMetric {
    name: "dbintel_process_memory_limit_bytes",
    help: "Bytes of memory the process may use: the limit of its control group, or else the memory of the machine.",
    kind: Gauge,
    labels: &[],
};

/// CPUs the process may use, where a control group limits them.
pub static PROCESS_CPU_LIMIT: SelfMetric = SelfMetric {
    name: "dbintel_process_cpu_limit_cpus",
    help: "CPUs the process may use, where a control group limits them.",
    kind: Gauge,
    labels: &[],
};

/// Spans that were not kept for the tracez page, by reason.
pub static SPANS_NOT_KEPT: SelfMetric = SelfMetric {
    name: "dbintel_tracez_spans_not_kept_total",
    help: "Spans that were not kept for the tracez page, by reason.",
    kind: Counter,
    labels: &["reason"],
};

/// Requests with dbintel's own telemetry to its OTLP backend, by signal and outcome.
pub static TELEMETRY_EXPORTS: SelfMetric = SelfMetric {
    name: "dbintel_telemetry_exports_total",
    help: "Requests with dbintel's own telemetry to its OTLP backend, by signal and outcome.",
    kind: Counter,
    labels: &["signal", "outcome"],
};

/// Every self-metric of this crate, for documentation.
pub static ALL: &[&SelfMetric] = &[
    &ADMIN_REFUSED,
    &HEARTBEAT_AGE,
    &OVERRIDE_SECONDS_LEFT,
    &PROCESS_MEMORY_LIMIT,
    &PROCESS_CPU_LIMIT,
    &SPANS_NOT_KEPT,
    &TELEMETRY_EXPORTS,
];
