//! The three export services, so that the rest of the sink is written once.

use std::fmt;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `/v1/metrics`
    Metrics,
    /// `/v1/logs`
    Logs,
    /// `/v1/traces`
    Traces,
}

/// A decoded request.
#[derive(Clone, Debug)]
pub(crate) enum Export {
    Metrics(Arc<ExportMetricsServiceRequest>),
    Logs(Arc<ExportLogsServiceRequest>),
    Traces(Arc<ExportTraceServiceRequest>),
}

/// What the answer says about items the backend did not take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartialSuccess {
    pub(crate) rejected: i64,
    pub(crate) message: String,
}

// === impl Signal ===

impl Signal {
    pub(crate) fn of_http_path(path: &str) -> Option<Self> {
        match path {
            "/v1/metrics" => Some(Self::Metrics),
            "/v1/logs" => Some(Self::Logs),
            "/v1/traces" => Some(Self::Traces),
            _ => None,
        }
    }

    pub(crate) fn of_grpc_path(path: &str) -> Option<Self> {
        match path {
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Some(Self::Metrics),
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Some(Self::Logs),
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Some(Self::Traces),
            _ => None,
        }
    }

    pub(crate) fn decode_protobuf(self, message: &[u8]) -> Result<Export, String> {
        match self {
            Self::Metrics => Message::decode(message).map(|request| Export::Metrics(Arc::new(request))),
            Self::Logs => Message::decode(message).map(|request| Export::Logs(Arc::new(request))),
            Self::Traces => Message::decode(message).map(|request| Export::Traces(Arc::new(request))),
        }
        .map_err(|error| format!("not a {self} request: {error}"))
    }

    pub(crate) fn decode_json(self, message: &[u8]) -> Result<Export, String> {
        match self {
            Self::Metrics => {
                serde_json::from_slice(message).map(|request| Export::Metrics(Arc::new(request)))
            }
            Self::Logs => serde_json::from_slice(message).map(|request| Export::Logs(Arc::new(request))),
            Self::Traces => serde_json::from_slice(message).map(|request| Export::Traces(Arc::new(request))),
        }
        .map_err(|error| format!("not a {self} request: {error}"))
    }

    /// The successful answer as protobuf.
    pub(crate) fn response_protobuf(self, partial: Option<PartialSuccess>) -> Vec<u8> {
        match self {
            Self::Metrics => metrics_response(partial).encode_to_vec(),
            Self::Logs => logs_response(partial).encode_to_vec(),
            Self::Traces => trace_response(partial).encode_to_vec(),
        }
    }

    /// The successful answer as JSON. Written by hand: `partialSuccess` must be absent, not null, and the 64-bit
    /// count is a string.
    pub(crate) fn response_json(self, partial: Option<PartialSuccess>) -> Vec<u8> {
        let Some(partial) = partial else {
            return b"{}".to_vec();
        };
        let rejected = match self {
            Self::Metrics => "rejectedDataPoints",
            Self::Logs => "rejectedLogRecords",
            Self::Traces => "rejectedSpans",
        };
        serde_json::json!({
            "partialSuccess": { rejected: partial.rejected.to_string(), "errorMessage": partial.message }
        })
        .to_string()
        .into_bytes()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
        })
    }
}

// === impl Export ===

impl Export {
    /// Data points, log records or spans.
    pub(crate) fn items(&self) -> usize {
        match self {
            Self::Metrics(request) => data_points(request),
            Self::Logs(request) => request
                .resource_logs
                .iter()
                .flat_map(|of| &of.scope_logs)
                .map(|of| of.log_records.len())
                .sum(),
            Self::Traces(request) => {
                request.resource_spans.iter().flat_map(|of| &of.scope_spans).map(|of| of.spans.len()).sum()
            }
        }
    }
}

pub(crate) fn data_points(request: &ExportMetricsServiceRequest) -> usize {
    let scopes = request.resource_metrics.iter().flat_map(|of| &of.scope_metrics);
    scopes
        .flat_map(|of| &of.metrics)
        .map(|metric| match &metric.data {
            Some(Data::Gauge(data)) => data.data_points.len(),
            Some(Data::Sum(data)) => data.data_points.len(),
            Some(Data::Histogram(data)) => data.data_points.len(),
            Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
            Some(Data::Summary(data)) => data.data_points.len(),
            None => 0,
        })
        .sum()
}

pub(crate) fn metrics_response(partial: Option<PartialSuccess>) -> ExportMetricsServiceResponse {
    ExportMetricsServiceResponse {
        partial_success: partial.map(|of| ExportMetricsPartialSuccess {
            rejected_data_points: of.rejected,
            error_message: of.message,
        }),
    }
}

pub(crate) fn logs_response(partial: Option<PartialSuccess>) -> ExportLogsServiceResponse {
    ExportLogsServiceResponse {
        partial_success: partial.map(|of| ExportLogsPartialSuccess {
            rejected_log_records: of.rejected,
            error_message: of.message,
        }),
    }
}

pub(crate) fn trace_response(partial: Option<PartialSuccess>) -> ExportTraceServiceResponse {
    ExportTraceServiceResponse {
        partial_success: partial
            .map(|of| ExportTracePartialSuccess { rejected_spans: of.rejected, error_message: of.message }),
    }
}
