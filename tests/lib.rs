//! What the end-to-end tests share: the program with ports of its own, and what an OTLP receiver that is not ours saw.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support: a broken fixture must stop the test loudly"
)]

use std::collections::{BTreeMap, BTreeSet};

use dbintel_testkit::ports::ReservedPort;
use dbintel_testkit::process::Launch;
use serde_json::Value;

/// Ports of health, self-metrics and pages for one program.
pub struct AdminPorts {
    health: ReservedPort,
    metrics: ReservedPort,
    pages: ReservedPort,
}

impl Default for AdminPorts {
    fn default() -> Self {
        Self {
            health: ReservedPort::reserve(),
            metrics: ReservedPort::reserve(),
            pages: ReservedPort::reserve(),
        }
    }
}

impl AdminPorts {
    /// Where health is served.
    #[must_use]
    pub fn health(&self) -> u16 {
        self.health.get()
    }

    /// Where self-metrics are served.
    #[must_use]
    pub fn metrics(&self) -> u16 {
        self.metrics.get()
    }

    /// Where pages are served.
    #[must_use]
    pub fn pages(&self) -> u16 {
        self.pages.get()
    }

    /// The program with these ports, by `--set`, so that the file stays as a user wrote it.
    #[must_use]
    pub fn apply(&self, launch: Launch) -> Launch {
        let sets = [
            format!("extensions.health_check.endpoint=127.0.0.1:{}", self.health()),
            format!("extensions.zpages.endpoint=127.0.0.1:{}", self.pages()),
            format!("service.telemetry.metrics.address=127.0.0.1:{}", self.metrics()),
        ];
        sets.into_iter().fold(launch, |launch, set| launch.argument("--set").argument(set))
    }
}

/// One metric as it arrived: its identity, and the attribute keys of its points and their resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Unit.
    pub unit: String,
    /// `sum` or `gauge`.
    pub kind: String,
    /// `int` or `double`.
    pub number: String,
    /// Whether a sum only grows.
    pub monotonic: Option<bool>,
    /// Whether a sum is cumulative.
    pub cumulative: Option<bool>,
    /// Attribute keys of its points.
    pub attributes: BTreeSet<String>,
    /// Attribute keys of its resources.
    pub resource: BTreeSet<String>,
    /// Number of points.
    pub points: usize,
}

/// Every metric among these requests, by name.
#[must_use]
pub fn metrics(requests: &[Value]) -> BTreeMap<String, Arrived> {
    let mut metrics: BTreeMap<String, Arrived> = BTreeMap::new();
    for resource in contents(requests, "resourceMetrics") {
        let keys = keys(&resource["resource"]["attributes"]);
        for metric in list(&resource["scopeMetrics"]).flat_map(|scope| list(&scope["metrics"])) {
            let arrived = metrics.entry(metric["name"].as_str().unwrap().to_owned()).or_default();
            take(arrived, metric, &keys);
        }
    }
    metrics
}

fn take(arrived: &mut Arrived, metric: &Value, resource: &BTreeSet<String>) {
    let kind = if metric["sum"].is_object() { "sum" } else { "gauge" };
    let data = &metric[kind];
    arrived.unit = metric["unit"].as_str().unwrap_or_default().to_owned();
    arrived.kind = kind.to_owned();
    if kind == "sum" {
        arrived.monotonic = Some(data["isMonotonic"].as_bool().unwrap_or(false));
        let temporality = &data["aggregationTemporality"];
        arrived.cumulative = Some(temporality == 2 || temporality == "AGGREGATION_TEMPORALITY_CUMULATIVE");
    }
    arrived.resource.extend(resource.iter().cloned());
    for point in list(&data["dataPoints"]) {
        arrived.points += 1;
        arrived.number = if point["asInt"].is_null() { "double" } else { "int" }.to_owned();
        arrived.attributes.extend(keys(&point["attributes"]));
    }
}

/// Every log record among these requests: event name, and its attributes.
#[must_use]
pub fn events(requests: &[Value]) -> Vec<(String, BTreeMap<String, Value>)> {
    let resources = contents(requests, "resourceLogs");
    let scopes = resources.iter().flat_map(|resource| list(&resource["scopeLogs"]));
    let records = scopes.flat_map(|scope| list(&scope["logRecords"]));
    let event = |record: &Value| {
        let attributes = list(&record["attributes"])
            .map(|attribute| (attribute["key"].as_str().unwrap().to_owned(), attribute["value"].clone()))
            .collect();
        (record["eventName"].as_str().unwrap_or_default().to_owned(), attributes)
    };
    records.map(event).collect()
}

fn contents(requests: &[Value], key: &str) -> Vec<Value> {
    requests.iter().flat_map(|request| list(&request["request"][key])).cloned().collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn keys(attributes: &Value) -> BTreeSet<String> {
    list(attributes).filter_map(|attribute| attribute["key"].as_str().map(str::to_owned)).collect()
}
