//! `jsonlog`: an object in each line.

use super::{LogRecord, query_id, time};
use crate::Budget;
use crate::json::{Reader, Value};

/// The record in this line.
pub(super) fn record(line: &str) -> Option<LogRecord<'_>> {
    let mut budget = Budget::unlimited();
    let mut json = Reader::new(line, &mut budget);
    let Ok(Value::Object) = json.value() else { return None };
    let mut record = LogRecord::default();
    while let Some(name) = json.member().ok()? {
        match (&*name, json.value().ok()?) {
            ("timestamp", Value::String(text)) => record.time_micros = time::micros(&text),
            ("user", Value::String(text)) => record.user = Some(text),
            ("dbname", Value::String(text)) => record.database = Some(text),
            ("query_id", Value::Number(number)) => record.query_id = query_id(number),
            ("error_severity", Value::String(text)) => record.severity = Some(text),
            ("state_code", Value::String(text)) => record.sqlstate = Some(text),
            ("message", Value::String(text)) => record.message = text,
            ("context", Value::String(_)) => record.has_context = true,
            (_, value) => json.skip(&value).ok()?,
        }
    }
    json.is_at_end().then_some(record)
}
