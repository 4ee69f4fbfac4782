//! A change of a statement's plan.

use std::sync::Arc;

use super::{PlanFingerprint, PlanIdentity, PlanRung};
use crate::{QueryKey, QueryText, Text, Timestamp, ValueRef};

/// The most causes that one change of a plan lists; further ones are only counted.
pub const MAX_PLAN_CAUSES: usize = 16;

/// A statement has another plan than before, on the same rung and the same node.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanChange {
    /// Which statement.
    pub key: QueryKey,
    /// Its text, once known and allowed to leave.
    pub text: Option<Arc<QueryText>>,
    /// How both plans were obtained.
    pub rung: PlanRung,
    /// Whether the server vouches that the new plan is of this statement.
    pub identity: PlanIdentity,
    /// When the new plan was obtained, by the server's clock.
    pub at: Timestamp,
    /// The plan before.
    pub old: PlanFingerprint,
    /// When the statement was seen with it, from its last becoming current on.
    pub old_span: PlanSpan,
    /// The planner's cost of the plan before.
    pub old_cost: Option<f64>,
    /// The plan now.
    pub new: PlanFingerprint,
    /// The planner's cost of the plan now.
    pub new_cost: Option<f64>,
    /// When the statement was seen with the new plan before the old one; `None` if it never was, as far as is known.
    pub seen_before: Option<PlanSpan>,
    /// What is different, a line for each difference.
    pub difference: Text,
    /// What else changed between the last time of the old plan and the first of the new one, at most
    /// [`MAX_PLAN_CAUSES`]. It happened at that time; whether it is the cause nobody has proven.
    pub causes: Vec<PlanCause>,
    /// Changes of that time beyond those listed.
    pub causes_not_listed: u32,
}

/// From when to when a plan was seen, by the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanSpan {
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
}

/// Something else that changed at the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanCause {
    /// What it was, from a closed list: the kinds of `dbintel.change`, and `plan_setting` for a setting that the plans
    /// themselves tell of.
    pub kind: Text,
    /// In words.
    pub description: Text,
}

// === impl PlanChange ===

impl PlanChange {
    /// Calls `visit` with every attribute of the `dbintel.plan.change` event that is known.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.key.for_each_attribute(visit);
        if let Some(text) = &self.text {
            text.for_each_attribute(visit);
        }
        visit("dbintel.plan.rung", ValueRef::Text(self.rung.as_str()));
        visit("dbintel.plan.identity", ValueRef::Text(self.identity.as_str()));
        visit("dbintel.plan.time", ValueRef::Text(self.at.to_rfc3339().as_str()));
        self.new.visit(["dbintel.plan.fingerprint", "dbintel.plan.shape"], visit);
        self.old.visit(["dbintel.plan.old.fingerprint", "dbintel.plan.old.shape"], visit);
        visit("dbintel.plan.change.level", ValueRef::Text(self.level()));
        for (name, cost) in [("dbintel.plan.cost", self.new_cost), ("dbintel.plan.old.cost", self.old_cost)] {
            if let Some(cost) = cost {
                visit(name, ValueRef::Double(cost));
            }
        }
        self.old_span.visit(["dbintel.plan.old.first_seen", "dbintel.plan.old.last_seen"], visit);
        visit("dbintel.plan.change.seen_before", ValueRef::Bool(self.seen_before.is_some()));
        if let Some(span) = &self.seen_before {
            span.visit(["dbintel.plan.previously.first_seen", "dbintel.plan.previously.last_seen"], visit);
        }
        visit("dbintel.plan.change.difference", ValueRef::Text(&self.difference));
        self.visit_causes(visit);
    }

    /// Whether another operator or relation is used (`shape`), or only another index, key or condition (`exact`).
    #[must_use]
    pub const fn level(&self) -> &'static str {
        if self.old.shape == self.new.shape { "exact" } else { "shape" }
    }

    /// Bytes this record keeps alive beyond its own size; shared ones are counted in full.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let causes = self.causes.iter();
        self.text.as_ref().map_or(0, |text| text.weight_bytes())
            + self.difference.len()
            + causes
                .map(|cause| size_of::<PlanCause>() + cause.kind.len() + cause.description.len())
                .sum::<usize>()
    }

    fn visit_causes(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        if self.causes.is_empty() {
            return visit("dbintel.plan.change.cause_kinds", ValueRef::Text("none_known"));
        }
        let mut kinds: Vec<&str> = self.causes.iter().map(|cause| cause.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        visit("dbintel.plan.change.cause_kinds", ValueRef::Text(&kinds.join(",")));
        let mut lines: Vec<&str> = self.causes.iter().map(|cause| cause.description.as_str()).collect();
        let further = format!("... and {} more", self.causes_not_listed);
        if self.causes_not_listed > 0 {
            lines.push(&further);
        }
        visit("dbintel.plan.change.causes", ValueRef::Text(&lines.join("\n")));
    }
}

// === impl PlanSpan ===

impl PlanSpan {
    fn visit(&self, names: [&str; 2], visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        for (name, time) in names.into_iter().zip([self.first, self.last]) {
            visit(name, ValueRef::Text(time.to_rfc3339().as_str()));
        }
    }
}
