//! The page: text format 0.0.4 and OpenMetrics 1.0.

use std::fmt::Write as _;
use std::sync::Arc;

use dbintel_model::{MetricDefinition, Number, Timestamp};
use parking_lot::Mutex;

use super::config::Config;
use super::store::{Family, Store};

/// Formats of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    OpenMetrics,
}

/// Writes pages.
#[derive(Debug)]
pub(super) struct Pages {
    store: Arc<Mutex<Store>>,
    send_timestamps: bool,
    open_metrics: bool,
}

// === impl Format ===

impl Format {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The one that an `Accept` header prefers; text where it says nothing about either.
    fn accepted(accept: &str) -> Self {
        let (mut text, mut open_metrics) = (0.0_f64, 0.0_f64);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let mut quality = 1.0_f64;
            let mut version = "1.0.0";
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim() {
                    "q" => quality = value.trim().parse().unwrap_or(0.0),
                    "version" => version = value.trim(),
                    _ => {}
                }
            }
            match media_type {
                "application/openmetrics-text" if matches!(version, "1.0.0" | "0.0.1") => {
                    open_metrics = quality.max(open_metrics);
                }
                "text/plain" | "text/*" | "*/*" => text = quality.max(text),
                _ => {}
            }
        }
        // A number that is not one loses every comparison.
        if open_metrics > 0.0 && open_metrics >= text { Self::OpenMetrics } else { Self::Text }
    }
}

// === impl Pages ===

impl Pages {
    pub(super) const fn new(store: Arc<Mutex<Store>>, config: &Config) -> Self {
        Self { store, send_timestamps: config.send_timestamps, open_metrics: config.open_metrics }
    }

    pub(super) fn format(&self, accept: &str) -> Format {
        if self.open_metrics { Format::accepted(accept) } else { Format::Text }
    }

    /// The whole page.
    pub(super) fn write(&self, format: Format) -> String {
        let store = self.store.lock();
        let mut page = String::with_capacity(64 << 10);
        write_targets(&mut page, &store, format);
        for family in store.families() {
            write_head(&mut page, family, format);
            for (labels, sample) in &family.series {
                page.push_str(&family.name);
                write_labels(&mut page, labels);
                write_value(&mut page, sample.value);
                if self.send_timestamps {
                    write_time(&mut page, sample.time, format);
                }
                page.push('\n');
            }
        }
        if format == Format::OpenMetrics {
            page.push_str("# EOF\n");
        }
        page
    }
}

fn write_targets(page: &mut String, store: &Store, format: Format) {
    let mut targets = store.targets().peekable();
    if targets.peek().is_none() {
        return;
    }
    page.push_str(match format {
        Format::Text => "# HELP target_info Attributes of the server.\n# TYPE target_info gauge\n",
        Format::OpenMetrics => "# HELP target Attributes of the server.\n# TYPE target info\n",
    });
    for labels in targets {
        page.push_str("target_info");
        write_labels(page, labels);
        page.push_str(" 1\n");
    }
}

fn write_head(page: &mut String, family: &Family, format: Format) {
    let (name, kind) = name_and_type(family, format);
    page.push_str("# HELP ");
    page.push_str(name);
    page.push(' ');
    for character in family.metric.description.chars() {
        match character {
            '\\' => page.push_str("\\\\"),
            '\n' => page.push_str("\\n"),
            '"' if format == Format::OpenMetrics => page.push_str("\\\""),
            other => page.push(other),
        }
    }
    // Writing to a string cannot fail.
    let _ = writeln!(page, "\n# TYPE {name} {kind}");
}

/// OpenMetrics names the family of a counter without `_total`, and knows no counter whose samples lack it.
fn name_and_type(family: &Family, format: Format) -> (&str, &'static str) {
    let name = family.name.as_str();
    match (kind(family.metric), format) {
        ("counter", Format::OpenMetrics) => match name.strip_suffix("_total") {
            Some(base) => (base, "counter"),
            None => (name, "unknown"),
        },
        (kind, _) => (name, kind),
    }
}

const fn kind(metric: &MetricDefinition) -> &'static str {
    if metric.is_monotonic() { "counter" } else { "gauge" }
}

fn write_labels(page: &mut String, labels: &str) {
    page.push('{');
    page.push_str(labels);
    page.push('}');
}

fn write_value(page: &mut String, value: Number) {
    // Writing to a string cannot fail.
    let _ = match value {
        Number::Int(value) => write!(page, " {value}"),
        Number::Double(value) if value.is_nan() => write!(page, " NaN"),
        Number::Double(f64::INFINITY) => write!(page, " +Inf"),
        Number::Double(f64::NEG_INFINITY) => write!(page, " -Inf"),
        Number::Double(value) => write!(page, " {value:?}"),
    };
}

/// Milliseconds in the text format, seconds in OpenMetrics.
fn write_time(page: &mut String, time: Timestamp, format: Format) {
    let millis = time.as_nanos() / 1_000_000;
    // Writing to a string cannot fail.
    let _ = match format {
        Format::Text => write!(page, " {millis}"),
        Format::OpenMetrics => write!(page, " {}.{:03}", millis / 1_000, millis % 1_000),
    };
}

#[cfg(test)]
pub(in crate::prometheus) mod tests;
