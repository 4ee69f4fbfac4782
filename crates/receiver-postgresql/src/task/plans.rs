//! The plans loop: a few statements at a time, one after the other, each in a transaction of its own on a connection to
//! its database.
//!
//! Connections are opened for a round and closed after it, one at a time. A database whose connection fails, or for which
//! admission allows nothing more, ends the round for its statements; they come again a little later.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dbintel_model::{
    GapReason, NoPlan, Node, PlanFormat, PlanObservation, PlanSensitivity, Record, Target, Text, Timestamp,
};
use dbintel_pipeline::admission::Purpose;
use dbintel_pipeline::memory::Holding;
use dbintel_pipeline::telemetry::definitions;

use super::connections::Leased;
use super::held_plans::{self, MAX_PLANS_PER_BATCH};
use super::plan_log::LoggedPlans;
use super::samples::Samples;
use super::schedule::Poll;
use super::shared::Shared;
use super::stored_plans::{self, Found, Stored};
use crate::query::error::QueryError;
use crate::query::plans::{self, Explained, ObtainedPlan, OfValue, PlannedValue, StatementText, plan_limits};
use crate::state::gaps::Part;
use crate::state::plans::{Candidate, MissingPlan};
use crate::state::rest::Rest;
use crate::state::texts::TextKey;

/// The longest wait for a permit, on a connection without a transaction.
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Debug)]
pub(super) struct PlansLoop {
    targets: BTreeMap<Text, Arc<Target>>,
    logged: LoggedPlans,
    stored: Stored,
    samples: Samples,
    /// After reading texts, for which the server reads all it has, however few are wanted.
    texts_rest: Rest,
    /// Bytes of what is remembered of the candidates, and of plans that wait.
    held: Holding,
}

/// Who answered, and when by the server's clock.
pub(super) type From = (Arc<Node>, Timestamp);
type Texts = HashMap<TextKey, StatementText>;

impl PlansLoop {
    /// Nothing visited yet.
    pub(super) fn new(shared: &Shared) -> Self {
        let account = Text::from(format!("receiver {} plans", shared.server.receiver));
        let logged = LoggedPlans::new(shared.config.plan_log.as_ref());
        Self {
            targets: BTreeMap::new(),
            logged,
            stored: Stored::default(),
            samples: Samples::default(),
            texts_rest: Rest::default(),
            held: shared.accounts.hold(account),
        }
    }

    async fn round(&mut self, shared: &Shared) -> Result<(), QueryError> {
        let Some(config) = shared.config.plans.filter(|config| config.explain) else { return Ok(()) };
        if !self.texts_rest.is_over(shared.clock.monotonic()) {
            return Ok(());
        }
        let candidates = shared.plans.lock().due(shared.clock.monotonic(), config.max_per_collection);
        let candidates: Vec<Candidate> =
            candidates.into_iter().filter(|candidate| is_wanted(shared, candidate)).collect();
        if candidates.is_empty() || shared.is_short_of_memory() {
            return Ok(());
        }
        let (texts, stored) = self.texts(shared, &candidates).await?;
        let candidates = stored_plans::hand_over(shared, candidates, stored);
        let mut by_database: BTreeMap<Text, Vec<Candidate>> = BTreeMap::new();
        for candidate in candidates {
            by_database.entry(candidate.key.database.clone()).or_default().push(candidate);
        }
        for (database, candidates) in by_database {
            self.visit(shared, &database, &candidates, &texts).await;
        }
        Ok(())
    }

