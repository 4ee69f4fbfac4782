//! Reading the families of one database: plans made once per connection, then row after row.

use std::sync::Arc;

use dbintel_model::{GapReason, Record, Target, Text, Timestamp};
use dbintel_pipeline::admission::Purpose;
use dbintel_pipeline::telemetry::definitions;
use sqlx::postgres::PgRow;

use super::connections::Leased;
use super::shared::Shared;
use crate::decode::Decoder;
use crate::query::connection::Limits;
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::family::{FamilyPlan, Scope};
use crate::query::family_table::FAMILIES;
use crate::query::sql_text;
use crate::state::gaps::Part;
use crate::state::start_times::StartTimes;

/// How the families of one scope are read from one server.
#[derive(Debug, Default)]
pub(super) struct Families {
    plans: Vec<FamilyPlan>,
    /// Metrics that this server cannot have, and why.
    absent: Vec<(&'static str, String)>,
    pub(super) starts: StartTimes,
}

impl Families {
    /// Plans for what the database has.
    pub(super) fn plan(&mut self, shared: &Shared, facts: &Facts, scope: Scope) {
        self.plans.clear();
        self.absent.clear();
        for family in FAMILIES.iter().filter(|family| family.scope == scope) {
            let unavailable = match family.plan(facts, |metric| shared.config.wants(metric)) {
                Ok(mut plan) => {
                    let unavailable = std::mem::take(&mut plan.unavailable);
                    self.plans.push(plan);
                    unavailable
                }
                Err(unavailable) => unavailable,
            };
            for (metric, column) in unavailable {
                let reason =
                    format!("this server has no column {column}, from which the metric would be read");
                self.absent.push((metric.name, reason));
            }
        }
    }

    /// Reads every family whose turn it is. A family that fails is a gap; the others go on, unless the connection is
    /// gone or the server is so slow that going on would pile up.
    ///
    /// # Errors
    /// The error after which the connection must be given up.
    pub(super) async fn read(
        &mut self,
        shared: &Shared,
        leased: &mut Leased,
        turn: &Turn<'_>,
        records: &mut Vec<Record>,
    ) -> Result<(), QueryError> {
        for (name, reason) in &self.absent {
            shared.missing(
                &turn.part(name),
                &QueryError::new(GapReason::NotInThisVersion, reason.clone()),
                records,
            );
        }
        let Self { plans, starts, .. } = self;
        for plan in plans.iter().filter(|plan| turn.sizes || plan.family.purpose != Purpose::Sizes) {
            let part = turn.part(plan.family.name);
            match read_family(shared, leased, turn, plan, starts, records).await {
                Ok(()) => shared.delivered(&part, records),
                Err(error) => {
                    shared.missing(&part, &error, records);
                    if !error.connection_usable || error.reason == GapReason::StatementTimeout {
                        return Err(error);
                    }
                    leased.begin(turn.limits).await?;
                }
            }
        }
        let untracked = starts.end_of_poll();
        if untracked > 0 {
            shared.count(&definitions::LIMIT_REACHED, "limit", "tracked_series", untracked);
        }
        Ok(())
    }
}

/// One turn of reading.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// What is read.
    pub(super) target: &'a Arc<Target>,
    /// When, by the server's clock.
    pub(super) time: Timestamp,
    /// Limits of each statement.
    pub(super) limits: Limits,
    /// Whether exact sizes are due.
    pub(super) sizes: bool,
}

impl Turn<'_> {
    /// A part of this turn's target.
    pub(super) fn part(&self, what: &'static str) -> Part {
        match &self.target.database {
            Some(database) => Part::database(database, what),
            None => Part::server(what),
        }
    }
}

async fn read_family(
    shared: &Shared,
    leased: &mut Leased,
    turn: &Turn<'_>,
    plan: &FamilyPlan,
    starts: &mut StartTimes,
    records: &mut Vec<Record>,
) -> Result<(), QueryError> {
    let database: Text = leased.connection.database.clone();
    let mut decoder = Decoder { layout: shared.config.layout, database: &database, time: turn.time, starts };
    let (mut rows, max_rows, before) = (0, plan.family.max_rows, records.len());
    let take = |row: &PgRow| {
        rows += 1;
        if rows <= max_rows { decoder.row(plan, row, records) } else { Ok(()) }
    };
    let reading =
        leased.connection.stream(plan.family.name, turn.limits, sqlx::query(sql_text(&plan.text)), take);
    let read = shared.admitted(turn.target, plan.family.purpose, reading, |()| 0).await;
    if read.is_err() {
        // Half a family would look like objects that are gone.
        records.truncate(before);
    }
    if rows > max_rows {
        shared.count(&definitions::LIMIT_REACHED, "limit", "family_rows", 1);
    }
    read
}
