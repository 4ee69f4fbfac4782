//! Plans of running statements with their values, for the statements of a round: one look at the sessions of a database, on
//! the connection that has just explained, then each sample in a transaction of its own.
//!
//! They come beside the other plans of a statement and in the place of none, so that those can be compared over time. See
//! [`crate::query::plans::explain_sample`] for what keeps their texts from being written anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use dbintel_model::{Record, Target, Text, Timestamp};
use dbintel_pipeline::admission::Purpose;
use dbintel_pipeline::telemetry::definitions;

use super::connections::Leased;
use super::plans::{From, limit_reached, observation};
use super::shared::Shared;
use crate::query::error::QueryError;
use crate::query::plans::{self, Met, ObtainedPlan, Sample, Sampled, sample_limits};
use crate::state::gaps::Part;
use crate::state::plans::{Candidate, MissingPlan};
use crate::state::samples::{NoSample, SampleFate, SampleRate};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Samples {
    rate: SampleRate,
}

/// What came of the samples of one database.
#[derive(Default)]
struct Outcome {
    from: Option<From>,
    records: Vec<Record>,
    fates: BTreeMap<SampleFate, u64>,
}

impl Samples {
    /// Looks for sessions that are running one of these statements, and hands over the plans of what they run. An error is
    /// one after which the connection must be given up.
    pub(super) async fn take(
        &mut self,
        shared: &Shared,
        target: &Arc<Target>,
        leased: &mut Leased,
        candidates: &[Candidate],
    ) -> Result<(), QueryError> {
        if !shared.config.plans.is_some_and(|plans| plans.samples) {
            return Ok(());
        }
        let now = shared.clock.monotonic();
        let wanted: Vec<&Candidate> = {
            let plans = shared.plans.lock();
            candidates.iter().filter(|candidate| plans.wants_sample(&candidate.key, now)).collect()
        };
        if wanted.is_empty() {
            return Ok(());
        }
        let mut outcome = Outcome::default();
        let taken = self.take_all(shared, target, leased, &wanted, &mut outcome).await;
        let ended = match &taken {
            Err(error) if error.connection_usable => leased.connection.end().await,
            _ => Ok(()),
        };
        tell(shared, &leased.connection.database, taken.as_ref().err(), &mut outcome);
        shared.offer(target, outcome.from, outcome.records);
        match taken {
            Err(error) if !error.connection_usable => Err(error),
            _ => ended,
        }
    }

    async fn take_all(
        &mut self,
        shared: &Shared,
        target: &Arc<Target>,
        leased: &mut Leased,
        wanted: &[&Candidate],
        outcome: &mut Outcome,
    ) -> Result<(), QueryError> {
        let mut met = match look(shared, target, leased, wanted).await {
            Ok(Ok(met)) => met,
            Ok(Err(fate)) => {
                outcome.count(fate, wanted.len());
                return Ok(());
            }
            Err(error) => {
                outcome.count(fate_of(&error), wanted.len());
                return Err(error);
            }
        };
        let not_met = if met.is_cut { SampleFate::LimitReached } else { SampleFate::NotRunning };
        for (place, candidate) in wanted.iter().enumerate() {
            let key = &candidate.key;
            let sample = met.samples.remove(&(key.database_id, key.user_id, key.query_id));
            let sampled = match sample {
                None => Err(not_met.into()),
                Some(Err(why)) => Err(why),
                Some(Ok(_)) if !self.rate.take(shared.clock.monotonic()) => {
                    Err(SampleFate::LimitReached.into())
                }
                Some(Ok(sample)) => match explain(shared, target, leased, candidate, sample).await {
                    Ok((from, sampled)) => {
                        let time = from.1;
                        outcome.from = Some(from);
                        sampled.map(|plan| (plan, time))
                    }
                    Err(error) => {
                        outcome.count(fate_of(&error), wanted.len() - place);
                        return Err(error);
                    }
                },
            };
            outcome.settle(shared, candidate, sampled);
        }
        Ok(())
    }
}

