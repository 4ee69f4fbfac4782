//! Reading `pg_stat_statements`: counters without texts, and texts rarely.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{GapReason, Node, NumberType, QueryText, Timestamp};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, Row as _, ValueRef as _};

use super::connection::{Connection, Limits};
use super::error::QueryError;
use super::facts::Facts;
use super::meter::{Rows, Select};
use super::sql::{arguments, micros, text_bytes};
use crate::state::statements::{Cumulative, Entry, Extent, Shape, Snapshot, StatementDeltas, StatementKey};
use crate::state::texts::{TextKey, query_text};

/// Statements held per server, twice while two readings are compared. `pg_stat_statements.max` is 5,000 by default.
pub const MAX_STATEMENTS: usize = 50_000;
/// Bytes of a raw text that are fetched. What is longer is cut by the server.
pub const MAX_RAW_TEXT_BYTES: i64 = 8_192;
const VIEW: &str = "pg_stat_statements";
const INFO: &str = "pg_stat_statements_info";
/// First server version that looks up `<> ALL` of an array in a hash table: a join costs a millisecond more for 5,000
/// entries (4.4 against 5.0 ms, and 5.4 against 7.3 after two idle seconds, on 17.10), and before it each entry would be compared
/// with each mark.
const HASHED_NOT_IN_SINCE: u32 = 150_000;
/// Where there is no [`INFO`].
const LIMIT: &str = "SELECT current_setting('pg_stat_statements.max', true)::int8";

/// How the columns of this server's `pg_stat_statements` are read: the text of the query, and where each counter is.
#[derive(Clone, Debug)]
pub struct StatementsPlan {
    /// All entries.
    whole: String,
    /// Entries whose marks are not among those given.
    changed: String,
    /// Evictions and resets, before the entries.
    info_before: Option<String>,
    /// The same, and what else belongs to a reading.
    info: Option<String>,
    texts: String,
    counters: Vec<Option<(usize, NumberType)>>,
    shape: Shape,
}

/// A reading of the counters, with what belongs to it.
#[derive(Debug)]
pub struct Reading {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Sum of `active_time` of all databases, in milliseconds (PostgreSQL 14 and later).
    pub active_time_ms: Option<f64>,
    /// `pg_stat_statements.max`.
    pub max: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Info {
    dealloc: Option<i64>,
    stats_reset: Option<Timestamp>,
    active_time_ms: Option<f64>,
    max: Option<i64>,
}

impl StatementsPlan {
    /// How to read this server.
    ///
    /// # Errors
    /// [`QueryError`] that says what to run, if the extension is not there.
    pub fn new(facts: &Facts, database: &str) -> Result<Self, QueryError> {
        let Some(extension) = &facts.statements else {
            return Err(missing(facts, database));
        };
        if !extension.may_use {
            let message = format!(
                "pg_stat_statements is in schema {0}, which the role may not use; run: GRANT USAGE ON SCHEMA {0} TO \
                 the collector's role",
                extension.schema
            );
            return Err(QueryError::new(GapReason::InsufficientPrivilege, message));
        }
        let column = |name: &str| facts.has_column(VIEW, name);
        // Its name until 1.7, which a server keeps when it is upgraded without ALTER EXTENSION … UPDATE.
        let time = if column("total_exec_time") { "exec_time" } else { "time" };
        let mut text = format!(
            "SELECT dbid, userid, queryid, {}, calls, total_{time}, mean_{time}, stddev_{time}, \
             {}, {}",
            if column("toplevel") { "toplevel" } else { "NULL::bool" },
            // Where the server dates entries, minimum and maximum tell nothing more about their identity.
            if column("stats_since") {
                "NULL::float8, NULL::float8".to_owned()
            } else {
                format!("min_{time}, max_{time}")
            },
            if column("stats_since") { "stats_since" } else { "NULL::timestamptz" },
        );
        // Every execution moves the time, and a planning that no execution follows the count.
        let mark = format!(
            "hashint8extended(queryid, hashfloat8extended(total_{time}, calls{}))",
            if column("plans") { " + plans" } else { "" },
        );
        let _ = write!(text, ", {mark} AS mark");
        let (mut next, mut counters) = (12, Vec::new());
        for counter in &STATEMENT_COUNTERS {
            let names = std::iter::once(&counter.column).chain(counter.former);
            let present = names.into_iter().find(|name| column(name));
            let place = present.map(|name| {
                // wal_bytes is numeric; everything else is int8 or float8 as it is. Most counters of most statements are 0, and
                // NULL takes a third of its bytes: what a reading takes is to a good part waking us up for each 8 KiB of it.
                let cast = if *name == "wal_bytes" { "::int8" } else { "" };
                let _ = write!(text, ", nullif({name}{cast}, 0)");
                next += 1;
                (next - 1, counter.number)
            });
            counters.push(place);
        }
        let schema = &extension.schema;
        let _ = write!(text, " FROM {schema}.pg_stat_statements(false)");
        // An entry whose identity is hidden has no mark, and so is always among the rows: it is counted.
        let is_unknown = if facts.version_number >= HASHED_NOT_IN_SINCE {
            // As a bare condition the planner would guess the share of its rows from each mark in turn, a millisecond long.
            "CASE WHEN s.mark <> ALL ($1::int8[]) THEN true ELSE s.mark IS NULL END"
        } else {
            "NOT EXISTS (SELECT FROM unnest($1::int8[]) known WHERE known = s.mark)"
        };
        let changed = format!("SELECT * FROM ({text}) s WHERE {is_unknown}");
        let active = if facts.has_column("pg_stat_database", "active_time") {
            "(SELECT sum(active_time) FROM pg_catalog.pg_stat_database)"
        } else {
            "NULL::float8"
        };
        let max = "current_setting('pg_stat_statements.max', true)::int8";
        let info = |further: &str| {
            let reset = micros("stats_reset");
            facts.has_view(INFO).then(|| format!("SELECT dealloc, {reset}, {further} FROM {schema}.{INFO}"))
        };
        let info_before = info("NULL::float8, NULL::int8");
        let info = info(&format!("{active}, {max}"));
        let texts = format!(
            "SELECT dbid, queryid, {}, octet_length(query) > {MAX_RAW_TEXT_BYTES} \
             FROM {schema}.pg_stat_statements(true) WHERE queryid = ANY($1) AND query IS NOT NULL",
            text_bytes("query", MAX_RAW_TEXT_BYTES, facts.is_utf8),
        );
        let shape = Shape { toplevel: column("toplevel"), info: info.is_some() };
        Ok(Self { whole: text, changed, info_before, info, texts, counters, shape })
    }

