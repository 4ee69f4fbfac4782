//! `service.telemetry`: logs, where self-metrics are served, and where dbintel's own telemetry is sent.
//!
//! Nothing is sent unless a periodic reader or a batch processor is written here.

mod validate;

use std::collections::BTreeMap;
use std::time::Duration;

use dbintel_config::values::{Endpoint, Headers, HttpUrl};
use schemars::JsonSchema;
use serde::Deserialize;

use super::problem::with_unsupported;
use super::{Listen, METRICS_PORT, Millis};

/// `service.telemetry` as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// dbintel's own log, on standard error.
    pub logs: LogSettings,
    /// Self-metrics: where they are served, and where they are sent.
    pub metrics: MetricsSettings,
    /// Spans of dbintel itself: where they are sent.
    pub traces: TracesSettings,
    /// Attributes of the resource of dbintel's own telemetry; an empty value removes one.
    pub resource: BTreeMap<String, Option<String>>,
}

with_unsupported! {
    /// `service.telemetry.logs` as written.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct LogSettings {
        /// The least severe level that is logged.
        pub level: LogLevel,
        /// How a line is written.
        pub encoding: LogEncoding,
    }
    unsupported {
        development => "remove it",
        disable_caller => "lines name the module; remove it",
        disable_stacktrace => "remove it",
        sampling => "repeated lines are suppressed where they arise",
        output_paths => "the log goes to standard error",
        error_output_paths => "the log goes to standard error",
        initial_fields => "write service.telemetry.resource",
        processors => "the log goes to standard error",
    }
}

/// Level of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything, for us.
    Trace,
    /// What a person looking for a fault needs.
    Debug,
    /// What happened.
    #[default]
    Info,
    /// What may need a person.
    Warn,
    /// What does.
    Error,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogEncoding {
    /// For people.
    #[default]
    Console,
    /// One JSON object in each line.
    Json,
}

with_unsupported! {
    /// `service.telemetry.metrics` as written.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct MetricsSettings {
        /// `none` switches self-metrics off; the other levels are all the same here.
        pub level: MetricsLevel,
        /// Where self-metrics are served, in the old way. Default: `127.0.0.1:8888`.
        pub address: Option<Endpoint>,
        /// Where self-metrics are served and sent. An empty list switches both off.
        pub readers: Option<Vec<ReaderSettings>>,
    }
    unsupported {
        views => "all self-metrics are sent",
    }
}

/// How many self-metrics there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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

/// One reader: `pull` or `periodic`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReaderSettings {
    /// Served to Prometheus.
    pub pull: Option<PullSettings>,
    /// Sent by OTLP.
    pub periodic: Option<PeriodicSettings>,
}

/// A reader that serves.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PullSettings {
    /// What it serves.
    pub exporter: PrometheusPullSettings,
}

/// What a reader serves.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrometheusPullSettings {
    /// Prometheus text.
    pub prometheus: PrometheusSettings,
}

with_unsupported! {
    /// Where Prometheus text is served.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct PrometheusSettings {
        /// Host. Default: `127.0.0.1`.
        pub host: Option<String>,
        /// Port. Default: 8888.
        pub port: Option<u16>,
    }
    unsupported {
        without_scope_info => "names are fixed; remove it",
        without_type_suffix => "names are fixed; remove it",
        without_units => "names are fixed; remove it",
        with_resource_constant_labels => "let the scrape configuration add labels",
    }
}

with_unsupported! {
    /// A reader that sends.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct PeriodicSettings {
        /// How often, in milliseconds. Default: 60000.
        pub interval: Option<Millis>,
        /// How long one export may take, in milliseconds. Default: 10000.
        pub timeout: Option<Millis>,
        /// Where to.
        pub exporter: OtlpPushSettings,
    }
    unsupported {
        producers => "remove it",
        cardinality_limits => "the limit is fixed",
    }
}

