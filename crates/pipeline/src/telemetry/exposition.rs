//! The Prometheus text format 0.0.4, for our own metrics and for those of the `prometheus` exporter.

use std::fmt::Write as _;

use super::{Registry, SelfMetricKind};

impl Registry {
    /// All self-metrics as Prometheus text.
    #[must_use]
    pub fn prometheus_text(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        for reading in self.read() {
            let kind = match reading.metric.kind {
                SelfMetricKind::Counter => "counter",
                SelfMetricKind::Gauge => "gauge",
            };
            write_help_and_type(&mut text, reading.metric.name, reading.metric.help, kind);
            for (labels, value) in &reading.series {
                let labels = labels.iter().map(|(name, value)| (*name, value.as_str()));
                write_sample(&mut text, reading.metric.name, labels, *value);
            }
        }
        text
    }
}

/// Writes the two comment lines of a metric.
pub fn write_help_and_type(text: &mut String, name: &str, help: &str, kind: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Writes one sample line. Label names must be valid already; values are escaped.
pub fn write_sample<'a>(
    text: &mut String,
    name: &str,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    value: f64,
) {
    text.push_str(name);
    let mut separator = '{';
    for (label, value) in labels {
        text.push(separator);
        separator = ',';
        text.push_str(label);
        text.push_str("=\"");
        escape_label_value(text, value);
        text.push('"');
    }
    if separator == ',' {
        text.push('}');
    }
    // Writing to a string cannot fail.
    let _ = match value {
        value if value.is_nan() => writeln!(text, " NaN"),
        f64::INFINITY => writeln!(text, " +Inf"),
        f64::NEG_INFINITY => writeln!(text, " -Inf"),
        value => writeln!(text, " {value}"),
    };
}

/// Appends a label value with backslash, quote and line feed escaped.
pub fn escape_label_value(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}