    /// Every statement of the plan, by the name of what it reads.
    pub(super) fn texts(&self) -> Vec<(&'static str, &str, Rows)> {
        let (always, perhaps) = (Rows::Always, Rows::Perhaps);
        let mut texts =
            vec![("statements, all", self.whole.as_str(), always), ("statement texts", &self.texts, perhaps)];
        match (&self.info_before, &self.info) {
            // Without the view every reading is whole.
            (Some(before), Some(after)) => texts.extend([
                ("statements, those that changed", self.changed.as_str(), perhaps),
                ("statements info, before", before, always),
                ("statements info, after", after, always),
            ]),
            _ => texts.push(("statements limit", LIMIT, always)),
        }
        texts
    }

    /// Reads the counters: those of all entries, or, where that is as good, only of entries that changed since the last
    /// accepted reading. Runs in the transaction that is open.
    ///
    /// The server makes every row either way, and that is cheap (a microsecond each); most of what a reading costs is
    /// projecting, sending and decoding thirty columns of thousands of entries, of which few ran since the last poll.
    ///
    /// # Errors
    /// [`QueryError`]; also if the statistics were reset while they were read, since such a reading cannot be dated.
    pub async fn read(
        &self,
        connection: &mut Connection,
        limits: Limits,
        node: Arc<Node>,
        taken_at: Timestamp,
        deltas: &StatementDeltas,
    ) -> Result<Reading, QueryError> {
        let before = self.info(connection, limits, &self.info_before).await?;
        let mut snapshot = Snapshot {
            node,
            taken_at,
            entries: HashMap::new(),
            extent: Extent::Whole,
            dealloc_before: before.dealloc,
            dealloc: before.dealloc,
            stats_reset: before.stats_reset,
            max: None,
            hidden: 0,
            cut: 0,
            shape: self.shape,
        };
        let marks = deltas.marks(&snapshot);
        let (select, arguments) = match marks {
            Some(marks) => {
                snapshot.extent = Extent::Changed;
                (Select::perhaps(&self.changed), arguments(|arguments| arguments.add(marks))?)
            }
            // An empty view is one of a server that has just been reset.
            None => (Select::always(&self.whole), PgArguments::default()),
        };
        let take = |row: &PgRow| self.take(row, &mut snapshot);
        connection.stream("statements", limits, select, arguments, take).await?;
        let after = self.info(connection, limits, &self.info).await?;
        if after.stats_reset != before.stats_reset {
            let message = "pg_stat_statements was reset while it was read; the next poll starts anew";
            return Err(QueryError::new(GapReason::StatisticsReset, message));
        }
        (snapshot.dealloc, snapshot.max) = (after.dealloc, after.max);
        Ok(Reading { snapshot, active_time_ms: after.active_time_ms, max: after.max })
    }

    /// Reads and masks the texts of these statements. Makes the server read its whole text file.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn read_texts(
        &self,
        connection: &mut Connection,
        limits: Limits,
        keys: &[TextKey],
    ) -> Result<Vec<(TextKey, Arc<QueryText>)>, QueryError> {
        let ids: Vec<i64> = keys.iter().map(|(_, query_id)| *query_id).collect();
        let mut texts: HashMap<TextKey, Arc<QueryText>> = HashMap::new();
        let take = |row: &PgRow| {
            let key = (oid(row, 0)?, row.try_get(1)?);
            if keys.binary_search(&key).is_ok() && !texts.contains_key(&key) {
                let text = String::from_utf8_lossy(row.try_get::<&[u8], _>(2)?);
                let text = query_text(&text, row.try_get(3)?);
                texts.insert(key, Arc::new(text));
            }
            Ok(())
        };
        let arguments = arguments(|arguments| arguments.add(ids))?;
        connection.stream("statement texts", limits, Select::perhaps(&self.texts), arguments, take).await?;
        Ok(texts.into_iter().collect())
    }

