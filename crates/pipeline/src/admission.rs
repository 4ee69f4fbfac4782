//! Admission: no statement is sent to a database without a permit, and every outcome is reported back.
//!
//! The tree of breakers, limits and budgets that decides will stand behind [`Admission`]; until it does,
//! [`Permissive`] grants everything and keeps the account.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Target, Text};
use parking_lot::Mutex;

use crate::telemetry::{Counter, Gauge, Registry, definitions};

/// What a statement is for. The cost of each is accounted for on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Opening a connection and finding out what answers.
    Connect,
    /// Counters of the whole server.
    Server,
    /// Statement statistics without texts.
    Statements,
    /// Texts of statements seen for the first time.
    Texts,
    /// Sessions, waits and locks.
    Sessions,
    /// Tables, indexes and other objects of one database.
    Objects,
    /// Exact sizes, which can wait for locks.
    Sizes,
    /// Settings, extensions and columns.
    Catalogue,
}

/// A statement about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct StatementRequest<'a> {
    /// Where to.
    pub target: &'a Target,
    /// What for.
    pub purpose: Purpose,
    /// Name of what is read: a statement that fails stops only itself.
    pub feature: &'static str,
}

/// How a statement ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// From sending to the last row, by our clock.
    pub wall: Duration,
    /// Time the database itself measured for the statement; `None` where it could not be had.
    pub database: Option<Duration>,
    /// Rows received.
    pub rows: u64,
    /// Why it failed, if it did.
    pub error: Option<StatementError>,
}

/// Why a statement failed, as far as breakers care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementError {
    /// The server answered with this SQLSTATE.
    Sqlstate(Text),
    /// The connection was lost or could not be made.
    Connection,
    /// Our own deadline passed.
    Deadline,
    /// The answer could not be understood.
    Decode,
    /// The permit was dropped before the statement ended.
    Abandoned,
}

/// Why no permit was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not admitted: {reason}")]
pub struct Denied {
    /// What stands against it, in words.
    pub reason: Text,
    /// When to ask again.
    pub retry_after: Duration,
}

/// Decides whether a statement may be sent, and learns how it ended.
pub trait Admission: Send + Sync + std::fmt::Debug {
    /// Asks for a permit. Never waits.
    ///
    /// # Errors
    /// [`Denied`] with the reason and when to ask again.
    fn admit(&self, request: &StatementRequest<'_>) -> Result<Permit, Denied>;
}

/// Leave to send one statement. Dropped without a report, it counts as [`StatementError::Abandoned`].
#[derive(Debug)]
#[must_use = "a permit that is not reported counts as an abandoned statement"]
pub struct Permit {
    ledger: Option<Arc<dyn Ledger>>,
    purpose: Purpose,
}

/// Where the outcomes of permits go.
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// Books one outcome.
    fn book(&self, purpose: Purpose, outcome: &Outcome);
}

/// Grants every permit and keeps the account of what the statements cost.
#[derive(Debug)]
pub struct Permissive {
    ledger: Arc<Account>,
}

#[derive(Debug)]
struct Account {
    registry: Registry,
    receiver: Text,
    books: Mutex<Vec<((Purpose, &'static str), Counter)>>,
    times: Mutex<Vec<((Purpose, &'static str), Gauge)>>,
}

// === impl Purpose ===

impl Purpose {
    /// The purpose as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Server => "server",
            Self::Statements => "statements",
            Self::Texts => "texts",
            Self::Sessions => "sessions",
            Self::Objects => "objects",
            Self::Sizes => "sizes",
            Self::Catalogue => "catalogue",
        }
    }
}

// === impl Permit ===

impl Permit {
    /// A permit whose outcome is booked in `ledger`.
    pub fn new(ledger: Arc<dyn Ledger>, purpose: Purpose) -> Self {
        Self { ledger: Some(ledger), purpose }
    }

    /// Reports how the statement ended.
    pub fn report(mut self, outcome: &Outcome) {
        if let Some(ledger) = self.ledger.take() {
            ledger.book(self.purpose, outcome);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            let error = Some(StatementError::Abandoned);
            ledger.book(self.purpose, &Outcome { wall: Duration::ZERO, database: None, rows: 0, error });
        }
    }
}

// === impl StatementError ===

impl StatementError {
    /// The class as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sqlstate(_) => "server_error",
            Self::Connection => "connection",
            Self::Deadline => "deadline",
            Self::Decode => "decode",
            Self::Abandoned => "abandoned",
        }
    }
}

