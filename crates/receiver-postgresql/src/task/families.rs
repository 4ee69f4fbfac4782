//! Reading the families of one database: plans made once per connection, then row after row.

use std::collections::HashSet;
use std::sync::Arc;

use dbintel_model::{GapReason, Record, Target, Text, Timestamp};
use dbintel_pipeline::telemetry::definitions;
use sqlx::postgres::{PgArguments, PgRow};

use super::connections::Leased;
use super::shared::Shared;
use crate::decode::Decoder;
use crate::query::connection::Limits;
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::family::{FamilyPlan, Scope};
use crate::query::family_table::FAMILIES;
use crate::query::meter::Select;
use crate::state::gaps::Part;
use crate::state::start_times::StartTimes;

/// Families of one turn that may run into `statement_timeout` before the rest is left out.
const MAX_TIMEOUTS: usize = 2;

/// How the families of one scope are read from one server.
#[derive(Debug, Default)]
pub(super) struct Families {
    plans: Vec<FamilyPlan>,
    /// Names of the families that had no row when they were read last.
    empty: HashSet<&'static str>,
    /// Metrics that this server cannot have, families that our role may not see, and why.
    absent: Vec<(&'static str, QueryError)>,
    pub(super) starts: StartTimes,
}

impl Families {
    /// Plans for what the database has.
    pub(super) fn plan(&mut self, shared: &Shared, facts: &Facts, scope: Scope) {
        self.plans.clear();
        self.empty.clear();
        self.absent.clear();
        for family in FAMILIES.iter().filter(|family| family.scope == scope) {
            if family.of_all_roles && !facts.may_read_all_stats {
                self.absent.push((family.name, hidden()));
                continue;
            }
            let unavailable = match family.plan(facts, |metric| shared.config.wants(metric)) {
                Ok(mut plan) => {
                    let unavailable = std::mem::take(&mut plan.unavailable);
                    self.plans.push(plan);
                    unavailable
                }
                Err(unavailable) => unavailable,
            };
            for (metric, column) in unavailable {
                let message =
                    format!("this server has no column {column}, from which the metric would be read");
                self.absent.push((metric.name, QueryError::new(GapReason::NotInThisVersion, message)));
            }
        }
    }

    /// Reads every family whose turn it is. A family that fails is a gap; the others go on, unless the connection is
    /// gone. After [`MAX_TIMEOUTS`] the rest is left out, and is the first to be read at the next turn.
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
        for (name, error) in &self.absent {
            shared.missing(&turn.part(name), error, records);
        }
        let Self { plans, empty, starts, .. } = self;
        let (mut timeouts, mut last_read) = (0, None);
        for (index, plan) in plans.iter().enumerate() {
            let rarely = plan.family.slow || plan.family.rarely_if_empty && empty.contains(plan.family.name);
            if rarely && !turn.slow {
                continue;
            }
            let part = turn.part(plan.family.name);
            if timeouts >= MAX_TIMEOUTS {
                shared.missing(&part, &left_out(), records);
                continue;
            }
            last_read = Some(index);
            let before = records.len();
            let read = read_family(shared, leased, turn, plan, starts, records).await;
            if read.is_ok() && records.len() == before {
                empty.insert(plan.family.name);
            } else {
                empty.remove(plan.family.name);
            }
            match read {
                Ok(None) => shared.delivered(&part, records),
                Ok(Some(incomplete)) => shared.missing(&part, &incomplete, records),
                Err(error) => {
                    shared.missing(&part, &error, records);
                    leased.is_outdated |= error.contradicts_catalogue();
                    timeouts += usize::from(error.reason == GapReason::StatementTimeout);
                    if !error.connection_usable {
                        return Err(error);
                    }
                    if !error.was_denied() {
                        leased.begin(turn.limits).await?;
                    }
                }
            }
        }
        if timeouts >= MAX_TIMEOUTS {
            plans.rotate_left(last_read.map_or(0, |index| index + 1));
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
    /// Whether what is read rarely is due.
    pub(super) slow: bool,
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

/// Reads one family; gives what is missing of it, if something is.
async fn read_family(
    shared: &Shared,
    leased: &mut Leased,
    turn: &Turn<'_>,
    plan: &FamilyPlan,
    starts: &mut StartTimes,
    records: &mut Vec<Record>,
) -> Result<Option<QueryError>, QueryError> {
    let database: Text = leased.connection.database.clone();
    let mut decoder = Decoder { layout: shared.config.layout, database: &database, time: turn.time, starts };
    let (mut rows, mut unknown) = (0, 0_u64);
    let (max_rows, before) = (plan.family.max_rows, records.len());
    let take = |row: &PgRow| {
        rows += 1;
        if rows <= max_rows {
            unknown += u64::from(decoder.row(plan, row, records)?);
        }
        Ok(())
    };
    let ask = leased.ask(turn.target, plan.family.purpose, plan.family.name);
    let (name, select) = (plan.family.name, Select { text: &plan.text, rows: plan.family.rows });
    let reading = leased.connection.stream(name, turn.limits, select, PgArguments::default(), take);
    let read = shared.admitted(ask, reading, |()| 0).await;
    if read.is_err() {
        // Half a family would look like objects that are gone.
        records.truncate(before);
    }
    if rows > max_rows {
        shared.count(&definitions::LIMIT_REACHED, "limit", "family_rows", 1);
    }
    read?;
    let incomplete = plan.family.null_means.filter(|_| unknown > 0);
    Ok(incomplete.map(|(reason, message)| QueryError::new(reason, format!("{unknown} {message}"))))
}

fn left_out() -> QueryError {
    let message =
        format!("left out of this poll: {MAX_TIMEOUTS} others before it ran into statement_timeout");
    QueryError::new(GapReason::StatementTimeout, message)
}

fn hidden() -> QueryError {
    let message = "what other roles do is hidden; run: GRANT pg_monitor TO the collector's role";
    QueryError::new(GapReason::InsufficientPrivilege, message)
}
