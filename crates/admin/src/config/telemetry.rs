//! `service.telemetry`: logs, where self-metrics are served, and where dbintel's own telemetry is sent.
//!
//! Nothing is sent unless a periodic reader or a batch processor is written. What may be written is
//! [`dbintel_config::service::TelemetryConfig`].

mod validate;

use std::collections::BTreeMap;
use std::time::Duration;

use dbintel_config::service::telemetry::{LogEncoding, LogLevel};
use dbintel_config::values::{Headers, HttpUrl};

use super::{Listen, METRICS_PORT};

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
