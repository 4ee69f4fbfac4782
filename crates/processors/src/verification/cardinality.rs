//! Distinct values per attribute, bounded.
//!
//! Each attribute may have so many distinct values in each database of a server. One value more is an **overflow**:
//! * in an event, which stands for itself, the value becomes [`OVERFLOW`] and the event leaves;
//! * a metric point is dropped. Its series would become the same as that of every other overflowing point, and several
//!   points with the same attributes and time, or a sum that jumps between objects, contradict each other. The SDKs'
//!   `otel.metric.overflow` adds up measurements of their own; readings of a database cannot be added up so.
//!
//! Values seen first are admitted first; a value that was not seen for a while is forgotten and gives its place away,
//! so a collector that runs for months recovers from a burst. Values are held as 64-bit hashes: two values with the
//! same hash count as one.
//!
//! Limits: [`VALUES_MAX`] values and [`GROUPS_MAX`] pairs of database and attribute per server. Beyond them everything
//! overflows.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::time::Duration;

use dbintel_model::{Attribute, Labels, Monotonic, Value};
use dbintel_pipeline::telemetry::Counter;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::config::VerificationConfig;
use super::rota::{Rota, Ticked};
use super::telemetry::Telemetry;
use crate::hashed::Hashed;

/// What stands in the place of a value too many.
pub const OVERFLOW: &str = "dbintel.overflow";
/// Values held for one server: at 24 bytes each, and room for the tables, about 6 MiB.
pub const VALUES_MAX: usize = 100_000;
/// Pairs of database and attribute with values of their own.
pub const GROUPS_MAX: usize = 4_096;
/// Attributes of events that are limited. Identifiers, times and texts of statements have as many values as there are.
pub const EVENT_ATTRIBUTES: [&str; 8] = [
    "db.namespace",
    "postgresql.rolname",
    "user.name",
    "postgresql.application_name",
    "network.peer.address",
    "postgresql.client_hostname",
    "postgresql.blocking.lock.relation",
    "db.query.summary",
];

/// The values of all attributes of one lane.
#[derive(Debug)]
pub(super) struct Cardinality {
    /// Hash of group and value: the group, and when it was seen last.
    values: HashMap<u64, Entry, BuildHasherDefault<Hashed>>,
    /// Hash of database and attribute.
    groups: HashMap<u64, Group, BuildHasherDefault<Hashed>>,
    rota: Rota<u64>,
    /// Counts what finds no group.
    by_attribute: HashMap<Box<str>, Counter>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    group: u64,
    seen: Monotonic,
}

#[derive(Debug)]
struct Group {
    values: u32,
    max: u32,
}

// === impl Cardinality ===

impl Cardinality {
    pub(super) fn new() -> Self {
        Self {
            values: HashMap::default(),
            groups: HashMap::default(),
            rota: Rota::default(),
            by_attribute: HashMap::new(),
        }
    }

    /// Values held now.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether a value of an attribute is among those that may leave. What is not is counted.
    pub(super) fn admits(&mut self, limits: &Limits<'_>, database: &str, key: &str, value: u64) -> bool {
        let group = xxh3_64_with_seed(key.as_bytes(), xxh3_64(database.as_bytes()));
        let hash = value ^ group.rotate_left(29);
        if let Some(entry) = self.values.get_mut(&hash) {
            entry.seen = limits.now;
            return true;
        }
        if self.values.len() < VALUES_MAX && self.joins(limits, group, key) {
            self.values.insert(hash, Entry { group, seen: limits.now });
            self.rota.add(hash);
            return true;
        }
        self.count_overflow(limits, key);
        false
    }

    /// Whether all attributes of a metric point are admitted. Those that are not are counted, each.
    pub(super) fn admits_labels(&mut self, limits: &Limits<'_>, database: &str, labels: &Labels) -> bool {
        let attributes = labels.resource.iter().chain(&labels.point);
        // Every attribute is looked at, so that the counts do not depend on their order.
        attributes.fold(true, |all, Attribute { key, value }| {
            let admitted = match value {
                Value::Text(text) => self.admits(limits, database, key, text_hash(text)),
                Value::Int(int) => self.admits(limits, database, key, xxh3_64(&int.to_le_bytes())),
                Value::Double(double) => self.admits(limits, database, key, xxh3_64(&double.to_le_bytes())),
                Value::Bool(_) => true,
            };
            all && admitted
        })
    }

    /// Forgets what was not seen for a while.
    pub(super) fn forget(&mut self, ticked: Ticked, after: Duration) {
        let Self { values, groups, rota, .. } = self;
        rota.turn(ticked.passed, |hash| {
            let Some(entry) = values.get(&hash) else { return false };
            let (keep, group) = (ticked.now.since(entry.seen) <= after, entry.group);
            if !keep {
                values.remove(&hash);
                leave(groups, group);
            }
            keep
        });
    }

    fn joins(&mut self, limits: &Limits<'_>, group: u64, key: &str) -> bool {
        let groups = self.groups.len();
        if groups >= GROUPS_MAX && !self.groups.contains_key(&group) {
            return false;
        }
        let max = limits.config.max_values_of.get(key).copied().unwrap_or(limits.config.max_values);
        let group = self.groups.entry(group).or_insert(Group { values: 0, max });
        let joins = group.values < group.max;
        group.values += u32::from(joins);
        joins
    }

    fn count_overflow(&mut self, limits: &Limits<'_>, key: &str) {
        match self.by_attribute.get(key) {
            Some(counter) => counter.increment(),
            // Names of attributes are ours or the operator's, so there are few.
            None => {
                let counter = limits.telemetry.overflow(key);
                counter.increment();
                self.by_attribute.insert(key.into(), counter);
            }
        }
    }
}

/// A value less; the group goes with its last one.
fn leave(groups: &mut HashMap<u64, Group, BuildHasherDefault<Hashed>>, id: u64) {
    if let Some(group) = groups.get_mut(&id) {
        group.values = group.values.saturating_sub(1);
        if group.values == 0 {
            groups.remove(&id);
        }
    }
}

/// What is needed to judge a value.
pub(super) struct Limits<'a> {
    pub(super) config: &'a VerificationConfig,
    pub(super) telemetry: &'a Telemetry,
    pub(super) now: Monotonic,
}

/// The hash of a value that is a text.
pub(super) fn text_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}