    async fn info(
        &self,
        connection: &mut Connection,
        limits: Limits,
        text: &Option<String>,
    ) -> Result<Info, QueryError> {
        let none = Info { dealloc: None, stats_reset: None, active_time_ms: None, max: None };
        let Some(text) = text else {
            let max = connection.first("statements limit", limits, LIMIT, |row| row.try_get(0)).await?;
            return Ok(Info { max: max.flatten(), ..none });
        };
        let take = |row: &PgRow| {
            Ok(Info {
                dealloc: row.try_get(0)?,
                stats_reset: row.try_get::<Option<i64>, _>(1)?.map(Timestamp::from_micros),
                active_time_ms: row.try_get(2)?,
                max: row.try_get(3)?,
            })
        };
        Ok(connection.first("statements info", limits, text, take).await?.unwrap_or(none))
    }

    fn take(&self, row: &PgRow, snapshot: &mut Snapshot) -> Result<(), sqlx::Error> {
        // The server hides the identity of statements that our role may not see.
        let Some(query_id) = int(row, 2)? else {
            snapshot.hidden += 1;
            return Ok(());
        };
        if snapshot.entries.len() >= MAX_STATEMENTS {
            snapshot.cut += 1;
            return Ok(());
        }
        let key = StatementKey {
            database_id: oid(row, 0)?,
            user_id: oid(row, 1)?,
            query_id,
            toplevel: row.try_get(3)?,
        };
        let entry = Entry {
            times: Cumulative {
                calls: int(row, 4)?.map_or(0.0, whole),
                total_ms: double(row, 5)?,
                mean_ms: double(row, 6)?,
                stddev_ms: double(row, 7)?,
            },
            min_ms: double(row, 8)?,
            max_ms: double(row, 9)?,
            stats_since: time(row, 10)?,
            mark: int(row, 11)?.unwrap_or_default(),
            counters: self.counters(row)?,
        };
        snapshot.entries.insert(key, entry);
        Ok(())
    }

    /// A counter that this server has is never NULL but where it was 0.
    fn counters(&self, row: &PgRow) -> Result<Box<[f64]>, sqlx::Error> {
        let read = |place: &Option<(usize, NumberType)>| match place {
            Some((index, NumberType::Int)) => Ok(int(row, *index)?.map_or(0.0, whole)),
            Some((index, NumberType::Double)) => Ok(float(row, *index)?.unwrap_or(0.0)),
            None => Ok(f64::NAN),
        };
        self.counters.iter().map(read).collect()
    }
}

// === columns, as the binary protocol sends them ===
//
// A reading has a quarter of a million values, and while we decode one row the server waits to send the next. So the
// bytes are taken as they come, without sqlx's check of each value's type: the query names the types.

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

fn bytes<const N: usize>(row: &PgRow, index: usize) -> Result<Option<[u8; N]>, sqlx::Error> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(None);
    }
    let bytes = value.as_bytes().map_err(sqlx::Error::Decode)?;
    let exact = bytes.try_into().map_err(|_| format!("column {index} has {} bytes, not {N}", bytes.len()));
    exact.map(Some).map_err(|message| sqlx::Error::Decode(message.into()))
}

fn int(row: &PgRow, index: usize) -> Result<Option<i64>, sqlx::Error> {
    Ok(bytes(row, index)?.map(i64::from_be_bytes))
}

fn float(row: &PgRow, index: usize) -> Result<Option<f64>, sqlx::Error> {
    Ok(bytes(row, index)?.map(f64::from_be_bytes))
}

fn double(row: &PgRow, index: usize) -> Result<f64, sqlx::Error> {
    Ok(float(row, index)?.unwrap_or(f64::NAN))
}

fn oid(row: &PgRow, index: usize) -> Result<u32, sqlx::Error> {
    Ok(bytes(row, index)?.map_or(0, u32::from_be_bytes))
}

fn time(row: &PgRow, index: usize) -> Result<Option<Timestamp>, sqlx::Error> {
    let micros = int(row, index)?;
    Ok(micros.map(|micros| Timestamp::from_micros(micros.saturating_add(POSTGRES_EPOCH_MICROS))))
}

#[allow(clippy::cast_precision_loss, reason = "counters are exact up to 2^53")]
const fn whole(int: i64) -> f64 {
    int as f64
}

fn missing(facts: &Facts, database: &str) -> QueryError {
    let message = if facts.statements_preloaded {
        format!(
            "pg_stat_statements is not installed in database {database}; run there: CREATE EXTENSION pg_stat_statements; \
             or set connect_database to a database that has it"
        )
    } else {
        "pg_stat_statements is not loaded; add it to shared_preload_libraries, restart the server, and run: \
         CREATE EXTENSION pg_stat_statements;"
            .to_owned()
    };
    QueryError::new(GapReason::ExtensionMissing, message)
}
