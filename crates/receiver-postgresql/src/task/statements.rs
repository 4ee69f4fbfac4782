//! Statement statistics: read, differenced, ranked, named, and given their texts.

use std::collections::HashMap;
use std::sync::Arc;

use dbintel_model::catalogue::{self, STATEMENT_COUNTERS};
use dbintel_model::{
    Change, ChangeKind, Counters, Exactness, GapReason, Interval, Labels, MetricPoint, Node, Number, Query,
    QueryKey, Record, Text, Timestamp,
};
use dbintel_pipeline::admission::Purpose;
use dbintel_pipeline::memory::{Holding, MemoryAccount};
use dbintel_pipeline::telemetry::definitions;
use parking_lot::Mutex;

use super::connections::Leased;
use super::shared::Shared;
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::objects::{self, Names};
use crate::query::statements::{Reading, StatementsPlan};
use crate::state::gaps::Part;
use crate::state::log_errors::{FailedStatement, LogErrors};
use crate::state::start_times::{SeriesId, StartTimes};
use crate::state::statements::{Delta, Difference, Eviction, Rebased, Snapshot, StatementDeltas};
use crate::state::texts::{TEXT_CACHE_MAX_BYTES, TextCache};

/// See the module.
#[derive(Debug)]
pub(super) struct Statements {
    plan: Option<Result<StatementsPlan, QueryError>>,
    deltas: StatementDeltas,
    /// A reading whose records are on their way to the door.
    pending: Option<(Snapshot, Option<f64>)>,
    /// Errors of statements that are on their way with that reading, and where they come from.
    told_errors: Vec<FailedStatement>,
    failed: Arc<Mutex<LogErrors>>,
    /// Shared with its account, which empties it when memory is short. Nothing else is done while it is locked.
    texts: Arc<Mutex<TextCache>>,
    databases: Names,
    roles: Names,
    /// `active_time` at the last accepted reading.
    active_time_ms: Option<f64>,
    starts: StartTimes,
    /// Bytes of the readings held: the accepted one, and the one on its way. They are what differences are told from,
    /// so they are never dropped for want of memory.
    held: Holding,
    /// Shows the bytes of the texts for as long as the receiver runs.
    _texts_account: MemoryAccount,
}

impl Statements {
    /// Nothing read yet.
    pub(super) fn new(shared: &Shared) -> Self {
        let texts = Arc::<Mutex<TextCache>>::default();
        let (read, shed) = (Arc::clone(&texts), Arc::clone(&texts));
        let account = |of: &str| Text::from(format!("receiver {} {of}", shared.server.receiver));
        let texts_account = shared.accounts.open_cache(
            account("texts"),
            move || read.lock().len_bytes(),
            move || shed.lock().shed(),
        );
        Self {
            plan: None,
            deltas: StatementDeltas::default(),
            pending: None,
            told_errors: Vec::new(),
            failed: Arc::clone(&shared.failed_statements),
            texts,
            databases: Names::default(),
            roles: Names::default(),
            active_time_ms: None,
            starts: StartTimes::default(),
            held: shared.accounts.hold(account("statements")),
            _texts_account: texts_account,
        }
    }

    /// Plans for what the database has.
    pub(super) fn plan(&mut self, facts: &Facts, database: &str) {
        self.plan = Some(StatementsPlan::new(facts, database));
    }

    /// Drops a reading that was not accepted, so that it is not taken for one that was.
    pub(super) fn discard_pending(&mut self) {
        self.set_pending(None);
        self.failed.lock().put_back(std::mem::take(&mut self.told_errors));
    }

    fn set_pending(&mut self, pending: Option<(Snapshot, Option<f64>)>) {
        let on_its_way = pending.as_ref().map_or(0, |(snapshot, _)| snapshot.held_bytes());
        self.held.set(self.deltas.held_bytes() + on_its_way);
        self.pending = pending;
    }

    /// Forgets texts: another node's query ids can mean other statements.
    pub(super) fn forget_texts(&mut self) {
        self.texts.lock().clear();
    }

