//! Hands plans over: at once, or, where a plan is another one than before, with what may have changed it.
//!
//! See [`crate::state::held_plans`]. The plans loop brings them, from probes and from the log, and the loops that read causes let them go.

use std::collections::BTreeMap;
use std::sync::Arc;

use dbintel_model::{Monotonic, Node, PlanObservation, Record, Target, Text, Timestamp};
use dbintel_pipeline::telemetry::definitions;

use super::shared::Shared;
use crate::state::held_plans::CausesOf;

/// Batches hold so many plans at most: each plan can be a megabyte.
pub(super) const MAX_PLANS_PER_BATCH: usize = 4;

/// A plan that was just obtained: the record to offer, unless the plan has to wait.
pub(super) fn record(shared: &Shared, plan: PlanObservation) -> Option<Record> {
    let is_another = shared.plans.lock().is_another(&plan);
    unless_held(shared, plan, is_another)
}

/// A plan that was found in the log, with its exact fingerprint: the same.
pub(super) fn record_of_log(shared: &Shared, plan: PlanObservation, fingerprint: u128) -> Option<Record> {
    let is_another = shared.plans.lock().is_another_in_log(&plan.key, fingerprint);
    unless_held(shared, plan, is_another)
}

fn unless_held(shared: &Shared, plan: PlanObservation, is_another: bool) -> Option<Record> {
    let mut held = shared.held_plans.lock();
    let plan = if is_another || held.has(&plan.key) {
        held.hold(plan, shared.clock.monotonic())
    } else {
        Some(plan)
    };
    plan.map(|plan| Record::Plan(Box::new(plan)))
}

/// Causes were read, by a reading that `began` then and has been handed over; `answered` says by which node, and when by
/// its clock. Plans that waited for it go.
pub(super) fn causes_read(
    shared: &Shared,
    what: CausesOf<'_>,
    began: Monotonic,
    answered: Option<(Arc<Node>, Timestamp)>,
) {
    let Some((node, time)) = answered else { return };
    let (plans, read_at) = {
        let mut held = shared.held_plans.lock();
        (held.read(what, began, time), held.read_at())
    };
    offer(shared, plans, Some(&(node, read_at)));
}

/// Plans that have waited too long go without their causes.
pub(super) fn let_overdue_go(shared: &Shared) {
    let (overdue, without_causes) = {
        let mut held = shared.held_plans.lock();
        (held.overdue(shared.clock.monotonic()), held.take_without_causes())
    };
    if without_causes > 0 {
        shared.count(&definitions::LIMIT_REACHED, "limit", "held_plans", without_causes);
    }
    offer(shared, overdue, None);
}

/// Another node answers: what was obtained of the one before is forgotten, and asked for again.
pub(super) fn forget(shared: &Shared) {
    for plan in shared.held_plans.lock().clear() {
        shared.plans.lock().lost(&plan, shared.clock.monotonic());
    }
}

fn offer(shared: &Shared, plans: Vec<PlanObservation>, answered: Option<&(Arc<Node>, Timestamp)>) {
    let mut by_database: BTreeMap<Text, Vec<PlanObservation>> = BTreeMap::new();
    for plan in plans {
        by_database.entry(plan.key.database.clone()).or_default().push(plan);
    }
    for (database, plans) in by_database {
        let target = Arc::new(Target::database(Arc::clone(&shared.server), database));
        for plans in plans.chunks(MAX_PLANS_PER_BATCH) {
            let records = plans.iter().map(|plan| Record::Plan(Box::new(plan.clone()))).collect();
            if !shared.offer(&target, answered.cloned(), records) {
                let (mut probes, now) = (shared.plans.lock(), shared.clock.monotonic());
                plans.iter().for_each(|plan| probes.lost(plan, now));
            }
        }
    }
}
