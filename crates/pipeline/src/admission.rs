//! Admission: no statement is sent to a database without a permit, and every outcome is reported back.
//!
//! What decides is behind [`Admission`]: the tree of `dbintel-admission`, with its breakers, limits and budgets, made for
//! every lane by the wiring. [`Permissive`] grants everything; it is for tests of other things.

use std::fmt;
use std::time::Duration;

pub use dbintel_admission::{CostClass, DistressSignals, FailureClass, Outcome, Purpose, StatementError};
use dbintel_model::{Target, Text};

/// A statement about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct StatementRequest<'a> {
    /// Where to.
    pub target: &'a Target,
    /// What for.
    pub purpose: Purpose,
    /// Name of what is read: a statement that fails stops only itself.
    pub feature: &'static str,
    /// Whether it is the cheapest there is, fit to probe a server or database that was given up.
    pub cheapest: bool,
}

/// Why no permit was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not admitted: {reason}")]
pub struct Denied {
    /// What stands against it, in words.
    pub reason: Text,
    /// When to ask again.
    pub retry_after: Duration,
    /// The class of failure that opened the breaker, if an open one stands against it.
    pub class: Option<FailureClass>,
}

/// Decides whether a statement may be sent, and learns how it ended.
pub trait Admission: Send + Sync + fmt::Debug {
    /// Asks for a permit. Never waits.
    ///
    /// # Errors
    /// [`Denied`] with the reason and when to ask again.
    fn admit(&self, request: &StatementRequest<'_>) -> Result<Permit, Denied>;

    /// Signs that the database is in trouble.
    fn distress(&self, _target: &Target, _signals: &DistressSignals) {}

    /// What our role may do, what there is, or the role of the node has changed: what was refused for the lack of it may be
    /// tried at once. A target without a database is everything on its server.
    fn abilities_changed(&self, _target: &Target) {}

    /// `statement_timeout` for the target's next transaction; `None` leaves it to the receiver's configuration.
    fn statement_timeout(&self, _target: &Target) -> Option<Duration> {
        None
    }

    /// What intervals between polls of the target are to be multiplied with, at least 1.
    fn stretch(&self, _target: &Target) -> f64 {
        1.0
    }

    /// Only these databases exist: what was held of others can go.
    fn retain_databases(&self, _exists: &dyn Fn(&str) -> bool) {}
}

/// Leave to send one statement. Dropped without a report, it counts as [`StatementError::Abandoned`].
#[must_use = "a permit that is not reported counts as an abandoned statement"]
pub struct Permit {
    report: Option<Report>,
}

type Report = Box<dyn FnOnce(&Outcome) + Send>;

/// Grants every permit and forgets it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Permissive;

// === impl Permit ===

impl Permit {
    /// A permit whose outcome goes to `report`, once.
    pub fn new(report: impl FnOnce(&Outcome) + Send + 'static) -> Self {
        Self { report: Some(Box::new(report)) }
    }

    /// Reports how the statement ended.
    pub fn report(mut self, outcome: &Outcome) {
        if let Some(report) = self.report.take() {
            report(outcome);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            let error = Some(StatementError::Abandoned);
            report(&Outcome { wall: Duration::ZERO, database: None, rows: 0, error });
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

// === impl Permissive ===

impl Admission for Permissive {
    fn admit(&self, _request: &StatementRequest<'_>) -> Result<Permit, Denied> {
        Ok(Permit::new(|_| {}))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn every_permit_is_reported_once_even_when_dropped() {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let permit = || {
            let reported = Arc::clone(&reported);
            Permit::new(move |outcome| reported.lock().push(outcome.error.clone()))
        };
        permit().report(&Outcome { wall: Duration::ZERO, database: None, rows: 1, error: None });
        drop(permit());
        assert_eq!(*reported.lock(), [None, Some(StatementError::Abandoned)]);
    }
}