// === impl Permissive ===

impl Permissive {
    /// For one receiver; the account is kept in `registry`.
    #[must_use]
    pub fn new(registry: Registry, receiver: Text) -> Self {
        let ledger = Account { registry, receiver, books: Mutex::default(), times: Mutex::default() };
        Self { ledger: Arc::new(ledger) }
    }
}

impl Admission for Permissive {
    fn admit(&self, request: &StatementRequest<'_>) -> Result<Permit, Denied> {
        Ok(Permit::new(Arc::clone(&self.ledger) as Arc<dyn Ledger>, request.purpose))
    }
}

// === impl Account ===

impl Ledger for Account {
    fn book(&self, purpose: Purpose, outcome: &Outcome) {
        let result = outcome.error.as_ref().map_or("success", StatementError::as_str);
        find_or_insert(&mut self.books.lock(), (purpose, result), || {
            self.registry.counter(&definitions::STATEMENTS, self.labels(purpose, "outcome", result))
        })
        .increment();
        let (source, time) = match outcome.database {
            Some(time) => ("statement", time),
            None => ("wall", outcome.wall),
        };
        find_or_insert(&mut self.times.lock(), (purpose, source), || {
            self.registry.gauge(&definitions::DATABASE_TIME, self.labels(purpose, "source", source))
        })
        .add(time.as_secs_f64());
    }
}

impl Account {
    fn labels(&self, purpose: Purpose, name: &'static str, value: &'static str) -> Vec<(&'static str, Text)> {
        vec![("receiver", self.receiver.clone()), ("purpose", purpose.as_str().into()), (name, value.into())]
    }
}

/// A handful of entries: a scan beats a map.
fn find_or_insert<K: PartialEq, V: Clone>(entries: &mut Vec<(K, V)>, key: K, make: impl FnOnce() -> V) -> V {
    if let Some((_, value)) = entries.iter().find(|(held, _)| *held == key) {
        return value.clone();
    }
    let value = make();
    entries.push((key, value.clone()));
    value
}

#[cfg(test)]
mod tests {
    use dbintel_model::Server;

    use super::*;

    fn target() -> Target {
        Target::server(Arc::new(Server {
            receiver: "postgresql".into(),
            system: "postgresql".into(),
            address: "localhost".into(),
            port: 5432,
            resource: Vec::new(),
        }))
    }

    #[test]
    fn every_permit_is_accounted_for_even_when_dropped() {
        let registry = Registry::default();
        let admission = Permissive::new(registry.clone(), "postgresql".into());
        let target = target();
        let request =
            StatementRequest { target: &target, purpose: Purpose::Statements, feature: "statements" };
        let second = Some(Duration::from_secs(1));
        let outcome = Outcome { wall: Duration::from_secs(2), database: second, rows: 1, error: None };
        admission.admit(&request).unwrap().report(&outcome);
        drop(admission.admit(&request).unwrap());
        let count = |outcome| {
            let labels = [("receiver", "postgresql"), ("purpose", "statements"), ("outcome", outcome)];
            registry.value("dbintel_database_statements_total", &labels)
        };
        assert_eq!((count("success"), count("abandoned")), (Some(1.0), Some(1.0)));
        let labels = [("receiver", "postgresql"), ("purpose", "statements"), ("source", "statement")];
        assert_eq!(registry.value("dbintel_database_time_seconds_total", &labels), Some(1.0));
    }
}
