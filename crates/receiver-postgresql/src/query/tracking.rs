//! What the server measures.

use sqlx::Row as _;

use super::connection::{Connection, Limits};
use super::error::QueryError;

/// The statement.
pub(super) const TRACKING: &str =
    "SELECT current_setting('pg_stat_statements.track', true), current_setting('track_io_timing') = 'on'";

/// Settings that decide what there is to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// `pg_stat_statements.track` for our role.
    pub statements: Option<String>,
    /// `track_io_timing`.
    pub io_timing: bool,
}

/// Reads them. Runs in the transaction that is open.
///
/// # Errors
/// [`QueryError`]
pub async fn tracking(connection: &mut Connection, limits: Limits) -> Result<Tracking, QueryError> {
    let take = |row: &sqlx::postgres::PgRow| {
        Ok(Tracking { statements: row.try_get(0)?, io_timing: row.try_get(1)? })
    };
    Ok(connection.first("tracking", limits, TRACKING, take).await?.unwrap_or_default())
}
