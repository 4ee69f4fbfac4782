//! Settings of the admin endpoints: `extensions.health_check` and `extensions.zpages`, and what `service.telemetry`
//! means, whose settings are in the crate `config`.
//!
//! Field names are the OpenTelemetry Collector's. A field of the Collector that is known and not supported is answered
//! by name, with what to do instead; anything else unknown is refused by serde. `validate` is pure and reports
//! everything that is wrong at once.

mod listen;
mod problem;
mod telemetry;

use dbintel_config::values::Endpoint;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::control::ControlConfig;

pub use listen::Listen;
pub use problem::{SettingsError, SettingsProblem};
pub use telemetry::{OtlpConfig, PeriodicConfig, SpanBatchConfig, TelemetryConfig};

use problem::with_unsupported;

/// Where health is served unless told otherwise.
pub const HEALTH_PORT: u16 = 13_133;
/// Where self-metrics are served unless told otherwise.
pub const METRICS_PORT: u16 = 8_888;
/// Where zPages are served unless told otherwise.
pub const ZPAGES_PORT: u16 = 55_679;
/// Bytes of a configured answer of the health check.
pub const RESPONSE_BODY_BYTES_MAX: usize = 4_096;
/// Paths that always answer in our own way.
const OWN_HEALTH_PATHS: [&str; 3] = ["/health", "/health/live", "/health/ready"];

with_unsupported! {
    /// `extensions.health_check` as written.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct HealthCheckSettings {
        /// Where health is served. Default: `127.0.0.1:13133`.
        pub endpoint: Option<Endpoint>,
        /// Path that answers as the Collector's health check does. Default: `/`, which also answers every path that
        /// is not one of ours (`/health`, `/health/live`, `/health/ready`).
        pub path: Option<String>,
        /// What that path answers with, instead of its JSON.
        pub response_body: Option<ResponseBodySettings>,
    }
    unsupported {
        check_collector_pipeline => "exporters show their failures under /health",
        use_v2 => "/health shows every component",
        http => "/health shows every component",
        grpc => "use an http or exec probe",
        component_health => "/health shows every component, and a failing backend never fails the probe",
        tls => "leave the endpoint on loopback and put a proxy before it",
        auth => "leave the endpoint on loopback and put a proxy before it",
        cors => "no page of another origin may read it",
        middlewares => "remove it",
        transport => "it is always tcp",
        max_request_body_size => "request bodies are not read",
        include_metadata => "remove it",
        response_headers => "remove it",
        compression_algorithms => "request bodies are not read",
        read_timeout => "the limits are fixed",
        read_header_timeout => "the limits are fixed",
        write_timeout => "the limits are fixed",
        idle_timeout => "connections are closed after each answer",
        keep_alives_enabled => "connections are closed after each answer",
    }
}

/// `extensions.health_check.response_body` as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseBodySettings {
    /// The answer when ready.
    pub healthy: String,
    /// The answer when not.
    pub unhealthy: String,
}

with_unsupported! {
    /// `extensions.zpages` as written.
    #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct ZpagesSettings {
        /// Where the pages are served. Default: `127.0.0.1:55679`.
        pub endpoint: Option<Endpoint>,
    }
    unsupported {
        expvar => "self-metrics are on the metrics endpoint",
        tls => "leave the endpoint on loopback and put a proxy before it",
        auth => "leave the endpoint on loopback and put a proxy before it",
        cors => "no page of another origin may read it",
        middlewares => "remove it",
        transport => "it is always tcp",
        max_request_body_size => "request bodies are not read",
        include_metadata => "remove it",
        response_headers => "remove it",
        compression_algorithms => "request bodies are not read",
        read_timeout => "the limits are fixed",
        read_header_timeout => "the limits are fixed",
        write_timeout => "the limits are fixed",
        idle_timeout => "connections are closed after each answer",
        keep_alives_enabled => "connections are closed after each answer",
    }
}

/// The health check, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheckConfig {
    pub(crate) listen: Listen,
    pub(crate) path: String,
    pub(crate) response_body: Option<ResponseBodySettings>,
}

/// What the admin thread serves, validated. Two that are equal make the same endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    health: Option<HealthCheckConfig>,
    metrics: Option<Listen>,
    zpages: Option<Listen>,
    control: ControlConfig,
}

/// Two endpoints at one address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{first} and {second} both listen on {address}; give one of them another port")]
pub struct SameAddress {
    first: &'static str,
    second: &'static str,
    address: String,
}

// === impl HealthCheckSettings ===

