//! The server loop: metrics of the whole server, statement statistics, settings, and which databases there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dbintel_model::{ChangeKind, GapReason, Node, Record, Target, Text, Timestamp};
use dbintel_pipeline::admission::{DistressSignals, Purpose};
use dbintel_pipeline::telemetry::definitions;

use super::connections::Leased;
use super::families::{Families, Turn};
use super::held_plans;
use super::schedule::{Due, Poll};
use super::shared::Shared;
use super::statements::Statements;
use crate::query::connection::Limits;
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::family::Scope;
use crate::query::{distress, objects, sql_identifier};
use crate::state::changes::{self, Known, Resets, RoleSettings, Values, learn};
use crate::state::gaps::Part;
use crate::state::held_plans::CausesOf;
use crate::state::other_instances::OtherInstances;

/// See the module.
#[derive(Debug)]
pub(super) struct ServerLoop {
    leased: Option<Leased>,
    families: Families,
    statements: Statements,
    metrics_due: Due,
    statements_due: Option<Due>,
    slow_due: Due,
    catalogue_due: Due,
    accepted: Accepted,
    /// Fingerprint of the facts that the plans were last made for.
    facts: Option<u64>,
    /// Of a standby.
    replay: distress::ReplayTrend,
    others: OtherInstances,
    /// Whether it was said that there are some.
    others_told: bool,
    interval: Duration,
}

/// What was last seen and handed over; replaced when the lane has accepted the records that came of it.
#[derive(Clone, Debug, Default)]
struct Accepted {
    node: Option<Arc<Node>>,
    settings: Known<Values>,
    role_settings: Known<RoleSettings>,
    resets: Known<Resets>,
    extensions: Known<Values>,
}

impl ServerLoop {
    pub(super) fn new(shared: &Shared) -> Self {
        let config = &shared.config;
        let statements = config.top_query.map(|top_query| top_query.interval);
        Self {
            leased: None,
            families: Families::default(),
            statements: Statements::new(shared),
            metrics_due: Due::every(config.collection_interval),
            statements_due: statements.map(Due::every),
            slow_due: Due::every(config.size_interval),
            catalogue_due: Due::every(config.catalogue_interval),
            accepted: Accepted::default(),
            facts: None,
            replay: distress::ReplayTrend::default(),
            others: OtherInstances::default(),
            others_told: false,
            interval: statements
                .map_or(config.collection_interval, |interval| interval.min(config.collection_interval)),
        }
    }

    /// How often the loop must run.
    pub(super) const fn interval(&self) -> Duration {
        self.interval
    }

    /// The connection, opened and planned for if there was none.
    async fn connect(&mut self, shared: &Shared) -> Result<Leased, QueryError> {
        if let Some(leased) = self.leased.take() {
            return Ok(leased);
        }
        let leased = shared.connect(&shared.target, &shared.config.connect_database).await?;
        *shared.facts_of_server.lock() = Some(leased.facts.clone());
        self.plan(shared, &leased.facts);
        Ok(leased)
    }

    /// Everything that is due, in one transaction. `answered` says who did, also if what follows fails.
    async fn read(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        answered: &mut Option<(Arc<Node>, Timestamp)>,
        records: &mut Vec<Record>,
    ) -> Result<Seen, QueryError> {
        let limits = shared.limits(&shared.target);
        let (node, time) = leased.open_transaction(shared, &shared.target, Purpose::Server, limits).await?;
        let accepted = self.accepted.clone();
        let mut seen = Seen { node: Arc::new(node), accepted, causes_were_read: false };
        *answered = Some((Arc::clone(&seen.node), time));
        self.compare_node(shared, &mut seen, records);
        self.look_for_distress(shared, leased, limits).await?;
        let now = shared.clock.monotonic();
        if self.catalogue_due.take(now) {
            let looked = self.look_again(shared, leased).await;
            settle(shared, leased, "abilities", looked, records).await?;
            let catalogue = read_catalogue(shared, leased, time, &mut seen, records).await;
            seen.causes_were_read = catalogue.is_ok();
            settle(shared, leased, "catalogue", catalogue, records).await?;
        }
        if self.metrics_due.take(now) {
            let slow = self.slow_due.take(now);
            let turn = Turn { target: &shared.target, time, limits, slow };
            self.families.read(shared, leased, &turn, records).await?;
        }
        if self.statements_due.as_mut().is_some_and(|due| due.take(now)) {
            let read = self.statements.read(shared, leased, &seen.node, time, records).await;
            settle(shared, leased, "statements", read, records).await?;
        }
        shared.look_at_planning(&shared.target, leased, limits).await?;
        leased.connection.end().await?;
        Ok(seen)
    }

