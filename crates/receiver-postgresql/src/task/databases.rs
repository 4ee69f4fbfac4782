//! The databases loop: tables, indexes and other objects, one database after the other.
//!
//! What goes wrong in one database is a gap of that database; the next one is visited all the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dbintel_model::{Node, Record, Target, Text, Timestamp};
use dbintel_pipeline::admission::Purpose;

use super::connections::Leased;
use super::families::{Families, Turn};
use super::schedule::{Due, Poll};
use super::shared::Shared;
use crate::query::error::QueryError;
use crate::query::family::Scope;
use crate::query::{node, objects};
use crate::state::changes::{self, Tables};
use crate::state::gaps::Part;

/// See the module.
#[derive(Debug)]
pub(super) struct DatabasesLoop {
    databases: BTreeMap<Text, Database>,
    /// Connections that may stay open between polls; further databases are connected to for each visit.
    max_kept: usize,
}

#[derive(Debug)]
struct Database {
    target: Arc<Target>,
    leased: Option<Leased>,
    families: Families,
    sizes_due: Due,
    tables_due: Due,
    accepted: Accepted,
}

#[derive(Clone, Debug, Default)]
struct Accepted {
    node: Option<Arc<Node>>,
    tables: Option<Tables>,
}

struct Seen {
    node: Arc<Node>,
    time: Timestamp,
    accepted: Accepted,
}

impl DatabasesLoop {
    pub(super) fn new(shared: &Shared) -> Self {
        let others = 1 + usize::from(shared.config.query_sample.is_some());
        let max_kept = shared.config.max_connections.saturating_sub(others).max(1);
        Self { databases: BTreeMap::new(), max_kept }
    }

    /// Brings the list of databases up to date.
    fn update(&mut self, shared: &Shared) {
        let Some(names) = shared.databases.lock().clone() else {
            return;
        };
        self.databases.retain(|name, _| names.contains(name));
        for name in names {
            let new = || Database::new(shared, &name);
            self.databases.entry(name.clone()).or_insert_with(new);
        }
    }
}

#[async_trait]
impl Poll for DatabasesLoop {
    async fn poll(&mut self, shared: &Shared) {
        self.update(shared);
        // If there are more databases than connections, all but one connection stay where they are, and the last one
        // goes from database to database: opening one costs the server a process.
        let kept = if self.databases.len() <= self.max_kept { self.max_kept } else { self.max_kept - 1 };
        for (index, (name, database)) in self.databases.iter_mut().enumerate() {
            database.visit(shared, name).await;
            if index >= kept
                && let Some(leased) = database.leased.take()
            {
                shared.connections.close(leased).await;
            }
        }
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
            sizes_due: Due::every(shared.config.size_interval),
            tables_due: Due::every(shared.config.catalogue_interval),
            accepted: Accepted::default(),
        }
    }

    async fn visit(&mut self, shared: &Shared, name: &Text) {
        let mut records = Vec::new();
        let part = Part::database(name, "database");
        let read = match self.connect(shared, name).await {
            Ok(mut leased) => match self.read(shared, &mut leased, &mut records).await {
                Ok(seen) => {
                    self.leased = Some(leased);
                    Ok(seen)
                }
                Err(error) => {
                    shared.connections.give_up(leased, &error).await;
                    records.retain(|record| !matches!(record, Record::Change(_)));
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        match read {
            Ok(seen) => {
                shared.delivered(&part, &mut records);
                if shared.offer(&self.target, Some((seen.node, seen.time)), records) {
                    self.accepted = seen.accepted;
                }
            }
            Err(error) => {
                shared.missing(&part, &error, &mut records);
                shared.offer(&self.target, None, records);
            }
        }
    }

    async fn connect(&mut self, shared: &Shared, name: &Text) -> Result<Leased, QueryError> {
        if let Some(leased) = self.leased.take() {
            return Ok(leased);
        }
        let opening = shared.connections.open(name);
        let leased = shared.admitted(&self.target, Purpose::Connect, opening, |_| 0).await?;
        self.families.plan(shared, &leased.facts, Scope::Database);
        Ok(leased)
    }

    async fn read(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        records: &mut Vec<Record>,
    ) -> Result<Seen, QueryError> {
        let limits = shared.config.limits;
        leased.begin(limits).await?;
        let Leased { connection, facts, .. } = &mut *leased;
        let reading = node::read(connection, limits, facts);
        let (node, time) = shared.admitted(&self.target, Purpose::Objects, reading, |_| 1).await?;
        let mut accepted = self.accepted.clone();
        if self.accepted.node.as_ref().is_some_and(|before| !node.continues(before)) {
            self.families.starts.clear();
            accepted.tables = None;
        }
        let node = Arc::new(node);
        accepted.node = Some(Arc::clone(&node));
        let now = shared.clock.monotonic();
        let turn = Turn { target: &self.target, time, limits, sizes: self.sizes_due.take(now) };
        self.families.read(shared, leased, &turn, records).await?;
        if self.tables_due.take(now) {
            let reading = objects::tables(&mut leased.connection, limits);
            let tables = shared.admitted(&self.target, Purpose::Catalogue, reading, Tables::len).await?;
            if let Some(before) = &accepted.tables {
                let changes = changes::of_tables(&leased.connection.database, before, &tables);
                records.extend(changes.into_iter().map(|change| Record::Change(Box::new(change))));
            }
            accepted.tables = Some(tables);
        }
        leased.connection.end().await?;
        Ok(Seen { node, time, accepted })
    }
}
