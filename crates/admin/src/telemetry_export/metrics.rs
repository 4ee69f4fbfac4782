//! Self-metrics as observable instruments.
//!
//! The registry grows while components come and go; the SDK wants its instruments made beforehand. So every
//! [`INSTRUMENTS_REFRESH`] an instrument is made for each metric that has appeared. All instruments of one collection
//! read the same snapshot of the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Clock, Monotonic};
use dbintel_pipeline::telemetry::{
    MAX_SERIES_PER_METRIC, Reading, Registry, SelfMetric, SelfMetricKind, SeriesLabels,
};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider as _};
use opentelemetry_otlp::{MetricExporter, Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream, Temporality};
use parking_lot::Mutex;

use super::TelemetryExportError;
use super::client::Jobs;
use crate::config::PeriodicConfig;

/// How often instruments are made for metrics that have appeared.
pub const INSTRUMENTS_REFRESH: Duration = Duration::from_secs(1);
/// A snapshot that is younger serves all instruments of one collection.
pub const SNAPSHOT_AGE_MAX: Duration = Duration::from_millis(500);
/// Name of the instrumentation scope.
const SCOPE: &str = "dbintel";

/// The instruments, and what they read.
pub(super) struct Instruments {
    meter: Meter,
    registry: Registry,
    snapshot: Arc<Snapshot>,
    made: BTreeSet<&'static str>,
}

/// The registry as it was a moment ago.
struct Snapshot {
    registry: Registry,
    clock: Arc<dyn Clock>,
    latest: Mutex<Option<(Monotonic, Arc<Readings>)>>,
}

type Readings = BTreeMap<&'static str, Reading>;

pub(super) fn provider(
    config: &PeriodicConfig,
    jobs: Jobs,
    resource: Resource,
) -> Result<SdkMeterProvider, TelemetryExportError> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(jobs.of_signal("metrics", &config.otlp)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(config.otlp.url.to_string())
        .with_timeout(config.otlp.timeout)
        .with_temporality(Temporality::Cumulative)
        .build()
        .map_err(TelemetryExportError::Exporter)?;
    let reader = PeriodicReader::builder(exporter).with_interval(config.interval).build();
    Ok(SdkMeterProvider::builder()
        .with_reader(reader)
        .with_resource(resource)
        .with_view(with_our_bound)
        .build())
}

/// The registry bounds series already; the SDK's own, lower bound would cut them a second time.
fn with_our_bound(_: &Instrument) -> Option<Stream> {
    let stream = Stream::builder().with_cardinality_limit(MAX_SERIES_PER_METRIC + 2);
    stream.build().ok()
}

/// Makes instruments for new metrics, for ever; without a meter it just never ends.
pub(super) async fn keep_up(instruments: Option<Instruments>) {
    let Some(mut instruments) = instruments else {
        return std::future::pending().await;
    };
    let mut tick = tokio::time::interval(INSTRUMENTS_REFRESH);
    loop {
        tick.tick().await;
        instruments.refresh();
    }
}

// === impl Instruments ===

impl Instruments {
    pub(super) fn new(meters: &SdkMeterProvider, registry: Registry, clock: Arc<dyn Clock>) -> Self {
        let snapshot = Snapshot { registry: registry.clone(), clock, latest: Mutex::new(None) };
        let mut instruments = Self {
            meter: meters.meter(SCOPE),
            registry,
            snapshot: Arc::new(snapshot),
            made: BTreeSet::new(),
        };
        instruments.refresh();
        instruments
    }

    fn refresh(&mut self) {
        for reading in self.registry.read() {
            if self.made.insert(reading.metric.name) {
                self.make(reading.metric);
            }
        }
    }

    fn make(&self, metric: &'static SelfMetric) {
        let snapshot = Arc::clone(&self.snapshot);
        let observe = move |observer: &dyn AsyncInstrument<f64>| snapshot.observe(metric, observer);
        match metric.kind {
            SelfMetricKind::Counter => {
                self.meter
                    .f64_observable_counter(metric.name)
                    .with_description(metric.help)
                    .with_unit(unit(metric.name))
                    .with_callback(observe)
                    .build();
            }
            SelfMetricKind::Gauge => {
                self.meter
                    .f64_observable_gauge(metric.name)
                    .with_description(metric.help)
                    .with_unit(unit(metric.name))
                    .with_callback(observe)
                    .build();
            }
        }
    }
}

/// The unit that the name tells.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    if name.ends_with("_seconds") {
        "s"
    } else if name.contains("_bytes") || name.ends_with("_rss") {
        "By"
    } else {
        "1"
    }
}

// === impl Snapshot ===

impl Snapshot {
    fn observe(&self, metric: &SelfMetric, observer: &dyn AsyncInstrument<f64>) {
        let readings = self.readings();
        let series = readings.get(metric.name).map(|reading| &reading.series);
        for (labels, value) in series.into_iter().flatten() {
            observer.observe(*value, &attributes(labels));
        }
    }

    fn readings(&self) -> Arc<Readings> {
        let now = self.clock.monotonic();
        let mut latest = self.latest.lock();
        if let Some((at, readings)) = &*latest
            && now.since(*at) < SNAPSHOT_AGE_MAX
        {
            return Arc::clone(readings);
        }
        let readings = self.registry.read().into_iter();
        let readings = readings.map(|reading| (reading.metric.name, reading));
        let readings = Arc::new(readings.collect());
        *latest = Some((now, Arc::clone(&readings)));
        readings
    }
}

fn attributes(labels: &SeriesLabels) -> Vec<KeyValue> {
    let labels = labels.iter();
    labels.map(|(name, value)| KeyValue::new(*name, value.to_string())).collect()
}