    /// Looks for signs that the server is in trouble. With few slots left ours are given back at once.
    async fn look_for_distress(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        limits: Limits,
    ) -> Result<(), QueryError> {
        let ask = leased.ask(&shared.target, Purpose::Control, "distress");
        let reading = distress::read(&mut leased.connection, limits);
        let signs = shared.admitted(ask, reading, |_| 1).await?;
        self.look_for_others(shared, leased, &signs);
        let rising = self.replay.rises(shared.clock.monotonic(), signs.replay);
        let of_server = DistressSignals {
            free_connection_slots: signs.free_slots,
            replay_lag_rising_while_snapshot_open: rising,
            ..DistressSignals::default()
        };
        shared.distress(&shared.target, &of_server);
        for (database, waits) in signs.own_lock_waits {
            let target = Target::database(Arc::clone(&shared.server), database);
            let own_lock_waits = Some(waits);
            shared.distress(&target, &DistressSignals { own_lock_waits, ..DistressSignals::default() });
        }
        Ok(())
    }

    /// Says once when another collector is found to watch the server.
    #[allow(clippy::cast_precision_loss, reason = "a handful of sessions")]
    fn look_for_others(&mut self, shared: &Shared, leased: &Leased, signs: &distress::Distress) {
        if signs.backend_pid != leased.connection.backend_pid {
            self.others.pooled();
        }
        let (now, own) = (shared.clock.monotonic(), &shared.connections.own_backends);
        let others = self.others.look(now, &signs.named, own);
        let labels = vec![("receiver", shared.server.receiver.clone())];
        shared.registry.gauge(&definitions::OTHER_INSTANCE_SESSIONS, labels).set(others.len() as f64);
        if !others.is_empty() && !self.others_told {
            tracing::warn!(
                receiver = %shared.server.receiver, server = %shared.server, pids = ?others,
                "another dbintel, or another receiver of this one, watches the same server: it is asked everything twice; \
                 stop one of them or split the servers between them"
            );
        }
        self.others_told = !others.is_empty();
    }

    /// Looks whether extensions or privileges have changed what can be read, as our messages ask people to do.
    async fn look_again(&mut self, shared: &Shared, leased: &mut Leased) -> Result<(), QueryError> {
        let ask = leased.ask(&shared.target, Purpose::Catalogue, "abilities");
        let limits = shared.limits(&shared.target);
        let facts = Facts::read(&mut leased.connection, limits, &shared.connections.seen);
        let facts = shared.admitted(ask, facts, |_| 1).await?;
        *shared.facts_of_server.lock() = Some(facts.clone());
        if facts != leased.facts {
            leased.facts = facts;
            self.plan(shared, &leased.facts);
        }
        Ok(())
    }

    fn plan(&mut self, shared: &Shared, facts: &Facts) {
        let fingerprint = facts.fingerprint();
        if self.facts.replace(fingerprint).is_some_and(|before| before != fingerprint) {
            shared.abilities_changed(&shared.target);
        }
        self.families.plan(shared, facts, Scope::Server);
        self.statements.plan(facts, &shared.config.connect_database);
    }

