//! The oracle: a plain conversion of records to the generated types, one point or log record at a time.

use dbintel_model::{Batch, MetricPoint, Number, NumberType, Record, ValueRef};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, Sum};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

/// One point or log record with all that surrounds it, encoded by prost: comparable also where it holds a NaN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flat {
    pub(super) resource: Vec<u8>,
    pub(super) scope: Vec<u8>,
    pub(super) item: Vec<u8>,
}

pub(super) fn expected_points(batches: &[Batch]) -> Vec<Flat> {
    let mut flat: Vec<Flat> = batches
        .iter()
        .flat_map(|batch| batch.records.iter().map(move |record| (batch, record)))
        .filter_map(|(batch, record)| match record {
            Record::Metric(point) => Some((batch, point)),
            _ => None,
        })
        .map(|(batch, point)| {
            let resource = batch.target.server.resource.iter().chain(&point.labels.resource);
            Flat {
                resource: encoded_resource(resource.map(|a| key_value(&a.key, a.value.as_ref())).collect()),
                scope: scope(batch).encode_to_vec(),
                item: metric(point).encode_to_vec(),
            }
        })
        .collect();
    flat.sort();
    flat
}

pub(super) fn expected_logs(batches: &[Batch]) -> Vec<Flat> {
    batches
        .iter()
        .flat_map(|batch| batch.records.iter().map(move |record| (batch, record)))
        .filter_map(|(batch, record)| Some((batch, log_record(batch, record)?)))
        .map(|(batch, log)| {
            let resource = batch.target.server.resource.iter();
            Flat {
                resource: encoded_resource(resource.map(|a| key_value(&a.key, a.value.as_ref())).collect()),
                scope: scope(batch).encode_to_vec(),
                item: log.encode_to_vec(),
            }
        })
        .collect()
}

pub(super) fn decoded_points(requests: &[ExportMetricsServiceRequest]) -> Vec<Flat> {
    let mut flat = Vec::new();
    for resource_metrics in requests.iter().flat_map(|request| &request.resource_metrics) {
        for scope_metrics in &resource_metrics.scope_metrics {
            for metric in scope_metrics.metrics.iter().flat_map(one_metric_per_point) {
                flat.push(Flat {
                    resource: resource_metrics.resource.as_ref().unwrap().encode_to_vec(),
                    scope: scope_metrics.scope.as_ref().unwrap().encode_to_vec(),
                    item: metric.encode_to_vec(),
                });
            }
        }
    }
    flat.sort();
    flat
}

pub(super) fn decoded_logs(requests: &[ExportLogsServiceRequest]) -> Vec<Flat> {
    let mut flat = Vec::new();
    for resource_logs in requests.iter().flat_map(|request| &request.resource_logs) {
        for scope_logs in &resource_logs.scope_logs {
            flat.extend(scope_logs.log_records.iter().map(|log| Flat {
                resource: resource_logs.resource.as_ref().unwrap().encode_to_vec(),
                scope: scope_logs.scope.as_ref().unwrap().encode_to_vec(),
                item: log.encode_to_vec(),
            }));
        }
    }
    flat
}

fn one_metric_per_point(metric: &Metric) -> Vec<Metric> {
    let rewrap = |point: &NumberDataPoint, data: &dyn Fn(Vec<NumberDataPoint>) -> Data| Metric {
        data: Some(data(vec![point.clone()])),
        ..metric.clone()
    };
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => {
            let data = |data_points| Data::Gauge(Gauge { data_points });
            gauge.data_points.iter().map(|point| rewrap(point, &data)).collect()
        }
        Data::Sum(sum) => {
            let data = |data_points| Data::Sum(Sum { data_points, ..sum.clone() });
            sum.data_points.iter().map(|point| rewrap(point, &data)).collect()
        }
        other => panic!("never written: {other:?}"),
    }
}

fn encoded_resource(attributes: Vec<KeyValue>) -> Vec<u8> {
    Resource { attributes, ..Resource::default() }.encode_to_vec()
}

fn scope(batch: &Batch) -> InstrumentationScope {
    let kind = batch.target.server.receiver.split('/').next().unwrap();
    InstrumentationScope {
        name: format!("dbintel.receiver.{kind}"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn metric(point: &MetricPoint) -> Metric {
    let value = match (point.metric.number, point.value) {
        (NumberType::Double, Number::Int(int)) => number_data_point::Value::AsDouble(int as f64),
        (NumberType::Int, Number::Double(double)) if double.trunc() == double && double.abs() < 9e18 => {
            number_data_point::Value::AsInt(double as i64)
        }
        (_, Number::Int(int)) => number_data_point::Value::AsInt(int),
        (_, Number::Double(double)) => number_data_point::Value::AsDouble(double),
    };
    let mut attributes = Vec::new();
    point.for_each_attribute(&mut |key, value| attributes.push(key_value(key, value)));
    let is_sum = point.metric.instrument.is_sum();
    let data_points = vec![NumberDataPoint {
        attributes,
        start_time_unix_nano: point.start.filter(|_| is_sum).map_or(0, dbintel_model::Timestamp::as_nanos),
        time_unix_nano: point.time.as_nanos(),
        value: Some(value),
        ..NumberDataPoint::default()
    }];
    let data = if is_sum {
        Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: point.metric.is_monotonic() })
    } else {
        Data::Gauge(Gauge { data_points })
    };
    Metric {
        name: point.metric.name.to_owned(),
        description: point.metric.description.to_owned(),
        unit: point.metric.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn log_record(batch: &Batch, record: &Record) -> Option<LogRecord> {
    let event = record.event().filter(|_| record.leaves())?;
    let time = match record {
        Record::Query(query) => query.interval.end,
        Record::QueryPlan(plan) => plan.obtained_at,
        Record::PlanChange(change) => change.at,
        Record::PlanSensitivity(sensitivity) => sensitivity.at,
        Record::Finding(event) => event.finding.updated_at,
        _ => batch.server_clock.unwrap_or(batch.observed_at),
    };
    let severity = match record {
        Record::Finding(event) => event.severity(),
        _ => event.severity,
    };
    let mut attributes = Vec::new();
    record.for_each_attribute(&mut |key, value| attributes.push(key_value(key, value)));
    Some(LogRecord {
        time_unix_nano: time.as_nanos(),
        observed_time_unix_nano: batch.observed_at.as_nanos(),
        severity_number: severity.into(),
        event_name: event.name.to_owned(),
        attributes,
        ..LogRecord::default()
    })
}

fn key_value(key: &str, value: ValueRef<'_>) -> KeyValue {
    let value = match value {
        ValueRef::Text(text) => Value::StringValue(text.to_owned()),
        ValueRef::Int(int) => Value::IntValue(int),
        ValueRef::Double(double) => Value::DoubleValue(double),
        ValueRef::Bool(bool) => Value::BoolValue(bool),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
