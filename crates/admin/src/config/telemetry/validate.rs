//! From `service.telemetry` as written to what it means.

use std::time::Duration;

use dbintel_config::values::{Endpoint, HttpUrl};

use super::{
    BatchSettings, MetricsLevel, MetricsSettings, OtlpConfig, OtlpPushSettings, OtlpSettings, PeriodicConfig,
    PeriodicSettings, PullSettings, ReaderSettings, SpanBatchConfig, TelemetryConfig, TelemetrySettings,
    TracesSettings,
};
use crate::config::problem::join;
use crate::config::{Listen, METRICS_PORT, Millis, SettingsError};

/// How often metrics are sent unless told otherwise.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest interval between two exports of metrics.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How long one export may take, all its attempts together, unless told otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long finished spans wait for others unless told otherwise.
const DEFAULT_SCHEDULE_DELAY: Duration = Duration::from_secs(5);
/// Finished spans that wait for export, unless told otherwise; further ones are dropped.
const DEFAULT_SPAN_QUEUE: u32 = 2_048;
/// Finished spans in one request, unless told otherwise.
const DEFAULT_SPAN_BATCH: u32 = 512;
/// Finished spans that may wait for export at most.
const SPAN_QUEUE_MAX: u32 = 65_536;

// === impl TelemetrySettings ===

impl TelemetrySettings {
    /// Checks the settings. Paths of errors are relative to `service.telemetry`.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn validate(&self) -> Result<TelemetryConfig, Vec<SettingsError>> {
        let mut errors = Vec::new();
        self.logs.refuse_unsupported("logs", &mut errors);
        self.metrics.refuse_unsupported("metrics", &mut errors);
        self.traces.refuse_unsupported("traces", &mut errors);
        let readers = self.metrics.readers(&mut errors);
        let config = TelemetryConfig {
            log_level: self.logs.level,
            log_encoding: self.logs.encoding,
            metrics_listen: readers.listen,
            metrics_push: readers.push,
            spans_push: self.traces.batch(&mut errors),
            resource: self.resource.clone(),
        };
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }
}

// === impl MetricsSettings ===

#[derive(Default)]
struct Readers {
    listen: Option<Listen>,
    push: Option<PeriodicConfig>,
}

impl MetricsSettings {
    fn readers(&self, errors: &mut Vec<SettingsError>) -> Readers {
        let mut found = Readers::default();
        let Some(readers) = &self.readers else {
            let (address, path) = (self.address.as_ref(), "metrics.address");
            found.listen = Some(Listen::from_endpoint(address, METRICS_PORT, path, errors));
            return self.switched(found);
        };
        if self.address.is_some() {
            let expected = "either address or readers, not both";
            errors.push(SettingsError::invalid("metrics.address", expected));
        }
        for (index, reader) in readers.iter().enumerate() {
            found.add(reader, &format!("metrics.readers.{index}"), errors);
        }
        self.switched(found)
    }

    fn switched(&self, readers: Readers) -> Readers {
        if self.level == MetricsLevel::None { Readers::default() } else { readers }
    }
}

impl Readers {
    fn add(&mut self, reader: &ReaderSettings, path: &str, errors: &mut Vec<SettingsError>) {
        let once = "one reader of each kind at most";
        match (&reader.pull, &reader.periodic) {
            (Some(pull), None) => {
                let listen = pull.validate(&join(path, "pull"), errors);
                if self.listen.replace(listen).is_some() {
                    errors.push(SettingsError::invalid(path, once));
                }
            }
            (None, Some(periodic)) => {
                let push = periodic.validate(&join(path, "periodic"), errors);
                if self.push.is_some() && push.is_some() {
                    errors.push(SettingsError::invalid(path, once));
                }
                self.push = push;
            }
            (None, None) | (Some(_), Some(_)) => {
                errors.push(SettingsError::invalid(path, "either pull or periodic"));
            }
        }
    }
}

impl PullSettings {
    fn validate(&self, path: &str, errors: &mut Vec<SettingsError>) -> Listen {
        let prometheus = &self.exporter.prometheus;
        let path = join(path, "exporter.prometheus");
        prometheus.refuse_unsupported(&path, errors);
        let port = prometheus.port.unwrap_or(METRICS_PORT);
        let Some(host) = &prometheus.host else {
            return Listen::loopback(port);
        };
        if Endpoint::tcp(host, port).is_err() {
            let expected = "a host such as 127.0.0.1, without a port";
            errors.push(SettingsError::invalid(join(&path, "host"), expected));
        }
        Listen::new(host.clone(), port)
    }
}