with_unsupported! {
    /// What own telemetry is sent with.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct OtlpPushSettings {
        /// OTLP.
        pub otlp: Option<OtlpSettings>,
    }
    unsupported {
        console => "use otlp, or look at /metrics",
        otlp_http => "write it as otlp",
        otlp_grpc => "use otlp with protocol http/protobuf",
        zipkin => "use otlp",
    }
}

with_unsupported! {
    /// Where own telemetry is sent.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct OtlpSettings {
        /// Only `http/protobuf`, which is the default.
        pub protocol: Option<String>,
        /// URL of the backend. Without a path, `/v1/metrics` or `/v1/traces` is added.
        pub endpoint: Option<HttpUrl>,
        /// Headers of each request; values are secrets.
        pub headers: Headers,
        /// How long one export may take, in milliseconds.
        pub timeout: Option<Millis>,
    }
    unsupported {
        compression => "own telemetry is small and sent as it is",
        insecure => "write http:// or https:// in the endpoint",
        headers_list => "write headers",
        certificate => "the system's certificates are used",
        certificate_file => "the system's certificates are used",
        client_certificate => "use headers",
        client_certificate_file => "use headers",
        client_key => "use headers",
        client_key_file => "use headers",
        temporality_preference => "sums are cumulative",
        default_histogram_aggregation => "there are no histograms",
    }
}

with_unsupported! {
    /// `service.telemetry.traces` as written.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct TracesSettings {
        /// Where spans are sent.
        pub processors: Vec<SpanProcessorSettings>,
    }
    unsupported {
        level => "without processors no span is sent",
        propagators => "dbintel takes part in nobody's traces",
        sampler => "all spans of dbintel are sent; there are few",
        limits => "the limits are fixed",
    }
}

with_unsupported! {
    /// One processor of spans: `batch`.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct SpanProcessorSettings {
        /// Sent in batches.
        pub batch: Option<BatchSettings>,
    }
    unsupported {
        simple => "use batch",
    }
}

/// Spans sent in batches.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// How long finished spans wait for others, in milliseconds. Default: 5000.
    pub schedule_delay: Option<Millis>,
    /// How long one export may take, in milliseconds. Default: 10000.
    pub export_timeout: Option<Millis>,
    /// Finished spans that wait; further ones are dropped. Default: 2048.
    pub max_queue_size: Option<u32>,
    /// Spans in one request. Default: 512.
    pub max_export_batch_size: Option<u32>,
    /// Where to.
    pub exporter: OtlpPushSettings,
}

/// `service.telemetry`, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// The log's level.
    pub log_level: LogLevel,
    /// The log's encoding.
    pub log_encoding: LogEncoding,
    /// Where self-metrics are served; `None` where they are not.
    pub metrics_listen: Option<Listen>,
    /// How self-metrics are sent; `None` where they are not.
    pub metrics_push: Option<PeriodicConfig>,
    /// How spans are sent; `None` where they are not.
    pub spans_push: Option<SpanBatchConfig>,
    /// Attributes of the resource of own telemetry; `None` removes one.
    pub resource: BTreeMap<String, Option<String>>,
}

/// How self-metrics are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodicConfig {
    pub(crate) interval: Duration,
    pub(crate) otlp: OtlpConfig,
}

/// How spans are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanBatchConfig {
    pub(crate) schedule_delay: Duration,
    pub(crate) queue_spans_max: usize,
    pub(crate) request_spans_max: usize,
    pub(crate) otlp: OtlpConfig,
}

/// Where own telemetry is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    pub(crate) url: HttpUrl,
    pub(crate) headers: Headers,
    pub(crate) timeout: Duration,
}

// === impl TelemetryConfig ===

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_level: LogLevel::default(),
            log_encoding: LogEncoding::default(),
            metrics_listen: Some(Listen::loopback(METRICS_PORT)),
            metrics_push: None,
            spans_push: None,
            resource: BTreeMap::new(),
        }
    }
}
