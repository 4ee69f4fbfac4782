//! The order in which the points of a batch are written: by resource, then by metric.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use dbintel_model::{Labels, MetricPoint, Record, Value};

/// A sorted list of positions, reused from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Order {
    keys: Vec<Key>,
}

/// The metric is identified by its address; the catalogue is sorted by name, so addresses follow names. Two resources
/// with one hash would be interleaved, which costs bytes and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    resource: u64,
    metric: usize,
    index: usize,
}

// === impl Order ===

impl Order {
    /// Sorts the metric points of `records` that `filter` lets through.
    pub(super) fn sort(&mut self, records: &[Record], filter: impl Fn(&Record) -> bool) {
        self.keys.clear();
        let mut last: Option<(&Arc<Labels>, u64)> = None;
        for (index, record) in records.iter().enumerate() {
            let Record::Metric(point) = record else { continue };
            if !filter(record) {
                continue;
            }
            let resource = match last {
                Some((labels, hash)) if Arc::ptr_eq(labels, &point.labels) => hash,
                _ => hash_resource(&point.labels),
            };
            last = Some((&point.labels, resource));
            let metric = std::ptr::from_ref(point.metric).addr();
            self.keys.push(Key { resource, metric, index });
        }
        self.keys.sort_unstable();
    }

    /// The points in order.
    pub(super) fn points<'a>(&self, records: &'a [Record]) -> impl Iterator<Item = &'a MetricPoint> {
        self.keys.iter().filter_map(|key| match records.get(key.index) {
            Some(Record::Metric(point)) => Some(point),
            _ => None,
        })
    }
}

fn hash_resource(labels: &Labels) -> u64 {
    if labels.resource.is_empty() {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    for attribute in &labels.resource {
        attribute.key.hash(&mut hasher);
        match &attribute.value {
            Value::Text(text) => text.hash(&mut hasher),
            Value::Int(int) => int.hash(&mut hasher),
            Value::Double(double) => double.to_bits().hash(&mut hasher),
            Value::Bool(bool) => bool.hash(&mut hasher),
        }
    }
    hasher.finish()
}