    /// Reads and appends one record per statement that did something.
    pub(super) async fn read(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        node: &Arc<Node>,
        time: Timestamp,
        records: &mut Vec<Record>,
    ) -> Result<(), QueryError> {
        self.discard_pending();
        let plan = match &self.plan {
            Some(Ok(plan)) => plan.clone(),
            Some(Err(error)) => return Err(error.clone()),
            None => return Ok(()),
        };
        let limits = shared.limits(&shared.target);
        let ask = leased.ask(&shared.target, Purpose::Statements, "statements");
        let reading = plan.read(&mut leased.connection, limits, Arc::clone(node), time, &self.deltas);
        let count = |reading: &Reading| reading.snapshot.entries.len();
        let reading = shared.admitted(ask, reading, count).await?;
        let mut difference = self.deltas.difference(&reading.snapshot);
        difference.deltas.sort_unstable_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
        self.read_names(shared, leased, &difference).await?;
        self.read_texts(shared, leased, &plan, &reading.snapshot, records).await?;
        // Nothing below can fail: what is told is of a reading that can be accepted.
        self.tell(shared, &difference, &reading, records);
        self.metrics(&difference, &reading, time, records);
        self.append(shared, &difference, records);
        self.set_pending(Some((reading.snapshot, reading.active_time_ms)));
        Ok(())
    }

    /// The lane has accepted the records of the last reading.
    pub(super) fn commit(&mut self, shared: &Shared) {
        if let Some((snapshot, active_time_ms)) = self.pending.take() {
            self.deltas.commit(snapshot);
            self.active_time_ms = active_time_ms;
            self.told_errors.clear();
            self.set_pending(None);
            self.show(shared);
        }
    }

    /// One record per statement, the top ones ranked.
    fn append(&mut self, shared: &Shared, difference: &Difference, records: &mut Vec<Record>) {
        let Some(interval) = difference.interval else {
            return;
        };
        let top_n = shared.config.top_query.map_or(0, |top_query| top_query.top_n);
        let mut rank = 0;
        self.told_errors = self.failed.lock().take_failed();
        let id = |key: &QueryKey| (key.database_id, key.user_id, key.query_id);
        let mut failed: HashMap<_, &FailedStatement> =
            self.told_errors.iter().map(|failed| (id(&failed.key), failed)).collect();
        let (mut texts, timed) = (self.texts.lock(), shared.timed_plans.lock());
        for delta in &difference.deltas {
            let key = self.key(delta);
            let ranked = rank < top_n && shared.config.wants_database(&key.database);
            rank += usize::from(ranked);
            // A record of the log has the identifier of the outermost statement.
            let errors = (key.toplevel != Some(false)).then(|| failed.remove(&id(&key))).flatten();
            // Nested statements are not told apart from those that a client sent.
            let plan_times = (key.toplevel != Some(false)).then(|| timed.of(id(&key))).flatten();
            records.push(Record::Query(Box::new(Query {
                text: texts.get((delta.key.database_id, delta.key.query_id)),
                key,
                interval,
                calls: whole(delta.calls),
                total_time_ms: delta.total_ms,
                moments: delta.moments,
                counters: Counters::new(&STATEMENT_COUNTERS, &delta.counters),
                exactness: delta.exactness,
                rank: ranked.then(|| u32::try_from(rank).unwrap_or(u32::MAX)),
                plan: None,
                plan_missing: None,
                plan_times,
                errors: errors.map(|failed| failed.errors),
            })));
        }
        records.extend(
            failed.into_values().map(|failed| Record::Query(Box::new(none_of_it_ended(failed, interval)))),
        );
    }

    fn key(&self, delta: &Delta) -> QueryKey {
        let name = |names: &Names, id: u32| names.get(&id).cloned().unwrap_or_else(|| id.to_string().into());
        QueryKey {
            system: "postgresql",
            database: name(&self.databases, delta.key.database_id),
            database_id: delta.key.database_id,
            user: name(&self.roles, delta.key.user_id),
            user_id: delta.key.user_id,
            query_id: delta.key.query_id,
            toplevel: delta.key.toplevel,
        }
    }

