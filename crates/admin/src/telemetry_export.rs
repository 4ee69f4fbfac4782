//! dbintel's own telemetry by OTLP: self-metrics and spans, sent with the OpenTelemetry SDK.
//!
//! Promises:
//! * off unless `service.telemetry` names a backend; then from threads of its own, never from the main runtime;
//! * of spans only what [`crate::FIELDS_ALLOWED`] holds; no events and no error texts;
//! * a backend that is down costs its own telemetry, counted and shown as `degraded`, and nothing else;
//! * bounded: one request of each signal at a time, spans wait in the SDK's queue of configured size, answers are read
//!   up to [`ANSWER_BYTES_MAX`], series to the registry's own bound.
//!
//! The SDK reads the environment by itself: `OTEL_EXPORTER_OTLP_HEADERS` adds headers, as its specification says.

mod client;
mod metrics;
mod spans;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dbintel_model::{Clock, Text};
use dbintel_pipeline::status::{ComponentKind, State, StatusBoard, StatusHandle};
use dbintel_pipeline::telemetry::Registry;
use opentelemetry::KeyValue;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio_util::sync::CancellationToken;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::config::TelemetryConfig;
use client::{Courier, Jobs};

pub use client::ANSWER_BYTES_MAX;
pub use metrics::{INSTRUMENTS_REFRESH, SNAPSHOT_AGE_MAX};

/// What the export is given.
#[derive(Clone, Debug)]
pub struct TelemetryExportContext {
    /// Self-metrics.
    pub registry: Registry,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where it says how it is doing.
    pub board: StatusBoard,
    /// Attributes of the resource: `service.name` and so on. Those of `service.telemetry.resource` win.
    pub resource: Vec<(Text, Text)>,
}

/// The running export.
#[derive(Debug)]
pub struct TelemetryExport {
    meters: Option<SdkMeterProvider>,
    tracers: Option<SdkTracerProvider>,
    stop: CancellationToken,
    status: StatusHandle,
    clock: Arc<dyn Clock>,
}

/// Why the export could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryExportError {
    /// No certificate of the system could be read, and the endpoint is https.
    #[error(
        "own telemetry goes to an https endpoint, and no certificate authorities were found on this system; install \
         them (ca-certificates), or set SSL_CERT_FILE"
    )]
    NoCertificates,
    /// The TLS library refuses its settings.
    #[error("own telemetry: TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// A header that cannot be sent.
    #[error("own telemetry: the header {0} has characters that a header cannot have")]
    Header(String),
    /// The SDK refuses its settings.
    #[error("own telemetry: the exporter could not be built")]
    Exporter(#[source] ExporterBuildError),
    /// The system gave no thread.
    #[error("own telemetry: the system has no more threads or file descriptors for us")]
    Thread(#[source] std::io::Error),
}

// === impl TelemetryExport ===

impl TelemetryExport {
    /// Starts what is configured; `None` where nothing is.
    ///
    /// # Errors
    /// [`TelemetryExportError`]. A backend that is down is not an error.
    pub fn start(
        config: &TelemetryConfig,
        cx: TelemetryExportContext,
    ) -> Result<Option<Self>, TelemetryExportError> {
        if config.metrics_push.is_none() && config.spans_push.is_none() {
            return Ok(None);
        }
        let resource = resource(config, &cx.resource);
        let now = cx.clock.now();
        let status = cx.board.register(ComponentKind::Extension, "telemetry".into(), now);
        let (jobs, waiting) = Jobs::new(&cx, status.clone());
        let meters = match &config.metrics_push {
            Some(push) => Some(metrics::provider(push, jobs.clone(), resource.clone())?),
            None => None,
        };
        let tracers = match &config.spans_push {
            Some(push) => Some(spans::provider(push, jobs, resource)?),
            None => None,
        };
        let courier = Courier::try_new(config, waiting)?;
        let instruments = meters
            .as_ref()
            .map(|meters| metrics::Instruments::new(meters, cx.registry, Arc::clone(&cx.clock)));
        let stop = CancellationToken::new();
        spawn(courier, instruments, stop.clone())?;
        status.set(State::Ok, now);
        Ok(Some(Self { meters, tracers, stop, status, clock: cx.clock }))
    }

    /// The layer that gives spans to the export; `None` where spans are not sent.
    #[must_use]
    pub fn trace_layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        self.tracers.as_ref().map(spans::layer)
    }

    /// Sends what is left and ends. Says whether that worked in time. It must run on a runtime with time and blocking
    /// threads, which the main runtime is.
    pub async fn shutdown(self, within: Duration) -> bool {
        let (meters, tracers) = (self.meters.clone(), self.tracers.clone());
        let flush = tokio::task::spawn_blocking(move || {
            let spans = tracers.is_none_or(|tracers| tracers.shutdown_with_timeout(within).is_ok());
            let metrics = meters.is_none_or(|meters| meters.shutdown_with_timeout(within).is_ok());
            spans && metrics
        });
        let ended = tokio::time::timeout(within, flush).await;
        ended.is_ok_and(|joined| joined.is_ok_and(|sent| sent))
    }
}

impl Drop for TelemetryExport {
    fn drop(&mut self) {
        self.stop.cancel();
        self.status.set(State::Stopped, self.clock.now());
    }
}

fn spawn(
    courier: Courier,
    instruments: Option<metrics::Instruments>,
    stop: CancellationToken,
) -> Result<(), TelemetryExportError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(TelemetryExportError::Thread)?;
    thread::Builder::new()
        .name("dbintel-telemetry".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = courier.run() => {}
                    () = metrics::keep_up(instruments) => {}
                }
            });
        })
        .map_err(TelemetryExportError::Thread)?;
    Ok(())
}

fn resource(config: &TelemetryConfig, own: &[(Text, Text)]) -> Resource {
    let is_overridden = |name: &str| config.resource.contains_key(name);
    let own = own.iter().filter(|(name, _)| !is_overridden(name));
    let own = own.map(|(name, value)| KeyValue::new(name.to_string(), value.to_string()));
    let written =
        config.resource.iter().filter_map(|(name, value)| Some(KeyValue::new(name.clone(), value.clone()?)));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(own.chain(written))
        .build()
}

#[cfg(test)]
mod tests;
