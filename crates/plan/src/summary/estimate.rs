//! How far expectation and truth are apart.

use crate::tree::{JoinType, NodeId, Operator, Plan, Relationship};

/// Expectation and truth at one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EstimateError {
    /// The node.
    pub node: NodeId,
    /// Rows the planner expected in one loop.
    pub estimated_rows: f64,
    /// Rows there were, mean of one loop.
    pub actual_rows: f64,
    /// The greater of the two divided by the smaller, each taken to be at least one row (the q-error).
    pub factor: f64,
}

/// The error of the estimate at a node that was run.
pub(super) fn error_at(plan: &Plan<'_>, id: NodeId) -> Option<EstimateError> {
    let node = plan.node(id)?;
    let actuals = node.actuals?;
    let estimated_rows = node.estimates.rows?;
    if actuals.loops <= 0.0 || is_not_an_estimate(node.operator) {
        return None;
    }
    let (estimated, actual) = (estimated_rows.max(1.0), actuals.rows.max(1.0));
    // A node that was not asked for all its rows says nothing about how many there are.
    if actual < estimated && may_be_stopped_early(plan, id) {
        return None;
    }
    let factor = (estimated / actual).max(actual / estimated);
    Some(EstimateError { node: id, estimated_rows, actual_rows: actuals.rows, factor })
}

/// Operators whose row counts are not those of a result: bitmaps print none, and a hash prints those of its input.
const fn is_not_an_estimate(operator: Operator) -> bool {
    matches!(operator, Operator::BitmapAnd | Operator::BitmapOr | Operator::Hash | Operator::ModifyTable)
}

/// Whether a node above stops reading once it has enough.
fn may_be_stopped_early(plan: &Plan<'_>, id: NodeId) -> bool {
    let mut at = plan.node(id);
    while let Some(node) = at {
        let Some(parent) = node.parent.and_then(|parent| plan.node(parent)) else { return false };
        match parent.operator {
            Operator::Limit | Operator::MergeJoin => return true,
            Operator::NestedLoop if node.relationship == Relationship::Inner => {
                let first_match_is_enough = parent.inner_unique == Some(true)
                    || matches!(parent.join_type, Some(JoinType::Semi | JoinType::Anti));
                if first_match_is_enough {
                    return true;
                }
            }
            // These read all their input before they give anything.
            Operator::Sort | Operator::Hash | Operator::Aggregate => return false,
            _ => {}
        }
        if matches!(node.relationship, Relationship::SubPlan | Relationship::InitPlan) {
            return true;
        }
        at = Some(parent);
    }
    false
}
