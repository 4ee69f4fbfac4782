//! Connections: few, counted, and never more than allowed, not even when the server hangs.
//!
//! A connection on which our deadline passed is not closed: its backend would live on in the server, and nobody would
//! count it. It keeps its place ("held") until the server answers on it, closes it, or is seen without its backend.
//! While a connection to a database is held, no other one to that database is opened, with one exception: every
//! [`PROBE_INTERVAL`] a single one goes beyond, because another server may answer at the address by now. Where the server answers on other
//! connections and only this database lets nobody in, each such one may leave a backend behind that does not notice our going: the
//! time between them doubles there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Clock, GapReason, Monotonic, Node, Target, Text, Timestamp};
use dbintel_pipeline::admission::Purpose;
use dbintel_pipeline::telemetry::Gauge;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::password::PasswordCommand;
use super::shared::{Ask, Shared};
use crate::config::Config;
use crate::query::connection::{Connection, Limits, UNTRACKED};
use crate::query::error::QueryError;
use crate::query::facts::{Facts, SeenFacts};
use crate::query::{node, objects};
use crate::state::other_instances::OwnBackends;

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a poll waits for the server to answer on held connections.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long nothing is tried again after a connection was held or has gone beyond.
const PROBE_INTERVAL: Duration = Duration::from_secs(30);
/// The longest that time becomes by doubling.
const PROBE_INTERVAL_MAX: Duration = Duration::from_hours(24);

/// Opens connections and knows how many there are.
#[derive(Debug)]
pub(super) struct Connections {
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    password: PasswordCommand,
    slots: Arc<Semaphore>,
    held: Mutex<HeldConnections>,
    /// For all that look at what a database has.
    pub(super) seen: SeenFacts,
    /// Backends of the connections that are open or held.
    pub(super) own_backends: OwnBackends,
    open_gauge: Gauge,
    held_gauge: Gauge,
}

/// A connection in use, with what its server has.
#[derive(Debug)]
pub(super) struct Leased {
    /// The connection.
    pub(super) connection: Connection,
    /// What the database has.
    pub(super) facts: Facts,
    /// A statement has shown that the facts hold no longer: the next connection looks again.
    pub(super) is_outdated: bool,
    slot: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Default)]
struct HeldConnections {
    all: Vec<Held>,
    probed_at: Option<Monotonic>,
    /// Connections that went beyond one after the other while the server answered others, and were left without an answer.
    left_behind: u32,
}

/// A connection on which the server owes an answer.
struct Held {
    database: Text,
    /// Unknown where the server did not even let us in.
    backend_pid: Option<i64>,
    since: Monotonic,
    /// Ends when the server has answered or closed the connection.
    farewell: BoxFuture<'static, ()>,
    /// Keeps the place; the one that went beyond has none.
    slot: Option<OwnedSemaphorePermit>,
}