    /// What happened to the node since the last reading that was accepted. Another node's sums are other sequences.
    fn compare_node(&mut self, shared: &Shared, seen: &mut Seen, records: &mut Vec<Record>) {
        if let Some(before) = &self.accepted.node {
            records.extend(changes::records(changes::of_node(before, &seen.node), None));
            if seen.node.in_recovery != before.in_recovery || !seen.node.continues(before) {
                shared.abilities_changed(&shared.target);
            }
            if !seen.node.continues(before) {
                self.families.starts.clear();
                self.statements.forget_texts();
                shared.durations.lock().change_node();
                shared.timed_plans.lock().clear();
                held_plans::forget(shared);
                self.replay = distress::ReplayTrend::default();
                self.others.forget();
            }
        }
        seen.accepted.node = Some(Arc::clone(&seen.node));
    }
}

/// A node, and what will have been accepted if this poll is.
struct Seen {
    node: Arc<Node>,
    accepted: Accepted,
    /// Whether all settings were read.
    causes_were_read: bool,
}

#[async_trait]
impl Poll for ServerLoop {
    async fn poll(&mut self, shared: &Shared) {
        let _polling = shared.server_poll.lock().await;
        let mut records = Vec::new();
        let part = Part::server("server");
        self.statements.discard_pending();
        let began = shared.clock.monotonic();
        let mut leased = match self.connect(shared).await {
            Ok(leased) => leased,
            Err(error) => {
                shared.unreachable(&error);
                shared.missing(&part, &error, &mut records);
                shared.offer(&shared.target, None, records);
                return;
            }
        };
        let mut answered = None;
        match self.read(shared, &mut leased, &mut answered, &mut records).await {
            Ok(seen) => {
                shared.reached();
                shared.delivered(&part, &mut records);
                self.leased = shared.done(leased).await;
                let accepted = shared.offer(&shared.target, answered.clone(), records);
                self.families.starts.offered(accepted);
                if accepted {
                    self.accepted = seen.accepted;
                    self.statements.commit(shared);
                    if seen.causes_were_read {
                        held_plans::causes_read(shared, CausesOf::Server, began, answered);
                    }
                }
            }
            Err(error) => {
                shared.unreachable(&error);
                shared.missing(&part, &error, &mut records);
                self.leased = shared.keep(leased, &error).await;
                // What was read before the error is still good, but its state is not committed: records that depend on
                // it would come again.
                records.retain(|record| !matches!(record, Record::Query(_) | Record::Change(_)));
                let accepted = shared.offer(&shared.target, answered, records);
                self.families.starts.offered(accepted);
            }
        }
    }

    async fn close(&mut self) {
        if let Some(leased) = self.leased.take() {
            leased.connection.close().await;
        }
    }
}

/// Turns the failure of one part into a gap and makes the connection ready for the next part.
///
/// # Errors
/// The error after which the connection must be given up.
async fn settle(
    shared: &Shared,
    leased: &mut Leased,
    what: &'static str,
    read: Result<(), QueryError>,
    records: &mut Vec<Record>,
) -> Result<(), QueryError> {
    let part = Part::server(what);
    match read {
        Ok(()) => shared.delivered(&part, records),
        Err(error) => {
            shared.missing(&part, &error, records);
            if !error.connection_usable {
                return Err(error);
            }
            if error.contradicts_catalogue() {
                // An extension was updated or dropped: the next connection looks again.
                return Err(QueryError { connection_usable: false, ..error });
            }
            if !error.was_denied() {
                leased.begin(shared.limits(&shared.target)).await?;
            }
        }
    }
    Ok(())
}

