//! Records as readable lines.

use std::fmt::{self, Write as _};

use dbintel_model::{MetricPoint, Number, Record, ValueRef};
use dbintel_pipeline::Delivery;

use super::config::Verbosity;

/// Characters of a line at most; what is longer ends in `…`.
pub const LINE_CHARS_MAX: usize = 4_096;
/// Characters of one attribute's value at most.
const VALUE_CHARS_MAX: usize = 512;

/// Calls `each` for every line, with what makes its text.
pub(super) fn lines(verbosity: Verbosity, delivery: &Delivery, each: &mut dyn FnMut(&dyn Fn() -> String)) {
    if verbosity == Verbosity::Basic {
        each(&|| basic(delivery));
        return;
    }
    let admitted = delivery.batch.records.iter();
    for record in admitted.filter(|record| delivery.signals.admit(record)) {
        each(&|| line(record, verbosity));
    }
}

fn basic(delivery: &Delivery) -> String {
    let (points, logs) = delivery.items();
    let batch = &delivery.batch;
    format!("{}: {points} metric points, {logs} log records, observed at {}", batch.target, batch.observed_at)
}

fn line(record: &Record, verbosity: Verbosity) -> String {
    let mut line = match record {
        Record::Metric(point) => metric(point),
        other => other.event().map_or("record", |event| event.name).to_owned(),
    };
    let shown: &[&str] = match (record, verbosity) {
        (_, Verbosity::Detailed) => &[],
        (Record::Metric(_), _) => &[],
        // What tells records of one kind apart.
        _ => &[
            "db.namespace",
            "postgresql.queryid",
            "postgresql.calls",
            "postgresql.pid",
            "postgresql.state",
            "dbintel.change.kind",
            "dbintel.change.subject",
            "dbintel.gap.what",
            "dbintel.gap.reason",
        ],
    };
    let all = verbosity == Verbosity::Detailed || matches!(record, Record::Metric(_));
    record.for_each_attribute(&mut |key, value| {
        if all || shown.contains(&key) {
            // Writing to a string cannot fail.
            let _ = write!(line, " {key}={}", Shown(value));
        }
    });
    cut(&line, LINE_CHARS_MAX)
}

fn metric(point: &MetricPoint) -> String {
    let (name, unit) = (point.metric.name, point.metric.unit);
    let value = match point.value {
        Number::Int(int) => int.to_string(),
        Number::Double(double) => double.to_string(),
    };
    format!("{name} {value} {unit}")
}

struct Shown<'a>(ValueRef<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Quoted and escaped, so that a text cannot pretend to be another line.
            ValueRef::Text(text) => write!(f, "{:?}", cut(text, VALUE_CHARS_MAX)),
            ValueRef::Int(int) => int.fmt(f),
            ValueRef::Double(double) => double.fmt(f),
            ValueRef::Bool(bool) => bool.fmt(f),
        }
    }
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
