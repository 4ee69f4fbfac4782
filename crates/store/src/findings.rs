//! Findings, decisions and outcomes. Every change is one durable transaction.
//!
//! A finding is changed by reading it, changing the record, and writing it back if its revision is still the one that was
//! read. So two processes, a collector and a person at the command line, never overwrite each other's change.

use std::sync::Arc;

use dbintel_model::finding::{
    Category, Decision, DecisionAction, Finding, FindingId, FindingIds, FindingKind, FindingState, PastCase,
    ServerIdentity, TrackRecord, Verdict,
};
use dbintel_model::{Text, Timestamp};
use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use xxhash_rust::xxh3::xxh3_64;

use crate::StoreError;
use crate::database::{Database, Durability, reading, transaction};
use crate::time::{nanos, timestamp};

/// Bytes of the document of one finding.
pub const MAX_DOCUMENT_BYTES: usize = 512 << 10;
/// Findings that one list has at most.
pub const MAX_LISTED: u32 = 1_000;
/// Findings that ended with which another one is compared: the latest.
pub const MAX_PAST_CASES: u32 = 200;
/// Digits of an id by which a finding can be asked for, at least.
pub const MIN_PREFIX_DIGITS: usize = 4;
/// How often a change is tried again when another process was quicker.
const MAX_CONFLICTS: usize = 8;

/// What became of a finding that was to be opened.
#[derive(Clone, Debug, PartialEq)]
pub enum Opened {
    /// It is in the store now.
    New(Box<Finding>),
    /// It was there already, under its own id or its neighbour's; this is what the store has.
    Known(Box<Finding>),
}

/// A finding after a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The state before.
    pub from: FindingState,
    /// The finding now.
    pub finding: Finding,
}

/// Which findings to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this server only.
    pub server: Option<ServerIdentity>,
    /// In this state only.
    pub state: Option<FindingState>,
    /// Of this kind only.
    pub kind: Option<FindingKind>,
    /// Only those that are not closed.
    pub open_only: bool,
    /// How many, at most [`MAX_LISTED`]; without it so many.
    pub limit: Option<u32>,
}

/// A list of findings, the latest change first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// The findings.
    pub findings: Vec<Finding>,
    /// Whether there are more.
    pub more: bool,
    /// Rows that could not be read.
    pub unreadable: usize,
}

/// A row of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The finding.
    pub finding: FindingId,
    /// What kind it is of.
    pub kind: FindingKind,
    /// The decision.
    pub decision: Decision,
}

/// Decisions of a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// The decisions, the oldest first.
    pub entries: Vec<AuditEntry>,
    /// Whether there are older ones that found no room.
    pub more: bool,
}

/// Open findings of one kind and category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenCount {
    pub(crate) kind: FindingKind,
    pub(crate) category: Category,
    pub(crate) count: i64,
}

/// A finding as a row.
struct Document {
    text: String,
    checksum: i64,
}

/// What is written for a finding beside its document.
struct Columns {
    id: String,
    server: String,
    kind: &'static str,
    category: &'static str,
    state: &'static str,
    closed: i64,
    opened_at: i64,
    updated_at: i64,
}

// === writing ===

/// Opens a finding unless it is known.
pub(crate) async fn open(
    database: Arc<Database>,
    ids: FindingIds,
    finding: &Finding,
) -> Result<Opened, StoreError> {
    let (document, columns) = (Document::of(finding)?, Columns::of(finding));
    let (own, neighbour) = (columns.id.clone(), ids.neighbour.unwrap_or(ids.id).to_string());
    let known = transaction!(database, Durability::Durable, connection => {
        let query = "SELECT document, checksum FROM dbintel_findings WHERE id = $1 OR id = $2 ORDER BY opened_at LIMIT 1";
        let row = sqlx::query(query).bind(&own).bind(&neighbour).fetch_optional(&mut *connection).await?;
        match row {
            Some(row) => Some((row.try_get::<String, _>(0), row.try_get::<i64, _>(1))),
            None => {
                // Another collector can have opened it since; then it is known.
                let query = sqlx::query(
                    "INSERT INTO dbintel_findings \
                     (id, revision, server, kind, category, state, closed, opened_at, updated_at, document, checksum) \
                     VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
                );
                let done = query
                    .bind(&columns.id)
                    .bind(&columns.server)
                    .bind(columns.kind)
                    .bind(columns.category)
                    .bind(columns.state)
                    .bind(columns.closed)
                    .bind(columns.opened_at)
                    .bind(columns.updated_at)
                    .bind(&document.text)
                    .bind(document.checksum)
                    .execute(&mut *connection)
                    .await?;
                match done.rows_affected() {
                    0 => {
                        let query = "SELECT document, checksum FROM dbintel_findings WHERE id = $1";
                        let row = sqlx::query(query).bind(&own).fetch_one(&mut *connection).await?;
                        Some((row.try_get(0), row.try_get(1)))
                    }
                    _ => None,
                }
            }
        }
    });
    match known {
        None => Ok(Opened::New(Box::new(finding.clone()))),
        Some((text, checksum)) => {
            let known = read_document(text, checksum).ok_or(StoreError::Unreadable(own))?;
            Ok(Opened::Known(Box::new(known)))
        }
    }
}

