//! Names, from OpenTelemetry's to Prometheus'.
//!
//! The rules are those of the specification, "Prometheus and OpenMetrics Compatibility", as the Collector's exporter
//! applies them: a name is split into words at every character that Prometheus does not allow, the unit is appended
//! unless it is one of the words, `_ratio` is appended to gauges of unit 1 and `_total` to monotonic sums.

use dbintel_model::{Instrument, MetricDefinition};

/// The name of a metric.
pub(super) fn metric_name(metric: &MetricDefinition, namespace: &str, suffixes: bool) -> String {
    let mut words: Vec<&str> = words(metric.name).collect();
    if suffixes {
        append_unit(&mut words, metric.unit);
        if metric.is_monotonic() {
            move_to_end(&mut words, "total");
        } else if metric.instrument == Instrument::Gauge && metric.unit == "1" {
            move_to_end(&mut words, "ratio");
        }
    }
    let name = words.join("_");
    if !namespace.is_empty() {
        format!("{namespace}_{name}")
    } else if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

/// The name of a label: what is not allowed becomes an underscore, and a leading digit or double underscore gets
/// `key` before it.
pub(super) fn label_name(attribute: &str) -> String {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let name: String =
        attribute.chars().map(|character| if is_allowed(character) { character } else { '_' }).collect();
    match name.as_bytes() {
        [] => "key_empty".to_owned(),
        [b'0'..=b'9', ..] => format!("key_{name}"),
        [b'_', b'_', ..] => format!("key{name}"),
        _ => name,
    }
}

pub(super) fn is_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

pub(super) fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.starts_with("__")
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    let is_separator = |character: char| !(character.is_ascii_alphanumeric() || character == ':');
    name.split(is_separator).filter(|word| !word.is_empty())
}

fn append_unit<'a>(words: &mut Vec<&'a str>, unit: &'a str) {
    let (main, per) = unit.split_once('/').map_or((unit, None), |(main, per)| (main, Some(per)));
    if let Some(main) = unit_word(main)
        && !words.contains(&main)
    {
        words.push(main);
    }
    if let Some(per) = per.and_then(per_word)
        && !words.contains(&per)
    {
        words.push("per");
        words.push(per);
    }
}

/// Annotations in braces, and the unit 1, are no words.
fn unit_word(unit: &str) -> Option<&str> {
    let word = match unit {
        "" | "1" => return None,
        annotation if annotation.contains(['{', '}']) => return None,
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "kBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        other => other,
    };
    Some(word)
}

fn per_word(unit: &str) -> Option<&str> {
    match unit {
        "s" => Some("second"),
        "m" | "min" => Some("minute"),
        "h" => Some("hour"),
        "d" => Some("day"),
        other => unit_word(other),
    }
}

fn move_to_end<'a>(words: &mut Vec<&'a str>, word: &'a str) {
    words.retain(|present| *present != word);
    words.push(word);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dbintel_model::NumberType;
    use dbintel_model::catalogue::METRICS;

    use super::*;

    fn definition(name: &'static str, unit: &'static str, instrument: Instrument) -> MetricDefinition {
        MetricDefinition {
            name,
            description: "",
            unit,
            instrument,
            number: NumberType::Int,
            attributes: &[],
            enabled: true,
            contrib: false,
            family: "",
            sources: &[],
        }
    }

    #[test]
    fn names_of_metrics() {
        let check = |name, unit, instrument, expected: &str| {
            assert_eq!(metric_name(&definition(name, unit, instrument), "", true), expected);
        };
        check("postgresql.commits", "1", Instrument::Counter, "postgresql_commits_total");
        check("postgresql.db_size", "By", Instrument::UpDownCounter, "postgresql_db_size_bytes");
        check("postgresql.temp.io", "By", Instrument::Counter, "postgresql_temp_io_bytes_total");
        check("postgresql.wal.bytes", "By", Instrument::Counter, "postgresql_wal_bytes_total");
        check(
            "postgresql.session.time",
            "ms",
            Instrument::Counter,
            "postgresql_session_time_milliseconds_total",
        );
        check("postgresql.connection.max", "{connections}", Instrument::Gauge, "postgresql_connection_max");
        check("postgresql.in_recovery", "1", Instrument::Gauge, "postgresql_in_recovery_ratio");
        check("postgresql.rows", "1", Instrument::UpDownCounter, "postgresql_rows");
        check("a.total.b", "1", Instrument::Counter, "a_b_total");
        check("io.rate", "By/s", Instrument::Gauge, "io_rate_bytes_per_second");
        check("deadlock.rate", "{deadlocks}/s", Instrument::Gauge, "deadlock_rate_per_second");
        check("cache.hit", "%", Instrument::Gauge, "cache_hit_percent");
        check("1st..thing-x", "", Instrument::Gauge, "_1st_thing_x");
        let commits = definition("postgresql.commits", "1", Instrument::Counter);
        assert_eq!(metric_name(&commits, "db", true), "db_postgresql_commits_total");
        assert_eq!(metric_name(&commits, "", false), "postgresql_commits");
    }

    #[test]
    fn names_of_labels() {
        let check = |attribute: &str, expected: &str| assert_eq!(label_name(attribute), expected);
        check("db.namespace", "db_namespace");
        check("état", "_tat");
        check("1st", "key_1st");
        check("__name__", "key__name__");
        check("", "key_empty");
        for attribute in ["db.namespace", "état", "1st", "__name__", "", "a b"] {
            assert!(is_label_name(&label_name(attribute)));
        }
    }

    /// Two metrics with one name would be one family with two types.
    #[test]
    fn the_catalogue_has_no_two_metrics_with_one_name() {
        for suffixes in [true, false] {
            let mut names = BTreeMap::new();
            for metric in &METRICS {
                let name = metric_name(metric, "", suffixes);
                assert!(is_metric_name(&name));
                assert_eq!(names.insert(name, metric.name), None);
            }
        }
    }
}