/// Settings, extensions and databases.
async fn read_catalogue(
    shared: &Shared,
    leased: &mut Leased,
    time: Timestamp,
    seen: &mut Seen,
    records: &mut Vec<Record>,
) -> Result<(), QueryError> {
    let (limits, target) = (shared.limits(&shared.target), &shared.target);
    let ask = leased.ask(target, Purpose::Catalogue, "settings");
    let settings = objects::settings(&mut leased.connection, limits);
    let settings = shared.admitted(ask, settings, Values::len).await?;
    *shared.line_prefix.lock() = settings.get("log_line_prefix").cloned();
    let min_duration = settings.get("auto_explain.log_min_duration").cloned();
    learn(&mut seen.accepted.settings, settings, time, records, |before, now| {
        changes::of_values(ChangeKind::Setting, None, before, now)
    });
    let ask = leased.ask(target, Purpose::Catalogue, "settings of roles");
    let settings = objects::role_settings(&mut leased.connection, limits);
    let settings = shared.admitted(ask, settings, |settings| settings.values.len()).await?;
    if settings.is_cut {
        shared.count(&definitions::LIMIT_REACHED, "limit", "role_settings", 1);
    }
    shared.durations.lock().read(min_duration.as_ref(), &settings);
    learn(&mut seen.accepted.role_settings, settings, time, records, changes::of_role_settings);
    let ask = leased.ask(target, Purpose::Catalogue, "resets");
    let resets = objects::resets(&mut leased.connection, limits);
    let resets = shared.admitted(ask, resets, Resets::len).await?;
    learn(&mut seen.accepted.resets, resets, time, records, |before, now| {
        changes::of_resets(seen.node.version_number, before, now)
    });
    let ask = leased.ask(target, Purpose::Catalogue, "extensions");
    let extensions = objects::extensions(&mut leased.connection, limits);
    let extensions = shared.admitted(ask, extensions, Values::len).await?;
    let database: Text = leased.connection.database.clone();
    learn(&mut seen.accepted.extensions, extensions, time, records, |before, now| {
        changes::of_values(ChangeKind::Extension, Some(&database), before, now)
    });
    let ask = leased.ask(target, Purpose::Catalogue, "databases");
    let databases = objects::databases(&mut leased.connection, limits);
    let databases = shared.admitted(ask, databases, BTreeMap::len).await?;
    note_databases(shared, databases, records);
    Ok(())
}

/// Which databases to visit. Those that are wanted and cannot be visited are gaps that say what to do.
fn note_databases(shared: &Shared, databases: BTreeMap<Text, bool>, records: &mut Vec<Record>) {
    let config = &shared.config;
    let wanted = |database: &Text| {
        config.wants_database(database) && !objects::SYSTEM_DATABASES.contains(&database.as_str())
    };
    let (allowed, refused): (Vec<_>, Vec<_>) = databases
        .into_iter()
        .filter(|(database, _)| wanted(database))
        .partition(|(_, may_connect)| *may_connect);
    let names =
        |databases: Vec<(Text, bool)>| databases.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let (allowed, refused) = (names(allowed), names(refused));
    let named = config.databases.iter().map(|name| Text::from(name.clone()));
    let absent: Vec<Text> =
        named.filter(|name| !allowed.contains(name) && !refused.contains(name) && wanted(name)).collect();
    shared.forget_databases(|database| {
        [&allowed, &refused, &absent].iter().any(|list| list.contains(database))
    });
    let mut missing = |database: &Text, reason, message: String| {
        shared.missing(&Part::database(database, "database"), &QueryError::new(reason, message), records);
    };
    for database in &refused {
        let message = format!(
            "the role may not connect; run: GRANT CONNECT ON DATABASE {} TO the collector's role; or add the \
             database to exclude_databases",
            sql_identifier(database)
        );
        missing(database, GapReason::InsufficientPrivilege, message);
    }
    for database in &absent {
        let message =
            "there is no such database, or it allows no connections; correct `databases`".to_owned();
        missing(database, GapReason::ConnectionFailed, message);
    }
    let part = Part::server("databases");
    if allowed.is_empty() {
        let message = "no database to read: none of `databases` exists, or the role may connect to none; check \
                       `databases` and `exclude_databases`, or run: GRANT CONNECT ON DATABASE … TO the collector's role";
        shared.missing(&part, &QueryError::new(GapReason::InsufficientPrivilege, message), records);
    } else {
        shared.delivered(&part, records);
    }
    shared.databases.set(allowed);
}
