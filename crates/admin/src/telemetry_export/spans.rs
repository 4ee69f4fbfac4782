//! Spans of dbintel itself, reduced to what may leave.

use opentelemetry::Context;
use opentelemetry::trace::{Status, TracerProvider as _};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanEvents, SpanProcessor,
};
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryExportError;
use super::client::Jobs;
use crate::config::SpanBatchConfig;
use crate::spans::{FIELDS_ALLOWED, TracezFilter};

/// Name of the instrumentation scope.
const SCOPE: &str = "dbintel";
/// Attributes that the layer adds by itself and that say nothing about data.
const LAYER_ATTRIBUTES: [&str; 2] = ["code.module.name", "target"];

/// Takes everything off a span that is not known to be harmless, then passes it on.
#[derive(Debug)]
struct Reduced(BatchSpanProcessor);

pub(super) fn provider(
    config: &SpanBatchConfig,
    jobs: Jobs,
    resource: Resource,
) -> Result<SdkTracerProvider, TelemetryExportError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(jobs.of_signal("traces", &config.otlp)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(config.otlp.url.to_string())
        .with_timeout(config.otlp.timeout)
        .build()
        .map_err(TelemetryExportError::Exporter)?;
    let batch = BatchConfigBuilder::default()
        .with_scheduled_delay(config.schedule_delay)
        .with_max_queue_size(config.queue_spans_max)
        .with_max_export_batch_size(config.request_spans_max)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
    Ok(SdkTracerProvider::builder().with_span_processor(Reduced(processor)).with_resource(resource).build())
}

/// The layer for the subscriber. Errors within a span mark it; their text stays here.
pub(super) fn layer<S>(tracers: &SdkTracerProvider) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracers.tracer(SCOPE))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(TracezFilter)
}

// === impl Reduced ===

impl SpanProcessor for Reduced {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.0.on_start(span, cx);
    }

    fn on_end(&self, mut span: SpanData) {
        span.attributes.retain(|attribute| {
            let name = attribute.key.as_str();
            FIELDS_ALLOWED.contains(&name) || LAYER_ATTRIBUTES.contains(&name)
        });
        span.events = SpanEvents::default();
        if matches!(span.status, Status::Error { .. }) {
            span.status = Status::error("");
        }
        self.0.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}
