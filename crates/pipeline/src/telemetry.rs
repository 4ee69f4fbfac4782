//! Typed self-telemetry: what dbintel says about itself.
//!
//! Promises:
//! * every self-metric is defined once, in [`definitions`], with name, unit and meaning; documentation lists them from
//!   there;
//! * counting is one atomic addition: handles are made once, when a component is built;
//! * label values come from the configuration or from closed sets, never from a database; series are bounded all the
//!   same, by [`MAX_SERIES_PER_METRIC`], and what does not fit is counted on one shared overflow series.

pub mod definitions;
mod exposition;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dbintel_model::Text;
use parking_lot::Mutex;

pub use exposition::{escape_label_value, write_help_and_type, write_sample};

/// Series one self-metric may have. A collector with hundreds of databases stays far below it.
pub const MAX_SERIES_PER_METRIC: usize = 4_096;

/// A self-metric: its identity.
#[derive(Debug, PartialEq, Eq)]
pub struct SelfMetric {
    /// Name as Prometheus shows it.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: SelfMetricKind,
    /// Labels that a series of it can have.
    pub labels: &'static [&'static str],
}

/// How a self-metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfMetricKind {
    /// It only grows.
    Counter,
    /// It can fall.
    Gauge,
}

/// Labels of one series: names in the order given.
pub type SeriesLabels = Vec<(&'static str, Text)>;

/// A counter: cloning it gives another handle to the same series.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A gauge: cloning it gives another handle to the same series.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// All self-metrics of the process.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    metrics: Arc<Mutex<BTreeMap<&'static str, Metric>>>,
}

/// One self-metric with its present values, for pages, Prometheus and OTLP.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Which metric.
    pub metric: &'static SelfMetric,
    /// Its series: labels and value.
    pub series: Vec<(SeriesLabels, f64)>,
}

struct Metric {
    definition: &'static SelfMetric,
    series: BTreeMap<SeriesLabels, Source>,
}

enum Source {
    Counter(Counter),
    Gauge(Gauge),
    Observed(Arc<dyn Fn() -> Option<f64> + Send + Sync>),
}

// === impl Counter ===

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Gauge ===

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// The value now; zero until it was set.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Adds to a value that only ever grows in fractions, for instance seconds.
    pub fn add(&self, amount: f64) {
        let add = |bits: u64| Some((f64::from_bits(bits) + amount).to_bits());
        // The closure always gives a value, so this cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

// === impl SelfMetric ===

impl SelfMetric {
    /// In tests: documentation names every label.
    fn check(&self, labels: &SeriesLabels) {
        debug_assert!(
            labels.iter().all(|(name, _)| self.labels.contains(name)),
            "a label of {} is not in its definition: {labels:?}",
            self.name
        );
    }
}

// === impl Registry ===

impl Registry {
    /// The counter of this metric with these labels; the same one every time.
    #[must_use]
    pub fn counter(&self, metric: &'static SelfMetric, labels: SeriesLabels) -> Counter {
        let make = || Source::Counter(Counter::default());
        let take = |source: &Source| match source {
            Source::Counter(counter) => Some(counter.clone()),
            Source::Gauge(_) | Source::Observed(_) => None,
        };
        self.source(metric, labels, make, take).unwrap_or_default()
    }

    /// The gauge of this metric with these labels; the same one every time. A counter of fractions, seconds for instance, is kept in one
    /// as well.
    #[must_use]
    pub fn gauge(&self, metric: &'static SelfMetric, labels: SeriesLabels) -> Gauge {
        let make = || Source::Gauge(Gauge::default());
        let take = |source: &Source| match source {
            Source::Gauge(gauge) => Some(gauge.clone()),
            Source::Counter(_) | Source::Observed(_) => None,
        };
        self.source(metric, labels, make, take).unwrap_or_default()
    }

    /// A series whose value is asked for when somebody reads it; `None` leaves it out. Replaces an earlier one.
    pub fn observe(
        &self,
        metric: &'static SelfMetric,
        labels: SeriesLabels,
        read: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) {
        metric.check(&labels);
        let mut metrics = self.metrics.lock();
        let entry = metrics.entry(metric.name).or_insert_with(|| Metric::new(metric));
        if entry.series.len() < MAX_SERIES_PER_METRIC || entry.series.contains_key(&labels) {
            entry.series.insert(labels, Source::Observed(Arc::new(read)));
        }
    }

    /// Removes every series that carries this label, when a component is gone.
    pub fn forget(&self, label: &str, value: &str) {
        self.forget_all(&[(label, value)]);
    }

    /// Removes every series that carries all of these labels, when what they name together is gone.
    pub fn forget_all(&self, wanted: &[(&str, &str)]) {
        let carries = |labels: &SeriesLabels, (label, value): &(&str, &str)| {
            labels.iter().any(|(name, held)| name == label && held.as_str() == *value)
        };
        for metric in self.metrics.lock().values_mut() {
            metric.series.retain(|labels, _| !wanted.iter().all(|one| carries(labels, one)));
        }
    }

    /// Every metric with its values now, sorted by name.
    #[must_use]
    pub fn read(&self) -> Vec<Reading> {
        let metrics = self.metrics.lock();
        let readings = metrics.values().map(|metric| Reading {
            metric: metric.definition,
            series: metric
                .series
                .iter()
                .filter_map(|(labels, source)| source.read().map(|value| (labels.clone(), value)))
                .collect(),
        });
        readings.filter(|reading| !reading.series.is_empty()).collect()
    }

    /// The value of one series now, for pages and tests.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let metrics = self.metrics.lock();
        let metric = metrics.get(name)?;
        metric.series.iter().find(|(held, _)| same_labels(held, labels)).and_then(|(_, source)| source.read())
    }

    fn source<T>(
        &self,
        metric: &'static SelfMetric,
        labels: SeriesLabels,
        make: impl FnOnce() -> Source,
        take: impl Fn(&Source) -> Option<T>,
    ) -> Option<T> {
        metric.check(&labels);
        let mut metrics = self.metrics.lock();
        let entry = metrics.entry(metric.name).or_insert_with(|| Metric::new(metric));
        let labels = if entry.series.len() >= MAX_SERIES_PER_METRIC && !entry.series.contains_key(&labels) {
            vec![("overflow", Text::Static("true"))]
        } else {
            labels
        };
        take(entry.series.entry(labels).or_insert_with(make))
    }
}