    /// Names of databases and roles, read again only when an id is unknown.
    async fn read_names(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        difference: &Difference,
    ) -> Result<(), QueryError> {
        let (limits, target) = (shared.limits(&shared.target), &shared.target);
        if difference.deltas.iter().any(|delta| !self.databases.contains_key(&delta.key.database_id)) {
            let ask = leased.ask(target, Purpose::Catalogue, "database names");
            let names = objects::database_names(&mut leased.connection, limits);
            self.databases = shared.admitted(ask, names, Names::len).await?;
        }
        if difference.deltas.iter().any(|delta| !self.roles.contains_key(&delta.key.user_id)) {
            let ask = leased.ask(target, Purpose::Catalogue, "role names");
            let names = objects::role_names(&mut leased.connection, limits);
            self.roles = shared.admitted(ask, names, Names::len).await?;
        }
        Ok(())
    }

    /// Texts of unknown statements. Their failure is a gap of its own; the counters leave without them.
    async fn read_texts(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        plan: &StatementsPlan,
        snapshot: &Snapshot,
        records: &mut Vec<Record>,
    ) -> Result<(), QueryError> {
        if shared.is_short_of_memory() {
            // The records of this poll will be refused, and texts are what memory was freed of.
            return Ok(());
        }
        let keys = snapshot.entries.keys().map(|key| (key.database_id, key.query_id));
        let wanted = self.texts.lock().wanted(keys, shared.clock.monotonic());
        if wanted.is_empty() {
            return Ok(());
        }
        let part = Part::server("statement texts");
        let limits = shared.limits(&shared.target);
        let ask = leased.ask(&shared.target, Purpose::Texts, "statement texts");
        let reading = plan.read_texts(&mut leased.connection, limits, &wanted);
        match shared.timed(ask, reading, Vec::len).await {
            Ok((texts, took)) => {
                let now = shared.clock.monotonic();
                self.texts.lock().learn(&wanted, texts, took, now);
                shared.delivered(&part, records);
                Ok(())
            }
            Err(error) => {
                self.texts.lock().failed(shared.clock.monotonic());
                shared.missing(&part, &error, records);
                match error {
                    denied if denied.was_denied() => Ok(()),
                    error if error.connection_usable => leased.begin(limits).await,
                    error => Err(error),
                }
            }
        }
    }

