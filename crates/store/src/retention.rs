//! What is deleted when its time is over, in small transactions.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::Timestamp;

use crate::StoreError;
use crate::config::Retention;
use crate::database::{Database, Durability, sqlite_pool, transaction};
use crate::time::nanos;

/// Rows of one transaction, so that nobody waits long for the lock.
const ROWS_PER_TURN: i64 = 500;
/// Pages that SQLite gives back to the disk at once.
const VACUUM: &str = "PRAGMA incremental_vacuum(2000)";
/// Collectors that have not been seen for so long are forgotten.
const INSTANCES_FOR: Duration = Duration::from_secs(24 * 3_600);

/// A table, and what is deleted of it.
pub(crate) struct Rule {
    /// The table, as a label.
    pub(crate) table: &'static str,
    text: &'static str,
    kept: fn(&Retention) -> Duration,
}

/// In the order in which they are looked at.
pub(crate) const RULES: [Rule; 5] = [
    Rule {
        table: "findings",
        text: "DELETE FROM dbintel_findings WHERE id IN \
               (SELECT id FROM dbintel_findings WHERE closed = 1 AND updated_at < $1 LIMIT $2)",
        kept: |retention| retention.findings,
    },
    Rule {
        table: "baselines",
        text: "DELETE FROM dbintel_baselines WHERE (server, key) IN \
               (SELECT server, key FROM dbintel_baselines WHERE updated_at < $1 LIMIT $2)",
        kept: |retention| retention.baselines,
    },
    Rule {
        table: "decisions",
        text: "DELETE FROM dbintel_decisions WHERE (finding, revision) IN \
               (SELECT finding, revision FROM dbintel_decisions WHERE decided_at < $1 LIMIT $2)",
        kept: |retention| retention.audit,
    },
    Rule {
        table: "outcomes",
        text: "DELETE FROM dbintel_outcomes WHERE finding IN \
               (SELECT finding FROM dbintel_outcomes WHERE at < $1 LIMIT $2)",
        kept: |retention| retention.audit,
    },
    Rule {
        table: "instances",
        text: "DELETE FROM dbintel_instances WHERE (id, server) IN \
               (SELECT id, server FROM dbintel_instances WHERE last_seen < $1 LIMIT $2)",
        kept: |_| INSTANCES_FOR,
    },
];

/// What one turn deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Rows deleted.
    pub(crate) rows: u64,
    /// Whether there may be more.
    pub(crate) more: bool,
}

/// Deletes some rows of a table.
pub(crate) async fn turn(
    database: Arc<Database>,
    rule: &Rule,
    retention: &Retention,
    now: Timestamp,
) -> Result<Turn, StoreError> {
    let kept = i64::try_from((rule.kept)(retention).as_nanos()).unwrap_or(i64::MAX);
    let before = nanos(now).saturating_sub(kept);
    let rows = transaction!(database, Durability::Soon, connection => {
        let query = sqlx::query(rule.text).bind(before).bind(ROWS_PER_TURN);
        query.execute(&mut *connection).await?.rows_affected()
    });
    Ok(Turn { rows, more: rows >= ROWS_PER_TURN.cast_unsigned() })
}

/// Gives free pages of an SQLite file back to the disk.
pub(crate) async fn shrink(database: Arc<Database>) -> Result<(), StoreError> {
    if let Some(pool) = sqlite_pool(&database) {
        sqlx::query(VACUUM).execute(pool).await?;
    }
    Ok(())
}
