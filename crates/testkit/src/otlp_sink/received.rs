//! What the sink has seen: every attempt, every accepted request, every breach of the protocol.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::behaviour::Refusal;
use super::signal::{Export, Signal, data_points};

/// Attempts whose details are kept; later ones are counted only. A test that needs more asks for counts.
pub const ATTEMPTS_KEPT_MAX: usize = 100_000;

/// Everything the sink has seen, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Accepted metrics requests, in order.
    pub metrics: Vec<Arc<ExportMetricsServiceRequest>>,
    /// Accepted logs requests, in order.
    pub logs: Vec<Arc<ExportLogsServiceRequest>>,
    /// Accepted traces requests, in order.
    pub traces: Vec<Arc<ExportTraceServiceRequest>>,
    /// Every request that arrived, whatever became of it, in order of arrival.
    pub attempts: Vec<Attempt>,
    /// Breaches of the protocol by the client, each with the number of the attempt.
    pub violations: Vec<String>,
    /// Sums over all attempts, kept in every mode.
    pub totals: Totals,
    accepted_bodies: HashMap<u128, usize>,
}

/// Sums that do not grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that arrived.
    pub attempts: usize,
    /// Requests that were accepted, in full or in part.
    pub accepted: usize,
    /// Bytes of bodies as they came over the wire, of accepted requests.
    pub accepted_wire_bytes: u64,
    /// Bytes of their messages, after decompression. The wire bytes where only counts are kept.
    pub accepted_message_bytes: u64,
    /// Data points, log records and spans in accepted requests. 0 where only counts are kept.
    pub accepted_items: u64,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Counts from 1.
    pub number: usize,
    /// When its header was read, since the sink was made.
    pub at: Duration,
    /// Until the answer was ready to be sent.
    pub took: Option<Duration>,
    /// Which of the two ports.
    pub transport: Transport,
    /// `None` where the path names no OTLP service.
    pub signal: Option<Signal>,
    /// Path of the request.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// Compression of the body.
    pub encoding: Encoding,
    /// Format of the message.
    pub format: Format,
    /// Size of the body on the wire.
    pub wire_bytes: usize,
    /// Size of the message after decompression.
    pub message_bytes: usize,
    /// Hash of the decompressed message: equal for a request that is sent again.
    pub message_hash: u128,
    /// Data points, log records or spans in it; `None` where it could not be, or was not to be, decoded.
    pub items: Option<usize>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Being read, or being delayed.
    Pending,
    /// Recorded, success answered.
    Accepted,
    /// Recorded, success answered with so many items rejected.
    Partial(i64),
    /// Refused as the script said.
    Refused(Refusal),
    /// Refused as the script said, with a hint when to come back.
    Throttled(Refusal),
    /// Connection closed without an answer.
    Dropped,
    /// Recorded, connection closed without an answer.
    AcceptedThenDropped,
    /// Answered what is not OTLP.
    Malformed,
    /// Refused because it broke the protocol, or used an encoding that this sink does not take.
    Rejected(Refusal),
    /// The client went away before it had an answer, or the sink was stopped.
    Abandoned,
}

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// OTLP/gRPC
    Grpc,
    /// OTLP/HTTP
    Http,
}

/// Compression of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// None.
    Identity,
    /// gzip
    Gzip,
    /// zstd
    Zstd,
    /// Something else, which the sink does not take.
    Other,
}

/// Format of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Binary protobuf.
    Protobuf,
    /// JSON as OTLP defines it.
    Json,
    /// Something else, which the sink does not take.
    Other,
}

// === impl Received ===

impl Received {
    /// Number of accepted requests of all signals.
    pub fn accepted(&self) -> usize {
        self.totals.accepted
    }

    /// How many accepted requests had been accepted before with the same bytes: the double deliveries. 0 where only
    /// counts are kept.
    pub fn duplicates(&self) -> usize {
        self.accepted_bodies.values().map(|times| times - 1).sum()
    }

    /// Attempts with one outcome.
    pub fn with_outcome(&self, wanted: impl Fn(Outcome) -> bool) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(move |attempt| wanted(attempt.outcome))
    }

    /// Data points in all accepted requests.
    pub fn data_points(&self) -> usize {
        self.metrics.iter().map(|request| data_points(request)).sum()
    }

    /// All accepted metrics, in order; one name may come many times.
    pub fn all_metrics(&self) -> impl Iterator<Item = &Metric> {
        let resources = self.metrics.iter().flat_map(|request| &request.resource_metrics);
        resources.flat_map(|of| &of.scope_metrics).flat_map(|of| &of.metrics)
    }

    /// Names of all accepted metrics.
    pub fn metric_names(&self) -> BTreeSet<&str> {
        self.all_metrics().map(|metric| metric.name.as_str()).collect()
    }

    /// All accepted log records, in order.
    pub fn log_records(&self) -> impl Iterator<Item = &LogRecord> {
        let resources = self.logs.iter().flat_map(|request| &request.resource_logs);
        resources.flat_map(|of| &of.scope_logs).flat_map(|of| &of.log_records)
    }

    /// All accepted spans, in order.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        let resources = self.traces.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans)
    }

    /// Panics with the list when the client broke the protocol.
    pub fn assert_no_violations(&self) {
        assert!(self.violations.is_empty(), "the client broke the protocol:\n{}", self.violations.join("\n"));
    }

    pub(crate) fn keep(&mut self, export: Export) {
        match export {
            Export::Metrics(request) => self.metrics.push(request),
            Export::Logs(request) => self.logs.push(request),
            Export::Traces(request) => self.traces.push(request),
        }
    }

    pub(crate) fn count_accepted(&mut self, attempt: &Attempt, keeps_content: bool) {
        self.totals.accepted += 1;
        self.totals.accepted_wire_bytes += attempt.wire_bytes as u64;
        self.totals.accepted_message_bytes += attempt.message_bytes as u64;
        self.totals.accepted_items += attempt.items.unwrap_or(0) as u64;
        if keeps_content {
            *self.accepted_bodies.entry(attempt.message_hash).or_insert(0) += 1;
        }
    }

    /// For the panic text of a wait that was in vain.
    pub(crate) fn summary(&self) -> String {
        const LAST: usize = 10;
        let mut text = format!("{:?}, {} violations", self.totals, self.violations.len());
        for attempt in self.attempts.iter().rev().take(LAST) {
            text += &format!(
                "\n  #{} at {:?}: {:?} {} {:?} {} bytes: {:?}",
                attempt.number,
                attempt.at,
                attempt.transport,
                attempt.path,
                attempt.encoding,
                attempt.wire_bytes,
                attempt.outcome
            );
        }
        text
    }
}
