//! Signs that the server is in trouble, as far as they can be read; and, since that looks at every session anyway, which
//! others have our name.

use std::collections::BTreeMap;
use std::time::Duration;

use dbintel_model::{Monotonic, Text, Timestamp};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::connection::{Connection, Limits};
use super::error::QueryError;
use crate::state::other_instances::NamedSession;

/// Sessions whose kind is hidden from our role count as clients: rather too few free slots than too many. The name is
/// [`super::connection::APPLICATION_NAME`]; anybody may see it, but what a session does only members of its role and of
/// `pg_read_all_stats`.
pub(super) const DISTRESS: &str = "SELECT \
       (current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8 \
         - coalesce(current_setting('reserved_connections', true)::int8, 0) \
         - count(*) FILTER (WHERE a.backend_type = 'client backend' OR a.backend_type IS NULL AND a.datid IS NOT NULL)), \
       array_agg((SELECT d.datname::text FROM pg_database d WHERE d.oid = a.datid)) \
         FILTER (WHERE a.wait_event_type = 'Lock' AND a.usesysid = to_regrole(quote_ident(current_user))), \
       CASE WHEN pg_is_in_recovery() THEN \
         CASE WHEN NOT pg_is_wal_replay_paused() AND current_setting('recovery_min_apply_delay') = '0' \
             AND pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() \
           THEN ARRAY[(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::int8, \
             pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::int8, \
             pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::int8] END END, \
       pg_backend_pid()::int8, \
       array_agg(a.pid::int8) FILTER (WHERE a.application_name = 'dbintel' AND a.state_change IS NOT NULL), \
       array_agg((extract(epoch FROM a.state_change) * 1000000)::int8) \
         FILTER (WHERE a.application_name = 'dbintel' AND a.state_change IS NOT NULL) \
     FROM pg_stat_get_activity(NULL) a";

/// By how much replay must have fallen behind to count as rising.
const REPLAY_RISES_BY: Duration = Duration::from_secs(5);
/// The part of the time that went by that it must have fallen behind by: what stands still falls behind by all of it.
const REPLAY_RISES_SHARE: f64 = 0.5;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distress {
    /// Connection slots for anybody but superusers and reserved roles that are free.
    pub free_slots: Option<u32>,
    /// Statements of our role that wait for a lock, by the database they wait in. Their number is that of our connections.
    pub own_lock_waits: BTreeMap<Text, u32>,
    /// On a standby that has streamed WAL to replay, and to which nobody has said that it is to wait with it.
    pub replay: Option<Replay>,
    /// The backend that answered.
    pub backend_pid: Option<i64>,
    /// Sessions with our name, those that are ours among them.
    pub named: Vec<NamedSession>,
}

/// How far a standby has replayed what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// How long ago the last transaction that was replayed was committed on the primary.
    pub lag: Duration,
    /// Bytes of WAL that were replayed, since the beginning of all WAL.
    pub replayed: i64,
    /// Bytes of WAL that were received.
    pub received: i64,
}

/// How far behind replay is, from poll to poll.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayTrend {
    last: Option<Replay>,
    /// When replay last kept pace, and how far behind it was.
    kept_pace: (Monotonic, Duration),
}