/// The texts of sessions, unless something stands in the way: then none is read.
async fn look(
    shared: &Shared,
    target: &Arc<Target>,
    leased: &mut Leased,
    wanted: &[&Candidate],
) -> Result<Result<Met, SampleFate>, QueryError> {
    if let Some(fate) = plans::obstacle(&leased.facts) {
        return Ok(Err(fate));
    }
    let limits = sample_limits(shared.limits(target));
    leased.open_transaction(shared, target, Purpose::Catalogue, limits).await?;
    let ask = leased.ask(target, Purpose::Sessions, "running statements");
    let keys: Vec<_> = wanted.iter().map(|candidate| &candidate.key).collect();
    let looking = async {
        if let Some(fate) = plans::logging(&mut leased.connection, limits).await? {
            return Ok(Err(fate));
        }
        plans::read_samples(&mut leased.connection, limits, &leased.facts, &keys).await.map(Ok)
    };
    let rows = |met: &Result<Met, _>| met.as_ref().map_or(1, |met| met.samples.len());
    let met = shared.admitted(ask, looking, rows).await?;
    leased.connection.end().await?;
    Ok(met)
}

/// One sample, in a transaction of its own and with a permit as for any plan.
async fn explain(
    shared: &Shared,
    target: &Arc<Target>,
    leased: &mut Leased,
    candidate: &Candidate,
    sample: Sample,
) -> Result<(From, Sampled), QueryError> {
    let limits = sample_limits(shared.limits(target));
    let (node, time) = leased.open_transaction(shared, target, Purpose::Catalogue, limits).await?;
    let ask = leased.ask(target, Purpose::Plans, "plan of a sample");
    let mut stopped = None;
    let explaining = async {
        // A setting may be another one by now.
        if let Some(fate) = plans::logging(&mut leased.connection, limits).await? {
            return Ok(Err(fate.into()));
        }
        let key = &candidate.key;
        let sampled =
            plans::explain_sample(&mut leased.connection, limits, &leased.facts, key, sample).await?;
        // The sample has a reason; the database has a problem that admission must know of.
        let reason = match sampled.as_ref().err().map(|why| why.fate) {
            Some(SampleFate::LockTimeout) => MissingPlan::LockTimeout,
            Some(SampleFate::StatementTimeout) => MissingPlan::StatementTimeout,
            _ => return Ok(sampled),
        };
        stopped = sampled.err();
        Err(limit_reached(reason))
    };
    let explained = shared.admitted(ask, explaining, |_| 1).await;
    let sampled = match stopped {
        Some(why) => Err(why),
        None => explained?,
    };
    leased.connection.end().await?;
    Ok(((Arc::new(node), time), sampled))
}

fn fate_of(error: &QueryError) -> SampleFate {
    if error.was_denied() { SampleFate::NotAdmitted } else { SampleFate::Failed }
}

/// Counts what became of them, and says what stands in the way of all of this database.
fn tell(shared: &Shared, database: &Text, error: Option<&QueryError>, outcome: &mut Outcome) {
    for (fate, number) in &outcome.fates {
        shared.count(&definitions::PLAN_SAMPLES, "fate", fate.as_str(), *number);
    }
    if let Some(number) = outcome.fates.get(&SampleFate::LimitReached) {
        shared.count(&definitions::LIMIT_REACHED, "limit", "plan_samples", *number);
    }
    let part = Part::database(database, "plan samples");
    let obstacle = outcome.fates.keys().find_map(|fate| fate.obstacle());
    let obstacle = obstacle.map(|(reason, message)| QueryError::new(reason, message));
    match obstacle.as_ref().or(error) {
        // Another turn comes; whether samples can be had nobody knows by it.
        Some(error) if error.was_denied() => {}
        Some(error) => shared.missing(&part, error, &mut outcome.records),
        None => shared.delivered(&part, &mut outcome.records),
    }
}

// === impl Outcome ===

impl Outcome {
    fn count(&mut self, fate: SampleFate, number: usize) {
        *self.fates.entry(fate).or_default() += number as u64;
    }

    fn settle(
        &mut self,
        shared: &Shared,
        candidate: &Candidate,
        sampled: Result<(ObtainedPlan, Timestamp), NoSample>,
    ) {
        match sampled {
            Ok((plan, time)) => {
                self.count(SampleFate::Taken, 1);
                shared.plans.lock().sampled(&candidate.key);
                // It is no change, so that it need not wait for what may have changed it.
                let plan = observation(shared, candidate, time, plan);
                self.records.push(Record::Plan(Box::new(plan)));
            }
            Err(why) => {
                self.count(why.fate, 1);
                shared.plans.lock().not_sampled(&candidate.key, why, shared.clock.monotonic());
            }
        }
    }
}
