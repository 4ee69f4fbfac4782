//! What is planned for a frequent value of a parameter and for an absent one, by `dbintel.explain_value`.
//!
//! The server takes the values from its statistics and keeps them: what arrives here is the outline of a plan, without
//! conditions (`value.sql`).

use std::fmt;
use std::sync::Arc;

use dbintel_model::PlanOutline;
use dbintel_plan::{Budget, parse_postgresql};
use sqlx::Arguments as _;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::DONE;
use crate::query::connection::{Connection, Limits};
use crate::query::error::QueryError;
use crate::query::meter::Select;
use crate::query::sql::arguments;

/// Asks for the plan of one value. What it gives is in `value.sql`.
pub(super) const CALL: &str = "SELECT e.code, e.parameter, e.relation, e.column_name, e.frequency, \
     CASE WHEN octet_length(e.plan) <= 1048576 THEN e.plan END FROM dbintel.explain_value($1, $2, $3, $4) e";
/// Steps that reading a plan may take, as in `plan_extractor`: some for each byte.
const MAX_STEPS: u64 = 50_000_000;

/// What was planned, to plan it once more for certain values.
#[derive(Clone, PartialEq, Eq)]
pub struct Planned(pub(super) Arc<(String, u32, String)>);

/// Which value is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedValue {
    /// The most common one.
    Frequent,
    /// One that is not there.
    Absent,
}

/// Which parameter has the value, how frequent it is, and what is planned for it.
#[derive(Clone, Debug, PartialEq)]
pub struct OfValue {
    /// Number of the parameter.
    pub parameter: i64,
    /// Schema and table of the column it is compared with.
    pub relation: String,
    /// The column.
    pub column: String,
    /// Share of the rows that have the value.
    pub frequency: f64,
    /// The plan.
    pub outline: PlanOutline,
}

/// Plans for one value; `None` if there is none of the kind. Runs in the transaction in which the plan was obtained.
///
/// # Errors
/// [`QueryError`]
pub async fn explain_value(
    connection: &mut Connection,
    limits: Limits,
    planned: &Planned,
    value: PlannedValue,
) -> Result<Option<OfValue>, QueryError> {
    let (text, parameters, path) = planned.0.as_ref();
    let arguments = arguments(|arguments| {
        arguments.add(text)?;
        arguments.add(i32::try_from(*parameters).unwrap_or(i32::MAX))?;
        arguments.add(path)?;
        arguments.add(value.as_str())
    })?;
    let mut answer = None;
    let take = |row: &PgRow| {
        let plan: Option<String> = row.try_get(5)?;
        if row.try_get::<String, _>(0)? == DONE {
            answer = plan.map(|plan| of_value(row, &plan)).transpose()?;
        }
        Ok(())
    };
    connection.stream("a plan for a value", limits, Select::always(CALL), arguments, take).await?;
    Ok(answer)
}

/// What is told of a plan: nothing of it is a literal.
#[must_use]
pub fn outline(raw: &[u8]) -> PlanOutline {
    let plan = parse_postgresql(raw, &mut Budget::steps(MAX_STEPS)).plan;
    let (shape, summary) = (plan.fingerprints().shape.as_u128(), plan.summary());
    PlanOutline { shape, cost: summary.total_cost, rows: summary.estimated_rows }
}

fn of_value(row: &PgRow, plan: &str) -> Result<OfValue, sqlx::Error> {
    Ok(OfValue {
        parameter: i64::from(row.try_get::<i32, _>(1)?),
        relation: row.try_get(2)?,
        column: row.try_get(3)?,
        frequency: row.try_get(4)?,
        outline: outline(plan.as_bytes()),
    })
}

// === impl PlannedValue ===

impl PlannedValue {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Frequent => "frequent",
            Self::Absent => "absent",
        }
    }
}

// === impl Planned ===

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Planned(…)")
    }
}
