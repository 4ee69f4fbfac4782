//! Settings of `prometheus`, with the Collector's keys.

use std::collections::BTreeMap;
use std::time::Duration as StdDuration;

use dbintel_config::values::{Duration, Endpoint};
use schemars::JsonSchema;
use serde::Deserialize;

use super::names::{is_label_name, is_metric_name};
use super::store::StoreConfig;
use crate::settings::Unsupported;
use dbintel_config::{Checks, Complaint, Validated};

const EXPIRATION_DEFAULT: Duration = Duration::from_secs(300);
const EXPIRATION_MIN: StdDuration = StdDuration::from_secs(1);
const EXPIRATION_MAX: StdDuration = StdDuration::from_secs(24 * 3_600);
const SERIES_DEFAULT: usize = 100_000;
const SERIES_MAX: usize = 2_000_000;
const CONST_LABELS_MAX: usize = 64;

/// Shows the metrics of the databases to Prometheus.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen, for instance `localhost:8889`. The page is at `/metrics`; who can reach it can read it.
    pub endpoint: Endpoint,
    /// Prefix of every metric name.
    #[serde(default)]
    pub namespace: String,
    /// Labels of every series.
    #[serde(default)]
    pub const_labels: BTreeMap<String, String>,
    /// Whether points carry their time. Without it, Prometheus takes the time of the scrape.
    #[serde(default)]
    pub send_timestamps: bool,
    /// How long a series without new points is shown.
    #[serde(default = "default_expiration")]
    pub metric_expiration: Duration,
    /// Whether attributes of the resource become labels of every series.
    #[serde(default)]
    pub resource_to_telemetry_conversion: Conversion,
    /// Whether units and `_total` are appended to names.
    #[serde(default = "default_true")]
    pub add_metric_suffixes: bool,
    /// Whether scrapers that ask for OpenMetrics get it.
    #[serde(default = "default_true")]
    pub enable_open_metrics: bool,
    /// Series that are shown at most. (dbintel only)
    #[serde(default = "default_series")]
    pub max_series: usize,
    /// Not supported: put a proxy in front.
    #[serde(default)]
    pub tls: Option<Unsupported>,
    /// Not supported: put a proxy in front.
    #[serde(default)]
    pub auth: Option<Unsupported>,
    /// Not supported: use `add_metric_suffixes`.
    #[serde(default)]
    pub translation_strategy: Option<Unsupported>,
}

/// Whether attributes of the resource become labels of every series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conversion {
    /// All of them, beside `server_address` and `server_port`.
    #[serde(default)]
    pub enabled: bool,
}

/// A configuration that cannot be invalid, and that can be compared: equal values need no restart.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) send_timestamps: bool,
    pub(super) open_metrics: bool,
    pub(super) store: StoreConfig,
}

const fn default_expiration() -> Duration {
    EXPIRATION_DEFAULT
}

const fn default_true() -> bool {
    true
}

const fn default_series() -> usize {
    SERIES_DEFAULT
}

/// Validates.
///
/// # Errors
/// Every field that is wrong.
pub fn validate(settings: &Settings) -> Result<Validated<Config>, Vec<Complaint>> {
    let mut checks = Checks::default();
    checks.unsupported("tls", settings.tls.as_ref(), "put a proxy in front, and listen on loopback");
    checks.unsupported("auth", settings.auth.as_ref(), "put a proxy in front, and listen on loopback");
    let strategy = settings.translation_strategy.as_ref();
    checks.unsupported("translation_strategy", strategy, "write add_metric_suffixes: true or false");
    if !settings.namespace.is_empty() && !is_metric_name(&settings.namespace) {
        checks.error("namespace", "must have letters, digits and `_`, and not begin with a digit");
    }
    const_labels(&settings.const_labels, &mut checks);
    let expiration = settings.metric_expiration.get();
    if expiration < EXPIRATION_MIN || expiration > EXPIRATION_MAX {
        checks.error("metric_expiration", "must be from 1s to 24h");
    }
    if settings.max_series == 0 || settings.max_series > SERIES_MAX {
        checks.error("max_series", format!("must be from 1 to {SERIES_MAX}"));
    }
    let Endpoint::Tcp { host, port } = &settings.endpoint else {
        checks.error("endpoint", "must be host:port; Prometheus scrapes no Unix sockets");
        return checks.finish(None);
    };
    let config = Config {
        host: host.clone(),
        port: *port,
        send_timestamps: settings.send_timestamps,
        open_metrics: settings.enable_open_metrics,
        store: StoreConfig {
            namespace: settings.namespace.clone(),
            const_labels: settings.const_labels.clone(),
            suffixes: settings.add_metric_suffixes,
            resource_labels: settings.resource_to_telemetry_conversion.enabled,
            expiration,
            max_series: settings.max_series,
        },
    };
    checks.finish(Some(config))
}

fn const_labels(labels: &BTreeMap<String, String>, checks: &mut Checks) {
    if labels.len() > CONST_LABELS_MAX {
        checks.error("const_labels", format!("must be at most {CONST_LABELS_MAX}"));
    }
    for name in labels.keys().filter(|name| !is_label_name(name)) {
        let message = "a label name has letters, digits and `_`, does not begin with a digit nor with `__`";
        checks.error(&format!("const_labels.{name}"), message);
    }
}
