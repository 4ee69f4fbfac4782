//! The sessions loop: who runs what, who waits for whom.

use std::sync::Arc;

use async_trait::async_trait;
use dbintel_model::{GapReason, Record, Session};
use dbintel_pipeline::admission::Purpose;

use super::connections::Leased;
use super::schedule::{Due, Poll};
use super::shared::Shared;
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::sessions::SessionsPlan;
use crate::state::blocking;
use crate::state::gaps::Part;

/// See the module.
#[derive(Debug)]
pub(super) struct SessionsLoop {
    leased: Option<(Leased, SessionsPlan)>,
    look_due: Due,
    max_rows: u32,
}

impl SessionsLoop {
    pub(super) fn new(shared: &Shared) -> Self {
        let max_rows = shared.config.query_sample.map_or(0, |sample| sample.max_rows);
        Self { leased: None, look_due: Due::every(shared.config.catalogue_interval), max_rows }
    }

    async fn connect(&mut self, shared: &Shared) -> Result<(Leased, SessionsPlan), QueryError> {
        if let Some(leased) = self.leased.take() {
            return Ok(leased);
        }
        let leased = shared.connect(&shared.target, &shared.config.connect_database).await?;
        let plan = SessionsPlan::new(&leased.facts);
        Ok((leased, plan))
    }

    async fn sample(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        plan: &mut SessionsPlan,
    ) -> Result<(), QueryError> {
        let limits = shared.limits(&shared.target);
        let (node, time) = leased.open_transaction(shared, &shared.target, Purpose::Sessions, limits).await?;
        if self.look_due.take(shared.clock.monotonic()) {
            // A privilege may have been granted, as our messages ask people to do.
            let ask = leased.ask(&shared.target, Purpose::Catalogue, "abilities");
            let facts = Facts::read(&mut leased.connection, limits, &shared.connections.seen);
            leased.facts = shared.admitted(ask, facts, |_| 1).await?;
            *plan = SessionsPlan::new(&leased.facts);
        }
        let ask = leased.ask(&shared.target, Purpose::Sessions, "sessions");
        let connection = &mut leased.connection;
        let reading = plan.read(connection, limits, self.max_rows);
        let mut sessions = shared.admitted(ask, reading, Vec::len).await?;
        shared.look_at_planning(&shared.target, leased, limits).await?;
        leased.connection.end().await?;
        blocking::complete(&mut sessions);
        let wanted = |session: &Session| {
            session.database.as_ref().is_none_or(|database| shared.config.wants_database(database))
        };
        let mut records: Vec<Record> =
            sessions.into_iter().filter(wanted).map(|session| Record::Session(Box::new(session))).collect();
        shared.delivered(&Part::server("sessions"), &mut records);
        note_hidden(shared, leased.facts.may_read_all_stats, &mut records);
        // A sample that is refused is gone: it was of that moment. The refusal is counted at the door.
        shared.offer(&shared.target, Some((Arc::new(node), time)), records);
        Ok(())
    }
}

/// Sessions of other roles have no state for a role that may not see them, so that they are not in the sample.
fn note_hidden(shared: &Shared, may_see_all: bool, records: &mut Vec<Record>) {
    let part = Part::server("sessions of other roles");
    if may_see_all {
        shared.delivered(&part, records);
    } else {
        let message =
            "sessions of other roles are hidden; run: GRANT pg_read_all_stats TO the collector's role";
        shared.missing(&part, &QueryError::new(GapReason::InsufficientPrivilege, message), records);
    }
}

#[async_trait]
impl Poll for SessionsLoop {
    async fn poll(&mut self, shared: &Shared) {
        let sampled = match self.connect(shared).await {
            Ok((mut leased, mut plan)) => match self.sample(shared, &mut leased, &mut plan).await {
                Ok(()) => {
                    self.leased = shared.done(leased).await.map(|leased| (leased, plan));
                    Ok(())
                }
                Err(error) => {
                    self.leased = shared.keep(leased, &error).await.map(|leased| (leased, plan));
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        if let Err(error) = sampled {
            let mut records = Vec::new();
            shared.missing(&Part::server("sessions"), &error, &mut records);
            shared.offer(&shared.target, None, records);
        }
    }

    async fn close(&mut self) {
        if let Some((leased, _)) = self.leased.take() {
            leased.connection.close().await;
        }
    }
}