    /// The texts of a round, by one read: for any text the server reads its whole file of texts. And the plans that an
    /// extension keeps of it.
    async fn texts(
        &mut self,
        shared: &Shared,
        candidates: &[Candidate],
    ) -> Result<(Texts, Option<Found>), QueryError> {
        let mut keys: Vec<TextKey> =
            candidates.iter().map(|candidate| (candidate.key.database_id, candidate.key.query_id)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut leased = shared.connect(&shared.target, &shared.config.connect_database).await?;
        let limits = shared.limits(&shared.target);
        let read = async {
            let from = leased.open_transaction(shared, &shared.target, Purpose::Catalogue, limits).await?;
            let ask = leased.ask(&shared.target, Purpose::Texts, "plan texts");
            let reading = plans::read_texts(&mut leased.connection, limits, &leased.facts, &keys);
            let started = shared.clock.monotonic();
            let read = shared.timed(ask, reading, HashMap::len).await;
            let now = shared.clock.monotonic();
            let took = read.as_ref().map_or_else(|_| now.since(started), |(_, took)| *took);
            self.texts_rest.begin(now, took);
            let (texts, _) = read?;
            let stored = self.stored.read(shared, &mut leased, from, candidates).await?;
            leased.connection.end().await?;
            Ok((texts, stored))
        };
        let read = read.await;
        finish(shared, leased, read.as_ref().err()).await;
        read
    }

    async fn visit(&mut self, shared: &Shared, database: &Text, candidates: &[Candidate], texts: &Texts) {
        let new = || Arc::new(Target::database(Arc::clone(&shared.server), database.clone()));
        let target = Arc::clone(self.targets.entry(database.clone()).or_insert_with(new));
        let mut leased = match shared.connect(&target, database).await {
            Ok(leased) => leased,
            Err(error) => {
                let not_asked =
                    candidates.iter().filter_map(|candidate| not_asked(shared, candidate, &error));
                shared.offer(&target, None, not_asked.collect());
                return;
            }
        };
        let (mut failed, mut records, mut node) = (None, Vec::new(), None);
        let mut pace = Pace::of(shared);
        for candidate in candidates {
            if let Some(error) = &failed {
                records.extend(not_asked(shared, candidate, error));
                continue;
            }
            let mut explained = explain(shared, &target, &mut leased, candidate, texts).await;
            if let Some(wait) = explained.as_ref().err().and_then(|error| pace.wait(error))
                && leased.connection.end().await.is_ok()
            {
                tokio::time::sleep(wait).await;
                explained = explain(shared, &target, &mut leased, candidate, texts).await;
            }
            match explained {
                Ok((from, explained, sensitivity)) => {
                    records.extend(settle(shared, candidate, from.1, explained));
                    records.extend(sensitivity.map(|found| Record::PlanSensitivity(Box::new(found))));
                    node = Some(from);
                }
                Err(error) => {
                    records.extend(if error.was_denied() {
                        not_asked(shared, candidate, &error)
                    } else {
                        Some(failure(shared, candidate, reason_of(&error), None))
                    });
                    let ended = error.connection_usable && leased.connection.end().await.is_ok();
                    failed = (!ended || error.was_denied()).then_some(error);
                }
            }
            if records.len() >= MAX_PLANS_PER_BATCH {
                shared.offer(&target, node.clone(), std::mem::take(&mut records));
            }
        }
        shared.offer(&target, node, records);
        if failed.is_none() {
            failed = self.samples.take(shared, &target, &mut leased, candidates).await.err();
        }
        finish(shared, leased, failed.as_ref()).await;
    }
}

/// Waits between the statements of a round, so that they keep to the rate of plans and are not put off to another round.
struct Pace {
    left: Duration,
}

// === impl Pace ===

impl Pace {
    /// Half of the time until the next round is due.
    fn of(shared: &Shared) -> Self {
        Self { left: shared.config.plans.map_or(Duration::ZERO, |plans| plans.interval / 2) }
    }

