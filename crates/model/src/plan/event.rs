//! The plan of a statement as it leaves: redacted, with what is in it in short.

use std::sync::Arc;

use super::{PlanFingerprint, PlanIdentity, PlanRung};
use crate::{QueryKey, QueryText, Text, Timestamp, ValueRef};

/// A plan that is new for its statement. Nothing in it is a literal of the statement or a value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryPlan {
    /// Which statement; the same attributes as of `db.server.top_query`, by which the two are joined.
    pub key: QueryKey,
    /// Its text, once known and allowed to leave.
    pub text: Option<Arc<QueryText>>,
    /// How the plan was obtained.
    pub rung: PlanRung,
    /// Whether the server vouches that it is of this statement.
    pub identity: PlanIdentity,
    /// Why it leaves.
    pub news: PlanNews,
    /// Which plan it is.
    pub fingerprint: PlanFingerprint,
    /// When it was obtained, by the server's clock.
    pub obtained_at: Timestamp,
    /// Its numbers.
    pub numbers: PlanNumbers,
    /// What is in it, in one line.
    pub summary: Text,
    /// Names of the rules that apply to it, separated by commas; empty where none does.
    pub rules: Text,
    /// One line for each of them: where, the numbers, what to check next.
    pub findings: Text,
    /// The redacted plan, in the server's own format.
    pub json: Option<Text>,
    /// Whether the redacted plan is not the whole plan: nodes were left out for its size, or all of it.
    pub truncated: bool,
}

/// Why a plan leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanNews {
    /// The statement had no plan of this rung before.
    FirstSeen,
    /// It has another plan of this rung than before.
    Changed,
    /// Another server answers than the one before: another cluster behind the same endpoint.
    OtherServer,
    /// Another node of the same cluster answers: another address, or another role.
    OtherNode,
    /// A standby was promoted.
    OtherTimeline,
    /// The server has another major version.
    OtherVersion,
    /// Planned for a sample of values it has a plan that it was not seen with before. Whether the plan of the values
    /// before has changed, that does not say.
    OtherValues,
}

/// Numbers of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlanNumbers {
    /// The planner's cost of the whole plan.
    pub total_cost: Option<f64>,
    /// The planner's cost before the first row.
    pub startup_cost: Option<f64>,
    /// Rows the planner expected.
    pub estimated_rows: Option<f64>,
    /// Nodes.
    pub nodes: u32,
    /// Nodes on the longest way from the root down.
    pub depth: u32,
}

// === impl QueryPlan ===

impl QueryPlan {
    /// Calls `visit` with every attribute of the `db.server.query_plan` event that is known.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.key.for_each_attribute(visit);
        if let Some(text) = &self.text {
            text.for_each_attribute(visit);
        }
        visit("dbintel.plan.reason", ValueRef::Text(self.news.as_str()));
        visit("dbintel.plan.rung", ValueRef::Text(self.rung.as_str()));
        visit("dbintel.plan.identity", ValueRef::Text(self.identity.as_str()));
        self.fingerprint.visit(["dbintel.plan.fingerprint", "dbintel.plan.shape"], visit);
        visit("dbintel.plan.time", ValueRef::Text(self.obtained_at.to_rfc3339().as_str()));
        self.numbers.for_each_attribute(visit);
        visit("dbintel.plan.summary", ValueRef::Text(&self.summary));
        if !self.rules.is_empty() {
            visit("dbintel.plan.rules", ValueRef::Text(&self.rules));
            visit("dbintel.plan.findings", ValueRef::Text(&self.findings));
        }
        if let Some(json) = &self.json {
            visit("postgresql.query_plan", ValueRef::Text(json));
        }
        if self.truncated {
            visit("dbintel.plan.truncated", ValueRef::Bool(true));
        }
    }

    /// Bytes this record keeps alive beyond its own size; shared ones are counted in full.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.weight_bytes())
            + self.json.as_ref().map_or(0, |json| json.len())
            + self.summary.len()
            + self.rules.len()
            + self.findings.len()
    }
}

// === impl PlanNews ===

impl PlanNews {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::FirstSeen,
        Self::Changed,
        Self::OtherServer,
        Self::OtherNode,
        Self::OtherTimeline,
        Self::OtherVersion,
        Self::OtherValues,
    ];

    /// As an attribute value: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstSeen => "first_seen",
            Self::Changed => "changed",
            Self::OtherServer => "other_server",
            Self::OtherNode => "other_node",
            Self::OtherTimeline => "other_timeline",
            Self::OtherVersion => "other_version",
            Self::OtherValues => "other_values",
        }
    }
}

// === impl PlanNumbers ===

impl PlanNumbers {
    fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        let estimates = [
            ("dbintel.plan.cost", self.total_cost),
            ("dbintel.plan.startup_cost", self.startup_cost),
            ("dbintel.plan.estimated_rows", self.estimated_rows),
        ];
        for (name, value) in estimates {
            if let Some(value) = value {
                visit(name, ValueRef::Double(value));
            }
        }
        visit("dbintel.plan.nodes", ValueRef::Int(i64::from(self.nodes)));
        visit("dbintel.plan.depth", ValueRef::Int(i64::from(self.depth)));
    }
}