impl PeriodicSettings {
    fn validate(&self, path: &str, errors: &mut Vec<SettingsError>) -> Option<PeriodicConfig> {
        self.refuse_unsupported(path, errors);
        let interval = self.interval.map_or(DEFAULT_INTERVAL, Millis::get);
        if interval < INTERVAL_MIN {
            let expected = "an interval of at least 1000 milliseconds";
            errors.push(SettingsError::invalid(join(path, "interval"), expected));
        }
        let otlp = self.exporter.validate(&join(path, "exporter"), "/v1/metrics", self.timeout, errors)?;
        Some(PeriodicConfig { interval, otlp })
    }
}

// === impl TracesSettings ===

impl TracesSettings {
    fn batch(&self, errors: &mut Vec<SettingsError>) -> Option<SpanBatchConfig> {
        let mut found = None;
        for (index, processor) in self.processors.iter().enumerate() {
            let path = format!("traces.processors.{index}");
            processor.refuse_unsupported(&path, errors);
            let Some(batch) = &processor.batch else {
                errors.push(SettingsError::invalid(path, "a batch processor"));
                continue;
            };
            if found.is_some() {
                errors.push(SettingsError::invalid(&path, "one processor at most"));
            }
            found = batch.validate(&join(&path, "batch"), errors);
        }
        found
    }
}

impl BatchSettings {
    fn validate(&self, path: &str, errors: &mut Vec<SettingsError>) -> Option<SpanBatchConfig> {
        let queue = self.max_queue_size.unwrap_or(DEFAULT_SPAN_QUEUE);
        let batch = self.max_export_batch_size.unwrap_or(DEFAULT_SPAN_BATCH.min(queue));
        if !(1..=SPAN_QUEUE_MAX).contains(&queue) {
            let expected = "a number from 1 to 65536";
            errors.push(SettingsError::invalid(join(path, "max_queue_size"), expected));
        }
        if !(1..=queue.max(1)).contains(&batch) {
            let expected = "a number from 1 to max_queue_size";
            errors.push(SettingsError::invalid(join(path, "max_export_batch_size"), expected));
        }
        let exporter = join(path, "exporter");
        let otlp = self.exporter.validate(&exporter, "/v1/traces", self.export_timeout, errors)?;
        Some(SpanBatchConfig {
            schedule_delay: self.schedule_delay.map_or(DEFAULT_SCHEDULE_DELAY, Millis::get),
            queue_spans_max: usize::try_from(queue).unwrap_or(usize::MAX),
            request_spans_max: usize::try_from(batch).unwrap_or(usize::MAX),
            otlp,
        })
    }
}

// === impl OtlpPushSettings ===

impl OtlpPushSettings {
    fn validate(
        &self,
        path: &str,
        default_url_path: &str,
        outer_timeout: Option<Millis>,
        errors: &mut Vec<SettingsError>,
    ) -> Option<OtlpConfig> {
        self.refuse_unsupported(path, errors);
        let Some(otlp) = &self.otlp else {
            errors.push(SettingsError::invalid(path, "an otlp exporter"));
            return None;
        };
        otlp.validate(&join(path, "otlp"), default_url_path, outer_timeout, errors)
    }
}

impl OtlpSettings {
    fn validate(
        &self,
        path: &str,
        default_url_path: &str,
        outer_timeout: Option<Millis>,
        errors: &mut Vec<SettingsError>,
    ) -> Option<OtlpConfig> {
        self.refuse_unsupported(path, errors);
        if self.protocol.as_ref().is_some_and(|protocol| protocol != "http/protobuf") {
            let instead =
                "own telemetry is sent with http/protobuf; write that, and the port for it (usually 4318)";
            errors.push(SettingsError::unsupported(join(path, "protocol"), instead));
        }
        let timeout = self.timeout.or(outer_timeout).map_or(DEFAULT_TIMEOUT, Millis::get);
        if timeout.is_zero() {
            errors.push(SettingsError::invalid(join(path, "timeout"), "a time longer than 0"));
        }
        let Some(endpoint) = &self.endpoint else {
            let expected = "a URL such as http://localhost:4318";
            errors.push(SettingsError::invalid(join(path, "endpoint"), expected));
            return None;
        };
        Some(OtlpConfig {
            url: with_path(endpoint, default_url_path),
            headers: self.headers.clone(),
            timeout,
        })
    }
}

/// The URL, with this path where it has none.
fn with_path(url: &HttpUrl, path: &str) -> HttpUrl {
    if !matches!(url.path(), "" | "/") {
        return url.clone();
    }
    let text = url.to_string();
    let completed = format!("{}{path}", text.trim_end_matches('/'));
    completed.parse().unwrap_or_else(|_| url.clone())
}
