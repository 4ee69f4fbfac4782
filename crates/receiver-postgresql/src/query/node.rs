//! Which node answers, and what time it has: read on the same connection, in the same transaction as the data.

use dbintel_model::{GapReason, Node, Text, Timestamp};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::connection::{Connection, Limits};
use super::error::QueryError;
use super::facts::Facts;

/// On a primary the timeline is that of the WAL being written; on a standby, that of the last restart point, since no
/// WAL is written there.
const CONTROL: &str = "(SELECT system_identifier FROM pg_control_system()), \
     CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id::int8 FROM pg_control_checkpoint()) \
       ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int8 END";
const NO_CONTROL: &str = "NULL::int8, NULL::int8";

/// Reads identity and clock of the node.
///
/// # Errors
/// [`QueryError`]
pub async fn read(
    connection: &mut Connection,
    limits: Limits,
    facts: &Facts,
) -> Result<(Node, Timestamp), QueryError> {
    let take = |row: &PgRow| {
        let system_identifier: Option<i64> = row.try_get(6)?;
        let timeline: Option<i64> = row.try_get(7)?;
        let node = Node {
            // The identifier is unsigned; SQL shows its bits as a signed number.
            system_identifier: system_identifier.map(i64::cast_unsigned),
            timeline: timeline.and_then(|timeline| u32::try_from(timeline).ok()),
            started_at: Timestamp::from_micros(row.try_get(1)?),
            in_recovery: row.try_get(2)?,
            address: row.try_get::<Option<String>, _>(3)?.map(Text::from),
            version: row.try_get::<String, _>(4)?.into(),
            version_number: u32::try_from(row.try_get::<i32, _>(5)?).unwrap_or(0),
        };
        Ok((node, Timestamp::from_micros(row.try_get(0)?)))
    };
    let read = connection.first("node", limits, &text(facts), take).await?;
    read.ok_or_else(|| QueryError::new(GapReason::Undecodable, "no row of the node"))
}

/// The statement.
pub(super) fn text(facts: &Facts) -> String {
    let control = if facts.may_read_control { CONTROL } else { NO_CONTROL };
    format!(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8, \
         (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, pg_is_in_recovery(), \
         host(inet_server_addr()) || ':' || inet_server_port(), \
         split_part(current_setting('server_version'), ' ', 1), current_setting('server_version_num')::int4, {control}"
    )
}
