//! The latest point of every series. Pure: time is handed in.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

use dbintel_model::{
    Attribute, Batch, MetricDefinition, MetricPoint, Monotonic, Number, Record, Server, Timestamp, ValueRef,
};
use dbintel_pipeline::telemetry::escape_label_value;

use super::names::{label_name, metric_name};

/// How points become series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StoreConfig {
    pub(super) namespace: String,
    pub(super) const_labels: BTreeMap<String, String>,
    pub(super) suffixes: bool,
    pub(super) resource_labels: bool,
    pub(super) expiration: Duration,
    pub(super) max_series: usize,
}

/// All series, by metric.
#[derive(Debug)]
pub(super) struct Store {
    config: StoreConfig,
    /// By the address of the definition.
    families: HashMap<usize, Family>,
    /// Label sets of `target_info`, and when a batch of the server was last seen.
    targets: BTreeMap<Box<str>, Monotonic>,
    series: usize,
}

/// The series of one metric.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) metric: &'static MetricDefinition,
    pub(super) name: String,
    /// By their labels, as they are written between the braces.
    pub(super) series: BTreeMap<Box<str>, Sample>,
}

/// The latest point of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) value: Number,
    pub(super) time: Timestamp,
    seen: Monotonic,
}

/// What became of the points of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Stored {
    pub(super) points: u64,
    pub(super) refused: u64,
}

/// Labels by name. Two attributes whose names become one are joined with `;`, as the specification says.
#[derive(Default)]
struct Labels(BTreeMap<String, String>);

// === impl Store ===

impl Store {
    pub(super) fn new(config: StoreConfig) -> Self {
        Self { config, families: HashMap::new(), targets: BTreeMap::new(), series: 0 }
    }

    /// Takes the metric points of a batch. Those of new series are refused when there is no room for more.
    pub(super) fn update(&mut self, batch: &Batch, now: Monotonic) -> Stored {
        let mut stored = Stored::default();
        let server = &batch.target.server;
        for record in &batch.records {
            let Record::Metric(point) = record else { continue };
            if self.set(server, point, now) {
                stored.points += 1;
            } else {
                stored.refused += 1;
            }
        }
        if stored.points > 0 {
            self.see_target(server, now);
        }
        stored
    }

    /// Drops what has not been seen for too long.
    pub(super) fn expire(&mut self, now: Monotonic) {
        let expiration = self.config.expiration;
        let is_fresh = |seen: Monotonic| now.since(seen) <= expiration;
        for family in self.families.values_mut() {
            family.series.retain(|_, sample| is_fresh(sample.seen));
        }
        self.families.retain(|_, family| !family.series.is_empty());
        self.targets.retain(|_, seen| is_fresh(*seen));
        self.series =
            self.targets.len() + self.families.values().map(|family| family.series.len()).sum::<usize>();
    }

    /// Every metric that has series, by name.
    pub(super) fn families(&self) -> Vec<&Family> {
        let mut families: Vec<&Family> = self.families.values().collect();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families
    }

    /// The label sets of `target_info`.
    pub(super) fn targets(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(AsRef::as_ref)
    }

    fn set(&mut self, server: &Server, point: &MetricPoint, now: Monotonic) -> bool {
        let labels = self.labels_of(server, point);
        let sample = Sample { value: point.value, time: point.time, seen: now };
        let metric = point.metric;
        let family = self.families.entry(std::ptr::from_ref(metric).addr()).or_insert_with(|| Family {
            metric,
            name: metric_name(metric, &self.config.namespace, self.config.suffixes),
            series: BTreeMap::new(),
        });
        if let Some(held) = family.series.get_mut(labels.as_str()) {
            *held = sample;
            return true;
        }
        if self.series >= self.config.max_series {
            return false;
        }
        family.series.insert(labels.into(), sample);
        self.series += 1;
        true
    }

    fn see_target(&mut self, server: &Server, now: Monotonic) {
        let mut labels = self.labels_of_server(server);
        labels.add_resource(&server.resource);
        let labels = labels.written();
        if let Some(seen) = self.targets.get_mut(labels.as_str()) {
            *seen = now;
        } else if self.series < self.config.max_series {
            self.targets.insert(labels.into(), now);
            self.series += 1;
        }
    }

    fn labels_of(&self, server: &Server, point: &MetricPoint) -> String {
        let mut labels = self.labels_of_server(server);
        if self.config.resource_labels {
            labels.add_resource(&server.resource);
        }
        // What tells objects of one server apart is part of the identity, wherever the layout puts it.
        labels.add_resource(&point.labels.resource);
        point.for_each_attribute(&mut |key, value| labels.add(key, value));
        labels.written()
    }

    fn labels_of_server(&self, server: &Server) -> Labels {
        let mut labels = Labels::default();
        for (name, value) in &self.config.const_labels {
            labels.add(name, ValueRef::Text(value));
        }
        labels.add("server.address", ValueRef::Text(&server.address));
        labels.add("server.port", ValueRef::Int(server.port.into()));
        labels
    }
}

// === impl Labels ===

impl Labels {
    fn add(&mut self, key: &str, value: ValueRef<'_>) {
        let text = self.0.entry(label_name(key)).or_default();
        if !text.is_empty() {
            text.push(';');
        }
        // Writing to a string cannot fail.
        let _ = match value {
            ValueRef::Text(value) => text.write_str(value),
            ValueRef::Int(value) => write!(text, "{value}"),
            ValueRef::Double(value) => write!(text, "{value}"),
            ValueRef::Bool(value) => write!(text, "{value}"),
        };
    }

    /// Attributes of a resource; address and port are there already.
    fn add_resource(&mut self, attributes: &[Attribute]) {
        for attribute in attributes {
            if !matches!(attribute.key.as_str(), "server.address" | "server.port") {
                self.add(&attribute.key, attribute.value.as_ref());
            }
        }
    }

    fn written(&self) -> String {
        let mut written = String::with_capacity(128);
        for (name, value) in &self.0 {
            if !written.is_empty() {
                written.push(',');
            }
            written.push_str(name);
            written.push_str("=\"");
            escape_label_value(&mut written, value);
            written.push('"');
        }
        written
    }
}

#[cfg(test)]
mod tests;
