//! The settings as written.

use dbintel_config::values::{Duration, Headers};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::{QueueSettings, RetrySettings, TlsSettings, Unsupported};

/// Sends everything to an OTLP backend over gRPC.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpSettings {
    /// Host and port, for instance `otlp.example:4317`. With TLS, unless `tls.insecure` is set or the endpoint begins
    /// with `http://`.
    pub endpoint: String,
    /// How requests are compressed: `gzip`, `zstd` or `none`.
    #[serde(default)]
    pub compression: CompressionName,
    /// How hard requests are compressed. (dbintel only)
    #[serde(default)]
    pub compression_params: CompressionParams,
    /// A request without an answer after this time has failed and is tried again.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// Headers of every request; values by reference: `${env:API_KEY}`.
    #[serde(default)]
    pub headers: Headers,
    /// Transport security.
    #[serde(default)]
    pub tls: TlsSettings,
    /// How a request that may succeed later is tried again.
    #[serde(default)]
    pub retry_on_failure: RetrySettings,
    /// What may wait for the backend.
    #[serde(default)]
    pub sending_queue: QueueSettings,
    /// Not supported: write credentials as headers.
    #[serde(default)]
    pub auth: Option<Unsupported>,
    /// Not supported: the host of the endpoint is the authority.
    #[serde(default)]
    pub authority: Option<Unsupported>,
    /// Without effect: there is one connection.
    #[serde(default)]
    pub balancer_name: Option<Unsupported>,
    /// Without effect: an unused connection is closed, one that does not answer is given up.
    #[serde(default)]
    pub keepalive: Option<Unsupported>,
    /// Without effect.
    #[serde(default)]
    pub read_buffer_size: Option<Unsupported>,
    /// Without effect.
    #[serde(default)]
    pub write_buffer_size: Option<Unsupported>,
    /// Without effect: requests wait in the queue.
    #[serde(default)]
    pub wait_for_ready: Option<Unsupported>,
}

/// Sends everything to an OTLP backend over HTTP.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpHttpSettings {
    /// Base URL, for instance `https://otlp.example:4318`; `/v1/metrics` and `/v1/logs` are added.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Whole URL for metrics, instead of the one below `endpoint`.
    #[serde(default)]
    pub metrics_endpoint: Option<String>,
    /// Whole URL for logs, instead of the one below `endpoint`.
    #[serde(default)]
    pub logs_endpoint: Option<String>,
    /// Without effect: there are no traces.
    #[serde(default)]
    pub traces_endpoint: Option<Unsupported>,
    /// How requests are written: `proto` or `json`.
    #[serde(default)]
    pub encoding: Encoding,
    /// How requests are compressed: `gzip`, `zstd` or `none`.
    #[serde(default)]
    pub compression: CompressionName,
    /// How hard requests are compressed.
    #[serde(default)]
    pub compression_params: CompressionParams,
    /// A request without an answer after this time has failed and is tried again.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// Headers of every request; values by reference: `${env:API_KEY}`.
    #[serde(default)]
    pub headers: Headers,
    /// Transport security, for `https` URLs.
    #[serde(default)]
    pub tls: TlsSettings,
    /// How a request that may succeed later is tried again.
    #[serde(default)]
    pub retry_on_failure: RetrySettings,
    /// What may wait for the backend.
    #[serde(default)]
    pub sending_queue: QueueSettings,
    /// Not supported: write credentials as headers.
    #[serde(default)]
    pub auth: Option<Unsupported>,
    /// Not supported: connections are direct.
    #[serde(default)]
    pub proxy_url: Option<Unsupported>,
    /// Not supported.
    #[serde(default)]
    pub cookies: Option<Unsupported>,
    /// Not supported.
    #[serde(default)]
    pub middlewares: Option<Unsupported>,
    /// Without effect.
    #[serde(default)]
    pub read_buffer_size: Option<Unsupported>,
    /// Without effect.
    #[serde(default)]
    pub write_buffer_size: Option<Unsupported>,
    /// Without effect: unused connections are closed after 30s.
    #[serde(default)]
    pub idle_conn_timeout: Option<Unsupported>,
    /// Without effect: there are at most as many connections as consumers.
    #[serde(default)]
    pub max_idle_conns: Option<Unsupported>,
    /// Without effect: there are at most as many connections as consumers.
    #[serde(default)]
    pub max_idle_conns_per_host: Option<Unsupported>,
    /// Without effect: there are at most as many connections as consumers.
    #[serde(default)]
    pub max_conns_per_host: Option<Unsupported>,
    /// Without effect: connections are kept for 30s.
    #[serde(default)]
    pub disable_keep_alives: Option<Unsupported>,
    /// Without effect: a connection that does not answer is given up.
    #[serde(default)]
    pub http2_read_idle_timeout: Option<Unsupported>,
    /// Without effect: a connection that does not answer is given up.
    #[serde(default)]
    pub http2_ping_timeout: Option<Unsupported>,
    /// Without effect: HTTP/2 is used where the server offers it.
    #[serde(default)]
    pub force_attempt_http2: Option<Unsupported>,
}

/// How requests are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Binary protobuf.
    #[default]
    Proto,
    /// JSON.
    Json,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompressionName {
    /// Not at all.
    None,
    /// gzip, which every backend takes.
    #[default]
    Gzip,
    /// zstd: faster and smaller, where the backend takes it.
    Zstd,
}

/// How hard requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompressionParams {
    /// 1 (fast, the default) to 9 for gzip, to 11 for zstd.
    #[serde(default)]
    pub level: Option<u8>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(5)
}