impl HealthCheckSettings {
    /// Checks the settings. Paths of errors are relative to `extensions.health_check`.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn validate(&self) -> Result<HealthCheckConfig, Vec<SettingsError>> {
        let mut errors = Vec::new();
        self.refuse_unsupported("", &mut errors);
        let listen = Listen::from_endpoint(self.endpoint.as_ref(), HEALTH_PORT, "endpoint", &mut errors);
        let path = self.path.clone().unwrap_or_else(|| "/".to_owned());
        let is_path = path.starts_with('/') && path.bytes().all(is_path_byte);
        if !is_path {
            let expected = "a path that starts with `/` and has no query, such as /healthz";
            errors.push(SettingsError::invalid("path", expected));
        } else if OWN_HEALTH_PATHS.contains(&path.as_str()) {
            errors.push(SettingsError::invalid("path", "another path: this one has an answer of its own"));
        }
        if self.response_body.as_ref().is_some_and(ResponseBodySettings::is_too_long) {
            errors.push(SettingsError::invalid("response_body", "answers of at most 4096 bytes"));
        }
        let config = HealthCheckConfig { listen, path, response_body: self.response_body.clone() };
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }
}

const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'<' | b'>')
}

impl ResponseBodySettings {
    fn is_too_long(&self) -> bool {
        [&self.healthy, &self.unhealthy].iter().any(|text| text.len() > RESPONSE_BODY_BYTES_MAX)
    }
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        Self { listen: Listen::loopback(HEALTH_PORT), path: "/".to_owned(), response_body: None }
    }
}

impl HealthCheckConfig {
    /// Where health is served, for `dbintel health`.
    #[must_use]
    pub const fn listen(&self) -> &Listen {
        &self.listen
    }
}

// === impl ZpagesSettings ===

impl ZpagesSettings {
    /// Checks the settings. Paths of errors are relative to `extensions.zpages`.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn validate(&self) -> Result<Listen, Vec<SettingsError>> {
        let mut errors = Vec::new();
        self.refuse_unsupported("", &mut errors);
        let listen = Listen::from_endpoint(self.endpoint.as_ref(), ZPAGES_PORT, "endpoint", &mut errors);
        if errors.is_empty() { Ok(listen) } else { Err(errors) }
    }
}

// === impl AdminConfig ===

impl Default for AdminConfig {
    /// All endpoints, on loopback, on the Collector's ports.
    fn default() -> Self {
        Self {
            health: Some(HealthCheckConfig::default()),
            metrics: Some(Listen::loopback(METRICS_PORT)),
            zpages: Some(Listen::loopback(ZPAGES_PORT)),
            control: ControlConfig::default(),
        }
    }
}

impl AdminConfig {
    /// The endpoints that are given.
    ///
    /// # Errors
    /// [`SameAddress`] when two of them share one.
    pub fn try_new(
        health: Option<HealthCheckConfig>,
        metrics: Option<Listen>,
        zpages: Option<Listen>,
        control: ControlConfig,
    ) -> Result<Self, SameAddress> {
        let config = Self { health, metrics, zpages, control };
        config.check_addresses()?;
        Ok(config)
    }

    fn check_addresses(&self) -> Result<(), SameAddress> {
        let listens = [
            ("extensions.health_check.endpoint", self.health.as_ref().map(|health| &health.listen)),
            ("service.telemetry.metrics", self.metrics.as_ref()),
            ("extensions.zpages.endpoint", self.zpages.as_ref()),
            ("extensions.control.endpoint", self.control.tcp.as_ref().map(|tcp| &tcp.listen)),
        ];
        let mut seen: Vec<(&'static str, &Listen)> = Vec::new();
        for (name, listen) in listens {
            let Some(listen) = listen else { continue };
            if let Some((first, _)) = seen.iter().find(|(_, other)| other.clashes_with(listen)) {
                return Err(SameAddress { first, second: name, address: listen.to_string() });
            }
            seen.push((name, listen));
        }
        Ok(())
    }

    /// Health, where it is served.
    #[must_use]
    pub const fn health(&self) -> Option<&HealthCheckConfig> {
        self.health.as_ref()
    }

    /// Where self-metrics are served.
    #[must_use]
    pub const fn metrics(&self) -> Option<&Listen> {
        self.metrics.as_ref()
    }

    /// How the running collector is controlled.
    #[must_use]
    pub const fn control(&self) -> &ControlConfig {
        &self.control
    }

    /// Where zPages are served.
    #[must_use]
    pub const fn zpages(&self) -> Option<&Listen> {
        self.zpages.as_ref()
    }
}

#[cfg(test)]
mod tests;
