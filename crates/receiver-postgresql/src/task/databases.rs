//! The databases loop: tables, indexes and other objects, one database after the other.
//!
//! What goes wrong in one database is a gap of that database; the next one is visited all the same. Only if the server
//! does not answer at all the poll ends there, so that a server that hangs does not cost one deadline per database; and
//! if it has no free slot, no more is asked for than one. The next poll begins behind that database, so that no database
//! keeps others from being read.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dbintel_model::{ChangeKind, GapReason, Node, Record, Target, Text, Timestamp};
use dbintel_pipeline::admission::Purpose;
use dbintel_pipeline::memory::Holding;

use super::connections::Leased;
use super::families::{Families, Turn};
use super::held_plans;
use super::schedule::{Due, Poll, Rest};
use super::schema::{self, KnownSchema, SchemaDue};
use super::shared::Shared;
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::family::Scope;
use crate::query::objects;
use crate::state::changes::{self, Known, Tables, Values, learn};
use crate::state::gaps::Part;
use crate::state::held_plans::CausesOf;

/// See the module.
#[derive(Debug)]
pub(super) struct DatabasesLoop {
    databases: BTreeMap<Text, Database>,
    /// Connections that may stay open between polls; further databases are connected to for each visit.
    max_kept: usize,
    /// Where the last poll came to an end, and why.
    stuck: Option<(Text, GapReason)>,
    /// Bytes of the definitions of all databases.
    held: Holding,
}

#[derive(Debug)]
struct Database {
    target: Arc<Target>,
    leased: Option<Leased>,
    families: Families,
    /// Fingerprint of the facts that the plans were last made for.
    facts: Option<u64>,
    slow_due: Due,
    tables_due: Due,
    schema_due: SchemaDue,
    accepted: Accepted,
    /// Until its own stretched interval is over.
    rest: Rest,
}

#[derive(Clone, Debug, Default)]
struct Accepted {
    node: Option<Arc<Node>>,
    tables: Known<Tables>,
    extensions: Known<Values>,
    schema: Option<KnownSchema>,
}

/// What will have been accepted if this poll is.
struct Seen {
    accepted: Accepted,
    /// Whether all was read that can change a plan.
    causes_were_read: bool,
}

impl DatabasesLoop {
    pub(super) fn new(shared: &Shared) -> Self {
        let config = &shared.config;
        let others = 1 + usize::from(config.query_sample.is_some()) + usize::from(config.plans.is_some());
        let max_kept = shared.config.max_connections.saturating_sub(others).max(1);
        let held = shared.accounts.hold(format!("receiver {} schema", shared.server.receiver).into());
        Self { databases: BTreeMap::new(), max_kept, stuck: None, held }
    }

    /// Brings the list of databases up to date, and closes the connections that will not be kept.
    async fn update(&mut self, shared: &Shared) {
        let Some(names) = shared.databases.get() else {
            return;
        };
        let gone = self.databases.extract_if(.., |name, _| names.binary_search(name).is_err());
        let mut unwanted: Vec<Leased> = gone.filter_map(|(_, database)| database.leased).collect();
        for name in names {
            let new = || Database::new(shared, &name);
            self.databases.entry(name.clone()).or_insert_with(new);
        }
        let kept = self.kept();
        unwanted.extend(self.databases.values_mut().skip(kept).filter_map(|database| database.leased.take()));
        for leased in unwanted {
            shared.connections.close(leased).await;
        }
    }

    /// If there are more databases than connections, all but one connection stay where they are, and the last one goes
    /// from database to database: opening one costs the server a process.
    fn kept(&self) -> usize {
        if self.databases.len() <= self.max_kept { self.max_kept } else { self.max_kept - 1 }
    }

    /// The databases in the order of this poll, each with its place among those that are kept.
    fn order(&mut self) -> Vec<(usize, Text)> {
        let mut order: Vec<(usize, Text)> = self.databases.keys().cloned().enumerate().collect();
        if let Some((stuck, _)) = self.stuck.take() {
            let behind = order.partition_point(|(_, name)| *name <= stuck);
            order.rotate_left(behind);
        }
        order
    }
}

