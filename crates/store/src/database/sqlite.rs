//! SQLite: one file in WAL mode, two connections.
//!
//! What a crash can lose:
//! * killing the process at any moment loses nothing that was committed, on either connection;
//! * when the machine loses power, what the durable connection has committed stays (`synchronous = FULL`), and with it
//!   everything that was committed before it; of what the other one has committed (`synchronous = NORMAL`) the latest may be
//!   gone, never a part of a transaction, and the file stays sound;
//! * pages have no checksums. Damage that leaves the structure whole is found row by row, by the checksums of baselines and
//!   findings.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dbintel_model::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};

use super::Durability;
use crate::StoreError;

/// How long a connection waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an operation waits for the connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes to which the write-ahead log is cut after a checkpoint.
const WAL_BYTES_KEPT: &str = "16777216";
/// Bytes of the largest file that is looked through at the start; it takes about a second for each gigabyte.
const QUICK_CHECK_MAX_BYTES: u64 = 2 << 30;
/// Damaged files that are kept; when there are more, the oldest is deleted.
pub(crate) const SET_ASIDE_MAX: usize = 5;
/// What belongs to a database file, by suffix.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];
/// How long closing may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// An open file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    path: PathBuf,
    durable: SqlitePool,
    soon: SqlitePool,
}

// === impl Sqlite ===

impl Sqlite {
    /// Opens the file, and makes it and its directory, for our user only, if they are not there.
    pub(crate) fn connect(path: &Path) -> Result<Self, StoreError> {
        make(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(false)
            .pragma("journal_size_limit", WAL_BYTES_KEPT)
            // A statement that changes many pages notes what they were. In memory, at most the bytes of a transaction: a container need have
            // no directory for temporary files that can be written to.
            .pragma("temp_store", "memory")
            .disable_statement_logging();
        let pool = |synchronous| {
            SqlitePoolOptions::new()
                .max_connections(1)
                .min_connections(0)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                // SQLite ends a transaction by itself when the disk is full or fails, and the driver still counts it as
                // begun. Such a connection is not used again.
                .after_release(|connection, _| {
                    Box::pin(async move {
                        connection.ping().await?;
                        Ok(!connection.is_in_transaction())
                    })
                })
                .connect_lazy_with(options.clone().synchronous(synchronous))
        };
        let sqlite = Self {
            path: path.to_owned(),
            durable: pool(SqliteSynchronous::Full),
            soon: pool(SqliteSynchronous::Normal),
        };
        Ok(sqlite)
    }

    pub(crate) const fn pool(&self, durability: Durability) -> &SqlitePool {
        match durability {
            Durability::Durable => &self.durable,
            Durability::Soon => &self.soon,
        }
    }

    /// Looks through the file, unless it is very large.
    pub(crate) async fn quick_check(&self) -> Result<(), StoreError> {
        let bytes = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if bytes > QUICK_CHECK_MAX_BYTES {
            tracing::info!(path = %self.path.display(), bytes, "the store is too large to be looked through at the start");
            return Ok(());
        }
        let row = sqlx::query("PRAGMA quick_check(1)").fetch_one(&self.durable).await?;
        let answer: String = row.try_get(0)?;
        if answer == "ok" { Ok(()) } else { Err(StoreError::Corrupt(answer)) }
    }

    pub(crate) async fn close(&self) {
        let close = async { tokio::join!(self.soon.close(), self.durable.close()) };
        // A connection that hangs in the disk must not keep the collector from going on.
        let _ = tokio::time::timeout(CLOSE_DEADLINE, close).await;
    }
}

fn make(path: &Path) -> Result<(), StoreError> {
    let complaint = |error: std::io::Error| StoreError::Open {
        place: path.display().to_string(),
        reason: error.to_string(),
    };
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(complaint)?;
    }
    let made =
        fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(|_| ()).map_err(complaint)
}

/// Renames a damaged file and what belongs to it to `<name>.corrupt-<time>`, and deletes the oldest of those set aside
/// before if there are too many. Gives the new name.
pub(crate) fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let aside = with_suffix(path, &format!(".corrupt-{}", stamp(now)));
    for part in PARTS {
        match fs::rename(with_suffix(path, part), with_suffix(&aside, part)) {
            Ok(()) => {}
            // Not every part is always there, and another process may have been quicker.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let place = path.display().to_string();
                return Err(StoreError::Open {
                    place,
                    reason: format!("it is damaged and cannot be renamed: {error}"),
                });
            }
        }
    }
    delete_oldest(path);
    Ok(aside)
}

/// A time for the name of a file, which sorts: `20261121T044325.000001Z`.
fn stamp(now: Timestamp) -> String {
    now.to_rfc3339().as_str().replace(['-', ':'], "")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn delete_oldest(path: &Path) {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return };
    let prefix = format!("{}.corrupt-", name.to_string_lossy());
    let Ok(entries) = fs::read_dir(directory) else { return };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut aside: Vec<String> =
        names.filter(|name| name.starts_with(&prefix) && name.ends_with('Z')).collect();
    aside.sort_unstable();
    aside.truncate(aside.len().saturating_sub(SET_ASIDE_MAX));
    for name in aside {
        for part in PARTS {
            // What cannot be deleted stays; the number of files is told in the log each time.
            let _ = fs::remove_file(with_suffix(&directory.join(&name), part));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A container may have no directory for temporary files, and what SQLite keeps there is more than 64 KiB of pages at times.
    #[tokio::test]
    async fn nothing_is_kept_in_temporary_files() {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::connect(&directory.path().join("dbintel.sqlite")).unwrap();
        for durability in [Durability::Durable, Durability::Soon] {
            let row = sqlx::query("PRAGMA temp_store").fetch_one(sqlite.pool(durability)).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), 2);
        }
        sqlite.close().await;
    }
}
