//! The two databases, and what differs between them. The statements are the same for both and stand where they are used.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use sqlx::sqlite::SqlitePool;
use sqlx::{Row as _, postgres::PgPool};
use tokio::sync::OnceCell;

use crate::StoreError;
use crate::config::{Place, StoreConfig};

/// The schema, in the order in which it came about. A released file is never changed.
const MIGRATIONS: [&str; 2] =
    [include_str!("../migrations/0001_first.sql"), include_str!("../migrations/0002_no_observations.sql")];

/// Statements that name every column, to see whether the schema is ours.
const PROBES: [&str; 5] = [
    "SELECT id, server, host, started_at, last_seen FROM dbintel_instances LIMIT 1",
    "SELECT server, key, version, bytes, checksum, updated_at FROM dbintel_baselines LIMIT 1",
    "SELECT id, revision, server, kind, category, state, closed, opened_at, updated_at, document, checksum FROM dbintel_findings LIMIT 1",
    "SELECT finding, revision, kind, action, decided_by, decided_at, reason FROM dbintel_decisions LIMIT 1",
    "SELECT finding, kind, category, verdict, at, ratio, ratio_low, ratio_high FROM dbintel_outcomes LIMIT 1",
];

/// Identifies our migrations among the advisory locks of a PostgreSQL database: `dbintel` in ASCII.
const MIGRATION_LOCK: i64 = 0x0064_6269_6e74_656c;

/// An open store.
#[derive(Debug)]
pub(crate) enum Database {
    /// SQLite.
    Sqlite(sqlite::Sqlite),
    /// PostgreSQL, whose schema is looked at when it is first reached.
    Postgres {
        /// Connections.
        pool: PgPool,
        /// Set once the schema is up to date.
        migrated: OnceCell<()>,
    },
}

/// What a commit promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is on the disk when it has returned: findings, decisions, outcomes.
    Durable,
    /// It outlives the process, and is on the disk soon after: baselines, which can be measured again.
    Soon,
}

/// Runs `$body` in a transaction, with `$connection` as a connection of either database. The body is compiled for both.
macro_rules! transaction {
    ($database:expr, $durability:expr, $connection:ident => $body:expr) => {
        match &*$database {
            $crate::database::Database::Sqlite(sqlite) => {
                // A transaction that only reads at first would have to be upgraded, and could fail then.
                let mut transaction = sqlite.pool($durability).begin_with("BEGIN IMMEDIATE").await?;
                let done = {
                    let $connection = &mut *transaction;
                    $body
                };
                transaction.commit().await?;
                done
            }
            $crate::database::Database::Postgres { pool, .. } => {
                let mut transaction = pool.begin().await?;
                if $durability == $crate::database::Durability::Soon {
                    let statement = sqlx::query("SET LOCAL synchronous_commit TO off");
                    statement.execute(&mut *transaction).await?;
                }
                let done = {
                    let $connection = &mut *transaction;
                    $body
                };
                transaction.commit().await?;
                done
            }
        }
    };
}

/// Runs `$body` with `$pool` as the pool of either database for reading. The body is compiled for both.
macro_rules! reading {
    ($database:expr, $pool:ident => $body:expr) => {
        match &*$database {
            $crate::database::Database::Sqlite(sqlite) => {
                let $pool = sqlite.pool($crate::database::Durability::Durable);
                $body
            }
            $crate::database::Database::Postgres { pool: $pool, .. } => $body,
        }
    };
}

pub(crate) use {reading, transaction};

/// Brings the schema up to date and gives the number it had.
macro_rules! migrate {
    ($connection:ident) => {{
        let made =
            "CREATE TABLE IF NOT EXISTS dbintel_meta (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)";
        sqlx::query(made).execute(&mut *$connection).await?;
        let row = sqlx::query("SELECT value FROM dbintel_meta WHERE name = 'schema'")
            .fetch_optional(&mut *$connection)
            .await?;
        let found: i64 = row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
        let missing = missing_migrations(found)?;
        for text in missing {
            sqlx::raw_sql(*text).execute(&mut *$connection).await?;
        }
        if !missing.is_empty() {
            sqlx::query(
                "INSERT INTO dbintel_meta (name, value) VALUES ('schema', $1) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(newest_schema())
            .execute(&mut *$connection)
            .await?;
        }
    }};
}

// === impl Database ===

impl Database {
    /// Opens the store. A file is opened and checked; a server is reached when it is first needed.
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        match &config.place {
            Place::Sqlite(path) => {
                let sqlite = sqlite::Sqlite::connect(path)?;
                let database = Self::Sqlite(sqlite);
                match database.check().await {
                    Ok(()) => Ok(database),
                    Err(error) => {
                        database.close().await;
                        Err(error)
                    }
                }
            }
            Place::Postgres(place) => {
                let pool = postgres::pool(place).await?;
                Ok(Self::Postgres { pool, migrated: OnceCell::new() })
            }
        }
    }

    /// Looks whether the file is sound and brings its schema up to date.
    async fn check(&self) -> Result<(), StoreError> {
        if let Self::Sqlite(sqlite) = self {
            sqlite.quick_check().await?;
        }
        // What our constant statements meet in a sound file is no error of theirs.
        let damaged = |error| match error {
            StoreError::Database(message) => StoreError::Corrupt(message),
            error => error,
        };
        self.migrate().await.map_err(damaged)?;
        self.probe().await.map_err(damaged)
    }

    /// Makes sure that the schema is up to date.
    pub(crate) async fn ready(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres { migrated, .. } => {
                let migrate = || async {
                    self.migrate().await?;
                    self.probe().await
                };
                migrated.get_or_try_init(migrate).await?;
                Ok(())
            }
        }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        if let Self::Postgres { pool, .. } = self {
            // Two collectors that start together would both make the tables.
            let mut transaction = pool.begin().await?;
            let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK);
            lock.execute(&mut *transaction).await?;
            let connection = &mut *transaction;
            migrate!(connection);
            transaction.commit().await?;
            return Ok(());
        }
        transaction!(self, Durability::Durable, connection => {
            migrate!(connection);
        });
        Ok(())
    }

    async fn probe(&self) -> Result<(), StoreError> {
        for probe in PROBES {
            reading!(self, pool => {
                sqlx::query(probe).fetch_optional(pool).await?;
            });
        }
        Ok(())
    }

    /// Bytes of the whole store.
    pub(crate) async fn size_bytes(&self) -> Result<i64, StoreError> {
        let text = match self {
            Self::Sqlite(_) => "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            Self::Postgres { .. } => "SELECT pg_database_size(current_database())",
        };
        Ok(reading!(self, pool => sqlx::query(text).fetch_one(pool).await?.try_get(0)?))
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}

/// The number of the newest schema.
fn newest_schema() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The migrations a schema of this number lacks.
fn missing_migrations(found: i64) -> Result<&'static [&'static str], StoreError> {
    let known = newest_schema();
    let present = usize::try_from(found).unwrap_or(0);
    MIGRATIONS.get(present..).ok_or(StoreError::NewerSchema { found, known })
}

/// The pool of the durable connection, for statements only SQLite has.
pub(crate) fn sqlite_pool(database: &Database) -> Option<&SqlitePool> {
    match database {
        Database::Sqlite(sqlite) => Some(sqlite.pool(Durability::Soon)),
        Database::Postgres { .. } => None,
    }
}
