//! The tree as pages, health and metrics show it.

use std::time::Duration;

use dbintel_model::{Monotonic, Text};

use super::node::{Feature, Node};
use super::{GrantId, Outstanding, ServerTree};
use crate::breaker::BreakerView;
use crate::ledger::{CostSource, Ledger, Pressure};
use crate::timeout::AdaptiveTimeout;
use crate::vocabulary::Purpose;

/// A server.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeView {
    /// The server's breaker.
    pub breaker: BreakerView,
    /// Permits out.
    pub grants: usize,
    /// The window of the schedule of limits that is in force.
    pub window: Option<usize>,
    /// What is asked of the server as a whole first, then the databases by name.
    pub nodes: Vec<NodeView>,
}

/// A database.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeView {
    /// Its name; `None` for what is asked of the server as a whole.
    pub database: Option<Text>,
    /// Its breaker.
    pub breaker: BreakerView,
    /// Its features by name.
    pub features: Vec<FeatureView>,
    /// Ratio to the budget, denials and stretch.
    pub pressure: Pressure,
    /// Budget per minute.
    pub budget: Duration,
    /// Cost of the last minute.
    pub spent: Duration,
    /// Cost of the last minute by purpose.
    pub spent_by_purpose: Vec<(Purpose, Duration)>,
    /// Cost since the start by purpose and source.
    pub totals: Vec<(Purpose, CostSource, Duration)>,
    /// Statements a second, as the database's health lets us.
    pub statements_per_second: f64,
    /// EXPLAINs a minute.
    pub plans_per_minute: f64,
    /// Statements under way.
    pub in_flight: u32,
    /// Statements admitted since the start.
    pub admitted: u64,
    /// Statements rejected by a rate since the start.
    pub rate_rejected: u64,
}

/// A query of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureView {
    /// Its name.
    pub feature: Text,
    /// Its breaker.
    pub breaker: BreakerView,
    /// Its time-out.
    pub timeout: Duration,
    /// Durations the time-out rests on.
    pub samples: usize,
}

impl ServerTree {
    /// How the tree stands.
    #[must_use]
    pub fn view(&self, now: Monotonic) -> TreeView {
        let databases = self.databases.iter().map(|(name, node)| node.view(now, Some(name)));
        TreeView {
            breaker: self.breaker.view(now),
            grants: self.grants.len(),
            window: self.window,
            nodes: std::iter::once(self.whole.view(now, None)).chain(databases).collect(),
        }
    }
}

impl ServerTree {
    /// Bytes the tables hold, estimated: entries times their size, each time-out as if its durations were complete. Costs
    /// a step for every database.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let nodes = self.databases.values().chain([&self.whole]);
        let features: usize = nodes.map(|node| node.features.len()).sum();
        (self.databases.len() + 1) * (size_of::<(Text, Node)>() + Ledger::HEAP_BYTES)
            + features * (size_of::<(Text, Feature)>() + AdaptiveTimeout::HEAP_BYTES_MAX)
            + self.grants.len() * size_of::<(GrantId, Outstanding)>()
    }
}

impl Node {
    fn view(&self, now: Monotonic, database: Option<&Text>) -> NodeView {
        let features = self.features.iter().map(|(name, feature)| FeatureView {
            feature: name.clone(),
            breaker: feature.breaker.view(now),
            timeout: feature.timeout.current(),
            samples: feature.timeout.samples(),
        });
        NodeView {
            database: database.cloned(),
            breaker: self.breaker.view(now),
            features: features.collect(),
            pressure: self.ledger.pressure(now),
            budget: self.ledger.budget().per_minute,
            spent: self.ledger.spent_last_minute(now),
            spent_by_purpose: self.ledger.spent_by_purpose(now),
            totals: self.ledger.totals(),
            statements_per_second: self.statements.rate().as_per_second(),
            plans_per_minute: self.plans.rate().as_per_second() * 60.0,
            in_flight: self.in_flight,
            admitted: self.admitted,
            rate_rejected: self.rate_rejected,
        }
    }
}
