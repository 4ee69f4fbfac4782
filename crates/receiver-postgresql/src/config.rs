//! Configuration: the serde type with contrib's keys, and the validated value the receiver is built from.
//!
//! Every key of OpenTelemetry contrib's `postgresql` receiver is accepted or answered by name. What is only ours is
//! marked so in its documentation.

mod settings;
mod validate;

use std::collections::BTreeSet;
use std::time::Duration;

use dbintel_model::{Attribute, MetricDefinition, ResourceLayout, Text};

pub use self::settings::{LogFormatSetting, Settings};
pub use self::validate::validate;
use crate::log::{FilePattern, TailLimits};
use crate::query::connection::{ConnectSettings, Limits};

/// A configuration that cannot be invalid, and that can be compared: equal values need no restart.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where and as whom to connect.
    pub connect: ConnectSettings,
    /// Command that prints a password or token, run before each connect; instead of a password.
    pub password_command: Option<Vec<String>>,
    /// Database for what concerns the whole server.
    pub connect_database: Text,
    /// Databases to read; empty means all.
    pub databases: BTreeSet<String>,
    /// Databases to leave out.
    pub exclude_databases: BTreeSet<String>,
    /// How often counters and metrics are read.
    pub collection_interval: Duration,
    /// How long to wait before the first poll.
    pub initial_delay: Duration,
    /// Limits the server enforces on ordinary statements of ours.
    pub limits: Limits,
    /// Connections at the same time, at most.
    pub max_connections: usize,
    /// Statement statistics; `None` if switched off.
    pub top_query: Option<TopQuery>,
    /// Session samples; `None` if switched off.
    pub query_sample: Option<QuerySample>,
    /// Plans; `None` if switched off.
    pub plans: Option<PlanCollection>,
    /// The server's log, from which plans are taken; `None` if it is not read.
    pub plan_log: Option<PlanLog>,
    /// How often the objects of each database are read.
    pub object_interval: Duration,
    /// How often exact sizes, and what changes as slowly, are read.
    pub size_interval: Duration,
    /// How often settings, extensions, names and tables are compared.
    pub catalogue_interval: Duration,
    /// Metrics that differ from their default: name, and whether it is on.
    pub metrics: Vec<(String, bool)>,
    /// How objects appear in OTLP.
    pub layout: ResourceLayout,
    /// Further attributes of the resource.
    pub resource: Vec<Attribute>,
}

/// How statement statistics are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopQuery {
    /// How often.
    pub interval: Duration,
    /// Statements that leave as `db.server.top_query`, by total time.
    pub top_n: usize,
}

/// How sessions are sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuerySample {
    /// How often.
    pub interval: Duration,
    /// Sessions per sample.
    pub max_rows: u32,
}

/// How plans are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanCollection {
    /// How often a round of probes runs.
    pub interval: Duration,
    /// Statements in a round, at most.
    pub max_per_collection: usize,
    /// How often a statement is probed, if nothing changes.
    pub reprobe: Duration,
    /// How often it is planned for values of a parameter; `None` if that is switched off.
    pub sensitivity: Option<Duration>,
    /// Whether texts of running sessions are planned as well.
    pub samples: bool,
    /// Whether statements are explained at all.
    pub explain: bool,
}

/// Where and how the server's log is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLog {
    /// Its files.
    pub include: Vec<FilePattern>,
    /// How they are written.
    pub format: LogFormatSetting,
    /// Bounds of a round.
    pub limits: TailLimits,
}

impl Config {
    /// Whether this metric is to be sent.
    #[must_use]
    pub fn wants(&self, metric: &MetricDefinition) -> bool {
        let set = self.metrics.iter().find(|(name, _)| name == metric.name);
        set.map_or(metric.enabled, |(_, enabled)| *enabled)
    }

    /// Whether this database is to be read.
    #[must_use]
    pub fn wants_database(&self, database: &str) -> bool {
        let included = self.databases.is_empty() || self.databases.contains(database);
        included && !self.exclude_databases.contains(database)
    }
}
