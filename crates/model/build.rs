//! Turns `catalogue/*.toml` into constants. A mistake in the data stops the build with the file and the entry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a build script talks to cargo by printing and stops the build by panicking"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    #[serde(default)]
    metric: Vec<Metric>,
    #[serde(default)]
    event: Vec<Event>,
    #[serde(default)]
    counter: Vec<Counter>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    name: String,
    description: String,
    unit: String,
    instrument: String,
    number: String,
    #[serde(default)]
    attributes: Vec<String>,
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    contrib: bool,
    family: String,
    /// Short for one source without fixed attributes.
    column: Option<String>,
    #[serde(default)]
    sources: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    column: String,
    #[serde(default)]
    fixed: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    name: String,
    description: String,
    severity: u8,
    attributes: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Counter {
    column: String,
    #[serde(default)]
    former: Vec<String>,
    attribute: Option<String>,
    number: String,
    #[serde(default = "one")]
    scale: f64,
    #[serde(default)]
    omit_zero: bool,
}

fn one() -> f64 {
    1.0
}

fn main() {
    let mut code = String::new();
    let catalogue = read("catalogue");
    write_metrics(&mut code, &catalogue.metric);
    write_events(&mut code, &catalogue.event);
    write_counters(&mut code, &catalogue.counter);
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("catalogue.rs"), code).expect("OUT_DIR is writable");
}

fn read(directory: &str) -> Catalogue {
    println!("cargo::rerun-if-changed={directory}");
    let mut all = Catalogue { metric: Vec::new(), event: Vec::new(), counter: Vec::new() };
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("the catalogue directory is beside build.rs")
        .map(|entry| entry.expect("a readable directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable catalogue file");
        let part: Catalogue =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        all.metric.extend(part.metric);
        all.event.extend(part.event);
        all.counter.extend(part.counter);
    }
    let names: BTreeSet<_> = all.metric.iter().map(|metric| &metric.name).collect();
    assert!(names.len() == all.metric.len(), "a metric is defined twice in the catalogue");
    all.metric.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn write_metrics(code: &mut String, metrics: &[Metric]) {
    let count = metrics.len();
    writeln!(code, "/// Every metric, sorted by name.\npub static METRICS: [MetricDefinition; {count}] = [")
        .unwrap();
    for metric in metrics {
        let column =
            metric.column.iter().map(|column| Source { column: column.clone(), fixed: toml::Table::new() });
        let sources: Vec<Source> = column.chain(metric.sources.iter().map(Source::copy)).collect();
        assert!(!sources.is_empty(), "metric {} has no column and no sources", metric.name);
        for source in &sources {
            for key in source.fixed.keys() {
                assert!(
                    metric.attributes.contains(key),
                    "metric {}: {key} is not in its attributes",
                    metric.name
                );
            }
        }
        let sources: String = sources.iter().map(Source::code).collect();
        writeln!(
            code,
            "    MetricDefinition {{ name: {:?}, description: {:?}, unit: {:?}, instrument: Instrument::{}, \
             number: NumberType::{}, attributes: &{:?}, enabled: {}, contrib: {}, family: {:?}, sources: &[{sources}] }},",
            metric.name,
            metric.description,
            metric.unit,
            instrument(metric),
            number(&metric.name, &metric.number),
            metric.attributes,
            metric.enabled,
            metric.contrib,
            metric.family,
        )
        .unwrap();
    }
    writeln!(code, "];").unwrap();
}

fn instrument(metric: &Metric) -> &'static str {
    match metric.instrument.as_str() {
        "counter" => "Counter",
        "updowncounter" => "UpDownCounter",
        "gauge" => "Gauge",
        other => panic!("metric {}: unknown instrument {other}", metric.name),
    }
}

fn number(name: &str, number: &str) -> &'static str {
    match number {
        "int" => "Int",
        "double" => "Double",
        other => panic!("{name}: unknown number type {other}"),
    }
}

impl Source {
    fn copy(&self) -> Self {
        Self { column: self.column.clone(), fixed: self.fixed.clone() }
    }

    fn code(&self) -> String {
        let fixed: Vec<(&str, &str)> = self
            .fixed
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str().expect("fixed attributes are strings")))
            .collect();
        format!("PointSource {{ column: {:?}, fixed: &{fixed:?} }}, ", self.column)
    }
}

/// One constant per event, named by its name without the namespace, and the list of all.
fn write_events(code: &mut String, events: &[Event]) {
    let mut constants = Vec::new();
    for event in events {
        let name = ["db.server.", "dbintel."].iter().find_map(|prefix| event.name.strip_prefix(prefix));
        let constant = name.expect("an event is below db.server or dbintel").replace('.', "_").to_uppercase();
        writeln!(
            code,
            "/// `{}`: {}\npub static {constant}: EventDefinition = EventDefinition {{ name: {:?}, description: {:?}, \
             severity: {}, attributes: &{:?} }};",
            event.name, event.description, event.name, event.description, event.severity, event.attributes
        )
        .unwrap();
        constants.push(format!("&{constant}"));
    }
    let (count, list) = (constants.len(), constants.join(", "));
    writeln!(code, "/// Every event.\npub static EVENTS: [&EventDefinition; {count}] = [{list}];").unwrap();
}

fn write_counters(code: &mut String, counters: &[Counter]) {
    let count = counters.len();
    writeln!(
        code,
        "/// Cumulative counters of `pg_stat_statements`, all columns but the identity, `calls` and the execution-time \
         moments.\npub static STATEMENT_COUNTERS: [CounterDefinition; {count}] = ["
    )
    .unwrap();
    for counter in counters {
        writeln!(
            code,
            "    CounterDefinition {{ column: {:?}, former: &{:?}, attribute: {:?}, number: NumberType::{}, \
             scale: {:?}, omit_zero: {} }},",
            counter.column,
            counter.former,
            counter.attribute,
            number(&counter.column, &counter.number),
            counter.scale,
            counter.omit_zero
        )
        .unwrap();
    }
    writeln!(code, "];").unwrap();
}
