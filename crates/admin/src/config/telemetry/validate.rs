//! From `service.telemetry` as written to what it means.

use std::time::Duration;

use dbintel_config::service::telemetry::{
    BatchSpans, DurationOrMillis, MetricsConfig, MetricsLevel, OtlpExporter, OtlpProtocol, PeriodicReader,
    PrometheusPull, PullExporter, PushExporter, ReaderConfig, SpanProcessor, TelemetryConfig as Settings,
    TracesConfig,
};
use dbintel_config::values::{Address, Endpoint, HttpUrl};

use super::{OtlpConfig, PeriodicConfig, SpanBatchConfig, TelemetryConfig};
use crate::config::{Listen, METRICS_PORT, SettingsError};

/// The shortest interval between two exports of metrics.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How long one export may take, all its attempts together, unless told otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Finished spans in one request, unless told otherwise.
const DEFAULT_SPAN_BATCH: u32 = 512;
/// Finished spans that may wait for export at most.
const SPAN_QUEUE_MAX: u32 = 65_536;

// === impl TelemetryConfig ===

impl TelemetryConfig {
    /// Checks the settings. Paths of errors are relative to `service.telemetry`.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn from_settings(settings: &Settings) -> Result<Self, Vec<SettingsError>> {
        let mut check = Check::default();
        let readers = check.readers(&settings.metrics);
        let spans_push = check.spans(&settings.traces);
        let config = Self {
            log_level: settings.logs.level,
            log_encoding: settings.logs.encoding,
            metrics_listen: readers.listen,
            metrics_push: readers.push,
            spans_push,
            resource: settings.resource.clone(),
        };
        if check.errors.is_empty() { Ok(config) } else { Err(check.errors) }
    }
}

/// The errors so far.
#[derive(Default)]
struct Check {
    errors: Vec<SettingsError>,
}

/// What the readers of metrics come to.
#[derive(Default)]
struct Readers {
    listen: Option<Listen>,
    push: Option<PeriodicConfig>,
}

/// An exporter, and what stands around it.
struct Push<'a> {
    exporter: &'a PushExporter,
    path: String,
    default_url_path: &'static str,
    outer_timeout: Option<DurationOrMillis>,
}

// === impl Check ===

impl Check {
    fn invalid(&mut self, path: impl Into<String>, expected: &'static str) {
        self.errors.push(SettingsError::invalid(path, expected));
    }

    fn readers(&mut self, metrics: &MetricsConfig) -> Readers {
        let mut found = Readers::default();
        match &metrics.readers {
            None => {
                let (address, path) = (metrics.address.as_ref(), "metrics.address");
                found.listen = Some(Listen::from_endpoint(address, METRICS_PORT, path, &mut self.errors));
            }
            Some(readers) => {
                if metrics.address.is_some() {
                    self.invalid("metrics.address", "either address or readers, not both");
                }
                for (index, reader) in readers.iter().enumerate() {
                    self.reader(reader.as_ref(), &format!("metrics.readers.{index}"), &mut found);
                }
            }
        }
        if metrics.level == MetricsLevel::None { Readers::default() } else { found }
    }

    fn reader(&mut self, reader: Option<&ReaderConfig>, path: &str, found: &mut Readers) {
        let is_second = match reader {
            None => false,
            Some(ReaderConfig::Pull(pull)) => {
                let PullExporter::Prometheus(prometheus) = &pull.exporter;
                let listen = self.listen(prometheus, &format!("{path}.pull.exporter.prometheus"));
                found.listen.replace(listen).is_some()
            }
            Some(ReaderConfig::Periodic(periodic)) => {
                let push = self.periodic(periodic, &format!("{path}.periodic"));
                std::mem::replace(&mut found.push, push).is_some()
            }
        };
        if is_second {
            self.invalid(path, "one reader of each kind at most");
        }
    }