/// Changes a finding. `change` gives the state before; it is called again when another process was quicker.
pub(crate) async fn change(
    database: Arc<Database>,
    id: FindingId,
    change: &(dyn Fn(&mut Finding) -> Result<FindingState, StoreError> + Sync),
) -> Result<Changed, StoreError> {
    for _ in 0..MAX_CONFLICTS {
        if let Some(changed) = try_change(Arc::clone(&database), id, change).await? {
            return Ok(changed);
        }
    }
    Err(StoreError::Conflict(id.to_string()))
}

/// `None` if another process was quicker.
async fn try_change(
    database: Arc<Database>,
    id: FindingId,
    change: &(dyn Fn(&mut Finding) -> Result<FindingState, StoreError> + Sync),
) -> Result<Option<Changed>, StoreError> {
    let id_text = id.to_string();
    let written = transaction!(database, Durability::Durable, connection => {
        let query = "SELECT document, checksum, revision FROM dbintel_findings WHERE id = $1";
        let row = sqlx::query(query).bind(&id_text).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { return Err(StoreError::NotFound(id_text)) };
        let revision: i64 = row.try_get(2)?;
        let read = read_document(row.try_get(0), row.try_get(1));
        let Some(before) = read else { return Err(StoreError::Unreadable(id_text)) };
        let mut finding = before.clone();
        let from = change(&mut finding)?;
        let (document, columns) = (Document::of(&finding)?, Columns::of(&finding));
        let query = sqlx::query(
            "UPDATE dbintel_findings SET revision = revision + 1, kind = $3, category = $4, state = $5, closed = $6, \
             updated_at = $7, document = $8, checksum = $9 WHERE id = $1 AND revision = $2",
        );
        let done = query
            .bind(&id_text)
            .bind(revision)
            .bind(columns.kind)
            .bind(columns.category)
            .bind(columns.state)
            .bind(columns.closed)
            .bind(columns.updated_at)
            .bind(&document.text)
            .bind(document.checksum)
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 1 {
            let decisions = finding.decisions.get(before.decisions.len()..).unwrap_or_default();
            for decision in decisions {
                let query = sqlx::query(
                    "INSERT INTO dbintel_decisions (finding, revision, kind, action, decided_by, decided_at, reason) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                );
                query
                    .bind(&id_text)
                    .bind(revision + 1)
                    .bind(columns.kind)
                    .bind(decision.action.as_str())
                    .bind(decision.by.as_str())
                    .bind(nanos(decision.at))
                    .bind(decision.reason.as_deref())
                    .execute(&mut *connection)
                    .await?;
            }
            if let (Some(outcome), None) = (&finding.outcome, &before.outcome) {
                let query = sqlx::query(
                    "INSERT INTO dbintel_outcomes (finding, kind, category, verdict, at, ratio, ratio_low, ratio_high) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (finding) DO NOTHING",
                );
                query
                    .bind(&id_text)
                    .bind(columns.kind)
                    .bind(columns.category)
                    .bind(outcome.verdict.as_str())
                    .bind(nanos(outcome.at))
                    .bind(outcome.ratio)
                    .bind(outcome.ratio_low)
                    .bind(outcome.ratio_high)
                    .execute(&mut *connection)
                    .await?;
            }
            Some(Changed { from, finding })
        } else {
            None
        }
    });
    Ok(written)
}

// === reading ===

/// One finding.
pub(crate) async fn get(database: Arc<Database>, id: FindingId) -> Result<Finding, StoreError> {
    let id = id.to_string();
    let row = reading!(database, pool => {
        let query = sqlx::query("SELECT document, checksum FROM dbintel_findings WHERE id = $1").bind(&id);
        query.fetch_optional(pool).await?.map(|row| (row.try_get::<String, _>(0), row.try_get::<i64, _>(1)))
    });
    match row {
        None => Err(StoreError::NotFound(id)),
        Some((text, checksum)) => read_document(text, checksum).ok_or(StoreError::Unreadable(id)),
    }
}

/// The id that begins so.
pub(crate) async fn find(database: Arc<Database>, prefix: &str) -> Result<FindingId, StoreError> {
    let well_formed = (MIN_PREFIX_DIGITS..=32).contains(&prefix.len())
        && prefix.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if !well_formed {
        return Err(StoreError::NotFound(prefix.to_owned()));
    }
    // Ids that begin so lie between the prefix itself and the prefix followed by a letter after the last digit.
    let ids: Vec<Option<FindingId>> = reading!(database, pool => {
        let query = sqlx::query("SELECT id FROM dbintel_findings WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2");
        let rows = query.bind(prefix).bind(format!("{prefix}g")).fetch_all(pool).await?;
        rows.iter().map(|row| row.try_get::<String, _>(0).ok()?.parse().ok()).collect()
    });
    match ids.as_slice() {
        [Some(id)] => Ok(*id),
        [] => Err(StoreError::NotFound(prefix.to_owned())),
        [None, ..] => Err(StoreError::Unreadable(prefix.to_owned())),
        _ => Err(StoreError::Ambiguous(prefix.to_owned())),
    }
}

/// Findings by a filter.
pub(crate) async fn list(database: Arc<Database>, filter: &Filter) -> Result<Listed, StoreError> {
    let limit = i64::from(filter.limit.unwrap_or(MAX_LISTED).min(MAX_LISTED));
    let server = filter.server.as_ref().map_or("", |server| server.as_str());
    let state = filter.state.map_or("", FindingState::as_str);
    let kind = filter.kind.map_or("", FindingKind::as_str);
    let rows: Vec<(Result<String, sqlx::Error>, Result<i64, sqlx::Error>)> = reading!(database, pool => {
        let query = sqlx::query(
            "SELECT document, checksum FROM dbintel_findings WHERE ($1 = '' OR server = $1) AND ($2 = '' OR state = $2) \
             AND ($3 = '' OR kind = $3) AND ($4 = 0 OR closed = 0) ORDER BY updated_at DESC, id LIMIT $5",
        );
        let rows = query
            .bind(server)
            .bind(state)
            .bind(kind)
            .bind(i64::from(filter.open_only))
            .bind(limit + 1)
            .fetch_all(pool)
            .await?;
        rows.iter().map(|row| (row.try_get(0), row.try_get(1))).collect()
    });
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut listed = Listed { more: rows.len() > limit, ..Listed::default() };
    for (text, checksum) in rows.into_iter().take(limit) {
        match read_document(text, checksum) {
            Some(finding) => listed.findings.push(finding),
            None => listed.unreadable += 1,
        }
    }
    Ok(listed)
}

/// The findings that ended last, as far as they are compared with others, and how many rows could not be read. One is read after
/// the other: their documents are large, and what is kept of them is small.
pub(crate) async fn past_cases(database: Arc<Database>) -> Result<(Vec<PastCase>, usize), StoreError> {
    let (mut cases, mut unreadable) = (Vec::new(), 0);
    reading!(database, pool => {
        let query = sqlx::query(
            "SELECT document, checksum FROM dbintel_findings WHERE closed = 1 AND kind <> $2 \
             ORDER BY updated_at DESC, id LIMIT $1",
        );
        let mut rows = query
            .bind(i64::from(MAX_PAST_CASES))
            .bind(FindingKind::PlanImprovement.as_str())
            .fetch(pool);
        while let Some(row) = rows.try_next().await? {
            match read_document(row.try_get(0), row.try_get(1)) {
                Some(finding) => cases.extend(PastCase::of(&finding)),
                None => unreadable += 1,
            }
        }
    });
    Ok((cases, unreadable))
}

/// When a finding ended last.
pub(crate) async fn last_ended(database: Arc<Database>) -> Result<Option<Timestamp>, StoreError> {
    Ok(reading!(database, pool => {
        let query = sqlx::query("SELECT max(updated_at) FROM dbintel_findings WHERE closed = 1");
        let last: Option<i64> = query.fetch_one(pool).await?.try_get(0)?;
        last.map(timestamp)
    }))
}

/// The audit, the latest first.
pub(crate) async fn decisions(
    database: Arc<Database>,
    finding: Option<FindingId>,
) -> Result<Vec<AuditEntry>, StoreError> {
    let finding = finding.map_or_else(String::new, |finding| finding.to_string());
    Ok(reading!(database, pool => {
        let query = sqlx::query(
            "SELECT finding, kind, action, decided_by, decided_at, reason FROM dbintel_decisions \
             WHERE $1 = '' OR finding = $1 ORDER BY decided_at DESC, revision DESC LIMIT $2",
        );
        let rows = query.bind(&finding).bind(i64::from(MAX_LISTED)).fetch_all(pool).await?;
        let entries = rows.iter().filter_map(|row| {
            let texts = [row.try_get(0), row.try_get(1), row.try_get(2), row.try_get(3)];
            audit_entry(texts, row.try_get(4).ok()?, row.try_get(5).ok()?)
        });
        entries.collect()
    }))
}

/// The audit since a time, the oldest first.
pub(crate) async fn decided_since(database: Arc<Database>, since: Timestamp) -> Result<Decided, StoreError> {
    let limit = MAX_LISTED as usize;
    let mut entries: Vec<Option<AuditEntry>> = reading!(database, pool => {
        let query = sqlx::query(
            "SELECT finding, kind, action, decided_by, decided_at, reason FROM dbintel_decisions \
             WHERE decided_at >= $1 ORDER BY decided_at DESC, finding DESC, revision DESC LIMIT $2",
        );
        let rows = query.bind(nanos(since)).bind(i64::from(MAX_LISTED) + 1).fetch_all(pool).await?;
        let entries = rows.iter().map(|row| {
            let texts = [row.try_get(0), row.try_get(1), row.try_get(2), row.try_get(3)];
            audit_entry(texts, row.try_get(4).ok()?, row.try_get(5).ok()?)
        });
        entries.collect()
    });
    let more = entries.len() > limit;
    entries.truncate(limit);
    Ok(Decided { entries: entries.into_iter().rev().flatten().collect(), more })
}

fn audit_entry(
    [finding, kind, action, by]: [Result<String, sqlx::Error>; 4],
    at: i64,
    reason: Option<String>,
) -> Option<AuditEntry> {
    let action = DecisionAction::from_name(&action.ok()?)?;
    let (by, at, reason) = (by.ok()?.into(), timestamp(at), reason.map(Text::from));
    Some(AuditEntry {
        finding: finding.ok()?.parse().ok()?,
        kind: FindingKind::from_name(&kind.ok()?)?,
        decision: Decision { action, by, at, reason },
    })
}

/// What came of what was done, by kind.
pub(crate) async fn track_records(database: Arc<Database>) -> Result<Vec<TrackRecord>, StoreError> {
    let counts: Vec<(FindingKind, Verdict, u64)> = reading!(database, pool => {
        let query = sqlx::query(
            "SELECT kind, verdict, COUNT(*) FROM dbintel_outcomes GROUP BY kind, verdict ORDER BY kind, verdict",
        );
        let rows = query.fetch_all(pool).await?;
        let counts = rows.iter().filter_map(|row| {
            let kind = FindingKind::from_name(&row.try_get::<String, _>(0).ok()?)?;
            let verdict = Verdict::from_name(&row.try_get::<String, _>(1).ok()?)?;
            Some((kind, verdict, u64::try_from(row.try_get::<i64, _>(2).ok()?).ok()?))
        });
        counts.collect()
    });
    let mut records: Vec<TrackRecord> = Vec::new();
    for (kind, verdict, count) in counts {
        match records.last_mut().filter(|record| record.kind == kind) {
            Some(record) => record.add(verdict, count),
            None => {
                let mut record = TrackRecord::new(kind);
                record.add(verdict, count);
                records.push(record);
            }
        }
    }
    Ok(records)
}

/// Open findings, by kind and category.
pub(crate) async fn open_counts(database: Arc<Database>) -> Result<Vec<OpenCount>, StoreError> {
    Ok(reading!(database, pool => {
        let query = sqlx::query(
            "SELECT kind, category, COUNT(*) FROM dbintel_findings WHERE closed = 0 GROUP BY kind, category",
        );
        let rows = query.fetch_all(pool).await?;
        let counts = rows.iter().filter_map(|row| {
            Some(OpenCount {
                kind: FindingKind::from_name(&row.try_get::<String, _>(0).ok()?)?,
                category: Category::from_name(&row.try_get::<String, _>(1).ok()?)?,
                count: row.try_get(2).ok()?,
            })
        });
        counts.collect()
    }))
}

// === rows ===

impl Document {
    fn of(finding: &Finding) -> Result<Self, StoreError> {
        let text = serde_json::to_string(finding).map_err(|error| StoreError::Database(error.to_string()))?;
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(StoreError::TooLarge { bytes: text.len(), max: MAX_DOCUMENT_BYTES });
        }
        let checksum = xxh3_64(text.as_bytes()).cast_signed();
        Ok(Self { text, checksum })
    }
}

impl Columns {
    fn of(finding: &Finding) -> Self {
        Self {
            id: finding.id.to_string(),
            server: finding.subject.server.as_str().to_owned(),
            kind: finding.kind.as_str(),
            category: finding.category.as_str(),
            state: finding.state.as_str(),
            closed: i64::from(finding.state.is_final()),
            opened_at: nanos(finding.opened_at),
            updated_at: nanos(finding.updated_at),
        }
    }
}

/// The finding of a row; `None` if the row is damaged, or of a version that says something we do not know.
fn read_document(text: Result<String, sqlx::Error>, checksum: Result<i64, sqlx::Error>) -> Option<Finding> {
    let (text, checksum) = (text.ok()?, checksum.ok()?);
    (xxh3_64(text.as_bytes()).cast_signed() == checksum).then_some(())?;
    serde_json::from_str(&text).ok()
}