#[async_trait]
impl Poll for DatabasesLoop {
    async fn poll(&mut self, shared: &Shared) {
        shared.after_server_poll().await;
        self.update(shared).await;
        let (kept, mut unvisited) = (self.kept(), Vec::new());
        for (place, name) in self.order() {
            let start = shared.clock.monotonic();
            let Some(database) = self.databases.get_mut(&name) else { continue };
            if database.rest.is_on(start) {
                // Others need its slot more than we do, and its turn is far off.
                if shared.are_slots_wanted()
                    && let Some(leased) = database.leased.take()
                {
                    shared.connections.close(leased).await;
                }
                continue;
            }
            if let Some((stuck, reason)) = &self.stuck
                && (*reason == GapReason::DeadlineExceeded || database.leased.is_none())
            {
                let message = format!("not visited in this poll, which came to an end at database {stuck}");
                let error = QueryError::new(*reason, message);
                shared.missing(&Part::database(&name, "database"), &error, &mut unvisited);
                continue;
            }
            if let Err(reason) = database.visit(shared, &name).await {
                self.stuck = Some((name, reason));
            }
            let stretch = shared.stretch(&database.target);
            database.rest.begin(start, shared.config.object_interval, stretch);
            if place >= kept
                && let Some(leased) = database.leased.take()
            {
                shared.connections.close(leased).await;
            }
        }
        shared.offer(&shared.target, None, unvisited);
        let schemas = self.databases.values().filter_map(|database| database.accepted.schema.as_ref());
        self.held.set(schemas.map(|known| known.schema.weight_bytes()).sum());
    }

    /// Each database has its own.
    fn stretch(&self, _shared: &Shared) -> f64 {
        1.0
    }

    async fn close(&mut self) {
        for database in self.databases.values_mut() {
            if let Some(leased) = database.leased.take() {
                leased.connection.close().await;
            }
        }
    }
}

// === impl Database ===

impl Database {
    fn new(shared: &Shared, name: &Text) -> Self {
        Self {
            target: Arc::new(Target::database(Arc::clone(&shared.server), name.clone())),
            leased: None,
            families: Families::default(),
            facts: None,
            slow_due: Due::every(shared.config.size_interval),
            tables_due: Due::every(shared.config.catalogue_interval),
            schema_due: SchemaDue::default(),
            accepted: Accepted::default(),
            rest: Rest::default(),
        }
    }