impl ReplayTrend {
    /// Whether replay falls behind, however often it is looked at: since it last kept pace by [`REPLAY_RISES_BY`], and by
    /// [`REPLAY_RISES_SHARE`] of the time. Replay keeps pace as well where its lag gets less, and where it has replayed since the last look
    /// as much as there is left: a long WAL without commits has a lag that rises while it is replayed. Unknown without two looks.
    pub fn rises(&mut self, now: Monotonic, replay: Option<Replay>) -> Option<bool> {
        let before = std::mem::replace(&mut self.last, replay);
        let replay = replay?;
        let (since, lag) = self.kept_pace;
        let (passed, fallen) = (now.since(since), replay.lag.saturating_sub(lag));
        let keeps_pace = before.is_none_or(|before| {
            let left = replay.received.saturating_sub(replay.replayed);
            replay.lag <= before.lag || replay.replayed.saturating_sub(before.replayed) >= left
        });
        if keeps_pace || fallen < passed.mul_f64(REPLAY_RISES_SHARE) {
            self.kept_pace = (now, replay.lag);
            return before.map(|_| false);
        }
        Some(fallen >= REPLAY_RISES_BY)
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
        let replay: Option<Vec<Option<i64>>> = row.try_get(2)?;
        let replay = replay.and_then(|numbers| match *numbers {
            [Some(lag), Some(replayed), Some(received)] => {
                // The primary's clock may be ahead of ours.
                let lag = Duration::from_millis(u64::try_from(lag).unwrap_or(0));
                Some(Replay { lag, replayed, received })
            }
            _ => None,
        });
        let (pids, times): (Option<Vec<i64>>, Option<Vec<i64>>) = (row.try_get(4)?, row.try_get(5)?);
        let named = pids.into_iter().flatten().zip(times.into_iter().flatten());
        let named =
            named.map(|(pid, at)| NamedSession { pid, state_change: Timestamp::from_micros(at) }).collect();
        Ok(Distress { free_slots, own_lock_waits, replay, backend_pid: row.try_get(3)?, named })
    };
    Ok(connection.first("distress", limits, DISTRESS, take).await?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of the polls says, `every` seconds apart, of a standby whose replay stands still, with these lags in seconds.
    fn said(every: u64, lags: &[Option<u64>]) -> Vec<Option<bool>> {
        let of = |lag: &Option<u64>| lag.map(|lag| (lag, 0, 1));
        said_of(every, &lags.iter().map(of).collect::<Vec<_>>())
    }

    /// The same with what was replayed and received.
    fn said_of(every: u64, looks: &[Option<(u64, i64, i64)>]) -> Vec<Option<bool>> {
        let mut trend = ReplayTrend::default();
        let polls = looks.iter().enumerate();
        polls
            .map(|(number, look)| {
                let now = Monotonic::default().plus(Duration::from_secs(100 + every * number as u64));
                let replay =
                    |(lag, replayed, received)| Replay { lag: Duration::from_secs(lag), replayed, received };
                trend.rises(now, look.map(replay))
            })
            .collect()
    }

    #[test]
    fn replay_that_stands_still_is_seen_at_any_interval() {
        assert_eq!(said(10, &[Some(1), Some(11)]), [None, Some(true)]);
        let each_second: Vec<_> = (0..8).map(Some).collect();
        let rises = said(1, &each_second);
        assert_eq!(rises[..2], [None, Some(false)]);
        assert_eq!(rises[4..], [Some(false), Some(true), Some(true), Some(true)]);
        // A minute of a stall, a poll each minute: one look is enough.
        assert_eq!(said(60, &[Some(0), Some(55)]), [None, Some(true)]);
    }

    #[test]
    fn replay_that_keeps_pace_or_has_nothing_to_replay_does_not_rise() {
        assert_eq!(said(10, &[Some(30), Some(30), Some(33), Some(2), Some(4)])[1..], [Some(false); 4]);
        // Six seconds behind in a minute is slow, and no stall.
        assert_eq!(said(60, &[Some(0), Some(6), Some(12), Some(18)])[1..], [Some(false); 3]);
        assert_eq!(said(10, &[Some(1), None, Some(50), Some(51)]), [None, None, None, Some(false)]);
    }

    #[test]
    fn replay_that_catches_up_does_not_rise_any_more() {
        let lags = [Some(0), Some(10), Some(20), Some(18), Some(12), Some(22)];
        assert_eq!(said(10, &lags)[1..], [true, true, false, false, true].map(Some));
    }

    /// An index is built on the primary: nothing is committed, and all of it is replayed.
    #[test]
    fn wal_without_commits_that_is_replayed_is_no_stall() {
        let looks = [(0, 0, 10), (10, 1_000, 1_010), (20, 2_000, 2_400), (30, 2_010, 4_000)].map(Some);
        assert_eq!(said_of(10, &looks), [None, Some(false), Some(false), Some(true)]);
    }
}
