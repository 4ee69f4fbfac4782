//! The binary format. Field numbers are those of `opentelemetry/proto` 1.x; the oracle of the tests is prost.

mod primitive;

use dbintel_model::{Attribute, MetricDefinition, MetricPoint, Number, NumberType, Record, Signal};

use self::primitive::{
    close_group, close_record, fixed64, key_value, open_group, open_record, string, varint, varint_len,
};
use super::wire::{Cached, LogFields, Open, SCOPE_VERSION, Wire};

/// Tags: field number and wire type. `LEN` fields end in 2, varints in 0, 64-bit fields in 1.
mod tag {
    pub(super) const REQUEST_RESOURCE_GROUPS: u8 = 1 << 3 | 2;
    pub(super) const GROUP_RESOURCE: u8 = 1 << 3 | 2;
    pub(super) const GROUP_SCOPE_GROUPS: u8 = 2 << 3 | 2;
    pub(super) const RESOURCE_ATTRIBUTES: u8 = 1 << 3 | 2;
    pub(super) const SCOPE_GROUP_SCOPE: u8 = 1 << 3 | 2;
    pub(super) const SCOPE_GROUP_ITEMS: u8 = 2 << 3 | 2;
    pub(super) const SCOPE_NAME: u8 = 1 << 3 | 2;
    pub(super) const SCOPE_VERSION: u8 = 2 << 3 | 2;

    pub(super) const METRIC_NAME: u8 = 1 << 3 | 2;
    pub(super) const METRIC_DESCRIPTION: u8 = 2 << 3 | 2;
    pub(super) const METRIC_UNIT: u8 = 3 << 3 | 2;
    pub(super) const METRIC_GAUGE: u8 = 5 << 3 | 2;
    pub(super) const METRIC_SUM: u8 = 7 << 3 | 2;
    pub(super) const DATA_POINTS: u8 = 1 << 3 | 2;
    pub(super) const SUM_TEMPORALITY: u8 = 2 << 3;
    pub(super) const SUM_MONOTONIC: u8 = 3 << 3;
    pub(super) const POINT_START: u8 = 2 << 3 | 1;
    pub(super) const POINT_TIME: u8 = 3 << 3 | 1;
    pub(super) const POINT_DOUBLE: u8 = 4 << 3 | 1;
    pub(super) const POINT_INT: u8 = 6 << 3 | 1;
    pub(super) const POINT_ATTRIBUTES: u8 = 7 << 3 | 2;

    pub(super) const LOG_TIME: u8 = 1 << 3 | 1;
    pub(super) const LOG_SEVERITY: u8 = 2 << 3;
    pub(super) const LOG_ATTRIBUTES: u8 = 6 << 3 | 2;
    pub(super) const LOG_OBSERVED_TIME: u8 = 11 << 3 | 1;
    pub(super) const LOG_EVENT_NAME: u8 = 12 << 3 | 2;
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u8 = 2;

/// The binary format.
#[derive(Debug)]
pub(super) struct Protobuf;

impl Wire for Protobuf {
    const CLOSING_BYTES: usize = 0;

    fn open_request(_out: &mut Vec<u8>, _signal: Signal) {}

    fn close_request(_out: &mut Vec<u8>) {}

    fn open_resource(out: &mut Vec<u8>, _signal: Signal, cached: Cached<'_>, more: &[Attribute]) -> Open {
        let outer = open_group(out, tag::REQUEST_RESOURCE_GROUPS);
        let resource = open_group(out, tag::GROUP_RESOURCE);
        out.extend_from_slice(cached.resource);
        Self::attributes(out, more);
        close_group(out, resource);
        let inner = open_group(out, tag::GROUP_SCOPE_GROUPS);
        out.extend_from_slice(cached.scope);
        Open { outer, inner }
    }

    fn close_resource(out: &mut Vec<u8>, open: Open) {
        close_group(out, open.inner);
        close_group(out, open.outer);
    }

    fn open_metric(out: &mut Vec<u8>, metric: &MetricDefinition) -> Open {
        let outer = open_group(out, tag::SCOPE_GROUP_ITEMS);
        string(out, tag::METRIC_NAME, metric.name);
        string(out, tag::METRIC_DESCRIPTION, metric.description);
        string(out, tag::METRIC_UNIT, metric.unit);
        if !metric.instrument.is_sum() {
            let inner = open_group(out, tag::METRIC_GAUGE);
            return Open { outer, inner };
        }
        let inner = open_group(out, tag::METRIC_SUM);
        let monotonic = u8::from(metric.is_monotonic());
        out.extend_from_slice(&[tag::SUM_TEMPORALITY, CUMULATIVE, tag::SUM_MONOTONIC, monotonic]);
        Open { outer, inner }
    }

    fn close_metric(out: &mut Vec<u8>, open: Open) {
        close_group(out, open.inner);
        close_group(out, open.outer);
    }

    fn point(out: &mut Vec<u8>, point: &MetricPoint) {
        let start = open_record(out, tag::DATA_POINTS);
        if let Some(time) = point.start
            && point.metric.instrument.is_sum()
        {
            fixed64(out, tag::POINT_START, time.as_nanos());
        }
        fixed64(out, tag::POINT_TIME, point.time.as_nanos());
        match number(point) {
            Number::Int(int) => fixed64(out, tag::POINT_INT, int.cast_unsigned()),
            Number::Double(double) => fixed64(out, tag::POINT_DOUBLE, double.to_bits()),
        }
        point.for_each_attribute(&mut |key, value| key_value(out, tag::POINT_ATTRIBUTES, key, value));
        close_record(out, start);
    }

    fn log_record(out: &mut Vec<u8>, fields: &LogFields, record: &Record) {
        let start = open_record(out, tag::SCOPE_GROUP_ITEMS);
        fixed64(out, tag::LOG_TIME, fields.time.as_nanos());
        fixed64(out, tag::LOG_OBSERVED_TIME, fields.observed.as_nanos());
        out.extend_from_slice(&[tag::LOG_SEVERITY, fields.severity]);
        string(out, tag::LOG_EVENT_NAME, fields.event.name);
        record.for_each_attribute(&mut |key, value| key_value(out, tag::LOG_ATTRIBUTES, key, value));
        close_record(out, start);
    }

    fn attributes(out: &mut Vec<u8>, attributes: &[Attribute]) {
        for attribute in attributes {
            key_value(out, tag::RESOURCE_ATTRIBUTES, &attribute.key, attribute.value.as_ref());
        }
    }

    fn scope(out: &mut Vec<u8>, name: &str) {
        let length =
            2 + varint_len(name.len()) + name.len() + varint_len(SCOPE_VERSION.len()) + SCOPE_VERSION.len();
        out.push(tag::SCOPE_GROUP_SCOPE);
        varint(out, length as u64);
        string(out, tag::SCOPE_NAME, name);
        string(out, tag::SCOPE_VERSION, SCOPE_VERSION);
    }
}

/// The value in the number type of its metric. A double that is not a whole number stays one: a value of an unexpected
/// type is better than a wrong value.
pub(super) fn number(point: &MetricPoint) -> Number {
    match (point.metric.number, point.value) {
        (NumberType::Double, value) => Number::Double(value.as_f64()),
        #[allow(clippy::cast_possible_truncation, reason = "a whole number well inside the range of i64")]
        (NumberType::Int, Number::Double(double)) if double.fract() == 0.0 && double.abs() < 9e18 => {
            Number::Int(double as i64)
        }
        (NumberType::Int, value) => value,
    }
}
