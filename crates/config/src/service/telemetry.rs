//! The collector's own telemetry, `service.telemetry` of the Collector.
//!
//! What a Collector configuration has here is read; what dbintel does not do is taken out before, with a
//! warning for each (see `foreign`). An item of a list that was taken out is nothing in its place, so that
//! paths of errors count as the file does.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::values::{Address, Duration, Endpoint, Headers, ValueError};

/// The collector's own logs, metrics and traces.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Its logs.
    pub logs: LogsConfig,
    /// Its metrics.
    pub metrics: MetricsConfig,
    /// Its traces.
    pub traces: TracesConfig,
    /// Attributes of its resource. An empty value takes an attribute away.
    pub resource: BTreeMap<String, Option<String>>,
}

/// The collector's logs, written to standard error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogsConfig {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// The form of a line.
    pub encoding: LogEncoding,
}

/// Severity of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What a developer wants to know.
    Debug,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What may become a problem.
    Warn,
    /// What is a problem.
    Error,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogEncoding {
    /// For people.
    #[default]
    Console,
    /// For machines.
    Json,
}

/// The collector's metrics.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// How many of them.
    pub level: MetricsLevel,
    /// Where Prometheus finds them; the older form of a pull reader.
    pub address: Option<Endpoint>,
    /// Where they are read from and sent to. Without readers and address: Prometheus on 127.0.0.1:8888. An
    /// empty list switches both off.
    #[schemars(with = "Option<Vec<ReaderConfig>>")]
    pub readers: Option<Vec<Option<ReaderConfig>>>,
}

/// How many metrics the collector has of itself: none, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricsLevel {
    /// None is served or sent.
    None,
    /// All.
    Basic,
    /// All.
    #[default]
    Normal,
    /// All.
    Detailed,
}

/// One way of reading the collector's metrics.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReaderConfig {
    /// Somebody asks for them.
    Pull(PullReader),
    /// They are sent every so often.
    Periodic(PeriodicReader),
}

/// Metrics that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PullReader {
    /// The protocol.
    pub exporter: PullExporter,
}

/// The protocol by which metrics are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PullExporter {
    /// A Prometheus scrape.
    Prometheus(PrometheusPull),
}

/// Where Prometheus finds the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrometheusPull {
    /// The address to listen on.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
}

/// Metrics that are sent every so often.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeriodicReader {
    /// The time between two of them; a number is milliseconds, as in the Collector.
    #[serde(default = "default_interval")]
    pub interval: DurationOrMillis,
    /// The time to send one, where the exporter does not say; a number is milliseconds. Default: 10s.
    #[serde(default)]
    pub timeout: Option<DurationOrMillis>,
    /// Where to.
    pub exporter: PushExporter,
}

/// Where the collector's telemetry is sent.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PushExporter {
    /// An OTLP server.
    Otlp(OtlpExporter),
}

/// An OTLP server for the collector's own telemetry.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpExporter {
    /// The server, `https://host:4318` or `host:4318`. Without a path, `/v1/metrics` or `/v1/traces` is added.
    pub endpoint: Address,
    /// The protocol; the collector's own telemetry is sent with `http/protobuf` only.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// Headers of each request.
    #[serde(default)]
    pub headers: Headers,
    /// No TLS, where the endpoint does not say.
    #[serde(default)]
    pub insecure: bool,
    /// The time to send, all attempts together; a number is milliseconds.
    #[serde(default)]
    pub timeout: Option<DurationOrMillis>,
}

/// The protocol of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OtlpProtocol {
    /// Protobuf over HTTP/1.1.
    #[default]
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// gRPC.
    #[serde(rename = "grpc", alias = "grpc/protobuf")]
    Grpc,
}

/// The collector's traces of its own work. Without processors there are none.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TracesConfig {
    /// Where spans go.
    #[schemars(with = "Vec<SpanProcessor>")]
    pub processors: Vec<Option<SpanProcessor>>,
}

/// One way of spans.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpanProcessor {
    /// Sent in batches.
    Batch(BatchSpans),
}

/// Spans sent in batches.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchSpans {
    /// Where to.
    pub exporter: PushExporter,
    /// The longest time a span waits; a number is milliseconds.
    #[serde(default = "default_schedule_delay")]
    pub schedule_delay: DurationOrMillis,
    /// The time to send a batch, where the exporter does not say; a number is milliseconds. Default: 10s.
    #[serde(default)]
    pub export_timeout: Option<DurationOrMillis>,
    /// Spans that wait at most; more are dropped.
    #[serde(default = "default_queue_size")]
    pub max_queue_size: u32,
    /// Spans in one request at most. Default: 512, or the size of the queue if that is smaller.
    #[serde(default)]
    pub max_export_batch_size: Option<u32>,
}

/// A time as the declarative configuration of OpenTelemetry writes it, as a plain number of milliseconds, or
/// as a duration with units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationOrMillis(Duration);

// === defaults, those of the OpenTelemetry SDK ===

impl Default for PrometheusPull {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 8888 }
    }
}

fn default_interval() -> DurationOrMillis {
    DurationOrMillis(Duration::from_secs(60))
}

fn default_schedule_delay() -> DurationOrMillis {
    DurationOrMillis(Duration::from_secs(5))
}

fn default_queue_size() -> u32 {
    2048
}

// === impl DurationOrMillis ===

impl DurationOrMillis {
    /// The time.
    pub const fn get(self) -> std::time::Duration {
        self.0.get()
    }
}

impl<'de> Deserialize<'de> for DurationOrMillis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationOrMillisVisitor)
    }
}

struct DurationOrMillisVisitor;

impl Visitor<'_> for DurationOrMillisVisitor {
    type Value = DurationOrMillis;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 10s, or a number of milliseconds")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<DurationOrMillis, E> {
        text.parse().map(DurationOrMillis).map_err(|error: ValueError| error.of_text(text))
    }

    fn visit_u64<E: de::Error>(self, millis: u64) -> Result<DurationOrMillis, E> {
        Ok(DurationOrMillis(Duration::from_millis(millis)))
    }
}

impl JsonSchema for DurationOrMillis {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DurationOrMillis".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "description": "A duration with units, or a number of milliseconds.",
            "pattern": r"^(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$",
            "minimum": 0,
            "examples": ["10s", 10000],
        })
    }
}