    /// How long to wait before asking again; `None` if that would help nobody.
    fn wait(&mut self, error: &QueryError) -> Option<Duration> {
        let wait = error.retry_after.filter(|wait| *wait <= MAX_PAUSE.min(self.left))?;
        self.left -= wait;
        Some(wait)
    }
}

/// Closes a connection, or holds it if the server owes an answer on it.
async fn finish(shared: &Shared, leased: Leased, error: Option<&QueryError>) {
    match error {
        Some(error) => shared.connections.give_up(leased, error).await,
        None => shared.connections.close(leased).await,
    }
}

/// A processor can ask for what is not to be read.
fn is_wanted(shared: &Shared, candidate: &Candidate) -> bool {
    let wanted = shared.config.wants_database(&candidate.key.database);
    if !wanted {
        let now = shared.clock.monotonic();
        shared.plans.lock().failed(&candidate.key, MissingPlan::DatabaseExcluded, now);
    }
    wanted
}

/// One statement, in a transaction of its own and with one permit for each of its plans.
async fn explain(
    shared: &Shared,
    target: &Arc<Target>,
    leased: &mut Leased,
    candidate: &Candidate,
    texts: &Texts,
) -> Result<(From, Explained, Option<PlanSensitivity>), QueryError> {
    let key = &candidate.key;
    let limits = plan_limits(shared.limits(target));
    let (node, time) = leased.open_transaction(shared, target, Purpose::Catalogue, limits).await?;
    let ask = leased.ask(target, Purpose::Plans, "plan");
    let mut stopped = None;
    let explaining = async {
        let Some(text) = texts.get(&(key.database_id, key.query_id)) else {
            return Ok(Err(MissingPlan::TextUnknown));
        };
        match plans::explain(&mut leased.connection, limits, &leased.facts, key, text).await? {
            // The statement has a reason; the database has a problem that admission must know of.
            Err(reason @ (MissingPlan::LockTimeout | MissingPlan::StatementTimeout)) => {
                stopped = Some(reason);
                Err(limit_reached(reason))
            }
            explained => Ok(explained),
        }
    };
    let explained = shared.admitted(ask, explaining, |_| 1).await;
    let explained = match (explained, stopped) {
        (_, Some(reason)) => Err(reason),
        (explained, None) => explained?,
    };
    let mut sensitivity = None;
    if let Ok(plan) = &explained {
        sensitivity = sensitivity_of(shared, target, leased, candidate, plan, time).await;
    }
    leased.connection.end().await?;
    Ok(((Arc::new(node), time), explained, sensitivity))
}

/// What is planned for values of a parameter, if it is time to ask. An error costs nothing but the answer: the transaction
/// ends next.
async fn sensitivity_of(
    shared: &Shared,
    target: &Target,
    leased: &mut Leased,
    candidate: &Candidate,
    plan: &ObtainedPlan,
    time: Timestamp,
) -> Option<PlanSensitivity> {
    let interval = shared.config.plans.and_then(|plans| plans.sensitivity)?;
    let planned = plan.planned.as_ref()?;
    if !shared.plans.lock().wants_values(&candidate.key, shared.clock.monotonic()) {
        return None;
    }
    let (limits, mut of) = (plan_limits(shared.limits(target)), Vec::new());
    for value in [PlannedValue::Frequent, PlannedValue::Absent] {
        let ask = leased.ask(target, Purpose::Plans, "plan for a value");
        let asking = plans::explain_value(&mut leased.connection, limits, planned, value);
        match shared.admitted(ask, asking, |_| 1).await {
            Err(error) if error.was_denied() => return None,
            // No value, and so no other one either.
            Ok(None) | Err(_) => break,
            Ok(Some(found)) => of.push(found),
        }
    }
    shared.plans.lock().planned_for_values(&candidate.key, shared.clock.monotonic().plus(interval));
    let [frequent, absent] = of.try_into().ok()?;
    let subject = |of: &OfValue| (of.parameter, of.relation.clone(), of.column.clone());
    (subject(&frequent) == subject(&absent)).then(|| PlanSensitivity {
        key: candidate.key.clone(),
        text: candidate.text.clone(),
        at: time,
        parameter: frequent.parameter,
        relation: frequent.relation.into(),
        column: frequent.column.into(),
        frequency: frequent.frequency,
        generic: plans::outline(&plan.raw),
        frequent: frequent.outline,
        absent: absent.outline,
    })
}

/// A time-out as admission wants it reported.
pub(super) fn limit_reached(reason: MissingPlan) -> QueryError {
    let (gap, sqlstate) = match reason {
        MissingPlan::LockTimeout => (GapReason::LockTimeout, "55P03"),
        _ => (GapReason::StatementTimeout, "57014"),
    };
    QueryError { sqlstate: Some(sqlstate.into()), ..QueryError::new(gap, reason.description()) }
}

/// Counts what came of a statement, and makes the record, unless the plan waits for its causes.
pub(super) fn settle(
    shared: &Shared,
    candidate: &Candidate,
    time: Timestamp,
    explained: Explained,
) -> Option<Record> {
    let now = shared.clock.monotonic();
    match explained {
        Ok(plan) => {
            shared.plans.lock().explained(&candidate.key, now);
            held_plans::record(shared, observation(shared, candidate, time, plan))
        }
        Err(reason) => Some(failure(shared, candidate, reason, Some(time))),
    }
}

/// Counts a plan, and makes what is observed of it.
pub(super) fn observation(
    shared: &Shared,
    candidate: &Candidate,
    time: Timestamp,
    plan: ObtainedPlan,
) -> PlanObservation {
    let labels = vec![
        ("receiver", shared.server.receiver.clone()),
        ("rung", Text::Static(plan.rung.as_str())),
        ("identity", Text::Static(plan.identity.as_str())),
    ];
    shared.registry.counter(&definitions::PLANS_OBTAINED, labels).increment();
    if plan.reaches_more_tables {
        shared.count(&definitions::LIMIT_REACHED, "limit", "plan_tables", 1);
    }
    PlanObservation {
        key: candidate.key.clone(),
        text: candidate.text.clone(),
        rung: plan.rung,
        identity: plan.identity,
        format: PlanFormat::PostgresqlJson,
        raw: plan.raw,
        obtained_at: time,
        tables: plan.tables,
    }
}

/// Remembers why a statement has no plan, for its next turn, and tells it.
fn failure(shared: &Shared, candidate: &Candidate, reason: MissingPlan, at: Option<Timestamp>) -> Record {
    shared.plans.lock().failed(&candidate.key, reason, shared.clock.monotonic());
    without(candidate, reason, at)
}

/// What a page shows of a statement without a plan.
fn without(candidate: &Candidate, reason: MissingPlan, at: Option<Timestamp>) -> Record {
    let Candidate { key, text } = candidate.clone();
    Record::NoPlan(Box::new(NoPlan { key, text, missing: reason.told(), at }))
}

/// Says why, if the statement has no plan yet.
fn not_asked(shared: &Shared, candidate: &Candidate, error: &QueryError) -> Option<Record> {
    let mut plans = shared.plans.lock();
    plans.postponed(&candidate.key, reason_of(error), shared.clock.monotonic());
    plans.reason(&candidate.key).map(|reason| without(candidate, reason, None))
}

fn reason_of(error: &QueryError) -> MissingPlan {
    match error.reason {
        GapReason::NotAdmitted => MissingPlan::NotAdmitted,
        GapReason::LockTimeout => MissingPlan::LockTimeout,
        GapReason::StatementTimeout => MissingPlan::StatementTimeout,
        _ if error.sqlstate.is_none() || !error.connection_usable => MissingPlan::Unreachable,
        _ => MissingPlan::ServerError,
    }
}

/// What stands in the way of every plan, for people to see.
fn obstacle(missing: &[(MissingPlan, usize)]) -> Option<QueryError> {
    let any = |reason| missing.iter().any(|(held, count)| *held == reason && *count > 0);
    if any(MissingPlan::Superuser) {
        let message = "no plans are asked for as superuser: planning runs functions; connect as a role with pg_monitor \
             and the privileges of the statements";
        return Some(QueryError::new(GapReason::InsufficientPrivilege, message));
    }
    any(MissingPlan::OwnStatementsTracked).then(|| {
        let message = "no plans are asked for, since they would fill pg_stat_statements; run as superuser: ALTER ROLE \
             the collector's role SET pg_stat_statements.track = 'none'";
        QueryError::new(GapReason::InsufficientPrivilege, message)
    })
}

fn show(shared: &Shared) {
    let (missing, cut) = {
        let mut plans = shared.plans.lock();
        (plans.missing(), plans.take_cut())
    };
    if cut > 0 {
        shared.count(&definitions::LIMIT_REACHED, "limit", "plan_candidates", cut);
    }
    for (reason, count) in &missing {
        let labels =
            vec![("receiver", shared.server.receiver.clone()), ("reason", Text::Static(reason.as_str()))];
        #[allow(clippy::cast_precision_loss, reason = "a count for display")]
        shared.registry.gauge(&definitions::PLANS_MISSING, labels).set(*count as f64);
    }
    let (part, mut records) = (Part::server("plans"), Vec::new());
    match obstacle(&missing) {
        Some(error) => shared.missing(&part, &error, &mut records),
        None => shared.delivered(&part, &mut records),
    }
    shared.offer(&shared.target, None, records);
}

#[async_trait]
impl Poll for PlansLoop {
    async fn poll(&mut self, shared: &Shared) {
        shared.after_server_poll().await;
        if let Some(names) = shared.databases.get() {
            self.targets.retain(|name, _| names.contains(name));
        }
        // What the log has need not be asked for.
        self.logged.read(shared).await;
        held_plans::let_overdue_go(shared);
        let part = Part::server("plan texts");
        let mut records = Vec::new();
        match self.round(shared).await {
            Ok(()) => shared.delivered(&part, &mut records),
            Err(error) => shared.missing(&part, &error, &mut records),
        }
        shared.offer(&shared.target, None, records);
        let held = [
            shared.plans.lock().held_bytes(),
            shared.held_plans.lock().held_bytes(),
            shared.failed_statements.lock().held_bytes(),
        ];
        self.held.set(held.into_iter().sum());
        show(shared);
    }

    async fn close(&mut self) {
        // No connection outlives a round.
    }
}