    /// Reads everything that is due.
    ///
    /// # Errors
    /// Why there is no point in connecting to other databases in this poll.
    async fn visit(&mut self, shared: &Shared, name: &Text) -> Result<(), GapReason> {
        let mut records = Vec::new();
        let part = Part::database(name, "database");
        let (mut answered, began) = (None, shared.clock.monotonic());
        let read = match self.connect(shared, name).await {
            Ok(mut leased) => match self.read(shared, &mut leased, &mut answered, &mut records).await {
                Ok(seen) => {
                    self.leased = shared.done(leased).await;
                    Ok(seen)
                }
                Err(error) => {
                    self.leased = shared.keep(leased, &error).await;
                    records.retain(|record| !matches!(record, Record::Change(_)));
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        match read {
            Ok(seen) => {
                shared.delivered(&part, &mut records);
                let accepted = shared.offer(&self.target, answered.clone(), records);
                self.families.starts.offered(accepted);
                if accepted {
                    self.accepted = seen.accepted;
                    if seen.causes_were_read {
                        held_plans::causes_read(shared, CausesOf::Database(name), began, answered);
                    }
                }
                Ok(())
            }
            Err(error) => {
                shared.missing(&part, &error, &mut records);
                let accepted = shared.offer(&self.target, answered, records);
                self.families.starts.offered(accepted);
                match error.reason {
                    GapReason::DeadlineExceeded | GapReason::TooManyConnections => Err(error.reason),
                    _ => Ok(()),
                }
            }
        }
    }

    async fn connect(&mut self, shared: &Shared, name: &Text) -> Result<Leased, QueryError> {
        if let Some(leased) = self.leased.take() {
            return Ok(leased);
        }
        let leased = shared.connect(&self.target, name).await?;
        self.plan(shared, &leased.facts);
        Ok(leased)
    }

    fn plan(&mut self, shared: &Shared, facts: &Facts) {
        let fingerprint = facts.fingerprint();
        if self.facts.replace(fingerprint).is_some_and(|before| before != fingerprint) {
            shared.abilities_changed(&self.target);
        }
        self.families.plan(shared, facts, Scope::Database);
    }

    /// Looks whether privileges have changed what can be read here, as our messages ask people to do.
    async fn look_again(&mut self, shared: &Shared, leased: &mut Leased) -> Result<(), QueryError> {
        let seen_by_server = (leased.connection.database == shared.config.connect_database)
            .then(|| shared.facts_of_server.lock().clone())
            .flatten();
        let facts = match seen_by_server {
            Some(facts) => facts,
            None => {
                let ask = leased.ask(&self.target, Purpose::Catalogue, "abilities");
                let limits = shared.limits(&self.target);
                let facts = Facts::read(&mut leased.connection, limits, &shared.connections.seen);
                shared.admitted(ask, facts, |_| 1).await?
            }
        };
        if facts != leased.facts {
            leased.facts = facts;
            self.plan(shared, &leased.facts);
        }
        Ok(())
    }

    /// Those of the database that the server loop is connected to are read there.
    async fn read_extensions(
        &self,
        shared: &Shared,
        leased: &mut Leased,
        turn: &Turn<'_>,
        accepted: &mut Accepted,
        records: &mut Vec<Record>,
    ) -> Result<(), QueryError> {
        let ask = leased.ask(&self.target, Purpose::Catalogue, "extensions");
        let reading = objects::extensions(&mut leased.connection, shared.config.limits);
        let extensions = shared.admitted(ask, reading, Values::len).await?;
        let database = &leased.connection.database;
        learn(&mut accepted.extensions, extensions, turn.time, records, |before, now| {
            changes::of_values(ChangeKind::Extension, Some(database), before, now)
        });
        Ok(())
    }

    async fn read(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        answered: &mut Option<(Arc<Node>, Timestamp)>,
        records: &mut Vec<Record>,
    ) -> Result<Seen, QueryError> {
        let limits = shared.limits(&self.target);
        let (node, time) = leased.open_transaction(shared, &self.target, Purpose::Objects, limits).await?;
        let mut accepted = self.accepted.clone();
        if let Some(before) = self.accepted.node.as_ref().filter(|before| !node.continues(before)) {
            self.families.starts.clear();
            accepted.tables = None;
            // Nodes of one system have one schema.
            let system = before.system_identifier.zip(node.system_identifier);
            if system.is_none_or(|(before, now)| before != now) {
                accepted.schema = None;
            }
            held_plans::forget(shared);
        }
        let node = Arc::new(node);
        *answered = Some((Arc::clone(&node), time));
        accepted.node = Some(Arc::clone(&node));
        let now = shared.clock.monotonic();
        let tables_are_due = self.tables_due.take(now);
        if tables_are_due {
            match self.look_again(shared, leased).await {
                // What was found before still is the best we know.
                Err(denied) if denied.was_denied() && denied.connection_usable => {}
                looked => looked?,
            }
        }
        let target = Arc::clone(&self.target);
        let turn = Turn { target: &target, time, limits, slow: self.slow_due.take(now) };
        self.families.read(shared, leased, &turn, records).await?;
        if tables_are_due {
            let ask = leased.ask(&self.target, Purpose::Catalogue, "tables");
            let reading = objects::tables(&mut leased.connection, limits);
            let tables = shared.admitted(ask, reading, Tables::len).await?;
            learn(&mut accepted.tables, tables, time, records, |before, now| {
                changes::of_tables(&leased.connection.database, before, now)
            });
            if leased.connection.database != shared.config.connect_database {
                self.read_extensions(shared, leased, &turn, &mut accepted, records).await?;
            }
        }
        let schema_is_due = tables_are_due && self.schema_due.is_due(now);
        let causes_were_read =
            schema_is_due && self.read_schema(shared, leased, &turn, &mut accepted, records).await?;
        shared.look_at_planning(&self.target, leased, limits).await?;
        leased.connection.end().await?;
        Ok(Seen { accepted, causes_were_read })
    }

    /// If it fails, the rest of the poll is good all the same. Says whether it was read.
    async fn read_schema(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        turn: &Turn<'_>,
        accepted: &mut Accepted,
        records: &mut Vec<Record>,
    ) -> Result<bool, QueryError> {
        let part = Part::database(&leased.connection.database, "schema");
        let before = accepted.schema.clone();
        match schema::read(shared, leased, turn, &mut self.schema_due, before.as_ref(), records).await {
            Ok(known) => {
                shared.delivered(&part, records);
                accepted.schema = Some(known);
                Ok(true)
            }
            Err(error) if error.connection_usable => {
                shared.missing(&part, &error, records);
                if !error.was_denied() {
                    leased.begin(turn.limits).await?;
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