    fn listen(&mut self, prometheus: &PrometheusPull, path: &str) -> Listen {
        if Endpoint::tcp(&prometheus.host, prometheus.port).is_err() {
            self.invalid(format!("{path}.host"), "a host such as 127.0.0.1, without a port");
        }
        Listen::new(prometheus.host.clone(), prometheus.port)
    }

    fn periodic(&mut self, periodic: &PeriodicReader, path: &str) -> Option<PeriodicConfig> {
        let interval = periodic.interval.get();
        if interval < INTERVAL_MIN {
            self.invalid(format!("{path}.interval"), "an interval of at least 1000 milliseconds");
        }
        let otlp = self.otlp(&Push {
            exporter: &periodic.exporter,
            path: format!("{path}.exporter"),
            default_url_path: "/v1/metrics",
            outer_timeout: periodic.timeout,
        })?;
        Some(PeriodicConfig { interval, otlp })
    }

    fn spans(&mut self, traces: &TracesConfig) -> Option<SpanBatchConfig> {
        let mut found = None;
        for (index, processor) in traces.processors.iter().enumerate() {
            let Some(SpanProcessor::Batch(batch)) = processor else { continue };
            let path = format!("traces.processors.{index}");
            if found.is_some() {
                self.invalid(&path, "one processor at most");
            }
            found = self.batch(batch, &format!("{path}.batch"));
        }
        found
    }

    fn batch(&mut self, spans: &BatchSpans, path: &str) -> Option<SpanBatchConfig> {
        let queue = spans.max_queue_size;
        let batch = spans.max_export_batch_size.unwrap_or(DEFAULT_SPAN_BATCH.min(queue));
        if !(1..=SPAN_QUEUE_MAX).contains(&queue) {
            self.invalid(format!("{path}.max_queue_size"), "a number from 1 to 65536");
        }
        if !(1..=queue.max(1)).contains(&batch) {
            self.invalid(format!("{path}.max_export_batch_size"), "a number from 1 to max_queue_size");
        }
        let otlp = self.otlp(&Push {
            exporter: &spans.exporter,
            path: format!("{path}.exporter"),
            default_url_path: "/v1/traces",
            outer_timeout: spans.export_timeout,
        })?;
        Some(SpanBatchConfig {
            schedule_delay: spans.schedule_delay.get(),
            queue_spans_max: usize::try_from(queue).unwrap_or(usize::MAX),
            request_spans_max: usize::try_from(batch).unwrap_or(usize::MAX),
            otlp,
        })
    }

    fn otlp(&mut self, push: &Push<'_>) -> Option<OtlpConfig> {
        let PushExporter::Otlp(otlp) = push.exporter;
        let path = format!("{}.otlp", push.path);
        if otlp.protocol != OtlpProtocol::HttpProtobuf {
            let instead =
                "own telemetry is sent with http/protobuf; write that, and the port for it (usually 4318)";
            self.errors.push(SettingsError::unsupported(format!("{path}.protocol"), instead));
        }
        let timeout = otlp.timeout.or(push.outer_timeout).map_or(DEFAULT_TIMEOUT, DurationOrMillis::get);
        if timeout.is_zero() {
            self.invalid(format!("{path}.timeout"), "a time longer than 0");
        }
        let Some(url) = url(otlp) else {
            self.invalid(format!("{path}.endpoint"), "a URL such as http://localhost:4318");
            return None;
        };
        let url = with_path(&url, push.default_url_path);
        Some(OtlpConfig { url, headers: otlp.headers.clone(), timeout })
    }
}

// === URLs ===

/// The endpoint as a URL; without a scheme it is `https`, unless `insecure` is set. A Unix socket has none.
fn url(otlp: &OtlpExporter) -> Option<HttpUrl> {
    match &otlp.endpoint {
        Address::Url(url) => Some(url.clone()),
        Address::Endpoint(Endpoint::Unix(_)) => None,
        Address::Endpoint(endpoint) => {
            let scheme = if otlp.insecure { "http" } else { "https" };
            format!("{scheme}://{endpoint}").parse().ok()
        }
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