impl Connections {
    pub(super) fn new(
        config: Arc<Config>,
        clock: Arc<dyn Clock>,
        open_gauge: Gauge,
        held_gauge: Gauge,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(config.max_connections));
        let (held, seen, own_backends) = (Mutex::default(), SeenFacts::default(), OwnBackends::default());
        let password = PasswordCommand::default();
        Self { config, clock, password, slots, held, seen, own_backends, open_gauge, held_gauge }
    }

    /// Opens a connection and looks at what the database has. `took` becomes the time that the server may have spent on
    /// it: for the handshake by our clock, for the statements by the server's if it says. The wait for a place and for the
    /// command that gives the password are not the server's.
    pub(super) async fn open(&self, database: &Text, took: &mut Duration) -> Result<Leased, QueryError> {
        let slot = self.slot(database).await?;
        let mut settings = self.config.connect.clone();
        if let Some(command) = &self.config.password_command {
            settings.password = Some(self.password.run(command, &*self.clock).await?);
        }
        let mut opening = Box::pin(Connection::open(settings, database.clone()));
        let started = self.clock.monotonic();
        let opened = timeout(CONNECT_TIMEOUT, &mut opening).await;
        *took = self.clock.monotonic().since(started);
        let connection = match opened {
            Ok(opened) => opened?,
            Err(_elapsed) => {
                let farewell = async {
                    if let Ok(connection) = opening.await {
                        connection.farewell().await;
                    }
                };
                self.hold(database, None, slot, Box::pin(farewell)).await;
                return Err(QueryError::deadline("connecting"));
            }
        };
        let mut leased = Leased { connection, facts: Facts::default(), is_outdated: false, slot };
        let started = self.clock.monotonic();
        let looked = self.look(&mut leased).await;
        let measured = leased.connection.meter().take();
        *took += measured.unwrap_or_else(|| self.clock.monotonic().since(started));
        if let Err(error) = looked {
            self.give_up(leased, &error).await;
            return Err(error);
        }
        let pid = leased.connection.backend_pid;
        leased.connection.own_backend = pid.map(|pid| self.own_backends.add(pid));
        // Places may have become free by what was seen.
        leased.slot = leased.slot.or_else(|| self.free_slot());
        self.show(&*self.held.lock().await);
        Ok(leased)
    }

    /// Looks at what the database has, and after the held connections.
    async fn look(&self, leased: &mut Leased) -> Result<(), QueryError> {
        let limits = self.config.limits;
        leased.connection.begin(limits, "").await?;
        leased.facts = Facts::read(&mut leased.connection, limits, &self.seen).await?;
        self.look_after_held(&mut leased.connection, limits).await?;
        leased.connection.end().await
    }

    /// Ends the use of a connection after an error. If the server did not answer, its place stays taken.
    pub(super) async fn give_up(&self, leased: Leased, error: &QueryError) {
        if error.reason == GapReason::DeadlineExceeded {
            let Leased { connection, slot, .. } = leased;
            let (database, pid) = (connection.database.clone(), connection.backend_pid);
            self.hold(&database, pid, slot, Box::pin(connection.farewell())).await;
        } else {
            self.close(leased).await;
        }
    }

    /// Closes a connection that works.
    pub(super) async fn close(&self, leased: Leased) {
        let Leased { connection, slot, .. } = leased;
        connection.close().await;
        drop(slot);
        self.show(&*self.held.lock().await);
    }

    async fn hold(
        &self,
        database: &Text,
        backend_pid: Option<i64>,
        slot: Option<OwnedSemaphorePermit>,
        farewell: BoxFuture<'static, ()>,
    ) {
        let (database, since) = (database.clone(), self.clock.monotonic());
        let mut held = self.held.lock().await;
        held.all.push(Held { database, backend_pid, since, farewell, slot });
        self.show(&held);
    }

    /// A place for one more connection; `None` is the one beyond.
    async fn slot(&self, database: &Text) -> Result<Option<OwnedSemaphorePermit>, QueryError> {
        let mut held = self.held.lock().await;
        held.settle().await;
        self.show(&held);
        let awaited = held.all.iter().any(|held| held.database == *database);
        if !awaited && let Some(slot) = self.free_slot() {
            return Ok(Some(slot));
        }
        let places = held.all.iter().filter(|held| held.slot.is_some()).count();
        let taken = self.config.max_connections.saturating_sub(self.slots.available_permits());
        if held.may_probe(self.clock.monotonic(), taken > places) {
            return Ok(None);
        }
        let (max, count) = (self.config.max_connections, held.all.len());
        Err(if awaited {
            // Nothing was sent here either, but a server that owes an answer is one that does not answer.
            let message = format!(
                "the server still owes an answer on {count} of at most {max} connections; no other one is opened \
                 until it answers"
            );
            QueryError::new(GapReason::DeadlineExceeded, message)
        } else {
            let message = format!(
                "all {max} connections are in use, {count} of them by backends that did not answer; raise \
                 connection_pool.max_open if this lasts"
            );
            QueryError::not_sent(GapReason::LimitReached, message)
        })
    }

    fn free_slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// Frees the places of held backends that the server, which answers on this connection, does not show any more.
    async fn look_after_held(&self, connection: &mut Connection, limits: Limits) -> Result<(), QueryError> {
        let pids: Vec<i64> = self.held.lock().await.all.iter().filter_map(|held| held.backend_pid).collect();
        let running = if pids.is_empty() {
            Vec::new()
        } else {
            objects::still_running(connection, limits, &pids).await?
        };
        let mut held = self.held.lock().await;
        held.all.retain(|held| match held.backend_pid {
            Some(pid) => running.contains(&pid) || !pids.contains(&pid),
            // Connections are let in one after the other: an earlier one would be in by now.
            None => held.database != connection.database,
        });
        self.show(&held);
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "a handful of connections")]
    fn show(&self, held: &HeldConnections) {
        let taken = self.config.max_connections.saturating_sub(self.slots.available_permits());
        let places = held.all.iter().filter(|held| held.slot.is_some()).count();
        self.held_gauge.set(held.all.len() as f64);
        self.open_gauge.set(taken.saturating_sub(places) as f64);
    }
}

