//! What the server measures and logs.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::postgres::PgArguments;

use super::connection::{Connection, Limits};
use super::error::QueryError;
use super::meter::Select;

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

/// Settings by which the log has plans and errors that can be told to statements. Where our role or database has a value
/// of its own, that of others is not known. Last, a role by which a managed service is known.
pub(super) const LOG_SETTINGS: &str = "SELECT name, \
       CASE WHEN source NOT IN ('database', 'user', 'database user', 'client', 'session') THEN setting END \
     FROM pg_settings WHERE name IN ('compute_query_id', 'log_destination', 'log_directory', 'log_line_prefix', \
       'logging_collector', 'session_preload_libraries', 'shared_preload_libraries', 'auto_explain.log_format', \
       'auto_explain.log_min_duration', 'auto_explain.log_verbose') \
     UNION ALL SELECT 'managed', min(rolname::text) FROM pg_roles \
       WHERE rolname IN ('alloydbsuperuser', 'azure_pg_admin', 'cloudsqlsuperuser', 'rds_superuser')";

/// What [`log_settings`] gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings(HashMap<String, Option<String>>);

/// Reads them. Runs in the transaction that is open.
///
/// # Errors
/// [`QueryError`]
pub async fn log_settings(connection: &mut Connection, limits: Limits) -> Result<LogSettings, QueryError> {
    let mut settings = HashMap::new();
    let take = |row: &sqlx::postgres::PgRow| {
        settings.insert(row.try_get(0)?, row.try_get(1)?);
        Ok(())
    };
    let select = Select::always(LOG_SETTINGS);
    connection.stream("settings of the log", limits, select, PgArguments::default(), take).await?;
    Ok(LogSettings(settings))
}

impl LogSettings {
    /// The value, where it is known for others than ourselves.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_deref()
    }

    /// Whether there is such a setting, and our role may see it.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
