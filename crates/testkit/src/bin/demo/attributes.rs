//! Attributes of log records, by name.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

fn attribute<'a>(record: &'a LogRecord, key: &str) -> Option<&'a Value> {
    record.attributes.iter().find(|held| held.key == key)?.value.as_ref()?.value.as_ref()
}

pub(crate) fn text(record: &LogRecord, key: &str) -> String {
    match attribute(record, key) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

pub(crate) fn int(record: &LogRecord, key: &str) -> i64 {
    match attribute(record, key) {
        Some(Value::IntValue(int)) => *int,
        _ => 0,
    }
}

pub(crate) fn double(record: &LogRecord, key: &str) -> f64 {
    match attribute(record, key) {
        Some(Value::DoubleValue(double)) => *double,
        _ => 0.0,
    }
}
