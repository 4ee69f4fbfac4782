//! Baselines: written in batches, read back as a stream.

use std::sync::Arc;

use dbintel_model::Timestamp;
use dbintel_pipeline::StateChange;
use futures_util::TryStreamExt as _;
use sqlx::{QueryBuilder, Row as _};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::StoreError;
use crate::database::{Database, Durability, reading, transaction};
use crate::pending::{Batch, Key};
use crate::time::nanos;

/// How values are stored: as they were given.
const VERSION_PLAIN: i64 = 1;
/// Rows of one statement. PostgreSQL takes 65,535 parameters and SQLite 32,766; a row of a baseline has six.
const ROWS_PER_STATEMENT: usize = 100;
/// Values that are handed out together.
const RESTORE_BATCH: usize = 256;

/// What a restore has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Values handed out.
    pub values: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// Values passed over: their checksum is wrong.
    pub unreadable: usize,
}

/// A hash that tells a damaged row.
fn checksum(key: &[u8], value: &[u8]) -> i64 {
    xxh3_64_with_seed(value, xxh3_64(key)).cast_signed()
}

/// Writes a batch in one transaction.
pub(crate) async fn write(database: Arc<Database>, batch: &Batch, now: Timestamp) -> Result<(), StoreError> {
    let now = nanos(now);
    let mut kept: Vec<(&Key, &[u8])> =
        batch.baselines.iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect();
    let removed = batch.baselines.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key);
    let mut removed: Vec<&Key> = removed.collect();
    // Two collectors that write the same rows at once take them in the same order.
    kept.sort_unstable_by_key(|(key, _)| *key);
    removed.sort_unstable();
    transaction!(database, Durability::Soon, connection => {
        for rows in kept.chunks(ROWS_PER_STATEMENT) {
            let mut query = QueryBuilder::new(
                "INSERT INTO dbintel_baselines (server, key, version, bytes, checksum, updated_at) ",
            );
            query.push_values(rows, |mut row, ((server, key), value)| {
                row.push_bind(server.as_str().to_owned())
                    .push_bind(key.as_bytes().to_vec())
                    .push_bind(VERSION_PLAIN)
                    .push_bind(value.to_vec())
                    .push_bind(checksum(key.as_bytes(), value))
                    .push_bind(now);
            });
            query.push(
                " ON CONFLICT (server, key) DO UPDATE SET version = excluded.version, bytes = excluded.bytes, \
                 checksum = excluded.checksum, updated_at = excluded.updated_at",
            );
            query.build().persistent(false).execute(&mut *connection).await?;
        }
        for rows in removed.chunks(ROWS_PER_STATEMENT) {
            let mut query = QueryBuilder::new("DELETE FROM dbintel_baselines WHERE (server, key) IN (");
            query.push_values(rows, |mut row, (server, key)| {
                row.push_bind(server.as_str().to_owned()).push_bind(key.as_bytes().to_vec());
            });
            query.push(")");
            query.build().persistent(false).execute(&mut *connection).await?;
        }
    });
    Ok(())
}

/// Hands out all baselines of a server, in batches.
pub(crate) async fn restore(
    database: &Database,
    server: &str,
    take: &mut (dyn FnMut(Vec<StateChange>) + Send),
) -> Result<Restored, StoreError> {
    let mut restored = Restored::default();
    reading!(database, pool => {
        let query = sqlx::query("SELECT key, bytes, checksum, version FROM dbintel_baselines WHERE server = $1");
        let mut rows = query.bind(server).fetch(pool);
        let mut batch = Vec::with_capacity(RESTORE_BATCH);
        while let Some(row) = rows.try_next().await? {
            let parts = (row.try_get(0), row.try_get(1), row.try_get(2), row.try_get(3));
            let (Ok(key), Ok(value), Ok(sum), Ok(VERSION_PLAIN)) = parts else {
                restored.unreadable += 1;
                continue;
            };
            match change(key, value, sum) {
                Some(change) => {
                    restored.values += 1;
                    restored.bytes += change.value.as_ref().map_or(0, Vec::len);
                    batch.push(change);
                }
                None => restored.unreadable += 1,
            }
            if batch.len() >= RESTORE_BATCH {
                take(std::mem::replace(&mut batch, Vec::with_capacity(RESTORE_BATCH)));
            }
        }
        if !batch.is_empty() {
            take(batch);
        }
    });
    Ok(restored)
}

fn change(key: Vec<u8>, value: Vec<u8>, sum: i64) -> Option<StateChange> {
    (checksum(&key, &value) == sum).then_some(())?;
    let key = String::from_utf8(key).ok()?;
    Some(StateChange { key: key.into(), value: Some(value) })
}
