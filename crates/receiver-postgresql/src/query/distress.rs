//! Signs that the server is in trouble, as far as they can be read.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::connection::{Connection, Limits};
use super::error::QueryError;

/// Sessions whose kind is hidden from our role count as clients: rather too few free slots than too many.
pub(super) const DISTRESS: &str = "SELECT \
       (current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8 \
         - coalesce(current_setting('reserved_connections', true)::int8, 0) \
         - count(*) FILTER (WHERE a.backend_type = 'client backend' OR a.backend_type IS NULL AND a.datid IS NOT NULL)), \
       count(*) FILTER (WHERE a.wait_event_type = 'Lock' \
         AND a.usesysid = (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)), \
       CASE WHEN pg_is_in_recovery() AND pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn() \
         THEN (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::int8 END \
     FROM pg_stat_get_activity(NULL) a";

/// By how much replay must have fallen behind between two polls to count as rising.
const REPLAY_RISES_BY: Duration = Duration::from_secs(5);

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distress {
    /// Connection slots for anybody but superusers and reserved roles that are free.
    pub free_slots: Option<u32>,
    /// Statements of our role that wait for a lock.
    pub own_lock_waits: Option<u32>,
    /// On a standby that has WAL to replay: how far behind it is.
    pub replay_lag: Option<Duration>,
}

impl Distress {
    /// Whether replay falls behind, given the lag of the poll before; unknown without two lags.
    #[must_use]
    pub fn replay_rises(&self, before: Option<Duration>) -> Option<bool> {
        Some(self.replay_lag? > before? + REPLAY_RISES_BY)
    }
}

/// Reads the signs. Runs in the transaction that is open.
///
/// # Errors
/// [`QueryError`]
pub async fn read(connection: &mut Connection, limits: Limits) -> Result<Distress, QueryError> {
    let take = |row: &PgRow| {
        let small = |index: usize| -> Result<Option<u32>, sqlx::Error> {
            let number: Option<i64> = row.try_get(index)?;
            Ok(number.map(|number| u32::try_from(number.max(0)).unwrap_or(u32::MAX)))
        };
        let lag: Option<i64> = row.try_get(2)?;
        let replay_lag = lag.and_then(|lag| u64::try_from(lag).ok()).map(Duration::from_millis);
        Ok(Distress { free_slots: small(0)?, own_lock_waits: small(1)?, replay_lag })
    };
    Ok(connection.first("distress", limits, DISTRESS, take).await?.unwrap_or_default())
}
