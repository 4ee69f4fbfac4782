//! Settings of the Collector's `service.telemetry` that dbintel does not have.
//!
//! A configuration that runs a Collector should run dbintel, so these are no errors. Each that is written
//! is answered by name with a warning, and taken out before the section is read.

use crate::error::{Warning, Warnings};
use crate::node::{Entry, Map, Node, Value};
use crate::path::Path;

/// What the Collector has and dbintel does not, below `service.telemetry`; `*` is any item of a list.
const FOREIGN: [&[&str]; 25] = [
    &["logs", "development"],
    &["logs", "disable_caller"],
    &["logs", "disable_stacktrace"],
    &["logs", "disable_zap_resource"],
    &["logs", "error_output_paths"],
    &["logs", "initial_fields"],
    &["logs", "output_paths"],
    &["logs", "processors"],
    &["logs", "sampling"],
    &["metrics", "views"],
    &["metrics", "readers", "*", "periodic", "cardinality_limits"],
    &["metrics", "readers", "*", "periodic", "producers"],
    &["metrics", "readers", "*", "pull", "cardinality_limits"],
    &["metrics", "readers", "*", "pull", "producers"],
    &["metrics", "readers", "*", "pull", "exporter", "prometheus", "translation_strategy"],
    &["metrics", "readers", "*", "pull", "exporter", "prometheus", "with_resource_constant_labels"],
    &["metrics", "readers", "*", "pull", "exporter", "prometheus", "without_scope_info"],
    &["metrics", "readers", "*", "pull", "exporter", "prometheus", "without_type_suffix"],
    &["metrics", "readers", "*", "pull", "exporter", "prometheus", "without_units"],
    &["traces", "level"],
    &["traces", "limits"],
    &["traces", "propagators"],
    &["traces", "sampler"],
    &["resource", "detectors"],
    &["resource", "schema_url"],
];

/// The same below an OTLP exporter of [`OTLP_EXPORTERS`].
const FOREIGN_OF_OTLP: [&str; 10] = [
    "certificate",
    "certificate_file",
    "client_certificate",
    "client_certificate_file",
    "client_key",
    "client_key_file",
    "compression",
    "default_histogram_aggregation",
    "headers_list",
    "temporality_preference",
];

const OTLP_EXPORTERS: [&[&str]; 2] = [
    &["metrics", "readers", "*", "periodic", "exporter", "otlp"],
    &["traces", "processors", "*", "batch", "exporter", "otlp"],
];

/// Of these the whole item of the list goes: without them it is nothing.
const FOREIGN_ITEMS: [&[&str]; 4] = [
    &["metrics", "readers", "*", "periodic", "exporter", "console"],
    &["traces", "processors", "*", "batch", "exporter", "console"],
    &["traces", "processors", "*", "batch", "exporter", "zipkin"],
    &["traces", "processors", "*", "simple"],
];

/// The `service` section without foreign settings, each noted.
pub(super) fn without_foreign_settings(mut service: Node, warnings: &mut Warnings) -> Node {
    let root = Path::Root("service");
    let path = root.key("telemetry");
    if let Some(entry) = map_of(&mut service).and_then(|map| map.entry_mut("telemetry")) {
        for keys in FOREIGN_ITEMS {
            remove(&mut entry.value, keys, true, &path, warnings);
        }
        for keys in FOREIGN {
            remove(&mut entry.value, keys, false, &path, warnings);
        }
        for exporter in OTLP_EXPORTERS {
            for key in FOREIGN_OF_OTLP {
                remove(&mut entry.value, &[exporter, &[key]].concat(), false, &path, warnings);
            }
        }
        flatten_attributes(&mut entry.value);
    }
    service
}

/// Takes out what the keys lead to, or with `items` the item of the list on the way, which leaves nothing in its
/// place. True when it was there.
fn remove(node: &mut Node, keys: &[&str], items: bool, path: &Path<'_>, warnings: &mut Warnings) -> bool {
    let Some((key, below)) = keys.split_first() else {
        return false;
    };
    if let Value::Seq(list) = node.value_mut() {
        for (index, item) in list.iter_mut().enumerate() {
            if remove(item, below, items, &path.index(index), warnings) && items {
                item.take();
            }
        }
        return false;
    }
    let Some(map) = map_of(node) else { return false };
    if !below.is_empty() {
        let entry = map.entry_mut(key);
        return entry.is_some_and(|entry| remove(&mut entry.value, below, items, &path.key(key), warnings));
    }
    match map.remove(key) {
        Some(entry) => {
            warnings.push(warning(&entry, &path.key(key)));
            true
        }
        None => false,
    }
}

fn warning(entry: &Entry, path: &Path<'_>) -> Warning {
    let message = "the Collector has this setting, dbintel does not; it has no effect";
    Warning::new(Some(entry.key_position.clone()), path.to_string(), message)
}

/// `resource: {attributes: [{name: a, value: b}]}`, the declarative form, becomes `resource: {a: b}`.
fn flatten_attributes(telemetry: &mut Node) {
    let resource = map_of(telemetry).and_then(|map| map.entry_mut("resource"));
    let Some(resource) = resource.and_then(|entry| map_of(&mut entry.value)) else {
        return;
    };
    let is_list = resource.get("attributes").is_some_and(|node| node.as_seq().is_some());
    let Some(attributes) = resource.remove("attributes").filter(|_| is_list) else {
        return;
    };
    let Value::Seq(items) = attributes.value.into_value() else {
        return;
    };
    for item in items {
        let name = item.get("name").and_then(Node::text).map(str::to_owned);
        if let (Some(name), Some(value)) = (name, item.get("value")) {
            let entry =
                Entry { key: name.into(), key_position: item.position().clone(), value: value.clone() };
            resource.insert(entry);
        }
    }
}

fn map_of(node: &mut Node) -> Option<&mut Map> {
    match node.value_mut() {
        Value::Map(map) => Some(map),
        _ => None,
    }
}
