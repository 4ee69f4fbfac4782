//! Plans that the extension pg_store_plans keeps, for the statements of a round: read rarely, handed over like any plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Node, Record, Target, Text, Timestamp};
use dbintel_pipeline::admission::Purpose;
use dbintel_pipeline::telemetry::definitions;

use super::connections::Leased;
use super::held_plans::MAX_PLANS_PER_BATCH;
use super::plan_log::count_forgotten;
use super::plans::settle;
use super::shared::Shared;
use crate::query::error::QueryError;
use crate::query::plans::{StoredPlans, read_stored_plans, stored_plans_view};
use crate::state::gaps::Part;
use crate::state::plans::Candidate;
use crate::state::rest::Rest;

/// When the next reading may be: the extension reads its whole file of plans for any of them.
#[derive(Debug, Default)]
pub(super) struct Stored {
    rest: Rest,
}

/// What was read, and from whom.
#[derive(Debug)]
pub(super) struct Found {
    from: (Arc<Node>, Timestamp),
    plans: StoredPlans,
    /// Whether its counters have executions whatever they took.
    are_all_counted: bool,
}

impl Stored {
    /// Reads the plans of these statements, if it is time and the extension is there. Runs in the transaction that is
    /// open, which an error ends. What fails is a gap of its own: the statements are explained then.
    pub(super) async fn read(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        from: (Node, Timestamp),
        candidates: &[Candidate],
    ) -> Result<Option<Found>, QueryError> {
        if !self.rest.is_over(shared.clock.monotonic()) {
            return Ok(None);
        }
        let (part, mut records) = (Part::server("stored plans"), Vec::new());
        let plans = match self.ask(shared, leased, candidates).await {
            Ok(plans) => {
                shared.delivered(&part, &mut records);
                plans
            }
            Err(error) => {
                shared.missing(&part, &error, &mut records);
                if !error.connection_usable {
                    shared.offer(&shared.target, None, records);
                    return Err(error);
                }
                None
            }
        };
        shared.offer(&shared.target, None, records);
        let found =
            |(plans, are_all_counted)| Found { from: (Arc::new(from.0), from.1), plans, are_all_counted };
        Ok(plans.map(found))
    }

    async fn ask(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        candidates: &[Candidate],
    ) -> Result<Option<(StoredPlans, bool)>, QueryError> {
        let limits = shared.limits(&shared.target);
        let ask = leased.ask(&shared.target, Purpose::Catalogue, "is pg_store_plans there");
        let looking = stored_plans_view(&mut leased.connection, limits);
        let Some((view, are_all_counted)) = shared.admitted(ask, looking, |_| 1).await? else {
            return Ok(None);
        };
        let age = shared.config.plans.map_or(Duration::ZERO, |plans| plans.reprobe);
        let ask = leased.ask(&shared.target, Purpose::Texts, "stored plans");
        let reading =
            read_stored_plans(&mut leased.connection, limits, &leased.facts, &view, candidates, age);
        let started = shared.clock.monotonic();
        let read = shared.timed(ask, reading, |found| found.rows).await;
        let now = shared.clock.monotonic();
        self.rest.begin(now, read.as_ref().map_or_else(|_| now.since(started), |(_, took)| *took));
        let (plans, _) = read?;
        if plans.unusable > 0 {
            shared.count(&definitions::LIMIT_REACHED, "limit", "stored_plans", plans.unusable);
        }
        Ok(Some((plans, are_all_counted)))
    }
}

/// Hands over what was found, and gives the statements of which nothing was.
pub(super) fn hand_over(shared: &Shared, candidates: Vec<Candidate>, found: Option<Found>) -> Vec<Candidate> {
    let Some(Found { from, mut plans, are_all_counted }) = found else { return candidates };
    let mut by_database: BTreeMap<Text, Vec<Record>> = BTreeMap::new();
    let mut left = Vec::new();
    for candidate in candidates {
        let id = (candidate.key.database_id, candidate.key.user_id, candidate.key.query_id);
        let Some((plan, last_call)) = plans.plans.remove(&id) else {
            left.push(candidate);
            continue;
        };
        let record = settle(shared, &candidate, last_call.min(from.1), Ok(plan));
        by_database.entry(candidate.key.database.clone()).or_default().extend(record);
    }
    let times =
        if are_all_counted && shared.durations.lock().are_all_counted { plans.times() } else { Vec::new() };
    {
        let mut timed = shared.timed_plans.lock();
        times.iter().for_each(|(key, times)| timed.count(*key, times));
        count_forgotten(shared, &mut timed);
    }
    for (database, mut records) in by_database {
        let target = Arc::new(Target::database(Arc::clone(&shared.server), database));
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(MAX_PLANS_PER_BATCH));
            shared.offer(&target, Some(from.clone()), std::mem::replace(&mut records, rest));
        }
    }
    left
}