    /// Resets, evictions and hidden statements, as records.
    fn tell(&self, shared: &Shared, difference: &Difference, reading: &Reading, records: &mut Vec<Record>) {
        if difference.rebased == Some(Rebased::Reset) {
            let mut change = Change::new(ChangeKind::StatisticsReset);
            change.at = reading.snapshot.stats_reset;
            change.subject = Some("pg_stat_statements".into());
            records.push(Record::Change(Box::new(change)));
        }
        let mut note = |what: &'static str, gap: Option<(GapReason, String)>| match gap {
            Some((reason, message)) => {
                shared.missing(&Part::server(what), &QueryError::new(reason, message), records);
            }
            None => shared.delivered(&Part::server(what), records),
        };
        let evicted = match difference.evictions {
            Eviction::None => None,
            Eviction::Rounds(rounds) => Some(format!("{rounds} rounds of evictions from pg_stat_statements")),
            Eviction::Vanished(count) => Some(format!("{count} statements vanished from pg_stat_statements")),
        };
        let advice = "the work of evicted statements is lost; raise pg_stat_statements.max";
        note("evicted statements", evicted.map(|what| (GapReason::Evicted, format!("{what}: {advice}"))));
        let hidden = (reading.snapshot.hidden > 0).then(|| {
            let message =
                "statements of other roles are hidden; run: GRANT pg_read_all_stats TO the collector's role";
            (GapReason::InsufficientPrivilege, message.to_owned())
        });
        note("statements of other roles", hidden);
        let cut = (reading.snapshot.cut > 0).then(|| {
            (GapReason::LimitReached, format!("{} statements are beyond our bound", reading.snapshot.cut))
        });
        note("statements beyond the bound", cut);
        let baseline = |reason, what: &str| Some((reason, format!("{what}; this reading is a baseline")));
        match difference.rebased {
            Some(Rebased::First) => {}
            Some(Rebased::NodeChanged) => {
                note("statement differences", baseline(GapReason::NodeChanged, "another node answered"));
            }
            Some(Rebased::ExtensionChanged) => {
                let what = "pg_stat_statements was updated";
                note("statement differences", baseline(GapReason::StatisticsReset, what));
            }
            Some(Rebased::Reset) | None => note("statement differences", None),
        }
    }

    /// What the statistics say about themselves.
    fn metrics(
        &mut self,
        difference: &Difference,
        reading: &Reading,
        time: Timestamp,
        records: &mut Vec<Record>,
    ) {
        let snapshot = &reading.snapshot;
        let entries = i64::try_from(self.deltas.count(snapshot) as u64 + snapshot.hidden + snapshot.cut)
            .unwrap_or(i64::MAX);
        let values = [
            ("postgresql.statements.count", Some(Number::Int(entries))),
            ("postgresql.statements.max", reading.max.map(Number::Int)),
            ("postgresql.statements.evicted", snapshot.dealloc.map(Number::Int)),
            ("postgresql.statements.coverage", self.coverage(difference, reading).map(Number::Double)),
        ];
        let labels = Arc::new(Labels::default());
        for (name, value) in values {
            let (Some(metric), Some(value)) = (catalogue::metric(name), value) else {
                continue;
            };
            let start = metric.instrument.is_sum().then(|| {
                let id = SeriesId::new(metric, &labels, &[]);
                snapshot.stats_reset.unwrap_or_else(|| self.starts.start(id, value, true, time))
            });
            let (labels, fixed) = (Arc::clone(&labels), [].as_slice());
            records.push(Record::Metric(MetricPoint { metric, labels, fixed, value, start, time }));
        }
    }

    /// Time the statements account for, as a share of the time sessions were active. Statements that were running at
    /// either end make it differ from 1; parallel workers' time is in neither.
    fn coverage(&self, difference: &Difference, reading: &Reading) -> Option<f64> {
        difference.interval?;
        let active = reading.active_time_ms? - self.active_time_ms?;
        let toplevel = difference.deltas.iter().filter(|delta| delta.key.toplevel != Some(false));
        let accounted: f64 = toplevel.map(|delta| delta.total_ms).sum();
        (active > 0.0).then(|| accounted / active)
    }

    #[allow(clippy::cast_precision_loss, reason = "for display")]
    fn show(&self, shared: &Shared) {
        let labels = || vec![("receiver", shared.server.receiver.clone())];
        let text_bytes = self.texts.lock().len_bytes();
        let gauge = |metric, value: usize| shared.registry.gauge(metric, labels()).set(value as f64);
        gauge(&definitions::STATEMENTS_TRACKED, self.deltas.len());
        gauge(&definitions::TEXT_CACHE_BYTES, text_bytes);
        gauge(&definitions::TEXT_CACHE_BYTES_MAX, TEXT_CACHE_MAX_BYTES);
    }
}

/// A statement of which the log has errors, and the statistics nothing: executions that fail are no calls.
fn none_of_it_ended(failed: &FailedStatement, interval: Interval) -> Query {
    Query {
        // The log names the outermost statement.
        key: QueryKey { toplevel: failed.key.toplevel.and(Some(true)), ..failed.key.clone() },
        text: failed.text.clone(),
        interval,
        calls: 0,
        total_time_ms: 0.0,
        moments: None,
        counters: Counters::new(&STATEMENT_COUNTERS, &[]),
        exactness: Exactness::LowerBound,
        rank: None,
        plan: None,
        plan_missing: None,
        plan_times: None,
        errors: Some(failed.errors),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a count of calls below 2^53")]
const fn whole(calls: f64) -> i64 {
    calls as i64
}
