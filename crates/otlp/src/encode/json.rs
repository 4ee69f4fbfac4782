//! OTLP/JSON: lowerCamelCase names, 64-bit integers as strings, enums as numbers, doubles that JSON cannot write as
//! `"NaN"`, `"Infinity"` and `"-Infinity"`. The oracle of the tests is the serde of the generated types.

mod value;

use dbintel_model::{Attribute, MetricDefinition, MetricPoint, Number, Record, Signal};

use self::value::{double, key_value, quoted_int, quoted_uint, string};
use super::protobuf::number;
use super::wire::{Cached, LogFields, Open, SCOPE_VERSION, Wire};

/// The text format.
#[derive(Debug)]
pub(super) struct Json;

impl Wire for Json {
    /// `]}}` of a metric, `]}]}` of a resource, `]}` of the request.
    const CLOSING_BYTES: usize = 9;

    fn open_request(out: &mut Vec<u8>, signal: Signal) {
        let start: &[u8] = match signal {
            Signal::Metrics => b"{\"resourceMetrics\":[",
            Signal::Logs => b"{\"resourceLogs\":[",
            Signal::Traces => b"{\"resourceSpans\":[",
        };
        out.extend_from_slice(start);
    }

    fn close_request(out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }

    fn open_resource(out: &mut Vec<u8>, signal: Signal, cached: Cached<'_>, more: &[Attribute]) -> Open {
        comma(out);
        out.extend_from_slice(b"{\"resource\":{\"attributes\":[");
        out.extend_from_slice(cached.resource);
        Self::attributes(out, more);
        let (scopes, items): (&[u8], &[u8]) = match signal {
            Signal::Metrics => (b"]},\"scopeMetrics\":[{\"scope\":", b",\"metrics\":["),
            Signal::Logs => (b"]},\"scopeLogs\":[{\"scope\":", b",\"logRecords\":["),
            Signal::Traces => (b"]},\"scopeSpans\":[{\"scope\":", b",\"spans\":["),
        };
        out.extend_from_slice(scopes);
        out.extend_from_slice(cached.scope);
        out.extend_from_slice(items);
        Open::default()
    }

    fn close_resource(out: &mut Vec<u8>, _open: Open) {
        out.extend_from_slice(b"]}]}");
    }

    fn open_metric(out: &mut Vec<u8>, metric: &MetricDefinition) -> Open {
        comma(out);
        out.extend_from_slice(b"{\"name\":");
        string(out, metric.name);
        out.extend_from_slice(b",\"description\":");
        string(out, metric.description);
        out.extend_from_slice(b",\"unit\":");
        string(out, metric.unit);
        let data: &[u8] = match (metric.instrument.is_sum(), metric.is_monotonic()) {
            (true, true) => b",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,\"dataPoints\":[",
            (true, false) => b",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":false,\"dataPoints\":[",
            (false, _) => b",\"gauge\":{\"dataPoints\":[",
        };
        out.extend_from_slice(data);
        Open::default()
    }

    fn close_metric(out: &mut Vec<u8>, _open: Open) {
        out.extend_from_slice(b"]}}");
    }

    fn point(out: &mut Vec<u8>, point: &MetricPoint) {
        comma(out);
        out.extend_from_slice(b"{\"attributes\":[");
        point.for_each_attribute(&mut |key, value| {
            comma(out);
            key_value(out, key, value);
        });
        out.extend_from_slice(b"]");
        if let Some(start) = point.start
            && point.metric.instrument.is_sum()
        {
            out.extend_from_slice(b",\"startTimeUnixNano\":");
            quoted_uint(out, start.as_nanos());
        }
        out.extend_from_slice(b",\"timeUnixNano\":");
        quoted_uint(out, point.time.as_nanos());
        match number(point) {
            Number::Int(int) => {
                out.extend_from_slice(b",\"asInt\":");
                quoted_int(out, int);
            }
            Number::Double(value) => {
                out.extend_from_slice(b",\"asDouble\":");
                double(out, value);
            }
        }
        out.push(b'}');
    }

    fn log_record(out: &mut Vec<u8>, fields: &LogFields, record: &Record) {
        comma(out);
        out.extend_from_slice(b"{\"timeUnixNano\":");
        quoted_uint(out, fields.time.as_nanos());
        out.extend_from_slice(b",\"observedTimeUnixNano\":");
        quoted_uint(out, fields.observed.as_nanos());
        out.extend_from_slice(b",\"severityNumber\":");
        out.extend_from_slice(itoa::Buffer::new().format(fields.severity).as_bytes());
        out.extend_from_slice(b",\"eventName\":");
        string(out, fields.event.name);
        out.extend_from_slice(b",\"attributes\":[");
        record.for_each_attribute(&mut |key, value| {
            comma(out);
            key_value(out, key, value);
        });
        out.extend_from_slice(b"]}");
    }

    fn attributes(out: &mut Vec<u8>, attributes: &[Attribute]) {
        for attribute in attributes {
            // The cached part begins in an empty buffer and is put behind a bracket.
            if !out.is_empty() {
                comma(out);
            }
            key_value(out, &attribute.key, attribute.value.as_ref());
        }
    }

    fn scope(out: &mut Vec<u8>, name: &str) {
        out.extend_from_slice(b"{\"name\":");
        string(out, name);
        out.extend_from_slice(b",\"version\":");
        string(out, SCOPE_VERSION);
        out.push(b'}');
    }
}

/// Separates from the element before; the first element of a list follows its bracket.
fn comma(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}
