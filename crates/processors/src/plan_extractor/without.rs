//! Top statements that have no plan, each with the receiver's reason, for people to see.

use dbintel_model::{NoPlan, Query, Text, Timestamp};
use dbintel_pipeline::MissingPlanView;

use super::lru::{Limits, Lru};
use super::statements::StatementKey;

/// Statements without a plan that are remembered; the one that was tried least recently goes first.
pub const MAX_WITHOUT_PLAN: usize = 1_000;

/// See the module.
#[derive(Debug)]
pub(super) struct WithoutPlan {
    /// With the time at which it was told.
    table: Lru<StatementKey, (NoPlan, Timestamp)>,
    forgotten: u64,
}

// === impl WithoutPlan ===

impl WithoutPlan {
    pub(super) fn new() -> Self {
        let limits = Limits { entries: MAX_WITHOUT_PLAN, bytes: usize::MAX, at_least: 0 };
        Self { table: Lru::new(limits), forgotten: 0 }
    }

    /// Notes why a statement has no plan.
    pub(super) fn note(&mut self, id: StatementKey, without: NoPlan, read_at: Timestamp) {
        self.forgotten += self.table.insert(id, (without, read_at), 0);
    }

    /// Takes in what a reading says of a statement: that it has a plan now, or why it has none.
    pub(super) fn read(&mut self, id: StatementKey, query: &Query) {
        match (query.plan, query.plan_missing) {
            (None, Some(missing)) => {
                let (key, text, at) = (query.key.clone(), query.text.clone(), query.interval.end);
                self.note(id, NoPlan { key, text, missing, at: Some(at) }, at);
            }
            (Some(_), _) if self.table.len() > 0 => self.table.remove(&id),
            _ => {}
        }
    }

    /// Every one of them, the one that was tried last first.
    pub(super) fn views(&self) -> impl Iterator<Item = MissingPlanView> {
        self.table.iter().rev().map(|(_, (without, told))| MissingPlanView {
            database: without.key.database.clone(),
            user: without.key.user.clone(),
            query_id: without.key.query_id.to_string().into(),
            summary: without.text.as_ref().and_then(|text| text.summary.clone()).map(Text::from),
            missing: without.missing,
            at: without.at.unwrap_or(*told),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Statements that were forgotten since the last call.
    pub(super) fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }
}
