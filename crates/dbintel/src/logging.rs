//! The collector's own log: to standard error, for people or machines, and spans for tracez.

use std::sync::Arc;

use dbintel_admin::config::TelemetryConfig;
use dbintel_admin::telemetry_export::TelemetryExport;
use dbintel_admin::{SpanStore, TracezLayer};
use dbintel_config::service::telemetry::{LogEncoding, LogLevel};
use dbintel_model::Clock;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Starts logging as configured. A second call has no effect.
pub fn start(
    config: &TelemetryConfig,
    spans: &SpanStore,
    clock: &Arc<dyn Clock>,
    export: Option<&TelemetryExport>,
) {
    let level = match config.log_level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    // Libraries speak only of what is wrong: at their debug level they print what they send.
    let filter = EnvFilter::new(format!("warn,dbintel={level},{}", own_crates(level)));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match config.log_encoding {
        LogEncoding::Console => lines.with_ansi(false).boxed(),
        LogEncoding::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(TracezLayer::filtered(spans.clone(), Arc::clone(clock)))
        .with(export.and_then(TelemetryExport::trace_layer));
    // Only tests start logging twice in one process.
    drop(subscriber.try_init());
}

fn own_crates(level: &str) -> String {
    let crates = [
        "admin",
        "config",
        "exporters",
        "model",
        "otlp",
        "pipeline",
        "plan",
        "processors",
        "receiver_postgresql",
    ];
    crates.map(|name| format!("dbintel_{name}={level}")).join(",")
}