fn same_labels(held: &SeriesLabels, wanted: &[(&str, &str)]) -> bool {
    held.len() == wanted.len()
        && wanted.iter().all(|(name, value)| held.iter().any(|(n, v)| n == name && v.as_str() == *value))
}

impl Metric {
    const fn new(definition: &'static SelfMetric) -> Self {
        Self { definition, series: BTreeMap::new() }
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metric")
            .field("name", &self.definition.name)
            .field("series", &self.series.len())
            .finish()
    }
}

impl Source {
    #[allow(clippy::cast_precision_loss, reason = "for display; exact up to 2^53")]
    fn read(&self) -> Option<f64> {
        match self {
            Self::Counter(counter) => Some(counter.get() as f64),
            Self::Gauge(gauge) => Some(gauge.get()),
            Self::Observed(read) => read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static REQUESTS: SelfMetric = SelfMetric {
        name: "requests",
        help: "Requests.",
        kind: SelfMetricKind::Counter,
        labels: &["exporter", "n", "path"],
    };

    #[test]
    #[should_panic(expected = "a label of requests is not in its definition")]
    fn a_label_that_is_not_defined_is_noticed() {
        let _ = Registry::default().counter(&REQUESTS, vec![("signal", "logs".into())]);
    }

    #[test]
    fn the_same_labels_give_the_same_series() {
        let registry = Registry::default();
        let labels = || vec![("exporter", Text::from("otlp"))];
        registry.counter(&REQUESTS, labels()).add(2);
        registry.counter(&REQUESTS, labels()).increment();
        assert_eq!(registry.value("requests", &[("exporter", "otlp")]), Some(3.0));
        registry.forget_all(&[("exporter", "otlp"), ("signal", "logs")]);
        assert_eq!(registry.value("requests", &[("exporter", "otlp")]), Some(3.0));
        registry.forget("exporter", "otlp");
        assert_eq!(registry.value("requests", &[("exporter", "otlp")]), None);
    }

    #[test]
    fn series_beyond_the_bound_share_one_overflow_series() {
        let registry = Registry::default();
        for n in 0..MAX_SERIES_PER_METRIC + 10 {
            registry.counter(&REQUESTS, vec![("n", n.to_string().into())]).increment();
        }
        assert_eq!(registry.value("requests", &[("overflow", "true")]), Some(10.0));
    }

    #[test]
    fn readings_become_prometheus_text() {
        let registry = Registry::default();
        registry.counter(&REQUESTS, vec![("path", "a\"b\\c\nd".to_owned().into())]).add(7);
        let expected =
            "# HELP requests Requests.\n# TYPE requests counter\nrequests{path=\"a\\\"b\\\\c\\nd\"} 7\n";
        assert_eq!(registry.prometheus_text(), expected);
    }
}