impl HeldConnections {
    /// Lets go of those on which the server has answered meanwhile.
    async fn settle(&mut self) {
        let answers = self.all.iter_mut().map(|held| timeout(SETTLE_TIMEOUT, &mut held.farewell));
        let mut answered = join_all(answers).await.into_iter().map(|answer| answer.is_ok());
        self.all.retain(|_| !answered.next().unwrap_or(false));
    }

    /// Whether one connection may go beyond now. The one before is dropped then: there is never more than one on our side.
    fn may_probe(&mut self, now: Monotonic, others_are_answered: bool) -> bool {
        let is_one_beyond = self.all.iter().any(|held| held.slot.is_none());
        if !is_one_beyond || !others_are_answered {
            self.left_behind = 0;
        }
        let doubled = PROBE_INTERVAL.saturating_mul(1_u32.checked_shl(self.left_behind).unwrap_or(u32::MAX));
        let interval = doubled.min(PROBE_INTERVAL_MAX);
        let long_ago = |time: Monotonic| now.since(time) >= interval;
        let quiet = self.probed_at.is_none_or(long_ago) && self.all.iter().all(|held| long_ago(held.since));
        if self.all.is_empty() || !quiet {
            return false;
        }
        self.all.retain(|held| held.slot.is_some());
        self.probed_at = Some(now);
        self.left_behind = self.left_behind.saturating_add(u32::from(others_are_answered));
        true
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, backend_pid, since, slot, .. } = self;
        f.debug_struct("Held")
            .field("database", database)
            .field("backend_pid", backend_pid)
            .field("since", since)
            .field("slot", slot)
            .finish_non_exhaustive()
    }
}

impl Leased {
    /// Asks for statements on this connection.
    pub(super) fn ask<'a>(&self, target: &'a Target, purpose: Purpose, feature: &'static str) -> Ask<'a> {
        Ask::new(target, purpose, feature, self.connection.meter())
    }

    /// Begins a transaction, with a permit, and finds out who answers and what time it is there. The beginning and the
    /// end of a transaction belong to the permits of the statements in it.
    pub(super) async fn open_transaction(
        &mut self,
        shared: &Shared,
        target: &Target,
        purpose: Purpose,
        limits: Limits,
    ) -> Result<(Node, Timestamp), QueryError> {
        let ask = self.ask(target, purpose, "node").cheapest();
        let opening = async {
            self.begin(limits).await?;
            node::read(&mut self.connection, limits, &self.facts).await
        };
        shared.admitted(ask, opening, |_| 1).await
    }

    /// Begins a transaction that leaves no trace where our role may arrange that.
    pub(super) async fn begin(&mut self, limits: Limits) -> Result<(), QueryError> {
        let extra = if self.facts.may_untrack { UNTRACKED } else { "" };
        self.connection.begin(limits, extra).await
    }
}

#[cfg(test)]
mod tests;
