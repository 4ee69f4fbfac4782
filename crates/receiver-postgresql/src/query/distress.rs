//! Signs that the server is in trouble, as far as they can be read.

use std::collections::BTreeMap;
use std::time::Duration;

use dbintel_model::Text;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::connection::{Connection, Limits};
use super::error::QueryError;

/// Sessions whose kind is hidden from our role count as clients: rather too few free slots than too many.
pub(super) const DISTRESS: &str = "SELECT \
       (current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8 \
         - coalesce(current_setting('reserved_connections', true)::int8, 0) \
         - count(*) FILTER (WHERE a.backend_type = 'client backend' OR a.backend_type IS NULL AND a.datid IS NOT NULL)), \
       array_agg((SELECT d.datname::text FROM pg_database d WHERE d.oid = a.datid)) \
         FILTER (WHERE a.wait_event_type = 'Lock' AND a.usesysid = to_regrole(quote_ident(current_user))), \
       CASE WHEN pg_is_in_recovery() AND pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn() \
         THEN (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::int8 END \
     FROM pg_stat_get_activity(NULL) a";

/// By how much replay must have fallen behind between two polls to count as rising.
const REPLAY_RISES_BY: Duration = Duration::from_secs(5);

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distress {
    /// Connection slots for anybody but superusers and reserved roles that are free.
    pub free_slots: Option<u32>,
    /// Statements of our role that wait for a lock, by the database they wait in. Their number is that of our connections.
    pub own_lock_waits: BTreeMap<Text, u32>,
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
        let free: Option<i64> = row.try_get(0)?;
        let free_slots = free.map(|free| u32::try_from(free.max(0)).unwrap_or(u32::MAX));
        let waits: Option<Vec<Option<String>>> = row.try_get(1)?;
        let mut own_lock_waits = BTreeMap::new();
        for database in waits.into_iter().flatten().flatten() {
            *own_lock_waits.entry(Text::from(database)).or_default() += 1;
        }
        let lag: Option<i64> = row.try_get(2)?;
        let replay_lag = lag.and_then(|lag| u64::try_from(lag).ok()).map(Duration::from_millis);
        Ok(Distress { free_slots, own_lock_waits, replay_lag })
    };
    Ok(connection.first("distress", limits, DISTRESS, take).await?.unwrap_or_default())
}
