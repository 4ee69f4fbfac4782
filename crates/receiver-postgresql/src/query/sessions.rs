//! Reading sessions, waits and blocking edges from `pg_stat_activity` and `pg_locks`.

use std::sync::Arc;

use dbintel_model::{Blocking, Session, Text, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{Arguments as _, Row as _};

use super::connection::{Connection, Limits};
use super::error::QueryError;
use super::facts::Facts;
use super::meter::Select;
use super::sql::{arguments, micros, text_bytes};
use crate::state::texts::query_text;

/// Bytes of a statement's text that are fetched with a session.
const MAX_TEXT_BYTES: i64 = 4_096;
/// Waiting sessions whose blockers are asked for in one sample: each question takes all partitions of the lock manager
/// for a moment.
const MAX_BLOCKING_QUESTIONS: i32 = 50;

/// How sessions of this server are read.
#[derive(Clone, Debug)]
pub struct SessionsPlan {
    text: String,
}

impl SessionsPlan {
    /// How to read this server.
    #[must_use]
    pub fn new(facts: &Facts) -> Self {
        let column = |view: &str, name: &str, or: &str| {
            if facts.has_column(view, name) { format!("{}.{name}", view_alias(view)) } else { or.to_owned() }
        };
        let leader = column("pg_stat_activity", "leader_pid", "NULL::int4");
        let query_id = column("pg_stat_activity", "query_id", "NULL::int8");
        let wait_start = column("pg_locks", "waitstart", "NULL::timestamptz");
        let bytes = text_bytes("a.query", MAX_TEXT_BYTES, facts.is_utf8);
        let longest = MAX_TEXT_BYTES.min(facts.activity_text_bytes.saturating_sub(2));
        let text = format!(
            "WITH a AS MATERIALIZED (\
               SELECT a.*, row_number() OVER (PARTITION BY a.wait_event_type = 'Lock' ORDER BY a.query_start) AS place \
               FROM pg_stat_activity a \
               WHERE a.pid <> pg_backend_pid() AND a.state IS NOT NULL AND a.state <> 'idle' \
                 AND a.backend_type IN ('client backend', 'parallel worker') \
               ORDER BY a.wait_event_type = 'Lock' DESC NULLS LAST, a.query_start LIMIT $1), \
             l AS MATERIALIZED (\
               SELECT DISTINCT ON (l.pid) l.pid, l.mode, l.locktype, {wait_start} AS wait_start, \
                 CASE WHEN l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) \
                   THEN l.relation::regclass::text ELSE l.relation::text END AS relation \
               FROM pg_locks l WHERE NOT l.granted AND EXISTS (SELECT FROM a WHERE a.wait_event_type = 'Lock') \
               ORDER BY l.pid) \
             SELECT a.pid::int8, ({leader})::int8, a.datname::text, a.usename::text, a.application_name, \
               host(a.client_addr), a.client_port::int8, a.client_hostname, a.state, a.wait_event_type, a.wait_event, \
               {query_id}, {bytes}, octet_length(a.query) > {longest}, \
               {}, {}, {}, {}, \
               CASE WHEN a.state = 'active' THEN (extract(epoch FROM clock_timestamp() - a.query_start) * 1000)::float8 END, \
               CASE WHEN a.wait_event_type = 'Lock' AND a.place <= {MAX_BLOCKING_QUESTIONS} \
                 THEN pg_blocking_pids(a.pid)::int8[] END, \
               l.mode, l.locktype, l.relation, {}, \
               (extract(epoch FROM clock_timestamp() - coalesce(l.wait_start, a.state_change)) * 1000)::float8 \
             FROM a LEFT JOIN l ON l.pid = a.pid",
            micros("a.backend_start"),
            micros("a.xact_start"),
            micros("a.query_start"),
            micros("a.state_change"),
            micros("l.wait_start"),
        );
        Self { text }
    }

    /// The statement.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Reads at most `max_rows` sessions that are not idle; those that wait for a lock first. Texts are masked at once.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn read(
        &self,
        connection: &mut Connection,
        limits: Limits,
        max_rows: u32,
    ) -> Result<Vec<Session>, QueryError> {
        let mut sessions = Vec::new();
        let arguments = arguments(|arguments| arguments.add(i64::from(max_rows)))?;
        let take = |row: &PgRow| {
            sessions.push(session(row)?);
            Ok(())
        };
        connection.stream("sessions", limits, Select::perhaps(&self.text), arguments, take).await?;
        Ok(sessions)
    }
}

fn view_alias(view: &str) -> &'static str {
    if view == "pg_locks" { "l" } else { "a" }
}

fn session(row: &PgRow) -> Result<Session, sqlx::Error> {
    let text = |index: usize| row.try_get::<Option<String>, _>(index).map(|text| text.map(Text::from));
    let time =
        |index: usize| row.try_get::<Option<i64>, _>(index).map(|micros| micros.map(Timestamp::from_micros));
    let raw: Option<&[u8]> = row.try_get(12)?;
    let raw = raw.map(String::from_utf8_lossy);
    let cut: Option<bool> = row.try_get(13)?;
    let blocked_by: Option<Vec<i64>> = row.try_get(19)?;
    let blocking = match blocked_by {
        Some(mut pids) => {
            // A parallel leader and its workers are named several times.
            pids.sort_unstable();
            pids.dedup();
            Some(Box::new(Blocking {
                pids,
                lock_mode: text(20)?,
                lock_type: text(21)?,
                lock_relation: text(22)?,
                wait_start: time(23)?,
                wait_duration_ms: row.try_get(24)?,
                ..Blocking::default()
            }))
        }
        None => None,
    };
    Ok(Session {
        pid: row.try_get(0)?,
        leader_pid: row.try_get(1)?,
        database: text(2)?,
        user: text(3)?,
        application: text(4)?.filter(|name| !name.is_empty()),
        client_address: text(5)?,
        client_port: row.try_get::<Option<i64>, _>(6)?.filter(|port| *port >= 0),
        client_hostname: text(7)?,
        state: text(8)?,
        wait_event_type: text(9)?,
        wait_event: text(10)?,
        query_id: row.try_get::<Option<i64>, _>(11)?.filter(|id| *id != 0),
        text: raw.filter(|raw| !raw.is_empty()).map(|raw| Arc::new(query_text(&raw, cut.unwrap_or(false)))),
        backend_start: time(14)?,
        transaction_start: time(15)?,
        query_start: time(16)?,
        state_change: time(17)?,
        running_ms: row.try_get(18)?,
        blocking,
        sampling: None,
    })
}
