//! The few figures of each component that a health report carries, out of the self-metrics.

use std::collections::BTreeMap;

use dbintel_pipeline::status::{ComponentKind, ComponentStatus};
use serde_json::Value;

use crate::pages::{Sample, SeriesIndex};

/// Figure and the self-metrics whose sum it is.
type Figure = (&'static str, &'static [&'static str]);

const RECEIVER: &[Figure] = &[
    ("accepted_metric_points", &["otelcol_receiver_accepted_metric_points"]),
    ("accepted_log_records", &["otelcol_receiver_accepted_log_records"]),
    ("refused_records", &["otelcol_receiver_refused_metric_points", "otelcol_receiver_refused_log_records"]),
    ("polls", &["dbintel_polls_total"]),
    ("polls_missed", &["dbintel_polls_missed_total"]),
    ("polls_errored", &["otelcol_scraper_errored_polls"]),
    ("gaps", &["dbintel_gaps_total"]),
    ("database_time_seconds", &["dbintel_database_time_seconds_total"]),
];
const LANE: &[Figure] = &[
    ("queue_batches", &["dbintel_lane_queue_batches"]),
    ("queue_bytes", &["dbintel_lane_queue_bytes"]),
    ("queue_bytes_max", &["dbintel_lane_queue_bytes_max"]),
    ("batches", &["dbintel_lane_batches_total"]),
    ("lost_records", &["dbintel_lane_lost_records_total"]),
];
const EXPORTER: &[Figure] = &[
    ("queue_size", &["otelcol_exporter_queue_size"]),
    ("queue_capacity", &["otelcol_exporter_queue_capacity"]),
    ("queue_bytes", &["dbintel_exporter_queue_bytes"]),
    ("sent_records", &["otelcol_exporter_sent_metric_points", "otelcol_exporter_sent_log_records"]),
    (
        "failed_records",
        &[
            "otelcol_exporter_send_failed_metric_points",
            "otelcol_exporter_send_failed_log_records",
            "otelcol_exporter_enqueue_failed_metric_points",
            "otelcol_exporter_enqueue_failed_log_records",
        ],
    ),
];
/// The figures of a component that are known.
pub(super) fn of(component: &ComponentStatus, series: &SeriesIndex) -> BTreeMap<&'static str, Value> {
    let figures = match component.kind {
        ComponentKind::Receiver => RECEIVER,
        ComponentKind::Lane => LANE,
        ComponentKind::Exporter => EXPORTER,
        ComponentKind::Extension => &[],
    };
    let id = component.id.as_str();
    let known = figures.iter().filter_map(|(name, metrics)| Some((*name, sum(metrics, id, series)?)));
    let mut known: BTreeMap<_, _> = known.collect();
    let error_ratio = match component.kind {
        ComponentKind::Receiver => statement_error_ratio(id, series),
        ComponentKind::Exporter => ratio(known.get("failed_records"), known.get("sent_records")),
        ComponentKind::Lane | ComponentKind::Extension => None,
    };
    known.extend(error_ratio.map(|ratio| ("error_ratio", ratio)));
    known.into_iter().map(|(name, value)| (name, number(value))).collect()
}

fn sum(metrics: &[&str], id: &str, series: &SeriesIndex) -> Option<f64> {
    let known = metrics.iter().filter_map(|metric| series.sum(metric, id));
    known.reduce(|sum, value| sum + value)
}

/// Statements that failed, of all that were sent since the start.
fn statement_error_ratio(id: &str, series: &SeriesIndex) -> Option<f64> {
    let samples = series.samples("dbintel_database_statements_total", id);
    let (failed, successful): (Vec<_>, Vec<_>) =
        samples.iter().partition(|sample| sample.label("outcome") != Some("success"));
    let sum = |samples: &[&Sample]| samples.iter().map(|sample| sample.value).sum::<f64>();
    ratio(Some(&sum(&failed)), Some(&sum(&successful)))
}

fn ratio(part: Option<&f64>, rest: Option<&f64>) -> Option<f64> {
    let part = part.copied()?;
    let whole = part + rest.copied().unwrap_or_default();
    (whole > 0.0).then(|| part / whole)
}

/// Counts as whole numbers, everything else as it is.
#[allow(clippy::cast_possible_truncation, reason = "whole and far below 2^53")]
pub(super) fn number(value: f64) -> Value {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT_MAX {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}
